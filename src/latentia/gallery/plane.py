"""A plane drawn as a small SVG in the colours of the page, light or dark."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from markupsafe import Markup
from PIL import Image

SIDE = 360
_ROOM = 0.1  # of the extent, on every side


@dataclass
class Plane:
    """Marks over a rectangle of the data's plane.

    Attributes:
        low, high: `(2,)`, two opposite corners, in the data's units.
        marks: what is drawn, from the back to the front.
    """

    low: np.ndarray
    high: np.ndarray
    marks: list[Markup] = field(default_factory=list)

    @classmethod
    def around(cls, points: np.ndarray) -> Self:
        """The smallest square that holds `(N, 2)` points with some room."""
        middle = (points.min(0) + points.max(0)) / 2
        half = float(np.ptp(points, axis=0).max()) / 2 * (1 + 2 * _ROOM) or 1.0
        return cls(middle - half, middle + half)

    def extent(self) -> str:
        """The rectangle in words."""
        x, y = (f"{a:.3g} to {b:.3g}" for a, b in zip(self.low, self.high, strict=True))
        return f"x from {x} and y from {y}".replace("-", "−")

    def dots(self, points: np.ndarray, colour: str) -> None:
        """A round mark at each of `(N, 2)` points."""
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in self._places(points))
        self._stroke(path, colour, 3.6, 0.55)

    def crosses(self, points: np.ndarray, colour: str) -> None:
        """A cross at each of `(N, 2)` points."""
        path = "".join(
            f"M{x - 2.5:.1f} {y - 2.5:.1f}l5 5m-5 0l5 -5" for x, y in self._places(points)
        )
        self._stroke(path, colour, 1.2, 0.85)

    def arrows(self, tails: np.ndarray, heads: np.ndarray, colour: str) -> None:
        """An arrow from each of `(N, 2)` tails to its head."""
        ends = np.concatenate(
            [self._places(tails, everywhere=True), self._places(heads, everywhere=True)], 1
        )
        path = []
        for x, y, u, v in ends:
            dx, dy = 0.35 * (u - x), 0.35 * (v - y)
            barbs = [(-dx - 0.6 * dy, -dy + 0.6 * dx), (-dx + 0.6 * dy, -dy - 0.6 * dx)]
            path.append(f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}")
            path += [f"l{a:.1f} {b:.1f}M{u:.1f} {v:.1f}" for a, b in barbs]
        self._stroke("".join(path), colour, 1.2, 1.0)

    def backdrop(self, shares: np.ndarray) -> None:
        """`(side, side)` values in 0…1 as colours; rows run from low y to high y."""
        from matplotlib import colormaps

        colours = (colormaps["viridis"](np.flipud(shares))[..., :3] * 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(colours).save(buffer, "PNG", optimize=True)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        element = '<image width="{0}" height="{0}" href="data:image/png;base64,{1}"/>'
        self.marks.append(Markup(element).format(SIDE, data))

    def svg(self, alt: str) -> Markup:
        """All marks in a frame, with a text alternative."""
        box = Markup(
            '<svg role="img" aria-label="{0}" viewBox="0 0 {1} {1}" class="plane">{2}'
            '<rect width="{1}" height="{1}" fill="none" stroke="var(--line)"/></svg>'
        )
        return box.format(alt, SIDE, Markup("").join(self.marks))

    def _stroke(self, path: str, colour: str, width: float, opacity: float) -> None:
        element = Markup(
            '<path d="{}" fill="none" stroke="{}" stroke-width="{}" opacity="{}" '
            'stroke-linecap="round"/>'
        )
        self.marks.append(element.format(path, colour, width, opacity))

    def _places(self, points: np.ndarray, everywhere: bool = False) -> np.ndarray:
        """Where points lie in the picture, `(N, 2)`; those outside it are left out."""
        shares = (points - self.low) / (self.high - self.low)
        inside = ((shares >= 0) & (shares <= 1)).all(1) | everywhere
        return np.asarray((shares * (1, -1) + (0, 1))[inside] * SIDE)
