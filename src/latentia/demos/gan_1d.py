"""Points on a line: D, the best D, both densities, and where the noise goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from latentia.demos.demo import Film, Kind
from latentia.demos.draw import (
    ANSWER,
    FAKE,
    INK,
    LINE,
    REAL,
    SOFT,
    STYLE,
    answer_name,
    arrows,
    canvas,
    headline,
    picture,
    ticks,
)
from latentia.demos.film import Shot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection

KIND = Kind(
    name="gan-1d",
    title="Fakes on a line",
    about="D over a line, the best D beside it, and where the noise goes",
    dims=1,
    data="gaussians-1d",
    steps=4000,
    settings={
        "loss": "non-saturating",
        "latent": 1,
        "width": 64,
        "batch_size": 512,
        "lr": 3e-4,
        "critic_lr": 4e-3,
        "gamma": 0.002,
        "gamma_end": 0.0005,
        "sparse": 4,
        "ema_gamma": 7.0,
        "precision": "float32",
    },
)
_WIDTH, _HEIGHT = 640, 480
LONGEST = 0.05  # arrow, as a share of the line
NOISE_REACH = 2.6  # deviations of noise that the lowest strip shows


def pictures(film: Film) -> Iterator[Image.Image]:
    """The frames of a film."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        stage = _Stage(film)
        for shot, pulls in zip(film.shots, stage.pulls, strict=True):
            yield stage.show(shot, pulls[:, 0])


class _Stage:
    """The canvas: what moves is set anew for every shot."""

    def __init__(self, film: Film) -> None:
        scene = film.scene
        self.x = scene.grid.axes[0]
        self.low, self.high = float(self.x[0]), float(self.x[-1])
        extent = np.array([self.high - self.low])
        self.pulls = list(arrows(film.shots, extent, LONGEST))
        mapped, self.turned = len(film.shots[0].noise) > 0, turn(film)
        self.figure, self.drawn = canvas(_WIDTH, _HEIGHT)
        heights = [5, 4, 1.6] if mapped else [5, 4]
        place = {"left": 0.085, "right": 0.985, "top": 0.93, "bottom": 0.08, "hspace": 0.08}
        panels = self.figure.subplots(
            len(heights), 1, sharex=True, height_ratios=heights, gridspec_kw=place
        )
        self.head = self.figure.text(0.085, 0.955, "", fontsize=11)
        self._answers(panels[0], film)
        self._densities(panels[1], film)
        self.lines = self._noise(panels[2]) if mapped else None
        panels[-1].set_xlim(self.low, self.high)
        ticks(panels[-1], "x", scene.axes[0], self.low, self.high)

    def _answers(self, axis: Axes, film: Film) -> None:
        axis.axhline(0.5, color=SOFT, lw=1, ls=":")
        name = "D*: best possible"
        self.best = axis.plot([], [], color=INK, lw=1.4, ls=(0, (5, 3)), label=name)[0]
        self.answer = axis.plot([], [], color=ANSWER, lw=2.2, label=answer_name(film))[0]
        axis.set_ylim(-0.03, 1.22)
        axis.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        axis.tick_params(axis="x", length=0)
        axis.legend(loc="upper left", ncols=2, handlelength=1.8, borderaxespad=0.1)

    def _densities(self, axis: Axes, film: Film) -> None:
        top = 1.45 * float(film.scene.density.max())
        data = film.scene.density
        axis.fill_between(self.x, data, color=REAL, alpha=0.25, lw=0, label="real points")
        axis.plot(self.x, data, color=REAL, lw=1.2)
        self.density = axis.plot([], [], color=FAKE, lw=1.8, label="fakes")[0]
        shown = film.scene.real[:120, 0]
        axis.plot(shown, np.full(len(shown), -0.07 * top), "|", color=REAL, ms=7, mew=1)
        self.row, fakes = -0.18 * top, film.shots[0].fakes[:, 0]
        self.dots = axis.plot([], [], "o", color=FAKE, ms=4, mew=0, alpha=0.8)[0]
        flat = np.zeros(len(fakes))
        self.arrows = axis.quiver(
            fakes, flat + self.row, flat, flat, color=INK, width=0.0022, headwidth=4, headlength=5,
            angles="xy", scale_units="xy", scale=1, minlength=0.5, zorder=3,
        )  # fmt: skip
        axis.set_ylim(-0.27 * top, top)
        axis.set_yticks([])
        axis.set_ylabel("how many")
        axis.tick_params(axis="x", length=0)
        axis.legend(loc="upper right", ncols=2, handlelength=1.4, borderaxespad=0.1)

    def _noise(self, axis: Axes) -> LineCollection:
        from matplotlib.collections import LineCollection

        lines = LineCollection([], colors=LINE, lw=0.9)
        axis.add_collection(lines, autolim=False)
        axis.set_ylim(0, 1)
        axis.set_yticks([])
        axis.set_ylabel("noise")
        return lines

    def show(self, shot: Shot, pulls: np.ndarray) -> Image.Image:
        """One frame."""
        fakes = shot.fakes[:, 0]
        self.head.set_text(headline(shot))
        self.answer.set_data(self.x, shot.answer)
        self.best.set_data(self.x, shot.best)
        self.density.set_data(self.x, shot.density)
        self.dots.set_data(fakes, np.full(len(fakes), self.row))
        self.arrows.set_offsets(np.c_[fakes, np.full(len(fakes), self.row)])
        self.arrows.set_UVC(pulls, np.zeros(len(fakes)))
        if self.lines is not None:
            below = noise_places(self.turned * shot.noise, self.low, self.high)
            ends = np.stack([np.c_[below, 0 * below], np.c_[fakes, 0 * fakes + 1]], 1)
            self.lines.set_segments(list(ends))
        return picture(self.drawn)


def turn(film: Film) -> float:
    """−1 where the generator ends up turning the line around, so that its paths need not cross."""
    last = film.shots[-1]
    if not len(last.noise):
        return 1.0
    rising = float(np.polyfit(last.noise, last.fakes[:, 0], 1)[0]) >= 0
    return 1.0 if rising else -1.0


def noise_places(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where on the line the noise `(k,)` is drawn: 0 in the middle."""
    return (low + high) / 2 + noise / NOISE_REACH * (high - low) / 2
