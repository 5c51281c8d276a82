"""Histograms of latents side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from latentia.report.draw import LINES, canvas, styled, svg

_COLUMNS = 4


@styled
def histograms(panels: Mapping[str, np.ndarray], *, span: float, alt: str) -> Markup:
    """A small panel of bars for each name.

    Args:
        panels: title -> counts in equal bins from -span to span.
        span: where the bins end.
        alt: what the chart shows.
    """
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = canvas(736, 30 + 120 * rows, rows, columns)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, counts) in zip(axes.flat, panels.items(), strict=False):
        axis.stairs(counts, np.linspace(-span, span, len(counts) + 1), color=LINES[0], fill=True)
        axis.set_title(title, fontsize=11)
        axis.set_yticks([])
        axis.set_xlim(-span, span)
        axis.grid(axis="y", visible=False)
    return svg(figure, alt)
