"""Small translators with fixed random weights, and runs around them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError
from latentia.recipes.base import CommonSettings
from latentia.run import Run
from latentia.training.budget import Budget


class Local(nn.Module):
    """Three convolutions and a step down and up: an output pixel depends on 10 around it."""

    multiple = 4
    reach: int | None = 10

    def __init__(
        self,
        channels: dict[str, int] | None = None,
        targets: tuple[str, ...] = ("A", "B"),
        change: float = 0.3,
    ) -> None:
        super().__init__()
        self.channels = channels or {"A": 3, "B": 3}
        self.targets, self.change = targets, change
        self.seen: list[tuple[int, ...]] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.nets = nn.ModuleDict({to: self._net(to) for to in targets})

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.channels)

    def _net(self, to: str) -> nn.Module:
        (start,) = (name for name in self.channels if name != to)
        return nn.Sequential(
            nn.Conv2d(self.channels[start], 8, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(8, 8, 4, stride=4),
            nn.Tanh(),
            nn.ConvTranspose2d(8, 8, 4, stride=4),
            nn.Conv2d(8, self.channels[to], 3, padding=1),
            nn.Tanh(),
        )

    def translate(self, x: Tensor, to: str) -> Tensor:
        if to not in self.targets:
            raise UserError(f"no {to}")
        assert not x.shape[2] % self.multiple and not x.shape[3] % self.multiple
        self.seen.append(tuple(x.shape))
        change = self.change * self.nets[to](x)
        return (x + change if change.shape == x.shape else change).clamp(-1, 1)


class Whole(Local):
    """One whose output depends on the mean of the picture."""

    reach = None

    def translate(self, x: Tensor, to: str) -> Tensor:
        return (super().translate(x, to) - 0.2 * x.mean((1, 2, 3), keepdim=True)).clamp(-1, 1)


def run_of(
    folder: Path,
    shape: tuple[int, int, int] = (3, 32, 32),
    pair: dict[str, Any] | None = None,
    **more: Any,
) -> Run:
    """A run whose recipe is never read."""
    spec = DataSpec("test", "image", shape, 10, "0", ("A", "B"), pair=pair, **more)
    return Run(
        folder=folder,
        family="cyclegan",
        settings=CommonSettings(),
        spec=spec,
        options=DataOptions(),
        source="",
        seed=0,
        budget=Budget(examples=1),
        versions={},
        command="",
    )
