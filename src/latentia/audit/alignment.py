"""Is one picture another one moved? Pairs of pictures laid over each other as well as they can be.

A similarity (shift, turn, zoom) and a change of brightness and contrast are sought by Gauss-Newton
steps, as in Lucas & Kanade (1981) with the photometric terms of Evangelidis & Psarakis (2008), many
pairs at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.audit.patches import shrunk

_SIDE = 24
_STEPS = 7
_CHUNK = 128
_RIDGE = 1e-4
_FLAT = 1e-3  # variance in [-1, 1] below which a picture has nothing to be aligned by
_FARTHEST = 0.35  # shift (share of half a side), turn (radians) and zoom beyond which it is another


def prepared(x: Tensor) -> Tensor:
    """Pictures `(N, C, H, W)` in [-1, 1] made small, grey and slightly blurred, `(N, 1, h, w)`."""
    small = shrunk(x, _SIDE).mean(1, keepdim=True)
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    padded = F.pad(small, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, (kernel[:, None] * kernel).view(1, 1, 3, 3))


def mismatch(pictures: Tensor, first: Tensor, second: Tensor, *, mirrored: bool = False) -> Tensor:
    """How much of one picture the other cannot account for after the best alignment.

    Args:
        pictures: `prepared`, `(N, 1, h, w)`.
        first, second: int64 `(P,)`, rows of the pairs.
        mirrored: flip the second left to right first.

    Returns:
        `(P,)` in [0, 1]: the share of the first one's variance that is left; 0 for the same picture
        at another place, turn, size, brightness or contrast.
    """
    chunks = zip(first.split(_CHUNK), second.split(_CHUNK), strict=True)
    other = pictures.flip(-1) if mirrored else pictures
    found = [_aligned(pictures[a], other[b]) for a, b in chunks]
    return torch.cat(found) if found else torch.empty(0)


def _aligned(fixed: Tensor, moving: Tensor) -> Tensor:
    """The smallest unexplained share on the way, `(B,)`."""
    batch, pixels = len(fixed), fixed[0].numel()
    goal = fixed.flatten(1)
    goal = goal - goal.mean(1, keepdim=True)
    variance = goal.square().mean(1)
    slope_y, slope_x = _slopes(moving)
    height, width = fixed.shape[-2:]
    y, x = torch.meshgrid(_axis(height), _axis(width), indexing="ij")
    place = torch.zeros(batch, 4)  # shift x, shift y, zoom, turn
    best = torch.ones(batch)
    for _ in range(_STEPS):
        grid = _grid(place, x, y)
        seen = F.grid_sample(
            torch.cat([moving, slope_x, slope_y], 1), grid, "bilinear", "border", False
        )
        now, along_x, along_y = seen.chunk(3, 1)
        columns = torch.stack(
            [along_x, along_y, along_x * x + along_y * y, along_y * x - along_x * y, now], -1
        ).view(batch, pixels, 5)
        columns = columns - columns.mean(1, keepdim=True)
        gram = columns.mT @ columns / pixels
        pull = (columns.mT @ goal[:, :, None] / pixels)[:, :, 0]
        gain = pull[:, 4] / gram[:, 4, 4].clamp(min=1e-9)
        left = (variance - gain * pull[:, 4]) / variance.clamp(min=1e-9)
        usable = (gain > 0) & (variance > _FLAT) & (place.abs().amax(1) < _FARTHEST)
        best = torch.where(usable, torch.minimum(best, left.clamp(0, 1)), best)
        ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).clamp(min=1e-9)
        step = torch.linalg.solve(gram + torch.diag_embed(ridge), pull)
        move = step[:, :4] / step[:, 4:].clamp(min=0.1)
        place = place + move.clamp(-0.15, 0.15)
    return best


def _axis(n: int) -> Tensor:
    """Centres of pixels in [-1, 1]."""
    return (torch.arange(n) + 0.5) * 2 / n - 1


def _slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives by y and x, in units of half a side."""
    wide = F.pad(x, (1, 1, 1, 1), mode="replicate")
    down = (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) * (x.shape[2] / 4)
    right = (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) * (x.shape[3] / 4)
    return down, right


def _grid(place: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Where every pixel looks, `(B, H, W, 2)`."""
    shift_x, shift_y, zoom, turn = (p[:, None, None] for p in place.T)
    return torch.stack(
        [x + shift_x + zoom * x - turn * y, y + shift_y + turn * x + zoom * y], dim=-1
    )
