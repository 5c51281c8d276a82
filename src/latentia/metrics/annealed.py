"""Annealed importance sampling: log p(x) of a decoder, as a cross-check of importance bounds.

Neal (2001), "Annealed importance sampling"; for decoders Wu et al. (2017), "On the quantitative
analysis of decoder-based generative models". Started from the prior it needs no encoder, so it
does not share the blind spots of a bound whose proposals are the encoder's, but takes thousands
of steps; started from the encoder's posterior it takes tens and repairs what the encoder misses
nearby.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentia.abilities import HasLogProb, HasPosterior
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, spread_rows
from latentia.maths.divergences import importance_bound, normal_log_prob
from latentia.metrics.hamiltonian import Density, Walk, sizes_by_weight
from latentia.metrics.likelihood import IMPORTANCE_SAMPLES, mean_and_error

CHAINS, LEAPFROG, ROWS = 8, 3, 100
STEPS = {"prior": 1000, "posterior": 100}
PILOTS = 16  # chains at least that only find the sizes of the moves, one per example or more
_SLOPE = 1e-2  # mean square; a latent spreads ten times a standard normal's at most
_MEMORY = 0.9  # of the slopes' mean square, from one β to the next
_SLOPE = 4.0  # of the sigmoidal schedule (Wu et al. 2017, section 5)
_STATES = 512  # chains of several examples run side by side

Progress = Callable[[int, int], None]
Start = Literal["prior", "posterior"]


@runtime_checkable
class Annealable(Protocol):
    """A decoder with a prior: what annealing needs.

    A model whose prior takes noise of another length than its latent has that as `noise_dim`.
    """

    @property
    def latent_dim(self) -> int: ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), `(B, …), (B, d) -> (B,)`, nats."""
        ...

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), `(B, d) -> (B,)`, nats."""
        ...

    def from_noise(self, noise: Tensor) -> Tensor:
        """Standard normal noise to prior draws `(B, d)`."""
        ...


@dataclass(frozen=True)
class Annealed:
    """The outcome for B examples.

    Attributes:
        log_weights: `(chains, B)`, nats.
        acceptance: share of Hamiltonian moves accepted, `(B,)`.
    """

    log_weights: Tensor
    acceptance: Tensor

    @property
    def log_prob(self) -> Tensor:
        """Estimates of log p(x), `(B,)`, nats; below it on average, as exp of it is unbiased."""
        return importance_bound(self.log_weights)

    @property
    def effective(self) -> Tensor:
        """Effective sample size (Σ w)² / Σ w², `(B,)`, between 1 and the number of chains."""
        log_w = self.log_weights
        return torch.exp(2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0))

    @property
    def error(self) -> Tensor:
        """Standard error of `log_prob` from the spread of chains, `(B,)`, by the delta method."""
        chains = len(self.log_weights)
        if chains < 2:
            return torch.full_like(self.log_prob, math.nan)
        return (1 / self.effective - 1 / chains).mul(chains / (chains - 1)).clamp(min=0).sqrt()


def schedule(steps: int) -> Tensor:
    """Weights β of the likelihood from 0 to 1, `(steps + 1,)`, slow at both ends."""
    s = torch.sigmoid(torch.linspace(-_SLOPE, _SLOPE, steps + 1, dtype=torch.float64))
    return (s - s[0]) / (s[-1] - s[0])


def annealed_log_prob(
    model: Annealable,
    x: Tensor,
    *,
    chains: int = CHAINS,
    steps: int | None = None,
    leapfrog: int = LEAPFROG,
    start: Start = "prior",
    seed: int = 0,
    progress: Progress | None = None,
) -> Annealed:
    """Anneal to the true posterior of each example: q(z)^(1 − β) (p(z) p(x | z))^β, β from 0 to 1.

    Between two β every chain makes one Hamiltonian move of `leapfrog` steps. Pilot chains find
    out beforehand how large: a scale per latent from the mean square of the slopes (the inverse
    variance, were the target Gaussian), and a step size for 65 % acceptance, both at every β and
    shared by all examples. Sizes that follow a chain's own past, as in Wu et al., cost the
    estimate its unbiasedness: we saw it 0.1 to 0.2 nats off in two dimensions.

    Args:
        model: a decoder with a prior; its parameters stay as they are.
        x: `(B, …)` on the model's device.
        chains: per example.
        steps: β's above 0, by default 1,000 from the prior and 100 from a posterior; the cost is
            `steps · leapfrog` slopes of the decoder for every chain.
        leapfrog: gradient steps per move.
        start: q: the model's prior, or its own posterior q(z | x).
        seed: of starts, momenta and acceptance.
        progress: called with (steps done, of how many), pilots included.

    Raises:
        UserError: chains, steps or leapfrog below 1; a start that the model does not have.
    """
    steps = STEPS.get(start, 1) if steps is None else steps
    for name, value in {"chains": chains, "steps": steps, "leapfrog": leapfrog}.items():
        if value < 1:
            raise UserError(f"{name} is {value}; it counts and must be at least 1.")
    generator, n = torch.Generator(x.device).manual_seed(seed), len(x)
    betas = schedule(steps).tolist()
    pilots = _walk(model, start, _times(x, -(-PILOTS // n)), leapfrog, generator)
    sizes = []
    for step, size in enumerate(sizes_by_weight(pilots, betas[1:-1]), 1):
        sizes.append(size)
        _tell(progress, step, 2 * steps)
    walk = _walk(model, start, _times(x, chains), leapfrog, generator)
    log_w = torch.zeros(n * chains, dtype=torch.float64, device=x.device)
    for step in range(1, steps + 1):
        log_w += (betas[step] - betas[step - 1]) * walk.place.log_ratio.double()
        if step < steps:
            walk.move(betas[step], sizes[step - 1])
        _tell(progress, steps + step, 2 * steps)
    accepted = walk.accepted / max(1, steps - 1)
    return Annealed(log_w.view(chains, n), accepted.view(chains, n).mean(0))


def _walk(
    model: Annealable, start: Start, x: Tensor, leapfrog: int, generator: torch.Generator
) -> Walk:
    def joint(z: Tensor) -> Tensor:
        return model.log_prior(z) + model.log_likelihood(x, z)

    return Walk(_start(model, start, x), joint, leapfrog, generator)


def _times(x: Tensor, chains: int) -> Tensor:
    """All examples over and over, `(chains · B, …)`."""
    return x.repeat(chains, *(1 for _ in x.shape[1:]))


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


@dataclass(frozen=True)
class _Prior:
    model: Annealable
    x: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        length = int(getattr(self.model, "noise_dim", self.model.latent_dim))
        shape, device = (len(self.x), length), self.x.device
        return self.model.from_noise(torch.randn(shape, generator=generator, device=device))

    def log_prob(self, z: Tensor) -> Tensor:
        return self.model.log_prior(z)


@dataclass(frozen=True)
class _Posterior:
    """The diagonal Gaussian with the moments of the model's q(z | x)."""

    mu: Tensor
    log_var: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        noise = torch.randn(self.mu.shape, generator=generator, device=self.mu.device)
        return self.mu + (0.5 * self.log_var).exp() * noise

    def log_prob(self, z: Tensor) -> Tensor:
        return normal_log_prob(z, self.mu, self.log_var).sum(1)


