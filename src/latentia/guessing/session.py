"""One sitting: a deck gone through picture by picture under a protocol."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from latentia.errors import UserError
from latentia.guessing.answers import Answer, Protocol, append
from latentia.guessing.deck import Deck
from latentia.guessing.staircase import Staircase

CLOCK = 60.0
"""Seconds of a session against the clock."""


@dataclass
class Session:
    """Whoever holds one knows the truth: it stays on the server.

    Attributes:
        deck: what is shown.
        protocol: how.
        folder: where answers are kept.
        weights: of the model, for the record.
        name: of the sitting.
        answers: so far.
        stairs: of exposures.
        now: a clock in seconds, that only goes forward.
    """

    deck: Deck
    protocol: Protocol
    folder: Path
    weights: str
    name: str = field(default_factory=lambda: secrets.token_hex(6))
    answers: list[Answer] = field(default_factory=list)
    stairs: Staircase = field(default_factory=Staircase)
    now: Callable[[], float] = time.monotonic
    _began: float = 0.0
    _shown: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._shown = self.now()

    @property
    def card(self) -> int:
        """Number of the picture to judge."""
        return len(self.answers)

    @property
    def exposure(self) -> int | None:
        """Milliseconds that it is shown; None without a limit."""
        return self.stairs.exposure if self.protocol == "time" else None

    @property
    def left(self) -> float | None:
        """Seconds until the bell; None where there is none."""
        if self.protocol != "clock":
            return None
        return max(0.0, CLOCK - (self.now() - self._began))

    @property
    def done(self) -> bool:
        return self.card >= len(self.deck) or self.left == 0

    def answer(self, said_real: bool) -> bool:
        """Take an answer to the picture at hand and keep it; whether it was right.

        One that comes after the bell does not count.

        Raises:
            UserError: the session is over, or the answer cannot be kept.
        """
        if self.done:
            raise UserError("This session is over. Start another one.")
        moment, real = self.now(), bool(self.deck.real[self.card])
        given = Answer(
            session=self.name,
            protocol=self.protocol,
            weights=self.weights,
            seed=self.deck.seed,
            picture=self.card,
            real=real,
            said_real=said_real,
            seconds=round(moment - self._shown, 3),
            exposure=self.exposure,
            at=round(time.time(), 3),
        )
        append(self.folder, given)
        self.answers.append(given)
        self.stairs.answer(not given.wrong)
        self._shown = moment
        return not given.wrong

    def mistaken(self, real: bool) -> list[int]:
        """Pictures judged wrongly: the real ones, or the fakes."""
        return [a.picture for a in self.answers if a.wrong and a.real == real]


def hidden_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbits(31)
