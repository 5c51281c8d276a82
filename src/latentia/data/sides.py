"""The other side of a picture, made from the picture itself: what a model is to undo."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from latentia.data.spec import Made
from latentia.errors import UserError, nearest

MADE: tuple[Made, ...] = ("edges", "grey", "low-resolution", "masked")
REDUCTION = 4
PAPER, INK, HOLE = 255, 0, 128
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow converts to grey
_BLUR = 1.0  # pixels
_WEAK, _STRONG = 24.0, 60.0  # levels that a blurred step edge rises over two pixels
_STROKES, _BENDS = 4, 4


def make_side(picture: np.ndarray, how: str, seed: int = 0) -> np.ndarray:
    """Side A of a pair whose side B is `picture`.

    A function of the picture, `how` and the seed alone, wherever and whenever it is asked.

    Args:
        picture: uint8 `(C, H, W)`, C 1 or 3.
        how: "edges" (dark lines on white), "grey", "low-resolution" (a quarter of the size, brought
            back) or "masked" (a hole of mid-grey: a rectangle or brush strokes).
        seed: of the hole; its place also depends on the picture's content.

    Returns:
        uint8: `(1, H, W)` of edges and grey, `(C, H, W)` of the others.

    Raises:
        UserError: no such way, or not a picture.
    """
    if how not in MADE:
        raise UserError(f"There is no way {how!r} to make a side; {nearest(how, MADE)}")
    if picture.ndim != 3 or picture.shape[0] not in (1, 3) or picture.dtype != np.uint8:
        raise UserError(
            f"A side is made from one picture, uint8 (1 or 3, H, W), not from "
            f"{picture.dtype} {picture.shape}."
        )
    if how == "edges":
        return edges(picture)
    if how == "grey":
        return np.rint(luminance(picture)).astype(np.uint8)[None]
    return reduced(picture) if how == "low-resolution" else masked(picture, seed)


def luminance(picture: np.ndarray) -> np.ndarray:
    """Grey levels of `(C, H, W)`, float64 `(H, W)` in 0…255."""
    if len(picture) == 1:
        return picture[0].astype(np.float64)
    return np.tensordot(_LUMINANCE, picture.astype(np.float64), 1)


def edges(picture: np.ndarray) -> np.ndarray:
    """Thin dark lines on white where the picture changes, uint8 `(1, H, W)`.

    Sobel gradients of the blurred colours, thinned to their ridges; of the weak ones those remain
    that hang together with a strong one (Canny 1986).
    """
    down, across = _gradients(picture)
    strength = np.hypot(down, across)
    ridge = _thinned(strength, down, across)
    weak = ridge & (strength > _WEAK)
    parts, _ = ndimage.label(weak, np.ones((3, 3)))
    held = np.unique(parts[weak & (strength > _STRONG)])
    lines = np.isin(parts, held[held > 0])
    return np.where(lines, INK, PAPER).astype(np.uint8)[None]


def reduced(picture: np.ndarray) -> np.ndarray:
    """The picture with the detail of one `REDUCTION` times smaller, uint8 `(C, H, W)`."""
    height, width = picture.shape[1:]
    small = (max(1, round(height / REDUCTION)), max(1, round(width / REDUCTION)))
    x = torch.from_numpy(np.ascontiguousarray(picture))[None].float()
    x = F.interpolate(x, small, mode="bilinear", antialias=True)
    x = F.interpolate(x, (height, width), mode="bicubic", align_corners=False)
    return x[0].round().clamp(0, 255).byte().numpy()


def masked(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """The picture with one hole of mid-grey, uint8 `(C, H, W)`."""
    random = np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(picture).tobytes())])
    height, width = picture.shape[1:]
    draw = _rectangle if random.random() < 0.5 else _strokes
    out = picture.copy()
    out[:, draw(height, width, random)] = HOLE
    return out


def _gradients(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Change downwards and across of the channel that changes most, `(H, W)` each, in levels."""
    smooth = ndimage.gaussian_filter(picture.astype(np.float32), (0, _BLUR, _BLUR), mode="nearest")
    down = ndimage.sobel(smooth, 1, mode="nearest") / 4
    across = ndimage.sobel(smooth, 2, mode="nearest") / 4
    most = np.hypot(down, across).argmax(0)[None]
    return np.take_along_axis(down, most, 0)[0], np.take_along_axis(across, most, 0)[0]


def _thinned(strength: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Where the strength is not less than at either neighbour along its gradient, bool `(H, W)`."""
    height, width = strength.shape
    sector = np.rint(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    padded = np.pad(strength, 1)
    ridge = np.zeros(strength.shape, bool)
    for number, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        # one of two equal neighbours: lines stay one pixel wide
        ridge |= (sector == number) & (strength >= ahead) & (strength > behind)
    return ridge


def _rectangle(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """A rectangle of a quarter to half of either side, bool `(H, W)`."""
    sides = [max(1, round(side * random.uniform(0.25, 0.5))) for side in (height, width)]
    top, left = (
        int(random.integers(0, whole - part + 1))
        for whole, part in zip((height, width), sides, strict=True)
    )
    hole = np.zeros((height, width), bool)
    hole[top : top + sides[0], left : left + sides[1]] = True
    return hole


def _strokes(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Wandering brush strokes, a twelfth of the shorter side wide or more, bool `(H, W)`."""
    short = min(height, width)
    y, x = np.mgrid[:height, :width]
    hole = np.zeros((height, width), bool)
    for _ in range(_STROKES):
        at = random.random(2) * (height, width)
        brush = max(0.8, short * random.uniform(0.04, 0.08))
        for _ in range(_BENDS):
            step = random.uniform(-0.3, 0.3, 2) * short
            hole |= _near_line(y, x, at, step) <= brush
            at = np.clip(at + step, 0, (height - 1, width - 1))
    return hole


def _near_line(y: np.ndarray, x: np.ndarray, start: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the piece of line from `start` to `start + step`."""
    along = ((y - start[0]) * step[0] + (x - start[1]) * step[1]) / max(float(step @ step), 1e-9)
    along = along.clip(0, 1)
    return np.hypot(y - start[0] - along * step[0], x - start[1] - along * step[1])
