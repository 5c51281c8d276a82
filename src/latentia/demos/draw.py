"""Frames as pictures: canvases that are set up once and redrawn for every shot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from latentia.demos.demo import Film
from latentia.demos.film import PROBABILITY, Shot
from latentia.demos.scene import Axis, nice_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

DPI = 100
REAL, FAKE, ANSWER, INK, SOFT, LINE, PAPER = (
    "#009e73",
    "#d55e00",
    "#0072b2",
    "#1d2021",
    "#5b6265",
    "#d9dad4",
    "#fcfcfa",
)
STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}


def canvas(width: float, height: float) -> tuple[Figure, FigureCanvasAgg]:
    """A figure of `width` × `height` pixels and what draws it, without any window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    return figure, FigureCanvasAgg(figure)


def picture(drawn: FigureCanvasAgg) -> Image.Image:
    """What is on a canvas now, as RGB."""
    drawn.draw()
    return Image.fromarray(np.asarray(drawn.buffer_rgba())[:, :, :3].copy())


def arrows(shots: list[Shot], extent: np.ndarray, longest: float) -> Iterator[np.ndarray]:
    """The pull on the fakes of every shot as arrows, `(k, d)`, of lengths that can be drawn.

    One scale holds for the whole film, so that arrows shrink as the game calms down; the longest
    tenth is cut.

    Args:
        shots: of a film.
        extent: `(d,)` of what is drawn.
        longest: as a share of the extent.
    """
    sizes = [np.linalg.norm(shot.pull / extent, axis=1) for shot in shots]
    usual = float(np.quantile(np.concatenate(sizes), 0.9)) or 1.0
    for shot, size in zip(shots, sizes, strict=True):
        yield shot.pull * (longest / np.maximum(size, usual))[:, None]


def headline(shot: Shot) -> str:
    """The figures of a frame in a line."""
    f = shot.figures
    right, apart = f"{f.right:.0%}", f"{f.apart_mean:.3f}"
    return f"step {f.step:,}    D is right about {right}    mean |D − ½| on real points {apart}"


def answer_name(film: Film) -> str:
    """What D's output is called under the film's loss."""
    return "D: probability of real" if film.loss in PROBABILITY else "D: squeezed score"


def ticks(axis: Axes, along: str, facts: Axis, low: float, high: float) -> None:
    """Round numbers in the user's units along x or y."""
    raw = nice_ticks(low * facts.scale + facts.shift, high * facts.scale + facts.shift)
    places = [(value - facts.shift) / facts.scale for value in raw]
    words = [f"{value:g}".replace("-", "−") for value in raw]
    (axis.set_xticks if along == "x" else axis.set_yticks)(places, words)
