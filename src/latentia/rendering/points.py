"""Points of the plane as pictures: the data and the axes drawn once, dots and walks put on them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

from latentia.errors import UserError
from latentia.rendering.views import BLUE, GREY, INK, drawn

WIDE = 480
"""Pixels, in both directions."""
_DOTS = 100  # pixels an inch
_ROOM = 0.6  # of the data's range, from its middle to the edge of the plane
_MOST = 40  # doublings of the plane for points that lie far out
_FINE = 4  # what is put on the plane is drawn so many times larger, for smooth edges
_RADIUS = 4
_ASIDE = 15.0  # pixels from an end of a walk to its letter


class Plane:
    """Data in grey with axes around, drawn once; where points lie beyond, twice as far, and so on.

    Args:
        behind: data, `(M, 2)`, M ≥ 1, which say how far the plane reaches.

    Raises:
        UserError: rows that have not two numbers each.
    """

    def __init__(self, behind: Tensor) -> None:
        self.behind = _two(behind)
        low, high = self.behind.min(0), self.behind.max(0)
        self.middle = (low + high) / 2
        self.reach = max(_ROOM * float((high - low).max()), 1e-6)
        self._backdrop = lru_cache(4)(self._drawn)

    def shown(self, points: Tensor, *, way: bool = False) -> Image.Image:
        """Points `(N, 2)` on the plane, `WIDE` pixels wide and high.

        Args:
            points: those that are not finite are left out.
            way: they are a walk: joined, its ends marked A and B.

        Raises:
            UserError: points that have not two numbers each.
        """
        spots = _two(points)
        spots = spots[np.isfinite(spots).all(1)]
        backdrop, box = self._backdrop(self._doublings(spots))
        picture, reach = backdrop.copy(), self.reach * 2 ** self._doublings(spots)
        share = (spots - self.middle + reach) / (2 * reach)
        places = box[0] + share * (box[1] - box[0])
        _put(picture, places * [1, -1] + [0, WIDE], way)
        return picture

    def _doublings(self, spots: np.ndarray) -> int:
        """How often the plane is doubled until all of some points lie on it."""
        far = np.abs(spots - self.middle).max(initial=0.0) / self.reach
        return min(max(0, int(np.ceil(np.log2(max(far, 1e-9))))), _MOST)

    def _drawn(self, doublings: int) -> tuple[Image.Image, np.ndarray]:
        """The backdrop, and the corners of its axes in pixels from below, `(2, 2)`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        inches = WIDE / _DOTS
        figure = Figure(figsize=(inches, inches), dpi=_DOTS, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes: Any = figure.add_subplot()
        axes.scatter(*self.behind.T, s=8, color=GREY, alpha=0.3, lw=0)
        reach = self.reach * 2**doublings
        low, high = self.middle - reach, self.middle + reach
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), box_aspect=1)
        axes.spines[["top", "right"]].set_visible(False)
        return drawn(canvas), np.asarray(axes.get_window_extent().get_points())


def _two(points: Tensor) -> np.ndarray:
    if points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"Points of the plane have 2 numbers each, not {tuple(points.shape)}.")
    return points.detach().cpu().double().numpy()


def _put(picture: Image.Image, places: np.ndarray, way: bool) -> None:
    """Dots at places `(N, 2)`, in pixels from the upper left corner; of a walk joined."""
    size, fine = picture.size, _FINE
    if way and len(places) > 1:
        line = Image.new("L", (size[0] * fine, size[1] * fine))
        ImageDraw.Draw(line).line([tuple(p) for p in places * fine], fill=255, width=fine)
        picture.paste(ImageColor.getrgb(BLUE), mask=line.resize(size, Image.Resampling.BOX))
    dot = _dot()
    for x, y in places.round().astype(int).tolist():
        picture.paste(ImageColor.getrgb(BLUE), (x - _RADIUS, y - _RADIUS), dot)
    if way and len(places):
        pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
        for word, end, inner in (("A", 0, 1), ("B", -1, -2)):
            at = tuple(places[end] + _away(places, end, inner))
            pen.text(at, word, INK, font, anchor="mm", stroke_width=2, stroke_fill="white")


def _away(places: np.ndarray, end: int, inner: int) -> np.ndarray:
    """From an end of a walk to its letter: on from where the walk comes, `(2,)` pixels."""
    step = places[end] - places[inner] if len(places) > 1 else np.zeros(2)
    far = float(np.hypot(*step))
    return step * (_ASIDE / far) if far > 1e-6 else np.array([0.0, -_ASIDE])


@lru_cache(1)
def _dot() -> Image.Image:
    """A disc with smooth edges, as a mask."""
    wide = 2 * _RADIUS + 1
    disc = Image.new("L", (wide * _FINE, wide * _FINE))
    ImageDraw.Draw(disc).ellipse((0, 0, wide * _FINE - 1, wide * _FINE - 1), fill=255)
    return disc.resize((wide, wide), Image.Resampling.BOX)
