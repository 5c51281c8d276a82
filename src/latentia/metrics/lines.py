"""One figure in words, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentia.metrics.intervals import Estimate

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One figure, ready to print.

    Attributes:
        metric: its name in `METRICS`.
        name: what the figure is, with its unit.
        value: of the model.
        reference: the same figure of something known, or empty.
        reference_name: what that is.
    """

    metric: str
    name: str
    value: str
    reference: str = ""
    reference_name: str = ""


def shown_number(value: Any) -> str:
    """Three or four significant digits; a dash where there is no number."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1000 or isinstance(value, int):
        return f"{value:,.0f}"
    shown = f"{value:.4g}" if size >= 1e-3 or not size else f"{value:.2e}"
    return shown.replace("-", "−", 1) if value < 0 else shown


def shown_share(value: Any) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def shown_interval(estimate: Figures, percent: bool = True) -> str:
    return Estimate(*(estimate[end] for end in ("value", "low", "high"))).shown(percent)


def named_extractor(facts: Figures) -> str:
    by = facts["extractor"]
    return f"features: {by['name']} ({by['dims']} numbers, hash {by['hash']})"
