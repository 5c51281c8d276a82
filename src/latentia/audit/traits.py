"""What the rows of a table that form a rare kind have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentia.audit.subject import Subject

MOST = 3
_APART = 1.0  # standard deviations between the kind and all rows, above which a column is named


def common_traits(subject: Subject, rows: Sequence[int]) -> str:
    """The columns that set rows apart from all others, in words; "" for pictures, or if none do."""
    if subject.image:
        return ""
    values = np.asarray(subject.data.values, np.float64)
    mine, scale = values[list(rows)], np.maximum(values.std(0), 1e-9)
    apart = (mine.mean(0) - values.mean(0)) / scale
    order = np.argsort(-np.abs(apart), kind="stable")[:MOST]
    return ", ".join(
        _trait(subject, int(j), mine[:, j], values[:, j], apart[j] > 0)
        for j in order
        if abs(apart[j]) >= _APART
    )


def _trait(subject: Subject, column: int, mine: np.ndarray, every: np.ndarray, above: bool) -> str:
    encoder = subject.encoder
    name = f"column {column}" if encoder is None else encoder.names[column]
    if set(np.unique(every).tolist()) <= {0.0, 1.0}:
        return f"{name} in {mine.mean():.0%} of them ({every.mean():.1%} of all)"
    return f"{name} {'high' if above else 'low'}"
