"""Tables of numbers, categories and gaps as rows of numbers, and back in the user's own units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from latentia.data.cells import Table, as_table, factorised, number, numbers_of
from latentia.errors import UserError

Kind = Literal["number", "boolean", "category", "left out"]

MOST_LEVELS = 32  # of a category; rarer ones share a column
RARE_ROWS, RARE_SHARE = 2, 0.001  # a level needs as many rows, and as large a share of them
TAIL = 4.0  # robust deviations from the median beyond which numbers count by their logarithm
NUMBER_SHARE = 0.95  # of the cells that are there: what makes a column one of numbers
UNIQUE_SHARE = 0.5  # a column of words with more different ones than this holds names
_NORMAL_IQR = 1.3489795  # inter-quartile range of a standard normal
_FALSE, _TRUE = ("false", "no", "f", "n"), ("true", "yes", "t", "y")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([T ].*)?")
_ID_NAME = re.compile(r"(.*[_\s.-])?(id|idx|index|uuid|guid)|row([_\s]?(number|no|id))?|unnamed.*|")
_ROWS_TO_COUNT, _DENSE = 20, 0.8  # a tenth of the rows may be held out
_LOUDEST = 88.0  # exp of more does not fit float32


@dataclass(frozen=True)
class Column:
    """What is known of one raw column.

    Attributes:
        name: as the table has it.
        kind: number, boolean, category, or left out.
        center, spread: median, and inter-quartile range over that of a standard normal (numbers).
        low, high: smallest and largest value seen (numbers).
        whole: only whole numbers were seen.
        levels: of a category, most common first; of a boolean, what stands for 0 and 1.
        missing: whether cells were missing, so that a column of its own says where.
        note: why it is left out, or what is odd about it.
    """

    name: str
    kind: Kind
    center: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    levels: tuple[str, ...] = ()
    missing: bool = False
    note: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the numbers that this column becomes."""
        if self.kind == "left out":
            return ()
        gap = (f"{self.name} is missing",) if self.missing else ()
        if self.kind != "category":
            return (self.name, *gap)
        return (*(f"{self.name}={v}" for v in (*self.levels, "(other)")), *gap)

    @property
    def words(self) -> str:
        """What it is, for a person."""
        if self.kind == "number":
            kind = "whole number" if self.whole else "number"
            what = f"{kind}, {self.low:g} to {self.high:g}, median {self.center:g}"
        elif self.kind == "category":
            shown = ", ".join(self.levels[:4]) + (", …" if len(self.levels) > 4 else "")
            what = f"category of {len(self.levels)}: {shown}"
        else:
            what = f"{self.levels[0]} or {self.levels[1]}" if self.levels else self.kind
        return "; ".join(filter(None, (what, "has gaps" if self.missing else "", self.note)))


