"""Pixels folded into channels and back, for networks that do nothing at full size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Folds every `block x block` tile into channels: `(B, C, H, W) -> (B, b²C, H/b, W/b)`.

    The result lies in memory as channels_last. `depth_to_space` is the inverse.
    """
    b, c, h, w = x.shape
    tiles = x.permute(0, 2, 3, 1).reshape(b, h // block, block, w // block, block, c)
    folded = tiles.transpose(2, 3).reshape(b, h // block, w // block, block * block * c)
    return folded.permute(0, 3, 1, 2)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Unfolds channels into `block x block` tiles: `(B, b²C, H, W) -> (B, C, bH, bW)`."""
    b, c, h, w = x.shape
    c = c // (block * block)
    tiles = x.permute(0, 2, 3, 1).reshape(b, h, w, block, block, c)
    unfolded = tiles.transpose(2, 3).reshape(b, h * block, w * block, c)
    return unfolded.permute(0, 3, 1, 2)


def smoothed(x: Tensor, share: float = 1.0) -> Tensor:
    """The binomial filter [1, 2, 1] / 4 each way: no chequered pattern passes.

    With a share below 1 so much of it is mixed with the picture itself: then chequers pass weakly,
    and a network can still make the sharpest edges.

    >>> import torch
    >>> chequers = (torch.arange(4)[:, None] + torch.arange(4)) % 2
    >>> smoothed(chequers[None, None].float())[0, 0, 1:3, 1:3]
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    between = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, 1)
    filtered = F.avg_pool2d(between, 2, 1)
    return filtered if share == 1 else x.lerp(filtered, share)
