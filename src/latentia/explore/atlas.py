"""The map of a latent space with what lies where: on the data, between them, at prior draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentia.data.pictures import to_pixels
from latentia.data.spec import Dataset
from latentia.explore.latent import Autoencodes, codes_of, decode, encode, in_plane
from latentia.files import write_aside
from latentia.maths.chunks import spread_rows
from latentia.maths.randomness import seeded_noise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKED = 6
"""Points of each kind that are decoded."""
_MAPPED = 1500
KINDS = {
    "on data": ("o", "test rows, encoded and decoded"),
    "between": ("s", "half way between two of them"),
    "prior": ("^", "draws from the prior"),
}
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C8C8C", "#B8A000", "#7A4FA3"),
    *("#8B5A2B", "#C2185B"),
)
_INK, _OFF = "#1d2021", "#D55E00"


@dataclass(frozen=True)
class Sight:
    """One run's column of the picture.

    Attributes:
        title: names the run.
        caption: a few figures, a line each.
        places: map of the test rows, `(N, 2)`.
        labels: their classes, `(N,)`, or None.
        marks: by kind, the places of the marked points, `(MARKED, 2)`.
        pictures: by kind, what they decode to, `(MARKED, C, H, W)`.
        off: by kind, whether that is off the data's manifold, `(MARKED,)`.
    """

    title: str
    caption: Sequence[str]
    places: Tensor
    labels: np.ndarray | None
    marks: dict[str, Tensor]
    pictures: dict[str, Tensor]
    off: dict[str, Tensor]


def marked_rows(test: Dataset, seed: int = 0) -> np.ndarray:
    """`MARKED` rows of different classes where there are as many, `(MARKED,)`."""
    order = np.random.default_rng(seed).permutation(len(test))
    if test.labels is not None:
        first = np.unique(test.labels[order], return_index=True)[1]
        rest = np.setdiff1d(np.arange(len(order)), first)
        order = order[np.concatenate([np.sort(first), rest])]
    return np.resize(order[:MARKED], MARKED)


def marked_latents(model: Autoencodes, x: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Latents of the marked points by kind: of x `(MARKED, …)`, half way, and prior draws.

    The model's own samples are placed where they were drawn if the prior is a standard normal,
    else where they are encoded; a model that does not sample gets a standard normal.
    """
    z = encode(model, x)
    drawn = seeded_noise(range(seed, seed + len(x)), z.shape[1:])
    if (sample := getattr(model, "sample", None)) is not None:
        samples = sample(range(seed, seed + len(x))).cpu()
        if not torch.allclose(samples, decode(model, drawn), atol=1e-3):
            drawn = encode(model, samples)
    return {"on data": z, "between": torch.lerp(z, z.roll(-1, 0), 0.5), "prior": drawn}


def sight(
    title: str,
    caption: Sequence[str],
    model: Autoencodes,
    test: Dataset,
    marked: dict[str, Tensor],
    pictures: dict[str, Tensor],
    off: dict[str, Tensor],
) -> Sight:
    """A column of the picture: the map of at most 1,500 test rows, with `marked_latents` on it."""
    labels = None
    if test.labels is not None:
        labels = test.labels[spread_rows(len(test), _MAPPED).numpy()]
    z = codes_of(model, test, _MAPPED)
    places, *marks = in_plane(z, *marked.values())
    by_kind = dict(zip(marked, marks, strict=True))
    return Sight(title, caption, places, labels, by_kind, pictures, off)


def draw(sights: Sequence[Sight], out: Path) -> None:
    """Write the picture as a PNG: a column for each run, its map above what its marks decode to."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(sights), 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + len(KINDS), len(sights), height_ratios=[4.4, 1, 1, 1])
    for column, one in enumerate(sights):
        _map(figure.add_subplot(grid[0, column]), one)
        for row, kind in enumerate(KINDS, 1):
            _tiles(figure.add_subplot(grid[row, column]), one, kind)
    write_aside(out, lambda aside: figure.savefig(aside, format="png", dpi=100))


def _map(axis: Axes, one: Sight) -> None:
    points = one.places.numpy()
    labels = np.zeros(len(points), int) if one.labels is None else one.labels
    colours = [COLOURS[k % len(COLOURS)] for k in labels]
    axis.scatter(points[:, 0], points[:, 1], s=7, c=colours, alpha=0.45, lw=0)
    names = np.unique(labels) if one.labels is not None and labels.max() < 20 else ()
    for k in names:
        middle = np.median(points[labels == k], axis=0)
        axis.text(
            middle[0],
            middle[1],
            str(k),
            color=COLOURS[k % len(COLOURS)],
            fontsize=15,
            weight="bold",
        )
    for kind, (mark, _) in KINDS.items():
        at = one.marks[kind].numpy()
        edges = [_OFF if off else _INK for off in one.off[kind]]
        axis.scatter(at[:, 0], at[:, 1], s=130, marker=mark, c="white", edgecolors=edges, lw=1.6)
        for n, place in enumerate(at):
            axis.text(
                place[0], place[1], _name(kind, n), ha="center", va="center", fontsize=7, color=_INK
            )
    axis.set_title(one.title, loc="left", fontsize=12, weight="bold")
    axis.set_xlabel(
        "\n".join([*one.caption, "orange frame: off the data's manifold"]), loc="left", fontsize=9
    )
    axis.tick_params(labelsize=7)
    axis.set_aspect("equal", adjustable="datalim")
    axis.spines[["top", "right"]].set_visible(False)


def _tiles(axis: Axes, one: Sight, kind: str) -> None:
    """Pictures in a row, framed where they are off the manifold."""
    from matplotlib.patches import Rectangle

    pixels = to_pixels(one.pictures[kind])
    n, height, width, _ = pixels.shape
    gap = math.ceil(0.12 * width)
    for k, picture in enumerate(pixels):
        left = k * (width + gap)
        axis.imshow(
            picture.squeeze(-1) if picture.shape[-1] == 1 else picture,
            extent=(left, left + width, height, 0),
            cmap="gray",
            vmin=0,
            vmax=255,
        )
        off = bool(one.off[kind][k])
        axis.add_patch(
            Rectangle(
                (left, 0), width, height, fill=False, ec=_OFF if off else _INK, lw=2 if off else 0.8
            )
        )
        axis.text(
            left + width / 2, height * 1.04, _name(kind, k), ha="center", va="top", fontsize=8
        )
    axis.set_xlim(-gap, n * (width + gap))
    axis.set_ylim(height * 1.25, -0.04 * height)
    axis.set_aspect("equal")
    axis.set_axis_off()
    held = int((~one.off[kind]).sum())
    mark = {"o": "●", "s": "■", "^": "▲"}[KINDS[kind][0]]
    axis.set_title(f"{mark} {KINDS[kind][1]}: {held} of {n} like data", loc="left", fontsize=9)


def _name(kind: str, n: int) -> str:
    """On the map and below the picture: 1, 1–2, a."""
    if kind == "on data":
        return str(n + 1)
    return f"{n + 1}–{(n + 1) % MARKED + 1}" if kind == "between" else "abcdefghij"[n]
