"""log Z from below and from above: annealed importance sampling there and back.

Forwards (Neal 2001) chains start where Z is known and are tempered towards exp(−E): the mean of
their weights is Z_1 / Z_0 without bias, so that its logarithm lies below on average. Backwards
(Burda, Grosse & Salakhutdinov 2015; bidirectional Monte Carlo, Grosse, Ghahramani & Adams 2015)
they start from samples of the model and are melted: the mean of the weights is Z_0 / Z_1, and
minus its logarithm lies above. Where both meet, log Z is known; and where they do not, that shows.
Bennett's estimate (1976) takes the best of both directions: chains that come up short in one are
plentiful in the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.metrics.annealed import Annealed

TOLERANCE = 0.5
"""Nats; bounds further apart than this have not met."""
_LEAST, _SHARE = 20, 0.05  # effective chains, and of all: a few weights must not be the answer
_ERRORS = 3.0  # by how many the bounds may cross
_ROUNDING = 0.02  # nats, besides
_HALVINGS = 60  # of thousands of nats: past the last digit

Progress = Callable[[int, int], None]


class Chains(Protocol):
    """M states side by side, on a way of unnormalised densities f_β, 0 ≤ β ≤ 1."""

    def log_change(self, before: float, after: float) -> Tensor:
        """log f_after − log f_before where the chains are, `(M,)`, nats, float64."""
        ...

    def move(self, beta: float) -> None:
        """A step that leaves f_β as it is, and is its own reversal."""
        ...


class AnnealableEnergy(Protocol):
    """A way to exp(−E) from a distribution that can be drawn from and whose Z is known."""

    @property
    def log_z_start(self) -> float:
        """log ∫ f_0, nats."""
        ...

    def prepare(self, betas: Sequence[float], generator: torch.Generator) -> None:
        """Settle beforehand how chains move at every β; their own past must not."""
        ...

    def started(self, n: int, generator: torch.Generator) -> Chains:
        """n independent draws of the start."""
        ...

    def at(self, states: Tensor, generator: torch.Generator) -> Chains:
        """Chains at given states, `(M, …)`."""
        ...


@dataclass(frozen=True)
class Bound:
    """A stochastic bound of log Z.

    Attributes:
        log_z: nats.
        standard_error: from the spread of the weights, by the delta method; None for one chain.
        effective: effective sample size (Σ w)² / Σ w², 1 to the number of chains.
        halves: how far the estimates of two halves of the chains are apart, nats.
        chains: how many.
    """

    log_z: float
    standard_error: float | None
    effective: float
    halves: float
    chains: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def annealed_weights(
    chains: Chains, betas: Sequence[float], tell: Callable[[], None] = lambda: None
) -> Tensor:
    """Log-weights of chains carried from the first β to the last, `(M,)`, nats.

    The same loop goes up and down: weigh by the change to the next density, then move under it.
    """
    log_w: Tensor | None = None
    for before, after in pairwise(betas):
        change = chains.log_change(before, after)
        log_w = change if log_w is None else log_w + change
        if after != betas[-1]:
            chains.move(after)
        tell()
    assert log_w is not None, "a way has two ends"
    return log_w


def bound(log_weights: Tensor, log_z_start: float, *, upper: bool = False) -> Bound:
    """What log-weights `(M,)` say of log Z: from below, or of the way back from above."""
    sign, whole = (-1 if upper else 1), _of(log_weights)
    first, second = (float(_of(part).log_prob) for part in _halves(log_weights))
    error = float(whole.error)
    return Bound(
        log_z=log_z_start + sign * float(whole.log_prob),
        standard_error=error if math.isfinite(error) else None,
        effective=float(whole.effective),
        halves=abs(first - second),
        chains=len(log_weights),
    )


def _halves(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half; of one chain twice the same."""
    parts = log_weights.chunk(2)
    return parts[0], parts[-1]


def _of(log_weights: Tensor) -> Annealed:
    return Annealed(log_weights[:, None], torch.ones(1))


