"""Points in a plane: D as a field with its contour at 1/2, the best D beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from latentia.demos.demo import Film, Kind
from latentia.demos.draw import (
    FAKE,
    INK,
    PAPER,
    REAL,
    STYLE,
    answer_name,
    arrows,
    canvas,
    headline,
    picture,
    ticks,
)
from latentia.demos.film import Shot
from latentia.demos.scene import SHOWN_REALS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

KIND = Kind(
    name="gan-2d",
    title="Fakes in a plane",
    about="D as a field with its contour at ½, and where it pushes the fakes",
    dims=2,
    data="gaussians-8",
    steps=12_000,
    settings={
        "loss": "non-saturating",
        "latent": 4,
        "width": 64,
        "batch_size": 512,
        "lr": 3e-4,
        "critic_lr": 3e-3,
        "gamma": 0.002,
        "gamma_end": 0.0005,
        "sparse": 4,
        "ema_gamma": 7.0,
        "precision": "float32",
    },
)
_WIDTH, _HEIGHT = 760, 440
_TINTS = ("#f2a673", PAPER, "#74c9ad")  # sure of a fake, cannot tell, sure of a real point
_LEVELS = 15
LONGEST = 0.04  # arrow, as a share of the plane
ARROWS = 60  # fakes that carry one


def pictures(film: Film) -> Iterator[Image.Image]:
    """The frames of a film."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        stage = _Stage(film)
        for shot, pulls in zip(film.shots, stage.pulls, strict=True):
            yield stage.show(shot, pulls[:ARROWS])


class _Stage:
    """The canvas: what moves is set anew for every shot."""

    def __init__(self, film: Film) -> None:
        grid = film.scene.grid
        self.side = grid.count
        self.contour: Any = None
        self.pulls = list(arrows(film.shots, grid.high - grid.low, LONGEST))
        self.figure, self.drawn = canvas(_WIDTH, _HEIGHT)
        place = {"left": 0.045, "right": 0.985, "top": 0.86, "bottom": 0.09, "wspace": 0.12}
        left, right = self.figure.subplots(1, 2, gridspec_kw=place)
        self.head = self.figure.text(0.045, 0.945, "", fontsize=11)
        self.left, self.axes = left, grid.axes
        self.field = self._field(left, film, answer_name(film))
        self.best = self._field(right, film, "D*: best possible")
        real = film.scene.real[:SHOWN_REALS]
        left.plot(real[:, 0], real[:, 1], "o", color=REAL, ms=3, mew=0, alpha=0.9, label="real")
        self.dots = left.plot([], [], "o", color=FAKE, ms=3, mew=0, label="fake")[0]
        fakes = film.shots[0].fakes[:ARROWS]
        self.arrows = left.quiver(
            fakes[:, 0], fakes[:, 1], 0 * fakes[:, 0], 0 * fakes[:, 0], color=INK, width=0.003,
            headwidth=4, headlength=5, angles="xy", scale_units="xy", scale=1, zorder=4,
            minlength=0.5,
        )  # fmt: skip
        legend = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.985), "ncols": 2}
        left.legend(handlelength=0.8, borderaxespad=0, columnspacing=1, markerscale=1.8, **legend)

    def _field(self, axis: Axes, film: Film, name: str) -> AxesImage:
        from matplotlib.colors import LinearSegmentedColormap

        grid = film.scene.grid
        shown: Any = axis.imshow(
            np.zeros((self.side, self.side)),
            origin="lower",
            extent=(grid.low[0], grid.high[0], grid.low[1], grid.high[1]),
            aspect="auto",
            cmap=LinearSegmentedColormap.from_list("sides", _TINTS, N=_LEVELS),
            vmin=0,
            vmax=1,
            interpolation="bilinear",
            interpolation_stage="data",
        )
        axis.set_title(name, loc="left", fontsize=10, color=INK)
        for along, facts, low, high in zip("xy", film.scene.axes, grid.low, grid.high, strict=True):
            ticks(axis, along, facts, float(low), float(high))
        return shown

    def show(self, shot: Shot, pulls: np.ndarray) -> Image.Image:
        """One frame."""
        answer = shot.answer.reshape(self.side, self.side)
        self.head.set_text(headline(shot))
        self.field.set_data(answer)
        self.best.set_data(shot.best.reshape(self.side, self.side))
        if self.contour is not None:
            self.contour.remove()
            self.contour = None
        if answer.min() < 0.5 < answer.max():
            self.contour = self.left.contour(*self.axes, answer, [0.5], colors=INK, linewidths=0.9)
        self.dots.set_data(*shot.fakes.T)
        self.arrows.set_offsets(shot.fakes[: len(pulls)])
        self.arrows.set_UVC(*pulls.T)
        return picture(self.drawn)
