"""Pictures of noise at every scale: what chains of pictures start from."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

COARSEST = 4  # cells a side, about, of the coarsest noise
CONTRAST = (0.5, 4.0)  # of the noise, in standard deviations over the width of the grey levels


def noise_pictures(noise: Tensor, choice: Tensor) -> Tensor:
    """Random blobs, each picture of one scale, contrast and brightness, in [-1, 1].

    From noise of single pixels, which is uniform grey at a contrast of 1, to a few soft blobs; at
    high contrast they are black and white with edges, like strokes and silhouettes. Chains that
    start from all of these pass through pictures of every coarseness, where chains from noise of
    pixels pass through noise alone: an energy that was taught on them knows more of what its data
    are not.

    Args:
        noise: standard normal, `(B, C, H, W)`.
        choice: standard normal, `(B, 3)`: of scale, contrast and brightness.

    Returns:
        `(B, C, H, W)`; row i depends on row i of both.
    """
    levels = scales(min(noise.shape[-2:]))
    scale = (torch.special.ndtr(choice[:, 0]) * len(levels)).long().clamp(max=len(levels) - 1)
    every = torch.stack([_coarse(noise, side) for side in levels])
    blobs = every[scale, torch.arange(len(noise), device=noise.device)]
    low, high = (math.log(c) for c in CONTRAST)
    contrast = (low + (high - low) * torch.special.ndtr(choice[:, 1])).exp()
    shaped = contrast.view(-1, 1, 1, 1) * (blobs + choice[:, 2].view(-1, 1, 1, 1))
    return 2 * torch.special.ndtr(shaped) - 1


def scales(side: int) -> list[int]:
    """Pixels a side of the cells of noise, doubling from 1.

    >>> scales(28), scales(8), scales(2)
    ([1, 2, 4], [1, 2], [1])
    """
    return [2**k for k in range(max(1, int(math.log2(max(1, side / COARSEST))) + 1))]


def _coarse(noise: Tensor, cell: int) -> Tensor:
    """Noise averaged over cells and drawn smoothly between them, of unit variance, as large."""
    if cell == 1:
        return noise
    pooled = F.avg_pool2d(noise, cell, ceil_mode=True) * cell
    size = (pooled.shape[2] * cell, pooled.shape[3] * cell)
    smooth = F.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
    # between four cells the mean square of bilinear weights is (2 / 3)² of a cell's
    return 1.5 * smooth[..., : noise.shape[2], : noise.shape[3]]
