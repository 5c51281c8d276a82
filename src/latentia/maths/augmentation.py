"""Random changes of pictures that a critic is to be shown, differentiable in the picture.

After Karras et al. 2020, "Training generative adversarial networks with limited data", appendix B:
each kind of change is made with probability p per picture, and a generator that is judged through
them still has to produce *unchanged* pictures, since every change leaves a share of pictures as
they were (section 2.2; safe below p of about 0.8). All geometry is one affine map and one
bilinear look-up with reflected borders, all colour one matrix; so the cost does not grow with the
number of kinds.

Every function is deterministic: chance comes as uniform numbers, `NUMBERS` per picture.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Kind = Literal["mirror", "turn", "shift", "warp", "colour", "cutout"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# places of the uniform numbers; a change first draws whether it is made, then how
_MIRROR, _TURN, _SHIFT, _SCALE, _ROTATE, _STRETCH = 0, 2, 4, 7, 9, 11
_BRIGHT, _CONTRAST, _HUE, _SATURATION, _CUTOUT = 13, 15, 17, 19, 21
NUMBERS = 24
"""Uniform numbers that a picture uses up."""

SHIFT = 1 / 8  # of the side, at most
SCALE = 0.2  # standard deviation of log2 of the size, and of the height over the width
ANGLE = math.pi / 12  # standard deviation of the rotation, radians
BRIGHTNESS = 0.2  # standard deviation, where pictures are in [-1, 1]
CONTRAST = 0.5  # standard deviation of log2 of the factor
HUE = math.pi / 4  # at most, radians
SATURATION = 0.5  # standard deviation of log2 of the factor
HOLE = 0.5  # side of the cut-out square, of the side


def augmented(
    x: Tensor, uniform: Tensor, p: Tensor | float, kinds: Collection[Kind] = KINDS
) -> Tensor:
    """Pictures with random changes; one that draws no change comes back bit for bit.

    Args:
        x: `(B, C, H, W)` in about [-1, 1].
        uniform: `(B, NUMBERS)` in [0, 1).
        p: probability of each change.
        kinds: those that are made: mirror left to right; turn by multiples of 90° (square
            pictures); shift by whole pixels up to an eighth of the side; warp (size, small
            rotation, stretch); colour (brightness, contrast, and with three channels hue and
            saturation); cutout (a grey square of half the side).

    Returns:
        `(B, C, H, W)`, float32 whatever the autocast. It may leave [-1, 1], as in the paper.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, uniform = x.float(), uniform.float()
        if {"mirror", "turn", "shift", "warp"} & set(kinds):
            where, moved = geometry(uniform, p, kinds, (x.shape[2], x.shape[3]))
            x = torch.where(moved[:, None, None, None], warped(x, where), x)
        if "colour" in kinds:
            matrix, changed = colours(uniform, p, x.shape[1])
            x = torch.where(changed[:, None, None, None], recoloured(x, matrix), x)
        return x * kept(uniform, p, x.shape[2:]) if "cutout" in kinds else x


