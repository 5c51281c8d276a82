"""What every latent-variable model trained by a bound on its likelihood shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.divergences import (
    importance_bound,
    kl_to_standard_normal,
    normal_log_prob,
)
from latentia.maths.randomness import seeded_noise
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise

DECODES_AT_ONCE = 512  # rows; activations stay in the cache, twice as fast as thousands


class Prior(Protocol):
    """A learned p(z)."""

    noise_dim: int

    def log_prob(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        ...

    def sample(self, noise: Tensor) -> Tensor:
        """Standard normal noise `(B, noise_dim)` to a draw `(B, d)`."""
        ...


@dataclass(frozen=True)
class Draw:
    """One draw of the latent variables of each of B examples.

    Attributes:
        z: `(B, d)`.
        mu, log_var: of the Gaussian that each latent was drawn from, given those above it.
        parameters: what the decoder makes of z, for the likelihood.
    """

    z: Tensor
    mu: Tensor
    log_var: Tensor
    parameters: Tensor


class VariationalModel(nn.Module):
    """p(x, z) = p(z) p(x | z) with an inference network q(z | x).

    A subclass says how the data are looked at (`look`) and how latents are drawn from what was
    seen (`draw`), and has a `decoder`.

    The weight β of the KL term belongs to the objective: a loaded model cannot depend on it,
    and `elbo` always means β = 1.

    Args:
        likelihood: what the decoder's output says about data.
        latent_dim: d.
        standardise: shift and scale of vector data.
        prior: a learned p(z) of the first `learned` latents; the others are standard normal.
        learned: how many; 0 without a prior.
    """

    decoder: nn.Module

    def __init__(
        self,
        likelihood: Likelihood,
        latent_dim: int,
        standardise: Standardise,
        prior: nn.Module | None,
        learned: int,
    ) -> None:
        super().__init__()
        self.likelihood, self.latent_dim, self.standardise = likelihood, latent_dim, standardise
        self.prior, self.learned = prior, learned if prior is not None else 0

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        """What inference keeps of the data: tensors whose first axis counts the examples."""
        raise NotImplementedError

    def draw(self, seen: tuple[Tensor, ...], noise: Tensor) -> Draw:
        """Latents from what was seen and standard normal noise `(B, d)`."""
        raise NotImplementedError

    # using the model

    def encode(self, x: Tensor) -> Tensor:
        """The posterior mean, `(B, d)`; with several layers each given the means above it."""
        seen = self.look(x)
        return self.draw(seen, seen[0].new_zeros(len(x), self.latent_dim).float()).mu

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """The expected data given z, `(B, …)`."""
        refuse_condition(self, condition)
        return self.standardise.inverse(self.likelihood.mean(self.decoder(z).float()))

    @property
    def noise_dim(self) -> int:
        """Standard normal numbers that a prior draw takes."""
        if self.prior is None:
            return self.latent_dim
        wanted: int = self.prior.noise_dim  # type: ignore[assignment]
        return self.latent_dim - self.learned + wanted

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """The decoded mean of one prior draw per seed."""
        refuse_condition(self, condition)
        noise = seeded_noise(seeds, (self.noise_dim,), device_of(self))
        return in_chunks(lambda rows: self.decode(self.from_noise(rows)), noise)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Standard normal noise `(B, noise_dim)` to prior draws `(B, d)`."""
        if self.prior is None:
            return noise
        cut = noise.shape[1] - (self.latent_dim - self.learned)
        drawn: Tensor = self.prior.sample(noise[:, :cut])  # type: ignore[operator]
        return torch.cat([drawn, noise[:, cut:]], 1)

    # densities

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), `(B,)`, nats in the units of the data."""
        return self.fit_of(x, self.decoder(z))

    def fit_of(self, x: Tensor, parameters: Tensor) -> Tensor:
        """log p(x | parameters), `(B,)`, nats in the units of the data."""
        return log_fit(self.likelihood, self.standardise, x, parameters)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), `(…, d) -> (…)`, nats."""
        plain = normal_log_prob(z[..., self.learned :], 0.0, 0.0).sum(-1)
        if self.prior is None:
            return plain
        with torch.autocast(z.device.type, enabled=False):  # densities are worth full precision
            rows = z[..., : self.learned].float().flatten(0, -2)
            density: Tensor = self.prior.log_prob(rows)  # type: ignore[operator]
        return density.view(z.shape[:-1]) + plain

    def kl(self, drawn: Draw) -> Tensor:
        """KL(q ‖ p) by part, `(B, parts)`, nats.

        Closed form per standard normal latent; the latents under a learned prior are one part,
        its single-sample estimate log q(z) − log p(z), which comes first.
        """
        mu, log_var, n = drawn.mu, drawn.log_var, self.learned
        plain = kl_to_standard_normal(mu[:, n:], log_var[:, n:])
        if self.prior is None:
            return plain
        log_q = normal_log_prob(drawn.z[:, :n], mu[:, :n], log_var[:, :n]).sum(1)
        with torch.autocast(mu.device.type, enabled=False):
            log_p: Tensor = self.prior.log_prob(drawn.z[:, :n].float())  # type: ignore[operator]
        return torch.cat([(log_q - log_p)[:, None], plain], 1)

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """E_q log p(x | z) − KL(q ‖ p) with one draw of z, `(B,)`, nats."""
        drawn = self._drawn(x, seed)
        return self.fit_of(x, drawn.parameters) - self.kl(drawn).sum(1)

    def latent_moments(self, x: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and variance of every latent's posterior given one draw of those above, `(B, d)`."""
        drawn = self._drawn(x, seed)
        return drawn.mu, drawn.log_var.exp()

    def rate(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """KL(q ‖ p) of all latents together, with one draw of z, `(B,)`, nats."""
        return self.kl(self._drawn(x, seed)).sum(1)

    def _drawn(self, x: Tensor, seed: int) -> Draw:
        generator = torch.Generator(x.device).manual_seed(seed)
        noise = torch.randn(len(x), self.latent_dim, generator=generator, device=x.device)
        return self.draw(self.look(x), noise)

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """Importance-weighted bound with `samples` draws (default 64), `(B,)`, nats.

        Rises to log p(x) as `samples` grows (Burda et al. 2016, theorem 1).
        """
        generator = torch.Generator(x.device).manual_seed(seed)
        seen, pieces = self.look(x), []
        for n in shares(64 if samples is None else samples, max(1, DECODES_AT_ONCE // len(x))):
            shape = (n, len(x), self.latent_dim)
            noise = torch.randn(shape, generator=generator, device=x.device)
            pieces.append(self.log_weights(x, seen, noise)[0])
        return importance_bound(torch.cat(pieces))

    def log_weights(
        self, x: Tensor, seen: tuple[Tensor, ...], noise: Tensor, *, path_only: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x, z) − log q(z | x) for k draws of z from noise `(k, B, d)`.

        Args:
            path_only: q's parameters reach log q through z alone, as doubly reparameterised
                gradients need it (Tucker et al. 2019, eq. 8); for one layer of latents.

        Returns:
            Log-weights `(k, B)` in nats, and z `(k · B, d)`.
        """
        k = len(noise)
        drawn = self.draw(tuple(_repeated(part, k) for part in seen), noise.flatten(0, 1))
        log_px = self.fit_of(_repeated(x, k), drawn.parameters)
        mu, log_var = drawn.mu, drawn.log_var
        if path_only:
            mu, log_var = mu.detach(), log_var.detach()
        log_q = normal_log_prob(drawn.z, mu, log_var).sum(-1)
        return (log_px + self.log_prior(drawn.z) - log_q).view(k, -1), drawn.z


def log_fit(
    likelihood: Likelihood, standardise: Standardise, x: Tensor, parameters: Tensor
) -> Tensor:
    """log p(x | parameters), `(B,)`, nats in the units of the data."""
    inside = likelihood.log_prob(standardise(x), parameters.float())
    return inside if standardise.identity else inside + standardise.log_abs_det


def reparameterised(mu: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """μ + σ ε."""
    return mu + (0.5 * log_var).exp() * noise


def _repeated(part: Tensor, k: int) -> Tensor:
    return part.expand(k, *part.shape).flatten(0, 1)


def shares(total: int, largest: int) -> Iterator[int]:
    """`total` in parts of at most `largest`."""
    while total > 0:
        yield min(total, largest)
        total -= largest
