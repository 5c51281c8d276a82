"""What a model makes of each class it can be asked for."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from latentia.abilities import Samples, TakesClasses
from latentia.maths.chunks import spread_rows

MOST_CLASSES = 12


class SamplesClasses(Samples, TakesClasses, Protocol):
    """Samples what it is asked for."""


def class_rows(
    model: SamplesClasses, columns: int, *, most: int = MOST_CLASSES
) -> tuple[list[int], Tensor]:
    """Samples of each class, from the same seeds: what stays along a column is not the class.

    Args:
        model: samples and takes classes.
        columns: samples of each class, of seeds 0 to columns - 1.
        most: classes shown; of more, so many evenly apart.

    Returns:
        The class numbers of the rows, and `(rows · columns, …)`, one class after the other.
    """
    classes = spread_rows(model.classes, most)
    seeds = list(range(columns)) * len(classes)
    return classes.tolist(), model.sample(seeds, condition=classes.repeat_interleave(columns))
