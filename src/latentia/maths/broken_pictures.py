"""Pictures that are wrong in ways of their own: outliers made of the data itself.

What a model of pictures should find strange need not be noise. Here the same pixels stand in the
wrong order, strips are left of a picture, it is too small, or light and dark are exchanged (the
idea of self-made outliers: Golan & El-Yaniv 2018; Li et al. 2021, CutPaste).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.maths.noise_pictures import noise_pictures

STRIP = 0.25  # of the grey levels around the middle: as much is left of a picture cut to strips
TILES = 4  # a side


def broken_pictures(x: Tensor, noise: Tensor, choice: Tensor) -> Tensor:
    """Each picture broken in one of four ways.

    Args:
        x: `(B, C, H, W)` in [-1, 1].
        noise: standard normal, `(B, C, H, W)`.
        choice: standard normal, `(B, 4)`.

    Returns:
        `(B, C, H, W)`; row i depends on row i of all three.
    """
    chance = torch.special.ndtr(choice)
    ways = torch.stack([shuffled(x, noise), strips(x, noise, choice), small(x, chance), -x])
    which = (chance[:, 3] * len(ways)).long().clamp(max=len(ways) - 1)
    return ways[which, torch.arange(len(x), device=x.device)]


def shuffled(x: Tensor, noise: Tensor) -> Tensor:
    """Tiles of pictures in another order, `(B, C, H, W)`; a rest at the border stays."""
    b, c, height, width = x.shape
    h, w = height // TILES, width // TILES
    if not (h and w):
        return x.flip(2, 3)
    inside = x[:, :, : h * TILES, : w * TILES].reshape(b, c, TILES, h, TILES, w)
    tiles = inside.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = noise.flatten(1)[:, : TILES**2].argsort(1)
    tiles = tiles.gather(1, order[:, :, None, None, None].expand_as(tiles))
    back = tiles.unflatten(1, (TILES, TILES)).permute(0, 3, 1, 4, 2, 5)
    whole = x.clone()
    whole[:, :, : h * TILES, : w * TILES] = back.reshape(b, c, h * TILES, w * TILES)
    return whole


def strips(x: Tensor, noise: Tensor, choice: Tensor) -> Tensor:
    """What lies along the middle grey of random blobs, on the ground of the first corner."""
    rough = choice.clone()
    rough[:, 0] = 9.0  # the coarsest blobs
    blobs = noise_pictures(noise, rough)[:, :1]
    return torch.where(blobs.abs() < STRIP, x, x[:, :, :1, :1])


def small(x: Tensor, chance: Tensor) -> Tensor:
    """Pictures of half the size somewhere on the ground of their first corner."""
    height, width = x.shape[2:]
    half = F.interpolate(x, size=(height // 2, width // 2), mode="area")
    rows = _within(chance[:, 0], height)
    columns = _within(chance[:, 1], width)
    inside = (rows >= 0)[:, :, None] & (columns >= 0)[:, None]
    at = rows.clamp(min=0)[:, :, None] * half.shape[3] + columns.clamp(min=0)[:, None]
    index = at.flatten(1)[:, None].expand(-1, x.shape[1], -1)
    laid = half.flatten(2).gather(2, index).view_as(x)
    return torch.where(inside[:, None], laid, x[:, :, :1, :1])


def _within(chance: Tensor, side: int) -> Tensor:
    """Where each pixel lies in a half that begins at random, `(B, side)`; -1 outside."""
    half = side // 2
    first = (chance * (side - half + 1)).long().clamp(max=side - half)
    at = torch.arange(side, device=chance.device) - first[:, None]
    return torch.where((at >= 0) & (at < half), at, -1)
