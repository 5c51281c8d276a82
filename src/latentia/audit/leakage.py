"""Examples that stand on both sides of a split, so that a test measures memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from latentia.audit.duplicates import Pair
from latentia.audit.subject import Subject
from latentia.data.spec import Dataset

_MOST_OF_A_GROUP = 20


def together(subject: Subject) -> Dataset:
    """The rows under audit, and after them those of `subject.test`."""
    if subject.test is None:
        return subject.data
    values = np.concatenate([subject.data.values, subject.test.values])
    spec = replace(subject.data.spec, n=len(values))
    return Dataset(spec, values)


def sides_of(subject: Subject) -> np.ndarray | None:
    """The part that every row of `together` belongs to; None where there is one side only."""
    n = len(subject.data)
    if subject.test is not None:
        return np.array(["train"] * n + ["test"] * len(subject.test))
    parts = subject.parts
    return parts if parts is not None and len(set(parts.tolist()) - {""}) > 1 else None


def leaks_of(exact: Sequence[Sequence[int]], near: Sequence[Pair], sides: np.ndarray) -> list[Pair]:
    """Pairs of the same or nearly the same content on two sides, the surest first.

    Args:
        exact: groups of equal rows.
        near: near-duplicate pairs.
        sides: `(N,)`, the part of every row.
    """
    same = [
        Pair(i, j, 0.0, 0.0)
        for group in exact
        for i, j in combinations(sorted(group)[:_MOST_OF_A_GROUP], 2)
    ]
    return [p for p in [*same, *near] if sides[p.first] != sides[p.second]]