def _start(model: Annealable, name: str, x: Tensor) -> Density:
    if name == "prior":
        return _Prior(model, x)
    if name != "posterior" or not isinstance(model, HasPosterior):
        raise UserError(
            f"{type(model).__name__} cannot start annealing at {name!r}; use 'prior'"
            + (" or 'posterior'." if isinstance(model, HasPosterior) else ".")
        )
    with torch.no_grad():
        q = model.posterior(x)
    return _Posterior(q.mean, q.variance.log())


def annealed_likelihood(
    model: object,
    data: Dataset,
    *,
    every: int | None = None,
    chains: int = CHAINS,
    steps: int | None = None,
    leapfrog: int = LEAPFROG,
    start: Start | None = None,
    importance_samples: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Negative log-likelihood by annealing, next to that by importance sampling on the same rows.

    Both estimate log p(x) from below, so the higher of the two is the better one; where the
    encoder's proposals miss a part of the posterior, annealing is higher.

    Args:
        model: a decoder with a prior (`Annealable`).
        data: held-out rows.
        every: take rows 0, `every`, …; None takes 100 rows at most, evenly apart.
        chains, steps, leapfrog, start: as in `annealed_log_prob`; by default from the posterior
            of a model that has one, else from the prior.
        importance_samples: of the estimate beside it, by default 5,000.
        seed: of the draws; every batch has its own.
        progress: called with (steps done, of how many).

    Returns:
        `nll_nats`, `nll_standard_error` (over examples), `chain_error` (of the mean, from the
        spread of chains alone), `effective_chains` (mean over examples), `acceptance`,
        `start`, `chains`, `steps`, `leapfrog`, `examples`, `seed`, `seconds`;
        `importance` (None for a model without `log_prob`) with its own `nll_nats`,
        `nll_standard_error`, `importance_samples` and `seconds`, and `difference_nats`: how much
        higher annealing finds log p(x), with `difference_error` over paired examples.

    Raises:
        UserError: a model that cannot be annealed, `every` below 1, and as `annealed_log_prob`.
    """
    if not isinstance(model, Annealable):
        raise UserError(
            f"{type(model).__name__} has no decoder with a prior to anneal (log_likelihood, "
            "log_prior, from_noise)."
        )
    if every is not None and every < 1:
        raise UserError(f"every is {every}; it counts and must be at least 1.")
    if start is None:
        start = "posterior" if isinstance(model, HasPosterior) else "prior"
    steps = STEPS.get(start, 1) if steps is None else steps
    begin = time.perf_counter()
    rows = spread_rows(len(data), ROWS) if every is None else torch.arange(0, len(data), every)
    parts = rows.split(max(1, _STATES // max(1, chains)))
    found = [
        annealed_log_prob(
            model,
            x,
            chains=chains,
            steps=steps,
            leapfrog=leapfrog,
            start=start,
            seed=seed + number,
            progress=_later(progress, number, len(parts)),
        )
        for number, x in enumerate(_batches(data, parts, device_of(model)))
    ]
    log_prob, error = _joined(found, "log_prob"), _joined(found, "error")
    nll, spread = mean_and_error([log_prob])
    return {
        "nll_nats": nll,
        "nll_standard_error": spread,
        "chain_error": _finite(float(error.square().sum().sqrt()) / len(rows)),
        "effective_chains": _finite(float(_joined(found, "effective").mean())),
        "acceptance": float(_joined(found, "acceptance").mean()),
        "start": start,
        "chains": chains,
        "steps": steps,
        "leapfrog": leapfrog,
        "examples": len(rows),
        "seed": seed,
        "seconds": time.perf_counter() - begin,
        "importance": _importance(model, data, parts, log_prob, importance_samples, seed),
    }


def _importance(
    model: object,
    data: Dataset,
    parts: tuple[Tensor, ...],
    annealed: Tensor,
    samples: int | None,
    seed: int,
) -> dict[str, Any] | None:
    """The importance-weighted estimate of the same rows, and how far annealing lies above it."""
    if not isinstance(model, HasLogProb):
        return None
    begin, k = time.perf_counter(), IMPORTANCE_SAMPLES if samples is None else samples
    with torch.no_grad():
        log_prob = torch.cat(
            [
                model.log_prob(x, samples=k, seed=seed + number).cpu()
                for number, x in enumerate(_batches(data, parts, device_of(model)))
            ]
        )
    nll, error = mean_and_error([log_prob])
    lower, difference_error = mean_and_error([annealed - log_prob.double()])
    return {
        "nll_nats": nll,
        "nll_standard_error": error,
        "importance_samples": k,
        "difference_nats": None if lower is None else -lower,
        "difference_error": difference_error,
        "seconds": time.perf_counter() - begin,
    }


def _batches(data: Dataset, parts: tuple[Tensor, ...], device: torch.device) -> Iterator[Tensor]:
    return (data.batch(rows, str(device)).x for rows in parts)


def _joined(found: list[Annealed], name: str) -> Tensor:
    return torch.cat([getattr(part, name).double().cpu() for part in found])


def _later(progress: Progress | None, before: int, parts: int) -> Progress | None:
    """Progress within one batch as progress of all."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(before * total + done, parts * total)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
