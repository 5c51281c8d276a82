"""Pictures of noise at every scale: what chains of pictures start from."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

COARSEST = 4  # cells a side, about, of the coarsest noise
CONTRAST = (0.5, 4.0)  # of strange pictures: standard deviations of noise over the grey levels


def noise_pictures(noise: Tensor, choice: Tensor, strange: float = 0.0) -> Tensor:
    """Random blobs, every picture of a scale of its own, in [-1, 1].

    From noise of single pixels to a few soft blobs, whose pixels are uniformly grey. Strange ones
    are also lighter or darker than others, and of any contrast: at a high one they are black and
    white with edges, like strokes and silhouettes.

    Args:
        noise: standard normal, `(B, C, H, W)`.
        choice: standard normal, `(B, 4)`: of scale, contrast, brightness, and who is strange.
        strange: share of the pictures that are strange.

    Returns:
        `(B, C, H, W)`; row i depends on row i of both.
    """
    levels = scales(min(noise.shape[-2:]))
    chance = torch.special.ndtr(choice)
    scale = (chance[:, 0] * len(levels)).long().clamp(max=len(levels) - 1)
    every = torch.stack([_coarse(noise, side) for side in levels])
    blobs = every[scale, torch.arange(len(noise), device=noise.device)]
    low, high = (math.log(c) for c in CONTRAST)
    odd = chance[:, 3] < strange
    contrast = torch.where(odd, (low + (high - low) * chance[:, 1]).exp(), 1.0)
    brighter = torch.where(odd, choice[:, 2], 0.0)
    shaped = contrast.view(-1, 1, 1, 1) * (blobs + brighter.view(-1, 1, 1, 1))
    return 2 * torch.special.ndtr(shaped) - 1


def scales(side: int) -> list[int]:
    """Pixels a side of the cells of noise, doubling from 1.

    >>> scales(28), scales(8), scales(2)
    ([1, 2, 4], [1, 2], [1])
    """
    return [2**k for k in range(max(1, int(math.log2(max(1, side / COARSEST))) + 1))]


def _coarse(noise: Tensor, cell: int) -> Tensor:
    """Noise averaged over cells and drawn smoothly between them, of about unit variance."""
    if cell == 1:
        return noise
    pooled = F.avg_pool2d(noise, cell, ceil_mode=True) * cell
    size = (pooled.shape[2] * cell, pooled.shape[3] * cell)
    smooth = F.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
    # the squares of bilinear weights are 2 / 3 along each side, on average
    return 1.5 * smooth[..., : noise.shape[2], : noise.shape[3]]
