"""Consistency: neighbours on one path of the ODE are to end at the same clean data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from latentia.abilities import TakesClasses
from latentia.game import Batch, Now, Player, Terms
from latentia.maths.schedules import karras_sigmas, stratified
from latentia.objectives.denoising import told_classes


class Teacher(Protocol):
    """A denoiser that knows the ODE, with its guide where it has one: a module."""

    def to(self, device: torch.device) -> object: ...

    def guided(self, weights: Tensor | None = None) -> Callable[[Tensor, Tensor], Tensor]: ...


class Student(Protocol):
    """f(x; σ) with f(x; σ_min) = x."""

    @property
    def sigma_min(self) -> float: ...

    def __call__(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor: ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Consistency:
    """Minimise the distance of f(x_next; σ_next) from f(x; σ), x one step down the ODE from x_next.

    With a teacher the step is Heun's (consistency distillation, Song et al. 2023, algorithm 2);
    without one the neighbour is the same example with less of the same noise (consistency
    training, algorithm 3), where more and more levels are told apart as training goes on (Song &
    Dhariwal 2024, eq. 4). No gradient flows into what is aimed at. The distance is the pseudo-Huber
    one of the second paper (section 3.3).

    Args:
        model: the student.
        player: owns it.
        teacher: or None.
        levels: noise levels on the way down; without a teacher at the end of the budget.
        sigma_max: the highest.
        forget: share of the examples shown without their class, for a model that takes classes.
    """

    FIRST = 10  # levels at the start, without a teacher

    def __init__(
        self,
        model: Student,
        player: Player,
        teacher: Teacher | None,
        levels: int,
        sigma_max: float,
        forget: float = 0.0,
    ) -> None:
        self.model, self.teacher, self.levels = model, teacher, levels
        self.sigma_max, self.forget = sigma_max, forget
        self.players = {"student": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        clean = self.model.standardise(batch.x)
        low, high = self._neighbours(now, len(batch))
        noise, weights = now.noise(*clean.shape), self._classes(batch, now)
        wide = (-1, *[1] * (clean.ndim - 1))
        above = clean + high.view(wide) * noise
        with torch.no_grad():
            below = self._down(clean, noise, above, low.view(wide), high.view(wide), weights)
            aim = self.model(below, low, weights)
        apart = (self.model(above, high, weights) - aim).flatten(1).square().sum(1)
        slack = 0.00054 * math.sqrt(clean[0].numel())  # of the paper, section 3.3
        distance = (apart + slack**2).sqrt() - slack
        yield "student", {"consistency": (distance / (high - low)).mean()}

    def _neighbours(self, now: Now, n: int) -> tuple[Tensor, Tensor]:
        """Two levels next to each other for each of n examples, the high ones less often."""
        count = self.levels
        if self.teacher is None:  # twice as many, again and again
            doublings = math.log2(max(1.0, self.levels / self.FIRST))
            count = min(self.levels, self.FIRST * 2 ** round(now.progress * doublings))
        every = karras_sigmas(count, self.model.sigma_min, self.sigma_max)[:-1].flip(0)
        uniform = stratified(now.uniform(n), now.rank, now.world).double()
        chance = _gaps(every.log(), -1.1, 2.0).to(uniform.device)
        at = torch.searchsorted(chance.cumsum(0), uniform).clamp(max=count - 2)
        every = every.to(at.device)
        return every[at].float(), every[at + 1].float()

    def _down(
        self,
        clean: Tensor,
        noise: Tensor,
        above: Tensor,
        low: Tensor,
        high: Tensor,
        weights: Tensor | None,
    ) -> Tensor:
        """The neighbour at the lower level: by Heun's method, or by the example itself."""
        if self.teacher is None:
            return clean + low * noise
        slope = self._slope(above, high, weights)
        guess = above + (low - high) * slope
        return above + (low - high) * (slope + self._slope(guess, low, weights)) / 2

    def _slope(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor:
        assert self.teacher is not None
        self.teacher.to(x.device)
        return (x - self.teacher.guided(weights)(x, sigma.flatten())) / sigma

    def _classes(self, batch: Batch, now: Now) -> Tensor | None:
        if not isinstance(self.model, TakesClasses):
            return None
        return told_classes(self.model, batch, now, self.forget)


def _gaps(logs: Tensor, mean: float, std: float) -> Tensor:
    """Probability of a normal ln σ between each two levels (Song & Dhariwal 2024, section 3.5)."""
    at = torch.special.ndtr((logs - mean) / std)
    gaps: Tensor = at.diff()
    return gaps / gaps.sum()
