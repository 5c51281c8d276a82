"""Charts of groups side by side: shares with their intervals, and probability histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from latentia.metrics.intervals import Share
from latentia.report.draw import INK, LINES, canvas, styled, svg

_COLUMNS = 3


@styled
def share_bars(
    names: Sequence[str], shares: Mapping[str, Sequence[Share]], *, x_label: str, alt: str
) -> Markup:
    """A row for each group: a bar as long as the share, and its 95 % interval, by model.

    Args:
        names: of the groups, from top to bottom.
        shares: model -> one share for each group; groups whose share is not known stay empty.
    """
    models = len(shares)
    figure, axes = canvas(736, 70 + len(names) * (10 + 14 * models))
    axis, thick = axes[0, 0], 0.8 / models
    for number, (model, row) in enumerate(shares.items()):
        at = np.arange(len(names)) + (number - (models - 1) / 2) * thick
        known = [(y, s) for y, s in zip(at, row, strict=True) if s.value is not None]
        values = np.array([s.value for _, s in known], dtype=float)
        ends = np.array([[s.low, s.high] for _, s in known], dtype=float).reshape(-1, 2)
        where = [y for y, _ in known]
        axis.barh(where, values, height=0.9 * thick, color=LINES[number], alpha=0.55, label=model)
        around = np.abs(ends - values[:, None]).T
        axis.errorbar(values, where, xerr=around, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2)
    axis.set_yticks(np.arange(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axis.set_xlabel(x_label)
    axis.grid(axis="y", visible=False)
    if models > 1:
        figure.legend(loc="outside upper left", ncols=models)
    return svg(figure, alt)


@styled
def histograms(
    panels: Mapping[str, Mapping[str, Sequence[int]]], threshold: float, *, x_label: str, alt: str
) -> Markup:
    """A small panel for each group: share of its rows by probability, a line for each model.

    Args:
        panels: group -> model -> rows in equal bins of [0, 1].
        threshold: drawn as a dashed line.
    """
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = canvas(736, 60 + 110 * rows, rows, columns)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, models) in zip(axes.flat, panels.items(), strict=False):
        for number, counts in enumerate(models.values()):
            heights = np.asarray(counts, dtype=float) / max(1, int(np.sum(counts)))
            edges = np.linspace(0, 1, len(heights) + 1)
            fill = number == len(models) - 1
            axis.stairs(heights, edges, color=LINES[number], fill=fill, alpha=0.55 if fill else 1)
        axis.axvline(threshold, color=INK, ls="--", lw=1)
        axis.set_title(title, fontsize=11)
        axis.set_xlim(0, 1)
        axis.set_yticks([])
    names = next(iter(panels.values()))
    if len(names) > 1:
        patches = [axes.flat[0].plot([], [], color=LINES[n])[0] for n in range(len(names))]
        figure.legend(patches, list(names), loc="outside upper left", ncols=len(names))
    figure.supxlabel(x_label, fontsize=12)
    return svg(figure, alt)
