"""HYPE-time's adaptive staircase: how long must a picture be seen to be told from a fake?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

START, LEAST, MOST = 500, 100, 1000
SHORTER, LONGER, IN_A_ROW = 30, 10, 3
"""Milliseconds; three right answers in a row shorten the exposure, a wrong one lengthens it."""


@dataclass
class Staircase:
    """Exposures so far.

    Attributes:
        exposure: milliseconds of the next picture.
        row: right answers in a row since the exposure last changed.
        shown: exposure of each answered picture.
        turns: exposures at which the staircase turned round.
    """

    exposure: int = START
    row: int = 0
    shown: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    _rising: bool | None = None

    def answer(self, right: bool) -> None:
        """Take an answer to a picture of this exposure."""
        self.shown.append(self.exposure)
        if not right:
            self.row = 0
            self._go(LONGER)
        elif self.row + 1 < IN_A_ROW:
            self.row += 1
        else:
            self.row = 0
            self._go(-SHORTER)

    def _go(self, step: int) -> None:
        rising = step > 0
        if self._rising is not None and rising != self._rising:
            self.turns.append(self.exposure)
        self._rising = rising
        self.exposure = min(MOST, max(LEAST, self.exposure + step))

    @property
    def modal(self) -> int | None:
        """The exposure shown most often in the later half, in milliseconds; of several the middle.

        The first half is the way there from the start; None before any answer.
        """
        return modal(self.shown[len(self.shown) // 2 :])

    @property
    def threshold(self) -> float | None:
        """Mean of the last turns (at most ten, an even number); None with fewer than two."""
        last = self.turns[-min(10, len(self.turns) // 2 * 2) :] if len(self.turns) > 1 else []
        return sum(last) / len(last) if last else None


def modal(exposures: list[int]) -> int | None:
    """The commonest exposure; of several the middle one.

    >>> modal([500, 470, 470, 480])
    470
    """
    counts = Counter(exposures)
    commonest = sorted(e for e, n in counts.items() if n == max(counts.values()))
    return commonest[(len(commonest) - 1) // 2] if commonest else None