def geometry(
    uniform: Tensor, p: Tensor | float, kinds: Collection[Kind], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Where each place of a changed picture is looked up in the original.

    Args:
        uniform: `(B, NUMBERS)` in [0, 1).
        p: probability of each change.
        kinds: those that are made.
        size: H and W in pixels.

    Returns:
        float32 `(B, 2, 3)`: affine maps of (x, y) in half sides from the middle, as `warped`
        takes them; and bool `(B,)`, which pictures are moved at all.
    """
    height, width = size
    square = torch.tensor([width / height, 1.0], device=uniform.device)  # to equal units
    move = _identity(uniform)
    if "mirror" in kinds:
        move = _diagonal(1 - 2 * _whole(uniform, _MIRROR, p, 2), torch.ones_like(move[:, 0, 0]))
    if "turn" in kinds and height == width:
        move = move @ _rotation(_whole(uniform, _TURN, p, 4) * (math.pi / 2))
    if "warp" in kinds:
        move = move @ _warp(uniform, p, square)
    shift = torch.zeros_like(move[:, :, 0])
    if "shift" in kinds:
        most = torch.tensor([width, height], device=uniform.device) * SHIFT
        pixels = (most * (2 * uniform[:, _SHIFT + 1 : _SHIFT + 3] - 1)).round()
        made = (uniform[:, _SHIFT] < p)[:, None]
        shift = torch.where(made, 2 * pixels / (most / SHIFT), shift)
    where = torch.cat([move, shift[:, :, None]], 2)
    moved = (where != torch.cat([_identity(uniform), torch.zeros_like(shift)[:, :, None]], 2)).any(
        2
    )
    return where, moved.any(1)


def warped(x: Tensor, where: Tensor) -> Tensor:
    """Pictures `(B, C, H, W)` looked up at affine places `(B, 2, 3)`: bilinear, edges reflected.

    Places are in half sides from the middle, so the identity map gives the picture itself up to
    rounding.
    """
    grid = F.affine_grid(where, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def colours(uniform: Tensor, p: Tensor | float, channels: int) -> tuple[Tensor, Tensor]:
    """Affine maps of the channels.

    Args:
        uniform: `(B, NUMBERS)` in [0, 1).
        p: probability of each change.
        channels: C; hue and saturation need three.

    Returns:
        float32 `(B, C, C + 1)`, the last column added; bool `(B,)`, which are changed at all.
    """
    made = torch.stack([uniform[:, at] < p for at in (_BRIGHT, _CONTRAST, _HUE, _SATURATION)], 1)
    bright, contrast = BRIGHTNESS * _normal(uniform, _BRIGHT), _power(uniform, _CONTRAST, CONTRAST)
    scale = torch.where(made[:, 1], contrast, torch.ones_like(contrast))
    matrix = torch.eye(channels, device=uniform.device) * scale[:, None, None]
    if channels == 3:
        angle = torch.where(made[:, 2], HUE * (2 * uniform[:, _HUE + 1] - 1), 0 * scale)
        power = _power(uniform, _SATURATION, SATURATION)
        matrix = matrix @ _around_grey(
            angle, torch.where(made[:, 3], power, torch.ones_like(power))
        )
    offset = torch.where(made[:, 0], bright, 0 * bright) * scale
    column = offset[:, None, None].expand(-1, channels, 1)
    return torch.cat([matrix, column], 2), made[:, : 4 if channels == 3 else 2].any(1)


def recoloured(x: Tensor, matrix: Tensor) -> Tensor:
    """Pictures `(B, C, H, W)` with their channels mixed by `(B, C, C + 1)`."""
    flat = torch.baddbmm(matrix[:, :, -1:], matrix[:, :, :-1], x.flatten(2))
    return flat.view_as(x)


def kept(uniform: Tensor, p: Tensor | float, size: torch.Size | tuple[int, int]) -> Tensor:
    """1 outside the hole of each picture and 0 inside, float32 `(B, 1, H, W)`."""
    made = (uniform[:, _CUTOUT] < p)[:, None]
    inside = [
        made & ((_centres(n, uniform) - uniform[:, at : at + 1]).abs() < HOLE / 2)
        for n, at in ((size[0], _CUTOUT + 1), (size[1], _CUTOUT + 2))
    ]
    return 1 - (inside[0][:, None, :, None] & inside[1][:, None, None, :]).float()


def _warp(uniform: Tensor, p: Tensor | float, square: Tensor) -> Tensor:
    """Size, rotation and stretch, `(B, 2, 2)`, of pictures whose sides may differ."""
    one = torch.ones_like(uniform[:, 0])
    size, stretch = _power(uniform, _SCALE, SCALE), _power(uniform, _STRETCH, SCALE / 2)
    size = torch.where(uniform[:, _SCALE] < p, size, one)
    stretch = torch.where(uniform[:, _STRETCH] < p, stretch, one)
    angle = torch.where(uniform[:, _ROTATE] < p, ANGLE * _normal(uniform, _ROTATE), 0 * one)
    turned = _rotation(angle) * square / square[:, None]
    return _diagonal(size * stretch, size / stretch) @ turned


def _whole(uniform: Tensor, at: int, p: Tensor | float, choices: int) -> Tensor:
    """One of so many whole numbers from 0 with probability p, else 0, `(B,)`."""
    return (choices * uniform[:, at + 1]).floor() * (uniform[:, at] < p)


def _normal(uniform: Tensor, at: int) -> Tensor:
    """A standard normal number, cut off where a change would ruin the picture, `(B,)`."""
    return torch.special.ndtri(uniform[:, at + 1].clamp(0.005, 0.995))


def _power(uniform: Tensor, at: int, deviation: float) -> Tensor:
    """2 to a normal number, `(B,)`."""
    return torch.exp2(deviation * _normal(uniform, at))


def _identity(uniform: Tensor) -> Tensor:
    return torch.eye(2, device=uniform.device).expand(len(uniform), 2, 2)


def _diagonal(a: Tensor, b: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([a, b], 1))


def _rotation(angle: Tensor) -> Tensor:
    """`(B, 2, 2)`; exact at no rotation."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([torch.stack([c, -s], 1), torch.stack([s, c], 1)], 1)


def _around_grey(angle: Tensor, saturation: Tensor) -> Tensor:
    """Rotation about the axis of greys and a scale away from it, `(B, 3, 3)` (Rodrigues)."""
    grey = torch.full((3, 3), 1 / 3, device=angle.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angle.device) / 3**0.5
    beside = torch.eye(3, device=angle.device) - grey
    c, s = (saturation * angle.cos(), saturation * angle.sin())
    return grey + c[:, None, None] * beside + s[:, None, None] * cross


def _centres(n: int, like: Tensor) -> Tensor:
    """Middles of n pixels, in sides, `(1, n)`."""
    return ((torch.arange(n, device=like.device) + 0.5) / n)[None]
