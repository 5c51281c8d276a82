"""Several curves in one panel, with stretches of it shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from latentia.report.draw import GRID, LINES, canvas, styled, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = tuple[np.ndarray, np.ndarray]
_DASHES = ("-", "--", ":", "-.")


@styled
def lines(
    series: Mapping[str, Line],
    shaded: Sequence[tuple[float, float]],
    *,
    x_label: str,
    alt: str,
    logarithmic: bool = False,
) -> Markup:
    """A panel of named curves, each `(x, y)`, told apart by colour and by dashes.

    Args:
        shaded: stretches of the horizontal axis to set off.
        logarithmic: the vertical axis, where every value is positive.
    """
    figure, axes = canvas(736, 240)
    axis = axes[0, 0]
    for left, right in shaded:
        axis.axvspan(left, right, color=GRID, alpha=0.6, linewidth=0)
    for number, (name, (x, y)) in enumerate(series.items()):
        axis.plot(
            x,
            y,
            _DASHES[number % len(_DASHES)],
            color=LINES[number % len(LINES)],
            marker="." if len(x) < 3 else None,
            label=name,
        )
    if logarithmic and spans_decade([y for _, y in series.values()]):
        axis.set_yscale("log")
    else:
        axis.ticklabel_format(axis="y", useOffset=False)
        widen(axis)
    axis.margins(x=0.01)
    axis.set_xlabel(x_label)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return svg(figure, alt)


def widen(axis: Axes, share: float = 0.02) -> None:
    """Keep what hardly changes from looking as if it did: show at least a share of its size."""
    low, high = axis.get_ylim()
    short = share * max(abs(low), abs(high)) - (high - low)
    if short > 0:
        axis.set_ylim(low - short / 2, high + short / 2)


def spans_decade(values: Sequence[np.ndarray]) -> bool:
    """Whether all are positive and the largest is ten times the smallest: ticks would repeat."""
    known = np.concatenate([v[np.isfinite(v)] for v in values])
    return bool(len(known) and (known > 0).all() and known.max() >= 10 * known.min())
