"""Charts as inline SVG that follow the page's colours, light or dark.

Matplotlib draws with stand-in colours, which are then replaced by the page's CSS variables.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

P = ParamSpec("P")

INK, SOFT, GRID = "#010203", "#010204", "#010205"
LINES = tuple(f"#0102{n:02x}" for n in range(0x11, 0x17))
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", GRID: "var(--line)"} | {
    stand_in: f"var(--c{n})" for n, stand_in in enumerate(LINES, 1)
}
CLASS_COLOURS = ("#0072b2", "#ab873d", "#0e9b6c", "#b34d06", "#bd6c9f", "#108ef7")
"""After Okabe and Ito's palette, as dark and as light as can be seen on both papers."""
CLASS_MARKS = ("o", "^", "s")
_OBLONG = 4  # sides of which one is so many times the other are drawn on scales of their own
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 12.0,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


def styled(draw: Callable[P, Markup]) -> Callable[P, Markup]:
    """A drawing function under the page's style."""

    @functools.wraps(draw)
    def with_style(*args: P.args, **named: P.kwargs) -> Markup:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **named)

    return with_style


def canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Canvas, Any]:
    """A figure of `width` × `height` CSS pixels and its axes, drawn without any window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width / 72, height / 72), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def svg(figure: Canvas, alt: str) -> Markup:
    """The figure as an `<svg>` with a text alternative, its colours those of the page."""
    import matplotlib

    target = io.StringIO()
    # The salt makes ids repeatable, and different in figures that differ.
    with matplotlib.rc_context({"svg.hashsalt": alt}):
        figure.savefig(target, format="svg", transparent=True, dpi=144, metadata={"Date": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    label = Markup('<svg role="img" aria-label="{}"').format(alt)
    return Markup(text.replace("<svg", label, 1))


@styled
def curves(
    series: Mapping[str, tuple[np.ndarray, np.ndarray]], *, x_label: str, alt: str
) -> Markup:
    """A panel for each name: terms of a loss differ too much in size to share an axis."""
    from matplotlib.ticker import StrMethodFormatter

    columns = min(2, len(series))
    rows = -(-len(series) // columns)
    figure, axes = canvas(736, 60 + 170 * rows, rows, columns)
    for axis in axes.flat[len(series) :]:
        axis.remove()
    for axis, (name, (x, y)) in zip(axes.flat, series.items(), strict=False):
        axis.plot(x, y, color=LINES[0], marker="." if len(x) < 3 else None)
        axis.set_title(name)
        axis.margins(x=0.01)
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.locator_params(axis="x", nbins=4)
        _limit(axis, y[np.isfinite(y)])
    for axis in axes.flat[max(0, len(series) - columns) : len(series)]:
        axis.set_xlabel(x_label)
    return svg(figure, alt)


@styled
def trends(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    at: Sequence[float],
    ticks: Sequence[str],
    *,
    x_label: str,
    alt: str,
) -> Markup:
    """Figures of several models side by side: a panel for each quantity, a line for each name.

    Args:
        panels: title -> name -> one value per model; not finite where there is none.
        at, ticks: where each model stands on the horizontal axis, and what is written there.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = canvas(736, (300 if columns == 1 else 60 + 190 * rows), rows, columns)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        for number, (name, values) in enumerate(lines.items()):
            dash = "-" if number == 0 else "--"
            axis.plot(at, values, dash, marker="o", ms=5, color=LINES[number], label=name)
        axis.set_title(title)
        axis.set_xticks(at, ticks)
        axis.set_xlabel(x_label)
        axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
        if len(lines) > 1:
            axis.legend()
    return svg(figure, alt)


def _limit(axis: Axes, values: np.ndarray) -> None:
    """Keep the first wild steps from flattening all that follows."""
    if len(values) < 20:
        return
    low, high = np.percentile(values, [0.5, 97])
    if values.max() - high > 2 * (high - low) > 0:
        axis.set_ylim(low - 0.05 * (high - low), high + 0.25 * (high - low))


@styled
def labelled_map(
    points: np.ndarray,
    labels: np.ndarray | None,
    classes: Sequence[str],
    *,
    axes_names: tuple[str, str],
    alt: str,
) -> Markup:
    """A scatter of `(N, 2)` points, by class; each class is named at its centre."""
    figure, axes = canvas(736, 520)
    axis: Axes = axes[0, 0]
    size = dot(len(points))
    if labels is None:
        axis.scatter(
            points[:, 0],
            points[:, 1],
            s=size,
            color=CLASS_COLOURS[0],
            alpha=0.6,
            lw=0,
            rasterized=True,
        )
    else:
        for n, name in enumerate(classes):
            _one_class(axis, points[labels == n], n, name, size)
    axis.set_xlabel(axes_names[0])
    axis.set_ylabel(axes_names[1])
    return svg(figure, alt)


