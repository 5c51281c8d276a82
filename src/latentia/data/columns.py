"""Facts about files that stand beside them in a table: a CSV with one row per file name."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest

_SEPARATORS = (",", ";", "\t")
_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_MOST_CLASSES = 100  # whole numbers with more values than this are quantities, not classes
_KEYS: tuple[Callable[[str], str], ...] = (
    lambda name: name.replace("\\", "/"),
    lambda name: PurePosixPath(name.replace("\\", "/")).name,
    lambda name: PurePosixPath(name.replace("\\", "/")).stem,
)  # whole name, file name, file name without its ending


@dataclass(frozen=True)
class Columns:
    """Columns of a table, brought into the order of the rows they describe.

    Attributes:
        values: by column name, `(N,)` each: int64 numbers of classes, or float64 quantities.
        classes: what the numbers of classes stand for; no entry for quantities.
        worded: columns whose classes are words, so that their order says nothing.
    """

    values: dict[str, np.ndarray]
    classes: dict[str, tuple[str, ...]]
    worded: frozenset[str] = frozenset()


def read_columns(path: str | Path, names: Sequence[str]) -> Columns:
    """The columns of a table for files of these names, in their order.

    The first line names the columns and the first column holds file names. A file is looked up by
    its whole name, else by its name without folders, else without its ending too. Cells that are
    whole numbers (-1/1, 0/1, 0…9) or words become classes, counted from 0 in order of number or
    alphabet; other numbers stay quantities. Rows of other files are passed over.

    Args:
        path: .csv, or .csv.gz; separated by comma, semicolon or tab.
        names: of the files, as `Dataset.names` gives them.

    Raises:
        UserError: no such table, one that cannot be read, no row or several for a file, an empty
            cell in a row that is needed.
    """
    path = Path(path).expanduser()
    header, lines = _table(path)
    rows = [lines[i] for i in _matched(path, [line[0] for line in lines], names)]
    values: dict[str, np.ndarray] = {}
    classes: dict[str, tuple[str, ...]] = {}
    worded = set()
    for number, column in enumerate(header[1:], start=1):
        cells = [row[number].strip() for row in rows]
        _require_full(path, column, cells, names)
        numbers = _numbers(cells)
        if numbers is None:
            worded.add(column)
            classes[column] = tuple(sorted(set(cells)))
            values[column] = np.searchsorted(np.array(classes[column]), cells).astype(np.int64)
        elif are_classes(numbers):
            kinds, values[column] = np.unique(numbers.astype(np.int64), return_inverse=True)
            classes[column] = tuple(str(kind) for kind in kinds)
        else:
            values[column] = numbers
    return Columns(values, classes, frozenset(worded))


def columns_for(data: Dataset, path: str | Path) -> Columns:
    """`read_columns` for the rows of a data set.

    Raises:
        UserError: rows without file names, and as `read_columns`.
    """
    if data.names is None:
        raise UserError(
            f"{path} describes files, but the rows of {data.spec.name} have no file names; "
            "give a folder or a zip of images."
        )
    return read_columns(path, data.names)


def with_columns(data: Dataset, path: str | Path) -> Dataset:
    """The data set with the table's columns as its `factors`, beside those it had.

    Raises:
        UserError: as `columns_for`.
    """
    found = columns_for(data, path).values
    return replace(data, factors={**(data.factors or {}), **found})


def csv_lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """The first line of a CSV file, and the others, with as many cells each; empty lines left out.

    Args:
        path: .csv, .tsv, gzipped or not; separated by comma, semicolon or tab.

    Raises:
        UserError: no such file, one that cannot be read, or lines of unequal length.
    """
    lines = [line for line in _lines(path) if any(cell.strip() for cell in line)] or [[]]
    header = [cell.strip() for cell in lines[0]]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(line)} cells, the first line {len(header)}."
            )
    return header, lines[1:]


def require_single(path: Path, header: Sequence[str]) -> None:
    """Refuse a column's name that stands there twice."""
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise UserError(f"{path} names the column {twice[0]!r} more than once; rename one.")


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    header, lines = csv_lines(path)
    if not lines or len(header) < 2:
        raise UserError(
            f"{path} is no table of files: its first line names the columns, the first column "
            "holds file names, the others what is known of them."
        )
    require_single(path, header)
    return header, lines


def _lines(path: Path) -> list[list[str]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        separator = max(_SEPARATORS, key=first.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        return [[_pointed(cell) for cell in line] for line in lines] if separator == ";" else lines
    except FileNotFoundError:
        raise UserError(f"There is no table {path}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no UTF-8 text; save the table as CSV in UTF-8.") from None
    except (OSError, EOFError, zlib.error, csv.Error) as problem:
        raise UserError(f"{path} cannot be read as a table ({problem}).") from None


def _pointed(cell: str) -> str:
    """1,5 as 1.5: where semicolons separate, commas are decimal."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell


def _matched(path: Path, keys: Sequence[str], names: Sequence[str]) -> list[int]:
    """The line of each name, by the strictest way of comparing that finds the most."""
    best: list[int | None] = [None] * len(names)
    for key in _KEYS:
        lines = _places(keys, key)
        counted = Counter(key(name) for name in names)
        found = [lines.get(key(n)) if counted[key(n)] == 1 else None for n in names]
        if sum(f is not None for f in found) > sum(b is not None for b in best):
            best = found
    missing = [name for name, line in zip(names, best, strict=True) if line is None]
    if missing:
        _complain(path, keys, missing, len(names))
    return [line for line in best if line is not None]


def _places(keys: Iterable[str], key: Callable[[str], str]) -> dict[str, int]:
    """Line by key; keys that stand there twice are left out, since they decide nothing."""
    shorts = [key(k.strip()) for k in keys]
    counted = Counter(shorts)
    return {short: line for line, short in enumerate(shorts) if counted[short] == 1}


def _complain(path: Path, keys: Sequence[str], missing: list[str], n: int) -> None:
    stem = _KEYS[-1]
    counted = Counter(stem(key.strip()) for key in keys)
    twice = [name for name in missing if counted[stem(name)] > 1]
    if twice:
        raise UserError(
            f"{path} has several rows for {len(twice)} of {n} files, for example {twice[0]!r}; "
            "keep one row for each."
        )
    raise UserError(
        f"{path} has no row of their own for {len(missing)} of {n} files, for example "
        f"{missing[0]!r} ({nearest(missing[0], keys[:1000])}). Its first column must hold file "
        "names, with their folders where names repeat."
    )


def _require_full(path: Path, column: str, cells: list[str], names: Sequence[str]) -> None:
    empty = [name for name, cell in zip(names, cells, strict=True) if not cell]
    if empty:
        raise UserError(
            f"{path}: the column {column!r} is empty for {len(empty)} of {len(cells)} files, for "
            f"example {empty[0]!r}; fill it or leave the column out."
        )


def _numbers(cells: list[str]) -> np.ndarray | None:
    """float64 `(N,)`, or None where a cell is no finite number."""
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def are_classes(numbers: np.ndarray) -> bool:
    whole = (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)
    return bool(whole.all()) and len(np.unique(numbers)) <= _MOST_CLASSES
