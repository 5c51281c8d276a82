"""Watching a run: running means of every term, and the first one that stops being finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from latentia.game import Terms


@dataclass(frozen=True)
class Fall:
    """The first non-finite term since the last look."""

    player: str
    term: str
    step: int

    def __str__(self) -> str:
        return f"term '{self.term}' of player '{self.player}' at step {self.step}"


class Watch:
    """Collects terms on the device and looks at them rarely, so that no step waits for it."""

    def __init__(self) -> None:
        self._pending: list[tuple[int, str, tuple[str, ...], Tensor]] = []
        self._totals: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def turn(self, step: int, player: str, terms: Terms) -> None:
        """Remember the loss terms of one turn."""
        values = torch.stack([t.detach().float() for t in terms.values()])
        self._pending.append((step, player, tuple(terms), values))

    def notes(self, step: int, notes: dict[str, Tensor]) -> None:
        """Remember scalars that are not losses."""
        if notes:
            values = torch.stack([t.float() for t in notes.values()])
            self._pending.append((step, "", tuple(notes), values))

    def look(self) -> Fall | None:
        """Fold what is pending into the means; returns the first non-finite term, if any."""
        pending, self._pending = self._pending, []
        if not pending:
            return None
        numbers = iter(torch.cat([values for *_, values in pending]).tolist())
        fall = None
        for step, player, names, _ in pending:
            for name in names:
                value = next(numbers)
                self._add(f"{player}/{name}" if player else name, value)
                if player and fall is None and not math.isfinite(value):
                    fall = Fall(player, name, step)
        return fall

    def means(self) -> tuple[dict[str, float], dict[str, float]]:
        """Means since the last call, as (terms "player/term", notes)."""
        means = {name: total / self._counts[name] for name, total in self._totals.items()}
        self.forget()
        terms = {name: mean for name, mean in means.items() if "/" in name}
        return terms, {name: mean for name, mean in means.items() if "/" not in name}

    def forget(self) -> None:
        """Drop everything: after going back to an earlier state."""
        self._pending.clear()
        self._totals.clear()
        self._counts.clear()

    def _add(self, name: str, value: float) -> None:
        self._totals[name] = self._totals.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1
