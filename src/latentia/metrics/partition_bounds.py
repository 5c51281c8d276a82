"""log Z from below and from above: annealed importance sampling there and back.

Forwards (Neal 2001) chains start where Z is known and are tempered towards exp(−E): the mean of
their weights is Z_1 / Z_0 without bias, so that its logarithm lies below on average. Backwards
(Burda, Grosse & Salakhutdinov 2015; bidirectional Monte Carlo, Grosse, Ghahramani & Adams 2015)
they start from samples of the model and are melted: the mean of the weights is Z_0 / Z_1, and
minus its logarithm lies above. Where both meet, log Z is known; and where they do not, that shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from latentia.metrics.annealed import Annealed

TOLERANCE = 0.5
"""Nats; bounds further apart than this have not met."""
_SHARE = 0.1  # of the chains: fewer effective ones, and a few weights are the whole answer
_ERRORS = 3.0  # by how many the bounds may cross
_ROUNDING = 0.02  # nats, besides

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


def both_bounds(
    path: AnnealableEnergy,
    betas: Sequence[float],
    chains: int,
    samples: Callable[[int, torch.Generator], Tensor],
    *,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
) -> tuple[Bound, Bound]:
    """log Z from below and from above.

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
    return bound(up, path.log_z_start), bound(down, path.log_z_start, upper=True)


@dataclass(frozen=True)
class Verdict:
    """Whether log Z is known, and why.

    Attributes:
        log_z: the middle of the bounds, nats.
        error: half their gap, and their standard errors.
        gap: upper − lower; below 0 by chance where they have met.
        trusted: whether nothing speaks against it.
        sentence: in words.
    """

    log_z: float
    error: float
    gap: float
    trusted: bool
    sentence: str


def judged(lower: Bound, upper: Bound, origin: str, tolerance: float = TOLERANCE) -> Verdict:
    """Whether two bounds have met.

    Args:
        lower, upper: from below and from above.
        origin: a sentence about the samples that the upper one began at.
        tolerance: nats.
    """
    gap = upper.log_z - lower.log_z
    noise = math.hypot(lower.standard_error or 0.0, upper.standard_error or 0.0)
    doubts = _doubts(lower, upper, gap, noise, tolerance)
    error = math.hypot(gap / 2, noise / 2)
    if doubts:
        sentence = (
            f"Do not trust log Z: {'; '.join(doubts)}. Take more temperatures or chains "
            "(latentia.metrics.partition.partition, temperatures=…, chains=…). " + origin
        )
    else:
        sentence = (
            f"log Z is known to about ±{error:.2g} nats: annealing from below and from above meet "
            f"within {abs(gap):.2g} nats, {min(lower.effective, upper.effective):.0f} or more of "
            f"{lower.chains} chains count, and halves of them agree. " + origin
        )
    return Verdict((lower.log_z + upper.log_z) / 2, error, gap, not doubts, sentence)


def _doubts(lower: Bound, upper: Bound, gap: float, noise: float, tolerance: float) -> list[str]:
    """What speaks against the bounds, in clauses."""
    found = []
    if not math.isfinite(gap):
        return ["the energies of the chains are not finite"]
    if gap > tolerance:
        found.append(f"the bounds are {gap:.2g} nats apart")
    if gap < -_ERRORS * noise - _ROUNDING:
        found.append(
            f"the bounds have crossed by {-gap:.2g} nats, more than their errors allow, so that "
            "one of them is wrong"
        )
    for name, side in (("lower", lower), ("upper", upper)):
        if side.effective < _SHARE * side.chains or side.chains < 2:
            found.append(
                f"the {name} one rests on {side.effective:.1f} effective of {side.chains} chains"
            )
        if side.halves > tolerance:
            found.append(f"halves of the {name} one's chains differ by {side.halves:.2g} nats")
    return found