@dataclass(frozen=True)
class TableEncoder:
    """Raw columns to float32 rows, fitted once and kept.

    Numbers are shifted by their median and divided by their robust deviation (inter-quartile
    range / 1.349; where half the cells agree, the median distance of the others); beyond `tail`
    deviations they grow by their logarithm, so that one cell cannot drown a row. Categories
    become one 0/1 number per common level and one for all others, those never seen included;
    booleans become 0/1. Missing cells take the median (or no level, or the commoner boolean),
    and a 0/1 number of their own says so where any were missing in fitting. Infinite numbers
    count as missing.

    Attributes:
        columns: what is known of every raw column, in order.
        tail: where the logarithm begins, in robust deviations.
        named: whether columns are found by name (else by position).
    """

    columns: tuple[Column, ...]
    tail: float = TAIL
    named: bool = True

    @classmethod
    def fit(cls, table: Any, *, most_levels: int = MOST_LEVELS, tail: float = TAIL) -> Self:
        """Learn how a table is encoded from these rows alone.

        Args:
            table: anything `as_table` reads.
            most_levels: numbers that a category becomes at most (and one for the others).
            tail: as the attribute; `inf` for none.

        Raises:
            UserError: no rows, or no column that says anything.
        """
        raw = as_table(table)
        if not len(raw):
            raise UserError("The table has no rows.")
        columns = tuple(_learn(k, v, raw.named, most_levels) for k, v in raw.columns.items())
        if all(c.kind == "left out" for c in columns):
            why = "; ".join(f"{c.name!r} {c.note}" for c in columns[:5])
            raise UserError(f"No column of the table can be modelled: {why or 'there is none'}.")
        return cls(columns, float(tail), raw.named)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded numbers."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def sources(self) -> tuple[str, ...]:
        """The raw column that each encoded number came from."""
        return tuple(column.name for column in self.columns for _ in column.features)

    @property
    def notes(self) -> dict[str, str]:
        """What is odd, by raw column."""
        return {column.name: column.note for column in self.columns if column.note}

    def transform(self, table: Any) -> np.ndarray:
        """float32 `(N, len(names))`, all finite.

        Raises:
            UserError: a column that fitting knew is not there, or holds words instead of numbers.
        """
        raw = as_table(table)
        out = np.zeros((len(raw), len(self.names)), np.float32)
        start = 0
        for column, values in zip(self.columns, self._found(raw), strict=True):
            width = len(column.features)
            if width and values is not None:
                self._write(column, values, out[:, start : start + width])
            start += width
        return out

    def inverse(self, encoded: np.ndarray) -> dict[str, list[Any]]:
        """Rows in the user's own units, by raw column; what was left out stays out.

        Numbers are kept within what fitting saw, whole numbers are rounded, categories are the
        level of the largest number; None where the row says "missing", "(other)" for rare levels.

        Args:
            encoded: `(N, len(names))`.
        """
        rows = np.asarray(encoded, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise UserError(f"Rows of {len(self.names)} numbers are needed, not {rows.shape}.")
        found: dict[str, list[Any]] = {}
        start = 0
        for column in self.columns:
            width = len(column.features)
            if width:
                found[column.name] = self._read(column, rows[:, start : start + width])
            start += width
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain facts, for `from_json`."""
        columns = [{**asdict(c), "levels": list(c.levels)} for c in self.columns]
        tail = None if np.isinf(self.tail) else self.tail
        return {"tail": tail, "named": self.named, "columns": columns}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The encoder that `to_json` described.

        Raises:
            UserError: facts of another form.
        """
        try:
            columns = tuple(
                Column(**{**column, "levels": tuple(column["levels"])})
                for column in facts["columns"]
            )
            tail = np.inf if facts["tail"] is None else float(facts["tail"])
            return cls(columns, tail, bool(facts["named"]))
        except (KeyError, TypeError, ValueError) as problem:
            raise UserError("This is no description of a table's encoding.") from problem

    def _found(self, raw: Table) -> list[np.ndarray | None]:
        """The columns of another table, in order; None for those that are left out."""
        known = [c.name for c in self.columns]
        if self.named and raw.named:
            needed = [c.name for c in self.columns if c.kind != "left out"]
            gone = [name for name in needed if name not in raw.columns]
            if gone:
                raise UserError(
                    f"The table lacks the columns {', '.join(map(repr, gone[:5]))}, which the "
                    f"first one had; it has {', '.join(list(raw.columns)[:8])}."
                )
            return [raw.columns.get(name) for name in known]
        if len(raw.columns) != len(known):
            raise UserError(f"{len(known)} columns are needed; the table has {len(raw.columns)}.")
        return list(raw.columns.values())

    def _write(self, column: Column, values: np.ndarray, out: np.ndarray) -> None:
        """Fill a raw column's part of the encoded rows, which is 0."""
        if column.kind == "number":
            numbers, words = numbers_of(values)
            gap = np.isnan(numbers)
            if len(words) > 0.5 * max(1, len(words) + int((~gap).sum())):
                raise UserError(
                    f"The column {column.name!r} held numbers, but here it holds words such as "
                    f"{words[0][:40]!r}."
                )
            scaled = (np.where(gap, column.center, numbers) - column.center) / column.spread
            out[:, 0] = _bent(scaled, self.tail)
        else:
            words, codes = factorised(values)
            gap = codes < 0
            if column.kind == "boolean":
                read = [_truth(word, column.levels) for word in words]
                out[:, 0] = np.array([*read, column.center])[codes]
            else:
                places = {level: i for i, level in enumerate(column.levels)}
                place = [places.get(word, len(places)) for word in words]
                rows = np.flatnonzero(~gap)
                out[rows, np.array([*place, 0], np.int64)[codes[rows]]] = 1.0
        if column.missing:
            out[:, -1] = gap

    def _read(self, column: Column, part: np.ndarray) -> list[Any]:
        gap = part[:, -1] > 0.5 if column.missing else np.zeros(len(part), bool)
        body = part[:, :-1] if column.missing else part
        cells: list[Any]
        if column.kind == "number":
            numbers = _unbent(body[:, 0], self.tail) * column.spread + column.center
            numbers = np.clip(numbers, column.low, column.high)
            cells = [int(v) for v in np.rint(numbers)] if column.whole else numbers.tolist()
        elif column.kind == "boolean":
            cells = [column.levels[int(v > 0.5)] for v in body[:, 0]]
        else:
            every = (*column.levels, "(other)")
            cells = [every[i] for i in body.argmax(1)]
        return [None if empty else cell for cell, empty in zip(cells, gap.tolist(), strict=True)]


def _learn(name: str, values: np.ndarray, named: bool, most_levels: int) -> Column:
    """What one raw column is."""
    if values.dtype.kind in "mM":
        return Column(name, "left out", note="holds dates or times")
    if values.dtype.kind in "uif":
        return _learn_numbers(name, values, named)
    words, codes = factorised(values)
    if not words:
        return Column(name, "left out", note="holds no values")
    gap = bool((codes < 0).any())
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    if pair := _pair(words):
        true = sum(int(n) for word, n in zip(words, counts, strict=True) if word.lower() in _TRUE)
        usual = float(2 * true > counts.sum())
        return Column(name, "boolean", center=usual, levels=pair, missing=gap)
    numbers, others = numbers_of(values)
    if len(others) <= (1 - NUMBER_SHARE) * counts.sum():
        found = _learn_numbers(name, numbers, named)
        note = f"words such as {others[0][:40]!r} count as missing" if others else found.note
        return replace(found, note=note)
    if named and (why := _why_left_out(words, int(counts.sum()))):
        return Column(name, "left out", note=why)
    return _learn_category(name, words, counts, gap, most_levels)


def _pair(words: Sequence[str]) -> tuple[str, str] | None:
    """The words for 0 and 1 of a column that has only them; None for other words."""
    known = {word.lower(): word for word in words}
    for false, true in zip(_FALSE, _TRUE, strict=True):
        if set(known) <= {false, true}:
            return known.get(false, false), known.get(true, true)
    return None


def _truth(word: str, levels: Sequence[str]) -> float:
    """A word of a boolean as 0 or 1; 0.5 for one never seen."""
    if word.lower() in (level.lower() for level in levels):
        return float(word.lower() == levels[1].lower())
    return value if (value := number(word)) in (0.0, 1.0) else 0.5


def _learn_numbers(name: str, values: np.ndarray, named: bool) -> Column:
    """A column of bool, whole or real numbers."""
    numbers = values.astype(np.float64)
    there = numbers[np.isfinite(numbers)]
    gap = len(there) < len(numbers)
    if not len(there):
        return Column(name, "left out", note="holds no values")
    if named and not gap and _counts_rows(name, numbers):
        return Column(name, "left out", note="numbers the rows")
    center, spread = _center_spread(there)
    return Column(
        name=name,
        kind="number",
        center=center,
        spread=spread,
        low=float(there.min()),
        high=float(there.max()),
        whole=bool((there == np.rint(there)).all() and np.abs(there).max() < 2**53),
        missing=gap,
        note="never changes" if there.min() == there.max() else "",
    )


def _learn_category(
    name: str, words: Sequence[str], counts: np.ndarray, gap: bool, most_levels: int
) -> Column:
    least = max(RARE_ROWS, int(np.ceil(RARE_SHARE * counts.sum())))
    order = sorted(range(len(words)), key=lambda i: (-counts[i], words[i]))
    kept = tuple(words[i] for i in order[:most_levels] if counts[i] >= least)
    rare = len(words) - len(kept)
    some = f"its {rare} rarest levels count as one" if rare > 1 else ""
    note = "never changes" if len(words) == 1 else some
    return Column(name, "category", levels=kept, missing=gap, note=note)


def _center_spread(there: np.ndarray) -> tuple[float, float]:
    """Median and robust deviation, the latter never 0."""
    low, center, high = np.percentile(there, (25, 50, 75))
    spread = (high - low) / _NORMAL_IQR
    if not spread > 1e-12 * max(1.0, abs(center)):
        apart = np.abs(there[there != center] - center)
        spread = float(np.median(apart)) if len(apart) else 1.0
    return float(center), float(spread)


def names_rows(name: str, values: np.ndarray) -> bool:
    """True for a column that is called an id and differs in every row, without gaps."""
    if _ID_NAME.fullmatch(name.strip().lower()) is None or values.dtype.kind not in "OUSui":
        return False
    words, codes = factorised(values)
    return len(words) == len(codes)


def _counts_rows(name: str, numbers: np.ndarray) -> bool:
    """True for different whole numbers that are named as an id, or lie densely from 0 or 1 on."""
    n = len(numbers)
    if n < 3 or (numbers != np.rint(numbers)).any() or len(np.unique(numbers)) < n:
        return False
    dense = n >= _ROWS_TO_COUNT and numbers.min() in (0, 1) and numbers.max() <= n / _DENSE
    return bool(dense) or _ID_NAME.fullmatch(name.strip().lower()) is not None


def _why_left_out(words: Sequence[str], n: int) -> str:
    """Why a column of words cannot be a category; empty where it can."""
    sample = words[:1000]
    if np.mean([_DATE.fullmatch(word) is not None for word in sample]) > NUMBER_SHARE:
        return "holds dates or times"
    if n > 2 * RARE_ROWS and len(words) > UNIQUE_SHARE * n:
        return f"is different in nearly every row, for example {words[0][:40]!r}"
    return ""


def _bent(scaled: np.ndarray, tail: float) -> np.ndarray:
    """Linear within ±tail, beyond it tail + log(1 + what is above); smooth to first order."""
    size = np.abs(scaled)
    over = np.maximum(size - tail, 0.0)
    return np.where(size <= tail, scaled, np.sign(scaled) * (tail + np.log1p(over)))


def _unbent(values: np.ndarray, tail: float) -> np.ndarray:
    """The inverse of `_bent`."""
    size = np.abs(values)
    over = np.clip(size - tail, 0.0, _LOUDEST)
    return np.where(size <= tail, values, np.sign(values) * (tail + np.expm1(over)))
