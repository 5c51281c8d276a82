"""Annealed importance sampling: log p(x) of a decoder, as a cross-check of importance bounds.

Neal (2001), "Annealed importance sampling"; for decoders Wu et al. (2017), "On the quantitative
analysis of decoder-based generative models". It needs no encoder, so it does not share the
blind spots of a bound whose proposals are the encoder's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentia.abilities import HasLogProb
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, spread_rows
from latentia.maths.divergences import importance_bound
from latentia.metrics.likelihood import IMPORTANCE_SAMPLES, mean_and_error

CHAINS, STEPS, LEAPFROG, ROWS = 16, 500, 8, 100
ACCEPTANCE = 0.65  # best for Hamiltonian moves in many dimensions (Neal 2011, section 4.4)
_FIRST_STEP, _LARGEST_STEP, _SMALLEST_STEP = 0.2, 2.0, 1e-4
_RATE = 0.1  # of the step size: 40 refusals in a row shrink it tenfold
_SLOPE = 4.0  # of the sigmoidal schedule (Wu et al. 2017, section 5)
_STATES = 512  # chains of several examples run side by side

Progress = Callable[[int, int], None]


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
        step_size: geometric mean over chains at the end, `(B,)`.
    """

    log_weights: Tensor
    acceptance: Tensor
    step_size: Tensor

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
    steps: int = STEPS,
    leapfrog: int = LEAPFROG,
    seed: int = 0,
    progress: Progress | None = None,
) -> Annealed:
    """Anneal from the prior to the posterior of each example, p(z) p(x | z)^β with β from 0 to 1.

    Between two β every chain makes one Hamiltonian move of `leapfrog` steps, whose size each
    chain adapts to 65 % acceptance. (Adapting on the way leaves a bias that vanishes with many
    steps; Wu et al. do so as well.)

    Args:
        model: a decoder with a prior; its parameters stay as they are.
        x: `(B, …)` on the model's device.
        chains: per example.
        steps: β's between 0 and 1; the cost is `steps · leapfrog` slopes of the decoder.
        leapfrog: gradient steps per move.
        seed: of starts, momenta and acceptance.
        progress: called with (steps done, of how many).

    Raises:
        UserError: chains, steps or leapfrog below 1.
    """
    for name, value in {"chains": chains, "steps": steps, "leapfrog": leapfrog}.items():
        if value < 1:
            raise UserError(f"{name} is {value}; it counts and must be at least 1.")
    generator = torch.Generator(x.device).manual_seed(seed)
    walk = _Walk(model, x.repeat(chains, *(1 for _ in x.shape[1:])), leapfrog, generator)
    log_w = torch.zeros(len(walk.x), dtype=torch.float64, device=x.device)
    betas = schedule(steps).tolist()
    for step in range(1, steps + 1):
        log_w += (betas[step] - betas[step - 1]) * walk.place.log_likelihood.double()
        if step < steps:
            walk.move(betas[step])
        if progress is not None:
            progress(step, steps)
    return Annealed(
        log_w.view(chains, -1),
        (walk.accepted / max(1, steps - 1)).view(chains, -1).mean(0),
        walk.size.log().view(chains, -1).mean(0).exp(),
    )


@dataclass(frozen=True)
class _Place:
    """Where all chains are: `(M, d)`, and the log-densities there, `(M,)`, with their slopes."""

    z: Tensor
    log_prior: Tensor
    log_likelihood: Tensor
    prior_slope: Tensor
    likelihood_slope: Tensor

    def log_density(self, beta: float) -> Tensor:
        return self.log_prior + beta * self.log_likelihood

    def slope(self, beta: float) -> Tensor:
        return self.prior_slope + beta * self.likelihood_slope

    def where(self, accepted: Tensor, other: _Place) -> _Place:
        """The other place for chains that accepted it."""
        parts = zip(self.parts, other.parts, strict=True)
        return _Place(
            *(
                torch.where(accepted.view(-1, *(1 for _ in mine.shape[1:])), theirs, mine)
                for mine, theirs in parts
            )
        )

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return (
            self.z,
            self.log_prior,
            self.log_likelihood,
            self.prior_slope,
            self.likelihood_slope,
        )


class _Walk:
    """Chains side by side, each with its own step size."""

    def __init__(
        self, model: Annealable, x: Tensor, leapfrog: int, generator: torch.Generator
    ) -> None:
        self.model, self.x, self.leapfrog, self.generator = model, x, leapfrog, generator
        noise = self._normal(len(x), int(getattr(model, "noise_dim", model.latent_dim)))
        with torch.no_grad():
            start = model.from_noise(noise)
        self.place = self._at(start)
        self.size = torch.full((len(x),), _FIRST_STEP, device=x.device)
        self.accepted = torch.zeros(len(x), device=x.device)

    def move(self, beta: float) -> None:
        """One Hamiltonian move that leaves p(z) p(x | z)^β as it is (Neal 2011)."""
        momentum = self._normal(*self.place.z.shape)
        before = self.place.log_density(beta) - 0.5 * momentum.square().sum(1)
        there, momentum = self._glide(beta, momentum)
        after = there.log_density(beta) - 0.5 * momentum.square().sum(1)
        chance = (after - before).clamp(max=0).exp().nan_to_num(0.0)  # diverged: refused
        coin = torch.rand(len(self.x), generator=self.generator, device=self.x.device)
        accepted = coin < chance
        self.place = self.place.where(accepted, there)
        self.accepted += accepted
        grown = self.size * torch.exp(_RATE * (chance - ACCEPTANCE))
        self.size = grown.clamp(_SMALLEST_STEP, _LARGEST_STEP)

    def _glide(self, beta: float, momentum: Tensor) -> tuple[_Place, Tensor]:
        size, place = self.size[:, None], self.place
        momentum = momentum + 0.5 * size * place.slope(beta)
        for step in range(self.leapfrog):
            place = self._at(place.z + size * momentum)
            share = 1.0 if step < self.leapfrog - 1 else 0.5
            momentum = momentum + share * size * place.slope(beta)
        return place, momentum

    def _at(self, z: Tensor) -> _Place:
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            log_prior = self.model.log_prior(z)
            log_likelihood = self.model.log_likelihood(self.x, z)
            (prior_slope,) = torch.autograd.grad(log_prior.sum(), z)
            (likelihood_slope,) = torch.autograd.grad(log_likelihood.sum(), z)
        return _Place(
            z.detach(),
            log_prior.detach(),
            log_likelihood.detach(),
            prior_slope,
            likelihood_slope,
        )

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.x.device)


def annealed_likelihood(
    model: object,
    data: Dataset,
    *,
    every: int | None = None,
    chains: int = CHAINS,
    steps: int = STEPS,
    leapfrog: int = LEAPFROG,
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
        chains, steps, leapfrog: as in `annealed_log_prob`.
        importance_samples: of the estimate beside it, by default 5,000.
        seed: of the draws; every batch has its own.
        progress: called with (steps done, of how many).

    Returns:
        `nll_nats`, `nll_standard_error` (over examples), `chain_error` (of the mean, from the
        spread of chains alone), `effective_chains` (mean over examples), `acceptance`,
        `step_size`, `chains`, `steps`, `leapfrog`, `examples`, `seed`, `seconds`;
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
            seed=seed + number,
            progress=_later(progress, number * steps, len(parts) * steps),
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
        "step_size": float(_joined(found, "step_size").mean()),
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


def _later(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress within one batch as progress of all."""
    if progress is None:
        return None
    tell = progress
    return lambda done, _: tell(before + done, total)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
