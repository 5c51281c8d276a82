"""The vocabulary of the training game: batches, the present moment, players and terms.

A model is what you ship; an objective is the game you train it with; a trainer referees.
This module holds only the words they share, so that objectives need not know the trainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Terms = dict[str, Tensor]
"""Named scalar loss terms of one turn; the player descends on their sum."""


def to_unit(values: Tensor) -> Tensor:
    """uint8 levels 0…255 to float32 [-1, 1]; floats pass unchanged."""
    return values.float().mul_(2 / 255).sub_(1) if values.dtype == torch.uint8 else values.float()


@dataclass(frozen=True)
class Batch:
    """Some examples on the training device.

    Attributes:
        values: rows as they are stored: uint8 images `(B, C, H, W)`, or float32.
        labels: int64 `(B,)`, or None where the data has none.
        index: int64 `(B,)`, row of each example in its data set.
    """

    values: Tensor
    labels: Tensor | None
    index: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def x(self) -> Tensor:
        """float32, images `(B, C, H, W)` in [-1, 1], vectors `(B, features)` in their own units.

        Scaled when first asked for, as part of the step and on its device.
        """
        return to_unit(self.values)


@dataclass(frozen=True)
class Now:
    """The present moment of a run, as an objective sees it.

    All randomness of a step comes from `generator`, which the trainer seeds from
    (run seed, step): a resumed run draws what the uninterrupted one would have drawn.
    With several processes every one draws the whole batch's noise and keeps its own share.
    """

    step: int
    progress: float
    generator: torch.Generator
    device: torch.device
    rank: int = 0
    world: int = 1
    notes: dict[str, Tensor] = field(default_factory=dict)

    def noise(self, *shape: int) -> Tensor:
        """Standard normal noise of `shape`; the first axis counts this process's examples."""
        return self._share(torch.randn, shape)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1) of `shape`; the first axis counts this process's examples."""
        return self._share(torch.rand, shape)

    def mean(self, value: Tensor) -> Tensor:
        """A scalar's mean over all processes, without gradient: for rules that must agree."""
        value = value.detach().clone()
        if self.world > 1:
            torch.distributed.all_reduce(value)
            value /= self.world
        return value

    def note(self, name: str, value: Tensor) -> None:
        """Record a scalar worth watching that is not a loss term."""
        self.notes[name] = value.detach()

    def _share(self, draw: object, shape: Sequence[int]) -> Tensor:
        whole = (shape[0] * self.world, *shape[1:])
        every = draw(whole, generator=self.generator, device=self.device)  # type: ignore[operator]
        return every[self.rank * shape[0] : (self.rank + 1) * shape[0]]


@dataclass
class Player:
    """One side of the game: the modules it owns and how it descends.

    Attributes:
        modules: what its turns may change.
        lr: peak learning rate.
        betas: Adam's decay rates.
        weight_decay: decoupled (AdamW); 0 leaves plain Adam.
        clip_norm: gradient-norm ceiling, or None.
    """

    modules: nn.Module
    lr: float
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip_norm: float | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [p for p in self.modules.parameters() if p.requires_grad]


class Objective(Protocol):
    """A game: who plays, and what one step of it looks like."""

    @property
    def players(self) -> dict[str, Player]: ...

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        """Yield whose turn it is and the loss terms of that turn, once per turn.

        The trainer steps that player before it asks for the next turn.
        """
        ...


@runtime_checkable
class Resamples(Protocol):
    """An objective that decides how often each example is shown, anew in every epoch."""

    @property
    def sampling(self) -> Tensor:
        """Sampling weights of the training rows, `(N,)`, ≥ 0; part of what its players save."""
        ...

    def resample(self, every: Iterator[Batch], step: int) -> None:
        """Choose them anew, from every training row once, before the batch of `step` is drawn."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What a critic says of a batch, and of what the generator puts beside it.

    Attributes:
        real, fake: logits of being real, `(B,)`.
        seen, made: the real and the generated examples in the critic's space, `(B, …)`, without
            augmentation.
    """

    real: Tensor
    fake: Tensor
    seen: Tensor
    made: Tensor


@runtime_checkable
class Judges(Protocol):
    """An objective with a critic that may be asked outside a step, without changing anything."""

    def verdict(self, batch: Batch, now: Now) -> Verdict:
        """The critic's answers on real examples, seen in training or not, and on as many fakes."""
        ...

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critic and generator at these logits `(B,)`, without penalties."""
        ...
