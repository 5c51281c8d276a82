"""The adversarial game with pictures that grow (Karras et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentia.game import Batch, Now, Terms, Verdict
from latentia.objectives.adversarial import Adversarial


@runtime_checkable
class Grows(Protocol):
    """What the game needs of a network that grows."""

    def grow(self, growth: float, step: int) -> None:
        """Act at this growth from now on."""
        ...

    def shrunk(self, x: Tensor) -> Tensor:
        """Full pictures at the present side."""
        ...

    def faded(self, x: Tensor) -> Tensor:
        """Full pictures at the present side, as the present mixture of two resolutions."""
        ...


@dataclass(frozen=True)
class Schedule:
    """When the pictures grow, in shares of the budget.

    The time until they are full is divided evenly among the smaller sides. Each of those is
    trained alone first, and its last part is spent on fading in the next.

    Attributes:
        doublings: K.
        grow_share: share of the budget at which pictures have their full side.
        fade: share of each side's time in which the next one is faded in, above 0.
    """

    doublings: int
    grow_share: float
    fade: float

    def growth(self, progress: float) -> float:
        """From 0, the smallest pictures, to K, the full ones.

        Args:
            progress: share of the budget that is spent.

        >>> even = Schedule(2, grow_share=0.5, fade=0.5)
        >>> [even.growth(share) for share in (0.0, 0.125, 0.1875, 0.25, 0.5, 1.0)]
        [0.0, 0.0, 0.5, 1.0, 2.0, 2.0]
        """
        spent = progress / self.grow_share * self.doublings
        if spent >= self.doublings:
            return float(self.doublings)
        side = math.floor(spent)
        return side + max(0.0, 1 - (side + 1 - spent) / self.fade)


class Progressive(Adversarial):
    """`Adversarial`, played at a side that doubles on a schedule.

    Real pictures are shrunk to the present side, and while a side fades in they are the same
    mixture as the generated ones. Penalties are weighted by 4 to the number of doublings still
    to come, upside down: they are then what they would be on the full pictures, of which the
    small ones are averages.

    Args:
        schedule: when.
        others, named: as of `Adversarial`.
    """

    def __init__(self, *others: Any, schedule: Schedule, **named: Any) -> None:
        super().__init__(*others, **named)
        self.schedule = schedule
        modules = [m for player in self.players.values() for m in player.modules.modules()]
        self.growing = [module for module in modules if isinstance(module, Grows)]

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        growth = self.schedule.growth(now.progress)
        for net in self.growing:
            net.grow(growth, now.step)
        small = self.present(batch)
        now.note("growth", torch.tensor(growth))
        now.note("side", torch.tensor(float(small.values.shape[-1])))
        yield from super().play(small, now)

    def verdict(self, batch: Batch, now: Now) -> Verdict:
        return super().verdict(self.present(batch), now)

    def draw(self, batch: Batch, now: Now) -> Tensor:
        """Generated pictures at the present side."""
        return self.growing[0].shrunk(super().draw(batch, now))

    def present(self, batch: Batch) -> Batch:
        """The batch with its pictures as they are at the present growth."""
        return replace(batch, values=self.growing[0].faded(batch.x))

    def penalty_weight(self, progress: float) -> float:
        """γ for pictures of the present side."""
        still = self.schedule.doublings - self.schedule.growth(progress)
        return super().penalty_weight(progress) / 4**still
