"""Seeded draws: one stream of numbers per seed, whatever the batch they are drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latentia.seeds import mixed_seed


def seeded_noise(
    seeds: Sequence[int], shape: Sequence[int], device: str | torch.device = "cpu"
) -> Tensor:
    """Standard normal noise `(len(seeds), *shape)`; row i depends on `seeds[i]` alone.

    Drawn on the CPU, so that a seed means the same picture on every device.
    """
    generator = torch.Generator()
    rows = torch.empty(len(seeds), *shape)
    for i, seed in enumerate(seeds):
        generator.manual_seed(mixed_seed(int(seed)))
        rows[i] = torch.randn(tuple(shape), generator=generator)
    return rows.to(device)


class Streams:
    """A stream of standard normal noise for every seed, drawn a piece at a time.

    Row i of the k-th piece depends on (`seeds[i]`, k) alone: a chain that follows a seed is the
    same whatever chains run beside it. The first piece is `seeded_noise` of the same shape.
    """

    def __init__(self, seeds: Sequence[int], device: str | torch.device = "cpu") -> None:
        self.device = device
        self._generators = [torch.Generator().manual_seed(mixed_seed(int(s))) for s in seeds]

    def draw(self, shape: Sequence[int]) -> Tensor:
        """The next piece, `(len(seeds), *shape)`."""
        rows = torch.empty(len(self._generators), *shape)
        for row, generator in zip(rows, self._generators, strict=True):
            row.normal_(generator=generator)
        return rows.to(self.device)
