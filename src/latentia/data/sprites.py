"""Sprites rendered on the spot, with known factors, in the manner of dSprites.

Matthey et al., "dSprites: Disentanglement testing sprites dataset", 2017; here anti-aliased, of
any size, and coloured.
"""

from __future__ import annotations

import numpy as np

from latentia.data.source import Source
from latentia.data.spec import DataOptions
from latentia.errors import UserError

SHAPES = ("square", "ellipse", "heart")
FACTOR_SIZES = {"shape": 3, "scale": 6, "rotation": 40, "x": 32, "y": 32, "hue": 8}
DEFAULT_ROWS = 10_000
DEFAULT_SIDE = 64
_CHUNK_PIXELS = 1 << 20
_REACH = 0.75  # half width in which a sprite of scale 1 fits, in frames of half width 2


def open_sprites(n: int, side: int, options: DataOptions) -> Source:
    """`n` sprites with uniformly drawn factors; 0 asks for the default number and side.

    An explicit `side` goes before `options.size`. Labels are the shapes. With
    `options.channels == 1` sprites are white and there is no hue.
    """
    side = side or options.size or DEFAULT_SIDE
    if side < 8:
        raise UserError(f"Sprites of {side} pixels show nothing; ask for 8 or more.")
    factors = draw_factors(n or DEFAULT_ROWS, options.seed, colour=options.channels != 1)
    return Source(
        name="sprites",
        values=render(factors, side),
        labels=factors["shape"],
        classes=SHAPES,
        factors=factors,
    )


def draw_factors(n: int, seed: int, colour: bool = True) -> dict[str, np.ndarray]:
    """Independent uniform classes of every factor, int64 `(n,)` each."""
    random = np.random.default_rng(seed)
    drawn = {name: random.integers(0, k, n) for name, k in FACTOR_SIZES.items()}
    return drawn if colour else {name: v for name, v in drawn.items() if name != "hue"}


def render(factors: dict[str, np.ndarray], side: int) -> np.ndarray:
    """Sprites with the given factor classes: uint8 `(N, 3, side, side)`.

    Without "hue" they are white and have one channel. Scale runs from 0.5 to 1, rotation over
    the whole turn, x (rightwards) and y (downwards) over all places where a sprite fits.
    """
    n = len(factors["shape"])
    colours = _colours(factors["hue"]) if "hue" in factors else np.ones((n, 1), np.float32)
    out = np.empty((n, colours.shape[1], side, side), np.uint8)
    step = max(1, _CHUNK_PIXELS // side**2)
    order = np.argsort(factors["shape"], kind="stable")
    for kind in range(len(SHAPES)):
        rows = order[factors["shape"][order] == kind]
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            cover = _coverage({k: v[part] for k, v in factors.items()}, side, kind)
            out[part] = (cover[:, None] * colours[part, :, None, None] * 255 + 0.5).astype(np.uint8)
    return out


def _coverage(factors: dict[str, np.ndarray], side: int, kind: int) -> np.ndarray:
    """How much of each pixel the sprite covers, float32 `(N, side, side)` in [0, 1]."""
    unit = {name: factors[name] / (FACTOR_SIZES[name] - 1) for name in ("scale", "x", "y")}
    size = (0.5 + 0.5 * unit["scale"])[:, None].astype(np.float32)
    turn = (2 * np.pi / FACTOR_SIZES["rotation"] * factors["rotation"])[:, None].astype(np.float32)
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (4 / side) - 2
    room = 2 - _REACH * np.sqrt(2)
    across = (axis - room * (2 * unit["x"][:, None] - 1).astype(np.float32)) / (_REACH * size)
    down = (axis - room * (2 * unit["y"][:, None] - 1).astype(np.float32)) / (_REACH * size)
    cos, sin = np.cos(turn), np.sin(turn)
    u = (cos * across)[:, None, :] + (sin * down)[:, :, None]
    v = (cos * down)[:, :, None] - (sin * across)[:, None, :]
    pixel = 4 / side / (_REACH * size[:, :, None])
    distance = (_square, _ellipse, _heart)[kind](u, v)
    return np.clip(0.5 - distance / pixel, 0, 1, dtype=np.float32)


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to the square of half width 0.75, exact beside its edges."""
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.75)


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance, to first order, to the ellipse of half axes 1 and 0.55."""
    p, q = u, v * np.float32(1 / 0.55)
    inside = np.sqrt(p * p + q * q) + np.float32(1e-6)
    slope = np.sqrt(p * p + (q / np.float32(0.55)) ** 2) / inside + np.float32(1e-6)
    return (inside - 1) / slope


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance, to first order, to the curve (x² + y² − 1)³ = x² y³, upright."""
    x, y = u * np.float32(1.2), np.float32(0.1) - v * np.float32(1.2)
    xx, yy = x * x, y * y
    a = xx + yy - 1
    aa, xy = a * a, x * y
    value = a * aa - xx * yy * y
    along_x = 6 * x * aa - 2 * xy * yy
    along_y = 6 * y * aa - 3 * xy * xy
    slope = np.sqrt(along_x * along_x + along_y * along_y) + np.float32(1e-6)
    return value / (slope * np.float32(1.2))


def _colours(hue: np.ndarray) -> np.ndarray:
    """Full colours of the hue classes, float32 `(N, 3)` in [0, 1]."""
    sixth = 6 * hue[:, None] / FACTOR_SIZES["hue"]
    corner = np.array([0.0, 4.0, 2.0])
    return np.clip(np.abs((sixth + corner) % 6 - 3) - 1, 0, 1).astype(np.float32)