def bennett(up: Tensor, down: Tensor) -> tuple[float, float]:
    """log Z_1 / Z_0 from as many log-weights of the way up as of the way down, and its error.

    The L with Σ σ(up − L) = Σ σ(down + L), found by halving, and its standard error (Bennett 1976;
    by maximum likelihood Shirts et al. 2003): the terms are chances that a chain's way was the
    other one.

    Args:
        up, down: `(M,)` each, nats.
    """
    low, high = float(torch.cat([up, -down]).min()), float(torch.cat([up, -down]).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = float((up - middle).sigmoid().sum() - (down + middle).sigmoid().sum())
        low, high = (middle, high) if above > 0 else (low, middle)
    chances = (F.logsigmoid(up - low), F.logsigmoid(down + low))
    return low, math.hypot(*(float(_of(part).error) for part in chances))


@dataclass(frozen=True)
class Bounds:
    """log Z from both sides.

    Attributes:
        lower, upper: nats.
        log_z: Bennett's estimate from the chains of both, nats.
        standard_error: of that; None for one chain.
    """

    lower: Bound
    upper: Bound
    log_z: float
    standard_error: float | None


def both_bounds(
    path: AnnealableEnergy,
    betas: Sequence[float],
    chains: int,
    samples: Callable[[int, torch.Generator], Tensor],
    *,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
) -> Bounds:
    """log Z from below, from above, and by both together.

    Args:
        path: from a known Z to the model.
        betas: rising from 0 to 1.
        chains: in each direction.
        samples: so many of the model, where the way back begins; asked for after `prepare`.
        seed: of everything drawn.
        device: where states live.
        progress: called with (steps done, of how many).
    """
    generator = torch.Generator(device).manual_seed(seed)
    count, total = iter(range(1, 2 * len(betas))), 2 * (len(betas) - 1)

    def tell() -> None:
        if progress is not None:
            progress(next(count), total)

    path.prepare(betas, generator)
    up = annealed_weights(path.started(chains, generator), betas, tell)
    back = path.at(samples(chains, generator), generator)
    down = annealed_weights(back, list(reversed(betas)), tell)
    start = path.log_z_start
    found, error = bennett(up, down)
    return Bounds(
        bound(up, start),
        bound(down, start, upper=True),
        start + found,
        error if math.isfinite(error) else None,
    )


@dataclass(frozen=True)
class Verdict:
    """Whether log Z is known, and why.

    Attributes:
        gap: upper − lower; below 0 by chance where they have met.
        error: of Bennett's estimate: half the gap, which chains that missed something leave, and
            its standard error, nats.
        trusted: whether nothing speaks against it.
        sentence: in words.
    """

    gap: float
    error: float
    trusted: bool
    sentence: str


def judged(found: Bounds, origin: str, tolerance: float = TOLERANCE) -> Verdict:
    """Whether two bounds have met.

    Args:
        found: from below and from above.
        origin: a sentence about the samples that the upper one began at.
        tolerance: nats.
    """
    lower, upper = found.lower, found.upper
    gap = upper.log_z - lower.log_z
    error = math.hypot(gap / 2, found.standard_error or 0.0)
    doubts = _doubts(lower, upper, gap, tolerance)
    if doubts:
        sentence = (
            f"Do not trust log Z: {'; '.join(doubts)}. Take more temperatures or chains "
            "(latentia.metrics.partition.partition, temperatures=…, chains=…). " + origin
        )
    else:
        sentence = (
            f"log Z is known to about ±{error:.2g} nats: annealing from below "
            f"and from above meet within {abs(gap):.2g} nats, "
            f"{min(lower.effective, upper.effective):.0f} or more of {lower.chains} chains count, "
            "and halves of them agree. " + origin
        )
    return Verdict(gap, error, not doubts, sentence.rstrip())


def _doubts(lower: Bound, upper: Bound, gap: float, tolerance: float) -> list[str]:
    """What speaks against the bounds, in clauses."""
    found = []
    noise = math.hypot(lower.standard_error or 0.0, upper.standard_error or 0.0)
    if not math.isfinite(gap):
        return ["the energies of the chains are not finite"]
    if gap > tolerance:
        found.append(f"the bounds are {gap:.2g} nats apart")
    if gap < -min(_ERRORS * noise + _ROUNDING, tolerance):
        found.append(f"the bounds have crossed by {-gap:.2g} nats, so that one of them is wrong")
    for name, side in (("lower", lower), ("upper", upper)):
        if side.effective < max(_LEAST, _SHARE * side.chains):
            found.append(
                f"the {name} one rests on {side.effective:.1f} effective of {side.chains} chains"
            )
        if side.halves > tolerance:
            found.append(f"halves of the {name} one's chains differ by {side.halves:.2g} nats")
    return found
