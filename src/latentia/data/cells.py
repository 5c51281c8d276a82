"""Raw cells of tables: what people hold tables in, what counts as missing, what as a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentia.errors import UserError

MISSING_WORDS = frozenset(("", "?", "na", "n/a", "nan", "none", "null", "nat", "<na>", "#n/a"))


@dataclass(frozen=True)
class Table:
    """Raw columns of equal length.

    Attributes:
        columns: by name: bool, integer or float `(N,)`, or text and objects.
        named: False for arrays, whose columns have numbers for names; such columns are never
            taken for names of rows or dates.
    """

    columns: dict[str, np.ndarray]
    named: bool = True

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self, index: np.ndarray | slice) -> Table:
        """The chosen rows."""
        return Table({k: v[index] for k, v in self.columns.items()}, self.named)

    def without(self, name: str) -> Table:
        """The other columns."""
        return Table({k: v for k, v in self.columns.items() if k != name}, self.named)


def as_table(source: Any) -> Table:
    """A table from what people hold tables in.

    Args:
        source: a `Table`; an array `(N, columns)` of numbers (NaN is missing) or objects; a
            mapping of names to columns; or a data frame (anything with `columns` whose items
            have `to_numpy`).

    Raises:
        UserError: none of these, columns of unequal length, or a name that stands there twice.
    """
    if isinstance(source, Table):
        return source
    if hasattr(source, "columns") and hasattr(source, "__getitem__"):
        names = [str(name) for name in source.columns]
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise UserError(f"The table names the column {twice[0]!r} more than once; rename one.")
        source = {str(name): source[name].to_numpy() for name in source.columns}
    if isinstance(source, Mapping):
        columns = {str(k): _flat(v, str(k)) for k, v in source.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"The columns of the table differ in length: {lengths}.")
        return Table(columns)
    array = np.asarray(source)
    if array.ndim != 2:
        raise UserError(f"A table has two axes, rows and columns; this has shape {array.shape}.")
    return Table({str(i): array[:, i] for i in range(array.shape[1])}, named=False)


def factorised(values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Different words in order of appearance, and each cell's place among them; -1 for gaps."""
    seen: dict[str, int] = {}
    first = np.array([seen.setdefault(v, len(seen)) for v in _as_text(values)], np.int64)
    places: dict[str, int] = {}
    table = np.empty(len(seen), np.int64)
    for value, i in seen.items():
        word = value.strip()
        gap = word.lower() in MISSING_WORDS
        table[i] = -1 if gap else places.setdefault(word, len(places))
    return list(places), table[first] if len(first) else first


def numbers_of(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """float64 with NaN for gaps, infinite numbers and words; and the words, cell by cell."""
    if values.dtype.kind in "buif":
        numbers = values.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan), []
    words, codes = factorised(values)
    read = np.array([*(number(word) for word in words), np.nan])
    numbers = read[codes]
    bad = codes[np.isnan(numbers) & (codes >= 0)]
    numbers[np.isinf(numbers)] = np.nan
    return numbers, [words[code] for code in bad]


def number(word: str) -> float:
    """A word as a number; NaN where it is none."""
    try:
        return float(word)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(word.lower(), np.nan)


def _as_text(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    cells = values.tolist()
    return cells if values.dtype.kind == "U" else [c if type(c) is str else str(c) for c in cells]


def _flat(column: Any, name: str) -> np.ndarray:
    array = column if isinstance(column, np.ndarray) else np.asarray(column)
    if array.ndim != 1:
        raise UserError(f"The column {name!r} has shape {array.shape}; a column has one axis.")
    return array
