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


class SeededCoins:
    """One stream of uniform numbers for each seed, drawn from piece by piece.

    What a seed gives depends on nothing but the seed and on how much was drawn before: chains of
    any length need no more memory than one step.

    Args:
        seeds: one for each row.
        device: where the numbers are wanted; they are drawn on the CPU.
    """

    def __init__(self, seeds: Sequence[int], device: str | torch.device = "cpu") -> None:
        mixed = [mixed_seed(int(seed)) for seed in seeds]
        self._streams = [torch.Generator().manual_seed(seed) for seed in mixed]
        self._device = device

    def __call__(self, *shape: int) -> Tensor:
        """The next numbers in [0, 1), `(len(seeds), *shape)`, float32."""
        rows = torch.empty(len(self._streams), *shape)
        for row, stream in zip(rows, self._streams, strict=True):
            torch.rand(shape, generator=stream, out=row)
        return rows.to(self._device)
