"""Yes-or-no facts about rows, from classes, known factors or a table beside the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentia.data.columns import Columns, columns_for
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest


@dataclass(frozen=True)
class Attributes:
    """Which rows have which attribute.

    Attributes:
        names: of the attributes.
        values: bool `(N, len(names))`.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def number(self, name: str) -> int:
        """The column of an attribute.

        Raises:
            UserError: no attribute of that name.
        """
        if name not in self.names:
            raise UserError(f"There is no attribute {name!r}; {nearest(name, self.names)}")
        return self.names.index(name)

    def in_order_of(self, like: Attributes) -> Attributes:
        """The attributes of another, in its order; what is not among these, no row has."""
        none = np.zeros(len(self.values), bool)
        at = dict(zip(self.names, self.values.T, strict=True))
        return Attributes(like.names, np.stack([at.get(name, none) for name in like.names], 1))


def attributes_of(data: Dataset, table: str | Path | None = None) -> Attributes:
    """The attributes of a data set's rows.

    A column of two values gives one attribute of the column's name, true for the higher value
    (1 of -1/1, "yes" of "no"/"yes"). Words of three or more kinds give an attribute "column=word"
    each; classes one of the class's own name. Numbers of three or more values, such as a sprite's
    place, give one attribute: above the median. Columns of one value say nothing and are left out.

    Args:
        data: the rows.
        table: a CSV about their files (`read_columns`), instead of the data's own classes and
            factors.

    Raises:
        UserError: nothing known of the rows, and as `read_columns`.
    """
    columns = _own(data) if table is None else columns_for(data, table)
    found: dict[str, np.ndarray] = {}
    for name, values in columns.values.items():
        found |= _asked(name, values, columns)
    if not found:
        raise UserError(
            f"The rows of {data.spec.name} have no classes or factors that differ; "
            "give a table of them (--attributes FILE.csv)."
        )
    return Attributes(tuple(found), np.stack(list(found.values()), 1))


def asked_of(columns: Columns, name: str) -> np.ndarray:
    """Which rows have the attribute of that name, bool `(N,)`; named as in `attributes_of`.

    Raises:
        UserError: no such attribute.
    """
    found: dict[str, np.ndarray] = {}
    for column, values in columns.values.items():
        found |= _asked(column, values, columns)
    if name not in found:
        raise UserError(f"There is no attribute {name!r}; {nearest(name, found)}")
    return found[name]


def _own(data: Dataset) -> Columns:
    """Classes (column name ""), and factors that do not repeat them."""
    values: dict[str, np.ndarray] = {}
    classes: dict[str, tuple[str, ...]] = {}
    if data.labels is not None:
        values[""], classes[""] = data.labels, data.spec.classes
    for name, column in (data.factors or {}).items():
        if data.labels is None or not np.array_equal(column, data.labels):
            values[name] = column
    return Columns(values, classes, frozenset(classes))


def _asked(name: str, values: np.ndarray, columns: Columns) -> dict[str, np.ndarray]:
    kinds = np.unique(values)
    if len(kinds) < 2:
        return {}
    if name not in columns.worded:
        cut = kinds[0] if len(kinds) == 2 else np.median(values)
        above = values > cut if (values > cut).any() else values >= cut
        return {name: above}
    words = columns.classes[name]
    if name and len(words) == 2:
        return {name: values == 1}
    return {f"{name}={word}" if name else word: values == k for k, word in enumerate(words)}


def balancing_weights(
    attributes: Attributes, target: int, *, rounds: int = 60, most: float = 8.0
) -> np.ndarray:
    """Weights of rows under which an attribute goes together with no other.

    Iterative proportional fitting (Deming and Stephan 1940) of the two-by-two tables of the target
    with each other attribute to independence, their margins as they are.

    Args:
        attributes: of the rows.
        target: number of the attribute.
        rounds: passes over all other attributes.
        most: bound on a single weight, so that rare rows do not decide alone.

    Returns:
        float64 `(N,)`, mean 1.
    """
    values = attributes.values
    weights = np.ones(len(values))
    has = values[:, target]
    others = [j for j in range(values.shape[1]) if j != target]
    for _ in range(rounds):
        for j in others:
            for group in (has, ~has):
                for kind in (values[:, j], ~values[:, j]):
                    both = weights[group & kind].sum()
                    if both > 0:
                        wanted = weights[group].sum() * weights[kind].sum() / weights.sum()
                        weights[group & kind] *= wanted / both
        weights = np.minimum(weights / weights.mean(), most)
    return weights / weights.mean()
