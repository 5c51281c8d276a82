"""Arrows over a plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from latentia.explore.score_field import ScoreField
from latentia.report.draw import CLASS_COLOURS, LINES, beside, canvas, frame, styled, svg

LONGEST = 1.1  # in steps of the grid
CUT = 0.5  # share of the arrows that keep their length: far from data scores grow without bound


@styled
def arrows(
    points: np.ndarray,
    fields: Mapping[str, ScoreField],
    low: np.ndarray,
    high: np.ndarray,
    *,
    alt: str,
) -> Markup:
    """A panel for each field, over `(N, 2)` points of the data."""
    figure, axes = canvas(736, beside(low, high, len(fields)), columns=len(fields))
    for axis, (name, field) in zip(axes[0], fields.items(), strict=True):
        axis.scatter(*points.T, s=5, color=CLASS_COLOURS[1], alpha=0.35, lw=0, rasterized=True)
        shown = drawable(field)
        axis.quiver(
            *field.places.T,
            *shown.T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.0035,
            color=LINES[0],
        )
        frame(axis, name, low, high)
        axis.set_xlabel("x")
        axis.set_ylabel("y")
    return svg(figure, alt)


def drawable(field: ScoreField) -> np.ndarray:
    """The arrows `(N, 2)` in units of the plane: one scale for all, the longer half cut.

    Each keeps its direction as it is seen, in a plane of the data's units.
    """
    extent = field.places.max(0) - field.places.min(0)
    step = extent / (round(len(field.places) ** 0.5) - 1)
    sizes = np.linalg.norm(field.arrows / step, axis=1)
    longest = float(np.quantile(sizes, CUT)) or 1.0
    return np.asarray(field.arrows * (LONGEST / np.maximum(sizes, longest))[:, None])
