"""How long to train. Everything scheduled is a function of the share that is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from latentia.errors import UserError


@dataclass(frozen=True)
class Budget:
    """Minutes of training or examples to see; exactly one of the two.

    A short budget is a *complete* short training: warm-up, decay and averaging all scale.
    """

    minutes: float | None = None
    examples: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.examples is None):
            raise UserError("Give a budget: either minutes or examples, not both.")
        amount = self.minutes if self.minutes is not None else self.examples
        if amount is None or not amount > 0 or not math.isfinite(amount):
            raise UserError(f"The budget must be a positive number, not {amount}.")

    def progress(self, seconds: float, examples: int) -> float:
        """Share of the budget that is spent, 0 to 1."""
        if self.minutes is not None:
            return min(1.0, seconds / (60 * self.minutes))
        assert self.examples is not None
        return min(1.0, examples / self.examples)

    def to_json(self) -> dict[str, float | int]:
        if self.minutes is not None:
            return {"minutes": self.minutes}
        assert self.examples is not None
        return {"examples": self.examples}


def rate_factor(progress: float, warmup: float = 0.02, hold: float = 0.0) -> float:
    """Learning rate as a share of its peak: linear warm-up, plateau, cosine decay to zero.

    Args:
        progress: share of the budget spent, 0 to 1.
        warmup: share spent on the rise.
        hold: share at which the decay begins.

    >>> rate_factor(0.2, hold=0.3), round(rate_factor(1.0), 6)
    (1.0, 0.0)
    """
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    start = max(warmup, hold)
    if progress < start:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - start) / (1 - start))))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
