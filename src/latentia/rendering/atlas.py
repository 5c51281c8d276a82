"""The map of encodings: training rows in the plane, places of it decoded, the row nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from latentia.abilities import Encodes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.explore.atlas import COLOURS
from latentia.explore.latent import encode, in_plane
from latentia.maths.chunks import spread_rows
from latentia.rendering.views import INK, drawn
from latentia.run import Run

MAPPED = 1500
"""Training rows on the map, at most."""
_WIDE, _HIGH, _DOTS = 640, 480, 100
_EDGE = 0.06  # of the range, around the points
_LEGEND = 12  # classes, at most


@dataclass(frozen=True)
class Map:
    """A flat map of a latent space.

    Attributes:
        places: of training rows, `(N, 2)`.
        codes: their encodings, `(N, d)`.
        rows: their numbers in the training split, `(N,)`.
        labels: their classes, `(N,)`, or None.
        center: the encodings' mean, `(d,)`.
        ways: `(d, 2)`: the map is (z - center) @ ways + origin.
        origin: where the mean lies, `(2,)`.
    """

    places: Tensor
    codes: Tensor
    rows: Tensor
    labels: np.ndarray | None
    center: Tensor
    ways: Tensor
    origin: Tensor

    def place_of(self, z: Tensor) -> Tensor:
        """Where a latent lies, `(d,) -> (2,)`."""
        return (z - self.center) @ self.ways + self.origin

    def latent_at(self, place: Tensor) -> Tensor:
        """The latent of a place, `(2,) -> (d,)`: of all that lie there the one nearest the mean."""
        return self.center + (place - self.origin) @ self.ways.T

    def nearest(self, z: Tensor) -> int:
        """Which of the mapped rows is encoded nearest to a latent."""
        return int((self.codes - z).square().sum(1).argmin())

    def nearest_place(self, place: Tensor) -> int:
        """Which of the mapped rows lies nearest on the map."""
        return int((self.places - place).square().sum(1).argmin())

    @property
    def frame(self) -> tuple[Tensor, Tensor]:
        """The map's lower left and upper right corner, `(2,)` each."""
        low, high = self.places.amin(0), self.places.amax(0)
        edge = _EDGE * (high - low).clamp(min=1e-6)
        return low - edge, high + edge

    def pixel_of(self, place: Tensor) -> tuple[float, float]:
        """Where a place is on the picture, from its upper left corner."""
        low, high = self.frame
        across, up = ((place - low) / (high - low)).tolist()
        return across * _WIDE, (1 - up) * _HIGH

    def place_at(self, x: float, y: float) -> Tensor:
        """The place of a pixel, `(2,)`."""
        low, high = self.frame
        return low + torch.tensor([x / _WIDE, 1 - y / _HIGH]) * (high - low)


def map_of(run: Run, model: Any, train: Dataset | None = None) -> Map:
    """The map of a run's training rows, at most 1,500 evenly apart.

    Two latents are the map themselves; of more it is their plane of largest variance.

    Raises:
        UserError: the model does not encode.
    """
    if not isinstance(model, Encodes):
        raise UserError(
            f"The {run.family} in {run.folder} does not encode, so there is no map of encodings."
        )
    train = run.data("train") if train is None else train
    rows = spread_rows(len(train), MAPPED)
    codes = encode(model, train.batch(rows).x).flatten(1).float()
    center = codes.mean(0)
    unit = torch.cat([center[None], center + torch.eye(codes.shape[1])])
    places, moved = in_plane(codes, unit)
    labels = None if train.labels is None else np.asarray(train.labels)[rows.numpy()]
    return Map(places, codes, rows, labels, center, moved[1:] - moved[0], moved[0])


def draw_map(found: Map, classes: tuple[str, ...] = ()) -> Image.Image:
    """The map as a picture of 640 by 480 pixels, whose edges are its `frame`; colours by class."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE / _DOTS, _HIGH / _DOTS), dpi=_DOTS)
    canvas = FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    (left, down), (right, up) = (corner.tolist() for corner in found.frame)
    axes.set_xlim(left, right)
    axes.set_ylim(down, up)
    axes.axis("off")
    for name, colour, some in _groups(found, classes):
        axes.scatter(*found.places[some].numpy().T, s=12, color=colour, lw=0, alpha=0.7, label=name)
    if found.labels is not None and 1 < len(classes) <= _LEGEND:
        axes.legend(loc="upper right", fontsize=8, framealpha=0.85, markerscale=1.5)
    return drawn(canvas)


def _groups(found: Map, classes: tuple[str, ...]) -> list[tuple[str, str, Tensor]]:
    """Name, colour and rows of each class; all in one where there are none."""
    if found.labels is None:
        return [("", COLOURS[0], torch.ones(len(found.rows), dtype=torch.bool))]
    labels = torch.from_numpy(found.labels)
    names = {int(k): classes[int(k)] if int(k) < len(classes) else str(k) for k in labels.unique()}
    return [(n, COLOURS[k % len(COLOURS)], labels == k) for k, n in names.items()]


def marked(picture: Image.Image, found: Map, place: Tensor) -> Image.Image:
    """The drawn map with a ring at a place; one beyond the edge is marked on it."""
    copy = picture.copy()
    x, y = found.pixel_of(place)
    x, y = min(max(x, 8), _WIDE - 8), min(max(y, 8), _HIGH - 8)
    pen = ImageDraw.Draw(copy)
    pen.ellipse((x - 8, y - 8, x + 8, y + 8), outline="white", width=5)
    pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline=INK, width=2)
    return copy
