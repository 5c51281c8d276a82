"""The page of a demo: the film as numbers, drawn by the browser; nothing is fetched."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from latentia.demos import gan_1d, gan_2d
from latentia.demos.demo import Film
from latentia.demos.draw import answer_name, arrows
from latentia.demos.film import PROBABILITY
from latentia.demos.movie import FRAME_MS
from latentia.demos.scene import SHOWN_REALS, nice_ticks
from latentia.demos.words import captions, ending
from latentia.report.page import Fact, Figure, Section, Table, render

_TOP = 1.45
"""Densities are drawn up to so many times the highest one of the data."""


def page(film: Film) -> str:
    """The whole page as HTML."""
    end, scene = film.end, film.scene
    facts = [
        Fact(f"{end.step:,}", "steps of training"),
        Fact(f"{end.seconds:.0f} s", "with all frames"),
        Fact(f"{end.apart_mean:.3f}", "mean |D − ½| on real points"),
        Fact(f"{end.apart_most:.3f}", "95\u00a0% of real points lie below"),
    ]
    if end.of_modes:
        facts.append(Fact(f"{end.modes} of {end.of_modes}", "heaps found"))
    html = _player(film)
    watch = Section(
        "game",
        "Watch the game",
        "A generator makes fake points, a discriminator guesses which are real. Each learns from "
        "the other. Play it, or drag the slider; space and the arrow keys work too.",
        [Figure(html, "An animation of the game.", _caption(film))],
    )
    how = Section("how", "What is drawn", tables=[Table((), _explained(film))])
    again = Section("again", "Do it again", _again(film), code=film.command)
    subtitle = f"{scene.name} · {film.loss} loss · {ending(end, film.loss)}"
    by = f"latentia demo {film.kind.name}"
    return render(film.kind.title, subtitle, facts, [watch, how, again], by)


def _player(film: Film) -> Markup:
    folder = Path(__file__).parent
    html, css, js = ((folder / f"player.{end}").read_text("utf-8") for end in ("html", "css", "js"))
    # no text can end the element that holds it
    numbers = json.dumps(packed(film), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = (
        f"<style>{css}</style>{html}",
        f'<script type="application/json" id="film">{numbers}</script>',
        f"<script>{js}</script>",
    )
    return Markup("\n".join(parts))


def packed(film: Film) -> dict[str, Any]:
    """All that the page draws. Numbers are base64 of 16 bits, little-endian; fields of 8 bits.

    Places are shares of the grid's extent; fakes may lie as far again outside on either side.
    """
    scene, flat = film.scene, film.scene.dims == 1
    low, high = scene.grid.low, scene.grid.high
    extent, top = high - low, _TOP * float(scene.density.max())
    shown = scene.real[: 120 if flat else SHOWN_REALS]
    longest, carried = (gan_1d.LONGEST, None) if flat else (gan_2d.LONGEST, gan_2d.ARROWS)
    frames = []
    for shot, pull in zip(film.shots, arrows(film.shots, extent, longest), strict=True):
        frame = {
            "fakes": _words(((shot.fakes - low) / extent + 1) / 3),
            "pull": _words((pull[:carried] / extent / longest + 1) / 2),
            "answer": (_words if flat else _field)(shot.answer),
            "best": (_words if flat else _field)(shot.best),
        }
        frames.append(frame | ({"density": _words(shot.density / top)} if flat else {}))
    noise = gan_1d.turn(film) * film.shots[0].noise
    places = gan_1d.noise_places(noise, 0.0, 1.0) if flat and len(noise) else None
    return {
        "dims": scene.dims,
        "side": scene.grid.count,
        "frame_ms": FRAME_MS,
        "longest": longest,
        "answer": answer_name(film),
        "ticks": [_ticks(film, i) for i in range(scene.dims)],
        "real": _words((shown - low) / extent),
        "density": _words(scene.density / top) if flat else None,
        "noise": None if places is None else _words(places),
        "frames": frames,
        "figures": [_finite(shot.figures.to_json()) for shot in film.shots],
        "captions": captions([shot.figures for shot in film.shots], film.loss),
    }


def _words(shares: np.ndarray) -> str:
    return _packed(shares, 65535, "<u2")


def _field(shares: np.ndarray) -> str:
    """8 bits, finest about 1/2, where the contour runs: 127 + 127 · sign · √|2 p − 1|."""
    apart = 2 * np.clip(shares, 0, 1) - 1
    return _packed((np.sign(apart) * np.sqrt(np.abs(apart)) + 1) / 2, 254, "u1")


def _packed(shares: np.ndarray, most: int, kind: str) -> str:
    whole = np.rint(np.clip(np.nan_to_num(shares), 0, 1) * most).astype(kind)
    return base64.b64encode(np.ascontiguousarray(whole).tobytes()).decode("ascii")


def _finite(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        key: (round(v, 5) if math.isfinite(v) else None) if isinstance(v, float) else v
        for key, v in figures.items()
    }


def _ticks(film: Film, i: int) -> list[tuple[float, str]]:
    axis, grid = film.scene.axes[i], film.scene.grid
    low, high = (float(end[i]) * axis.scale + axis.shift for end in (grid.low, grid.high))
    return [
        (round((v - low) / (high - low), 5), f"{v:g}".replace("-", "−"))
        for v in nice_ticks(low, high, 5)
    ]


def _caption(film: Film) -> str:
    names = " and ".join(axis.name for axis in film.scene.axes)
    return (
        f"{film.scene.name}, {names}. {len(film.shots)} moments, more of them early. Always the "
        "same noise is drawn, so that every fake can be followed."
    )


def _explained(film: Film) -> list[tuple[str, str]]:
    scene = film.scene
    source = (
        "the formula the data were drawn from"
        if scene.known is not None
        else "a kernel estimate from the real points"
    )
    blur = ", ".join(f"{w:.3g}" for w in scene.bandwidth * [a.scale for a in scene.axes])
    rows = [
        ("D", _meaning(film)),
        (
            "D*, the best possible",
            "p_data / (p_data + p_g): no discriminator can do better against the generator of "
            "this moment (Goodfellow et al. 2014, proposition 1). Where fakes are as frequent as "
            "real points it is ½. With a short training D lags behind it.",
        ),
        (
            "The densities",
            f"p_data by {source}; p_g is a kernel estimate from {scene.drawn:,} fakes. Both are "
            f"blurred alike by a Gaussian of width {blur}, so that D* compares like with like.",
        ),
        (
            "Arrows",
            "where the generator's loss would have each fake move: along the slope of D. One "
            "scale holds for the whole film; the longest tenth is cut.",
        ),
    ]
    rows.append(
        (
            "Weights",
            "those that the run ships: averages over its last tenth or so at every moment, which "
            "wobble less than the weights of a single step.",
        )
    )
    if scene.dims == 2:
        rows.append(
            ("Field and line", "green: D says real; orange: D says fake; paper: ½, as the line.")
        )
    elif len(film.shots[0].noise):
        rows.append(("Noise", "evenly spaced shares of a normal; thin lines lead to its fakes."))
    return rows


def _meaning(film: Film) -> str:
    if film.loss == "relativistic":
        return (
            "the probability of being real. This loss fixes only differences of D's logits; they "
            "are shifted so that real and fake together get ½ on average."
        )
    if film.loss in PROBABILITY:
        return "the discriminator's probability that a point here is real; ½: it cannot tell."
    return "the critic's score squeezed between 0 and 1. It is no probability."


def _again(film: Film) -> str:
    return (
        f"The folder {film.run.folder.name} is a run as any other: `latentia report` and "
        "`latentia sample` take it."
    )
