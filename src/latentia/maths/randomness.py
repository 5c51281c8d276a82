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
