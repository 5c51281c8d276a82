"""Curves over a training's budget as HTML: as wide as there is room, its words of one size."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from latentia.explore.atlas import COLOURS

Point = tuple[float, float, str]
"""Share of the budget in per cent, a value, and the curve's name."""
_LINES = 5  # of the grid, about
_DASHED = "6 4"  # curves that have to take a colour again


def chart(points: Iterable[Point]) -> str:
    """Curves by name, each with its colour and last value told above; values not finite left out.

    Its classes are in studio.css; "" where there is nothing to draw.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for share, value, name in points:
        if math.isfinite(value):
            curves.setdefault(name, []).append((share, value))
    if not curves:
        return ""
    values = [value for curve in curves.values() for _, value in curve]
    ticks = ticks_of(min(values), max(values))
    told = ", ".join(f"{name} {curve[-1][1]:.4g}" for name, curve in curves.items())
    return (
        f'<div class="chart" role="img" aria-label="Curves, and what they last were: '
        f'{html.escape(told, quote=True)}"><ul>{_key(curves)}</ul><div class="chart-plane">'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none">'
        f"{_drawn(curves, ticks)}</svg>{_words(ticks)}</div>"
        '<p class="chart-below">share of the budget, %</p></div>'
    )


def ticks_of(low: float, high: float) -> list[float]:
    """Round numbers at equal steps, of which the first is at most `low`, the last at least `high`.

    Args:
        low, high: finite; equal ones get room around them.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-12):
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / _LINES
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, last + 1)]


def _look(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th curve."""
    return COLOURS[i % len(COLOURS)], "" if i < len(COLOURS) else _DASHED


def _key(curves: dict[str, list[tuple[float, float]]]) -> str:
    return "".join(
        f'<li><i style="border-top: 3px {"dashed" if _look(i)[1] else "solid"} {_look(i)[0]}"></i>'
        f"{html.escape(name)} <b>{curve[-1][1]:.4g}</b></li>"
        for i, (name, curve) in enumerate(curves.items())
    )


def _drawn(curves: dict[str, list[tuple[float, float]]], ticks: Sequence[float]) -> str:
    low, high = ticks[0], ticks[-1]
    grid = "".join(f'<path class="grid" d="M0 {_down(t, low, high)}H100"/>' for t in ticks)
    lines = []
    for i, curve in enumerate(curves.values()):
        places = " ".join(f"{share:.2f},{_down(value, low, high)}" for share, value in curve)
        colour, dashes = _look(i)
        lines.append(f'<polyline points="{places}" stroke="{colour}" stroke-dasharray="{dashes}"/>')
    return grid + "".join(lines)


def _down(value: float, low: float, high: float) -> str:
    """How far below the upper edge a value lies, in per cent."""
    return f"{100 * (high - value) / (high - low):.2f}"


def _words(ticks: Sequence[float]) -> str:
    """Numbers beside and below the plane."""
    size = max(abs(ticks[0]), abs(ticks[-1]))
    beside = ((0.0 if abs(t) < 1e-9 * size else t, _down(t, ticks[0], ticks[-1])) for t in ticks)
    left = "".join(f'<span class="left" style="top: {at}%">{t:.6g}</span>' for t, at in beside)
    below = (f'<span class="below" style="left: {s}%">{s}</span>' for s in range(0, 101, 20))
    return left + "".join(below)
