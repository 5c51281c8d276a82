"""Two-class data for a debiased classifier: one source of each class, or one class of a source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from latentia.data.open import open_data
from latentia.data.source import Source, Split, finish
from latentia.data.spec import DataOptions, Dataset
from latentia.errors import UserError, nearest

POSITIVE = 0
"""Number of the positive class in what this module makes."""

Named = str | Path | np.ndarray | Dataset


def two_sources(
    positive: Named, negative: Named, split: Split, options: DataOptions, names: tuple[str, str]
) -> Dataset:
    """Rows of the positive source, then those of the negative one.

    Args:
        positive, negative: anything `open_data` reads.
        split: of each.
        options: how both are opened.
        names: of the two classes.

    Raises:
        UserError: rows of different shapes, and as `open_data`.
    """
    parts = [open_data(source, split=split, options=options) for source in (positive, negative)]
    shapes = [part.spec.shape for part in parts]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"{parts[0].spec.name} has rows of shape {shapes[0]}, {parts[1].spec.name} of "
            f"{shapes[1]}; bring images to one size with --set size=32 and --set channels=3."
        )
    return joined(parts[0], parts[1], names)


def joined(positive: Dataset, negative: Dataset, names: tuple[str, str]) -> Dataset:
    """The rows of two data sets as one of two classes; names of files are kept."""
    values = np.concatenate([positive.values, negative.values])
    labels = np.repeat(np.arange(2), [len(positive), len(negative)]).astype(np.int64)
    parts = zip(names, (positive, negative), strict=True)
    called = [f"{kind}/{name}" for kind, part in parts for name in part.called]
    source = Source(" / ".join(names), values, labels=labels, classes=names, names=called)
    return finish(source, "all", DataOptions())


def one_class(data: Named, positive: str, split: Split, options: DataOptions) -> Dataset:
    """One class of a labelled source against all its others.

    Raises:
        UserError: no such class, or no other.
    """
    found = open_data(data, split=split, options=options)
    classes = found.spec.classes
    if found.labels is None or len(classes) < 2:
        raise UserError(
            f"{found.spec.name} has no two classes. Name a source of each instead: "
            "latentia debias --positive faces/ --negative other/."
        )
    if positive not in classes:
        raise UserError(
            f"{found.spec.name} has no class {positive!r}; {nearest(positive, classes)}"
        )
    labels = (found.labels != classes.index(positive)).astype(np.int64)
    names = (positive, classes[1] if len(classes) == 2 and classes[0] == positive else "other")
    return replace(found, labels=labels, spec=replace(found.spec, classes=names))
