"""Files that hold tables (CSV, TSV, Parquet), opened as vectors through a `TableEncoder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latentia.data.arrays import LABEL_NAMES, to_labels
from latentia.data.cells import Table, factorised, number, numbers_of
from latentia.data.columns import are_classes, csv_lines, require_single
from latentia.data.source import Source, held_out
from latentia.data.spec import DataOptions, DataSpec
from latentia.data.tables import TableEncoder, names_rows
from latentia.errors import UserError, nearest

CSV_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
_LABELS = (*LABEL_NAMES, "class")


def is_table_file(path: Path) -> bool:
    """True for the endings of tables."""
    return path.name.lower().endswith((*CSV_ENDINGS, *PARQUET_ENDINGS))


def open_table(path: Path, name: str, options: DataOptions, like: DataSpec | None = None) -> Source:
    """A table as vectors.

    Args:
        path: ends as `is_table_file` asks.
        name: how the user called it.
        options: `label` and the `seed` of the held-out rows, which fit no encoding.
        like: the facts of a run: this table is encoded as that one was.

    Raises:
        UserError: unreadable, without rows, or without the columns it should have.
    """
    table = read_table(path)
    if not len(table):
        raise UserError(f"{name} holds no rows at all.")
    label = label_column(table, name, options.label, like)
    features = table if label is None else table.without(label)
    if like is None:
        train = held_out(len(table), options.seed)["train"]
        encoder = TableEncoder.fit(features.rows(train))
    elif like.columns is None:
        raise UserError(f"{name} is a table, but the run was trained on {like.name}, which is not.")
    else:
        encoder = TableEncoder.from_json(like.columns)
    source = Source(
        name=name,
        values=encoder.transform(features),
        names=row_names(features),
        columns={**encoder.to_json(), "label": label if like is None else _label_of(like)},
    )
    if label is None:
        return source
    found = read_labels(table.columns[label], name, label, like)
    return source if found is None else replace(source, labels=found[0], classes=found[1])


def read_table(path: Path) -> Table:
    """The raw columns of a file.

    The first line of a CSV names the columns, unless it holds nothing but numbers.

    Raises:
        UserError: as `csv_lines`; a Parquet file without the package for it.
    """
    if path.name.lower().endswith(PARQUET_ENDINGS):
        return _read_parquet(path)
    header, lines = csv_lines(path)
    if header and all(cell and not np.isnan(number(cell)) for cell in header):
        lines = [header, *lines]
        header = [f"column {i}" for i in range(1, len(header) + 1)]
    header = [cell or f"column {i}" for i, cell in enumerate(header, start=1)]
    require_single(path, header)
    cells = zip(*lines, strict=True) if lines else [()] * len(header)
    columns = zip(header, cells, strict=True)
    return Table({title: np.array(column, dtype=object) for title, column in columns})


def label_column(
    table: Table, name: str, wanted: str | None, like: DataSpec | None = None
) -> str | None:
    """The column that holds the class, if any.

    Raises:
        UserError: the wanted column is not there (a table opened like another may lack it).
    """
    if like is not None:
        wanted = _label_of(like)
        return wanted if wanted in table.columns else None
    if wanted is None:
        return next((c for c in table.columns if c.strip().lower() in _LABELS), None)
    if wanted not in table.columns:
        raise UserError(f"{name} has no column {wanted!r}: {nearest(wanted, table.columns)}")
    return wanted


def read_labels(
    column: np.ndarray, name: str, label: str, like: DataSpec | None = None
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Numbers of classes, int64 `(N,)`, and their names; None where a run's classes do not fit.

    Raises:
        UserError: empty cells, or quantities.
    """
    words, codes = factorised(column)
    empty = int((codes < 0).sum())
    if like is not None:
        places = {word: i for i, word in enumerate(like.classes)}
        if empty or not all(word in places for word in words):
            return None
        return np.array([places[word] for word in words], np.int64)[codes], like.classes
    if empty:
        raise UserError(
            f"{name}: the label column {label!r} is empty for {empty} of {len(codes)} rows; fill "
            "it or name another by --set label=…"
        )
    numbers, others = numbers_of(column)
    if not others and not are_classes(numbers):
        raise UserError(
            f"{name}: the column {label!r} holds quantities, not classes; name another by "
            "--set label=…"
        )
    cells = np.array(words)[codes] if others else numbers.astype(np.int64)
    found, classes = to_labels({"all": cells})
    return found["all"], classes


def row_names(table: Table) -> Sequence[str]:
    """The column of names that differ in every row, if there is one, else row numbers from 0."""
    for name, column in table.columns.items():
        if names_rows(name, column):
            words, codes = factorised(column)
            return [words[code] for code in codes]
    return [str(i) for i in range(len(table))]


def _label_of(like: DataSpec) -> str | None:
    return (like.columns or {}).get("label")


def _read_parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UserError(
            f"{path} is a Parquet file, which needs the package pyarrow: "
            "pip install 'latentia[tables]'. Or save the table as CSV."
        ) from None
    try:
        found: Any = ParquetFile(path).read()
        columns = {
            title: found.column(i).to_numpy(zero_copy_only=False)
            for i, title in enumerate(found.column_names)
        }
    except (ArrowException, OSError, ValueError) as problem:
        raise UserError(f"{path} cannot be read as Parquet ({problem}).") from None
    require_single(path, found.column_names)
    return Table(columns)