def _one_class(axis: Axes, points: np.ndarray, n: int, name: str, size: float) -> None:
    if not len(points):
        return
    colour = CLASS_COLOURS[n % len(CLASS_COLOURS)]
    mark = CLASS_MARKS[n // len(CLASS_COLOURS) % len(CLASS_MARKS)]
    axis.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        color=colour,
        marker=mark,
        alpha=0.65,
        lw=0,
        rasterized=True,
    )
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour, "alpha": 0.9}
    middle = np.median(points, axis=0)
    axis.text(
        middle[0], middle[1], name, ha="center", va="center", color="#1d2021", fontsize=12, bbox=box
    )


@styled
def bars(
    heights: np.ndarray, *, x_label: str, y_label: str, line: float | None, alt: str
) -> Markup:
    """Bars in descending order, with an optional dashed threshold."""
    figure, axes = canvas(736, 190)
    axis: Axes = axes[0, 0]
    axis.bar(np.arange(1, len(heights) + 1), heights, color=LINES[0], width=0.8)
    if line is not None:
        axis.axhline(line, color=LINES[1], ls="--", lw=1.2)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(axis="x", visible=False)
    return svg(figure, alt)


@styled
def two_clouds(
    real: np.ndarray, made: np.ndarray, name: str, axes_names: tuple[str, str], *, alt: str
) -> Markup:
    """Real points and made ones side by side on the same axes."""
    low, high = real.min(axis=0), real.max(axis=0)
    room = 0.12 * (high - low)
    figure, axes = canvas(736, beside(low - room, high + room, 2), columns=2)
    clouds = (("real, test split", real, CLASS_COLOURS[0]), (name, made, CLASS_COLOURS[3]))
    for axis, (title, points, colour) in zip(axes[0], clouds, strict=True):
        axis.scatter(
            points[:, 0],
            points[:, 1],
            s=dot(len(points)) / 2,
            color=colour,
            alpha=0.5,
            lw=0,
            rasterized=True,
        )
        frame(axis, f"{title} (n = {len(points):,})", low - room, high + room)
        axis.set_xlabel(axes_names[0])
        axis.set_ylabel(axes_names[1])
    return svg(figure, alt)


@styled
def heat(
    density: np.ndarray, low: np.ndarray, high: np.ndarray, names: Sequence[str], *, alt: str
) -> Markup:
    """`(K, side, side)` densities on one colour scale; rows run from low y to high y."""
    figure, axes = canvas(736, beside(low, high, len(density)), columns=len(density))
    for axis, values, name in zip(axes[0], density, names, strict=True):
        image = axis.imshow(
            values,
            origin="lower",
            cmap="viridis",
            vmin=0,
            vmax=float(density.max()),
            extent=(low[0], high[0], low[1], high[1]),
            aspect="equal",
        )
        frame(axis, name, low, high)
        axis.set_xlabel("x")
        axis.set_ylabel("y")
        axis.grid(visible=False)
    bar = figure.colorbar(image, ax=axes[0].tolist(), shrink=0.8, label="density")
    bar.outline.set_visible(False)
    return svg(figure, alt)


def dot(count: int) -> float:
    """Area of a mark, so that few points can be seen and many can be told apart."""
    return float(np.clip(12_000 / max(1, count), 10, 36))


def beside(low: np.ndarray, high: np.ndarray, panels: int) -> float:
    """Height of a drawing of panels side by side that `frame` gives one scale for both axes."""
    across, down = (float(side) for side in high - low)
    usual = {1: 500.0, 2: 370.0}.get(panels, 300.0)
    if max(across, down) >= _OBLONG * min(across, down):
        return usual
    return min(usual, 80 + (736 / panels - 60) * down / across)


def frame(axis: Axes, title: str, low: np.ndarray, high: np.ndarray) -> None:
    """Title, limits and, unless one side is much longer, one scale for both axes."""
    axis.set_title(title)
    axis.set_xlim(low[0], high[0])
    axis.set_ylim(low[1], high[1])
    if max(high - low) < _OBLONG * min(high - low):
        axis.set_aspect("equal")
