"""Variational autoencoders of tables: one per fold, trained together in about a second."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.game import Batch, Now, Player
from latentia.maths.divergences import LOG_VAR_RANGE
from latentia.models.vae import VAE
from latentia.nn.likelihoods import Gaussian
from latentia.nn.parallel import ParallelMLP
from latentia.nn.standardise import Standardise
from latentia.objectives.elbo import Elbo

BATCH = 128
RATE = 3e-3
WARMUP = 0.3  # share of the steps over which the KL term gains its weight
FALL_FROM = 0.5  # share of the steps after which the learning rate falls to 0
SMALLEST_SIGMA = 0.05
DRAWS = 4  # of the latents, for −ELBO
WIDEST = 16  # latent dimensions by default
CHUNK = 2048  # rows scored at once


@dataclass(frozen=True)
class Network:
    """How the autoencoders are built and trained.

    Attributes:
        latent: latent dimensions; None takes as many as columns, at most 16. The KL term prices
            dimensions that are not needed, and a bottleneck would lose fine relations.
        hidden: width of the two hidden layers of encoder and decoder.
        steps: of training, on batches of 128 rows.
        smoothing: standard deviation of the noise laid over training rows, in deviations of the
            columns. It keeps the densities of rounded and of few rows from becoming spikes.
    """

    latent: int | None = None
    hidden: int = 64
    steps: int = 500
    smoothing: float = 0.05

    def latent_for(self, columns: int) -> int:
        return self.latent or min(columns, WIDEST)


class FlatAdam:
    """Adam (Kingma & Ba 2015, algorithm 1) on one vector that all parameters are views of.

    PyTorch's own brings in its compiler when first made, a second in which these networks train,
    and starts an operation for every parameter where this starts one for all.

    Args:
        parameters: their values and gradients move into the vector.
    """

    DECAYS = (0.9, 0.99)
    TINY = 1e-8

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.values = torch.cat([p.detach().flatten() for p in parameters])
        self.gradient = torch.zeros_like(self.values)
        self.mean, self.square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps, start = 0, 0
        for p in parameters:
            part = slice(start, start := start + p.numel())
            p.data, p.grad = self.values[part].view_as(p), self.gradient[part].view_as(p)

    def step(self, rate: float) -> None:
        """Descend by the gathered gradient, and forget it."""
        (one, two), self.steps = self.DECAYS, self.steps + 1
        self.mean.lerp_(self.gradient, 1 - one)
        self.square.mul_(two).addcmul_(self.gradient, self.gradient, value=1 - two)
        size = self.square.sqrt().div_(math.sqrt(1 - two**self.steps)).add_(self.TINY)
        self.values.addcdiv_(self.mean, size, value=-rate / (1 - one**self.steps))
        self.gradient.zero_()


@dataclass(frozen=True)
class FoldVAEs:
    """K autoencoders, the k-th trained without the rows of fold k.

    They are one `VAE` of K rows side by side, with networks that share nothing, and its ELBO is
    the sum of theirs: model, likelihood and objective are those of the package.

    Attributes:
        model: in float64, so that a row's scores do not depend on the rows scored beside it.
        folds: K.
        center, precision: of the codes of each member's training rows, `(K, d)`, `(K, d, d)`.
    """

    model: VAE
    folds: int
    center: Tensor
    precision: Tensor

    @classmethod
    def fit(cls, rows: np.ndarray, fold: np.ndarray, network: Network, seed: int) -> Self:
        """Train on rows `(N, columns)`, scaled to about unit variance.

        A loop of its own: the trainer's budget, checkpoints, diary and average of weights belong
        to runs of minutes and would cost more here than the training.

        Args:
            fold: `(N,)`, the fold of each row, 0 … K − 1.
            seed: of weights, batches and noise.
        """
        generator = torch.Generator().manual_seed(seed)
        folds, data = int(fold.max()) + 1, torch.from_numpy(rows.astype(np.float32))
        model = _build(folds, rows.shape[1], network, generator)
        objective = Elbo(model, Player(model, RATE), warmup=WARMUP)
        parameters = objective.players["vae"].parameters
        optimizer = FlatAdam(parameters)
        for step, batch in enumerate(_batches(data, fold, network, generator)):
            progress = step / network.steps
            now = Now(step, progress, generator, data.device)
            for _, terms in objective.play(batch, now):
                torch.stack(list(terms.values())).sum().backward(inputs=parameters)
                optimizer.step(RATE * min(1, (1 - progress) / (1 - FALL_FROM)))
        if not bool(torch.isfinite(optimizer.values).all()):
            raise UserError("The autoencoder of the table diverged; look for absurd values in it.")
        model.double().eval().requires_grad_(False)
        return cls(model, folds, *_codes(model, data.double(), fold))

    def measures(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of rows by every member, `(N, K)` each, higher = stranger.

        "reconstruction" (mean squared error), "negative_elbo" (nats), "latent_distance"
        (Mahalanobis), "gradient_norm" (of log p(x, z) by z at the posterior mean).
        """
        found: dict[str, list[np.ndarray]] = {}
        for chunk in torch.from_numpy(np.asarray(rows, np.float64)).split(CHUNK):
            for name, values in self._measured(chunk).items():
                found.setdefault(name, []).append(values.numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _measured(self, x: Tensor) -> dict[str, Tensor]:
        model, wide = self.model, x.repeat(1, self.folds)
        mu, log_var = _look(model, wide)
        z = mu.detach().requires_grad_(True)
        with torch.enable_grad():
            returned = model.decoder(z)
            joint = model.likelihood.log_prob(wide, returned) + model.log_prior(z)
            (pull,) = torch.autograd.grad(joint.sum(), z)
        error = (wide - returned.detach()).square()
        off = self._members(mu) - self.center
        squared = torch.einsum("bkd,kde,bke->bk", off, self.precision, off)
        return {
            "reconstruction": self._members(error).mean(2),
            "negative_elbo": self._negative_elbo(wide, (mu, log_var)),
            "latent_distance": squared.clamp(min=0).sqrt(),
            "gradient_norm": self._members(pull).norm(dim=2),
        }

    def _negative_elbo(self, wide: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, K)`; the same noise for every row."""
        generator = torch.Generator().manual_seed(0)
        total = wide.new_zeros(len(wide), self.folds)
        for _ in range(DRAWS):
            noise = torch.randn(1, self.model.latent_dim, generator=generator).to(wide)
            drawn = self.model.draw(seen, noise.expand(len(wide), -1))
            values, parameters = self._members(wide), self._members(drawn.parameters)
            fit = self.model.likelihood.log_prob(values.flatten(0, 1), parameters.flatten(0, 1))
            total += self._members(self.model.kl(drawn)).sum(2) - fit.view(total.shape)
        return total / DRAWS

    def _members(self, values: Tensor) -> Tensor:
        """`(B, K · n) -> (B, K, n)`."""
        return values.view(len(values), self.folds, -1)


def _build(folds: int, columns: int, network: Network, generator: torch.Generator) -> VAE:
    latent, hidden = network.latent_for(columns), (network.hidden, network.hidden)
    encoder = ParallelMLP(folds, columns, hidden, 2 * latent, parts=2, generator=generator)
    decoder = ParallelMLP(folds, latent, hidden, columns, generator=generator)
    likelihood = Gaussian(floor=SMALLEST_SIGMA)
    return VAE(encoder, decoder, likelihood, folds * latent, Standardise())


def _batches(
    data: Tensor, fold: np.ndarray, network: Network, generator: torch.Generator
) -> Iterator[Batch]:
    """Rows for every member from outside its own fold, side by side."""
    members = [torch.from_numpy(np.flatnonzero(fold != k)) for k in range(int(fold.max()) + 1)]
    index = torch.arange(BATCH)
    for _ in range(network.steps):
        drawn = [rows[torch.randint(len(rows), (BATCH,), generator=generator)] for rows in members]
        x = data[torch.stack(drawn, 1)].flatten(1)
        noise = torch.randn(x.shape, generator=generator)
        yield Batch(x + network.smoothing * noise, None, index)


def _look(model: VAE, wide: Tensor) -> tuple[Tensor, Tensor]:
    """`VAE.look` in full precision: that one, made for training, comes back in float32."""
    mu, log_var = model.encoder(wide).chunk(2, 1)
    return mu, log_var.clamp(*LOG_VAR_RANGE)


def _codes(model: VAE, data: Tensor, fold: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and precision of the codes of each member's training rows."""
    folds = int(fold.max()) + 1
    codes = _look(model, data.repeat(1, folds))[0].view(len(data), folds, -1)
    centers, precisions = [], []
    for k in range(folds):
        own = codes[torch.from_numpy(fold != k), k]
        off = own - own.mean(0)
        covariance = off.T @ off / len(own)
        # a dimension that never moves says nothing, rather than everything
        floor = 1e-3 * covariance.diagonal().mean() + 1e-9
        centers.append(own.mean(0))
        precisions.append(
            torch.linalg.inv(
                covariance + floor * torch.eye(len(covariance), dtype=covariance.dtype)
            )
        )
    return torch.stack(centers), torch.stack(precisions)
