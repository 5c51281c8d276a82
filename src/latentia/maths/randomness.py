"""Seeded draws: one stream of numbers per seed, whatever the batch they are drawn in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from latentia.seeds import mixed_seed

HELD = 4096
"""Numbers that `SeededSteps` holds ready per row: 16 kB."""


def seeded_noise(
    seeds: Sequence[int], shape: Sequence[int], device: str | torch.device = "cpu"
) -> Tensor:
    """Standard normal noise `(len(seeds), *shape)`; row i depends on `seeds[i]` alone.

    Drawn on the CPU, so that a seed means the same picture on every device.
    """
    return _rows([mixed_seed(int(seed)) for seed in seeds], shape).to(device)


class SeededSteps:
    """Standard normal noise for every step of a sampler: a function of (seed, step) row by row.

    Called with a step from 0 on it returns `(len(seeds), *shape)`, of which row i depends on
    `seeds[i]` and the step alone; independent of `seeded_noise` of the same seeds. Small rows are
    drawn many steps at a time, since seeding a generator costs more than the numbers.

    >>> draw = SeededSteps([3, 4], (2,))
    >>> bool((draw(7)[1] == SeededSteps([4], (2,))(7)[0]).all())
    True
    """

    def __init__(
        self, seeds: Sequence[int], shape: Sequence[int], device: str | torch.device = "cpu"
    ) -> None:
        self.seeds, self.shape, self.device = [int(s) for s in seeds], tuple(shape), device
        self._steps = max(1, HELD // max(1, math.prod(shape)))
        self._block, self._held = -1, torch.empty(0)

    def __call__(self, step: int) -> Tensor:
        block, within = divmod(step, self._steps)
        if block != self._block:
            streams = [mixed_seed(seed, block) for seed in self.seeds]
            self._held, self._block = _rows(streams, (self._steps, *self.shape)), block
        return self._held[:, within].to(self.device)


def _rows(streams: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Standard normal `(len(streams), *shape)`, a generator for each row."""
    generator = torch.Generator()
    rows = torch.empty(len(streams), *shape)
    for i, stream in enumerate(streams):
        generator.manual_seed(stream)
        rows[i] = torch.randn(tuple(shape), generator=generator)
    return rows


class Streams:
    """A stream of random numbers for every seed, drawn a piece at a time.

    Row i of a piece depends on `seeds[i]` and on what was drawn before alone: a chain that follows
    a seed is the same whatever chains run beside it, and one of any length needs no more memory
    than a step. The first normal piece is `seeded_noise` of the same shape.

    Args:
        seeds: one for each row.
        device: where the numbers are wanted; they are drawn on the CPU.
    """

    def __init__(self, seeds: Sequence[int], device: str | torch.device = "cpu") -> None:
        self.device = device
        self._generators = [torch.Generator().manual_seed(mixed_seed(int(s))) for s in seeds]

    def normal(self, *shape: int) -> Tensor:
        """The next standard normal numbers, `(len(seeds), *shape)`, float32."""
        rows = torch.empty(len(self._generators), *shape)
        for row, generator in zip(rows, self._generators, strict=True):
            row.normal_(generator=generator)
        return rows.to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """The next numbers in [0, 1), `(len(seeds), *shape)`, float32."""
        rows = torch.empty(len(self._generators), *shape)
        for row, generator in zip(rows, self._generators, strict=True):
            row.uniform_(generator=generator)
        return rows.to(self.device)
