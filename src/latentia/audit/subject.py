"""What is audited: the rows of a source, their labels and parts, and rows to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentia.data.cache import header_of, open_pile
from latentia.data.columns import Columns, columns_for
from latentia.data.images import Header
from latentia.data.open import find, open_data
from latentia.data.pile import Pile
from latentia.data.source import Source, finish
from latentia.data.spec import DataOptions, Dataset
from latentia.data.tables import TableEncoder
from latentia.errors import UserError, nearest

SIDE = 64
"""Larger pictures are brought to this side: an audit looks at what they show."""
FEWEST = 50
_LOOKED_AT = 16
Data = str | Path | np.ndarray | Dataset


@dataclass(frozen=True)
class Subject:
    """A data set under audit.

    Attributes:
        data: its rows, in the source's order (image folders: train, then test), with the labels
            that are audited.
        parts: the native split of each row, or None where the source has none.
        test: further rows that should share nothing with these, or None.
        chosen: settings under which a model opens the same rows.
        labelled: where the labels are from, in words; "" without labels.
        notes: what the reader should know about how the data was taken.
    """

    data: Dataset
    parts: np.ndarray | None = None
    test: Dataset | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    labelled: str = ""
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> bool:
        return self.data.spec.kind == "image"

    @property
    def sound(self) -> bool:
        return self.data.spec.sound is not None

    @property
    def thing(self) -> str:
        """What one example is called."""
        return "recording" if self.sound else "picture" if self.image else "row"

    @property
    def encoder(self) -> TableEncoder | None:
        """How a table became numbers; None for other data."""
        facts = self.data.spec.columns
        return None if facts is None else TableEncoder.from_json(facts)

    def name(self, row: int) -> str:
        """The file name of a row, else its number; rows of `test` count on after the others."""
        if row >= len(self.data):
            assert self.test is not None
            row -= len(self.data)
            return _name(self.test, row)
        return _name(self.data, row)

    def class_name(self, label: int) -> str:
        classes = self.data.spec.classes
        return classes[label] if label < len(classes) else str(label)


def _name(data: Dataset, row: int) -> str:
    if data.names is not None:
        return data.names[row]
    return str(row if data.rows is None else data.rows[row])


def opened(
    data: Data,
    *,
    labels: str | Path | None = None,
    label_column: str | None = None,
    test: Data | None = None,
    options: DataOptions,
    announce: Callable[[str], None] | None = None,
) -> Subject:
    """Open what is to be audited.

    Args:
        data: anything `open_data` reads.
        labels: a CSV with a row for each file, or the name of a table's column; the classes of the
            data itself where None.
        label_column: of the CSV, where it has more than one.
        test: rows that should share nothing with these.
        options: how rows are made; a size that is left open becomes 64 for larger pictures.
        announce: told what disk a cache takes.

    Raises:
        UserError: data, labels or test rows that are not there or do not fit; too few rows.
    """
    column = None if labels is None or Path(labels).expanduser().exists() else str(labels)
    if column is not None:
        options = replace(options, label=column)
    if isinstance(data, Dataset):
        found, parts = data, None
    else:
        options = sized(data, options)
        found, parts = _whole(data, options, announce)
    if len(found) < FEWEST:
        raise UserError(
            f"{found.spec.name} has {len(found)} examples; an audit needs {FEWEST} or more to tell "
            "what is usual."
        )
    labelled = "its own classes" if found.labels is not None else ""
    if labels is not None and column is None:
        found, labelled = _labelled(found, Path(labels).expanduser(), label_column)
    elif column is not None:
        labelled = f"the column {column!r}"
    elif label_column is not None:
        raise UserError("--label-column names a column of the table given by --labels.")
    return Subject(
        data=found,
        parts=parts,
        test=None if test is None else _second(test, found, options, announce),
        chosen=_chosen(options),
        labelled=labelled,
        notes=_notes(found),
    )


def sized(data: str | Path | np.ndarray, options: DataOptions) -> DataOptions:
    """The options, with a size where the pictures are larger than an audit needs."""
    try:
        found = find(data, options)
    except UserError as problem:
        if options.label is not None and "label" in str(problem) and "table" in str(problem):
            raise UserError(
                f"--labels {options.label!r} is neither a file nor a column of {data}: give a CSV "
                "with a row for each file, or the name of a table's column."
            ) from None
        raise
    if options.size is not None or _longest(found) <= SIDE:
        return options
    return replace(options, size=SIDE)


def _longest(found: Source | Pile) -> int:
    """The longest side of the first pictures; 0 for what is no picture."""
    if isinstance(found, Source):
        plain = found.sound is None and found.values.ndim == 4
        return max(found.values.shape[2:]) if plain else 0
    headers = (header_of(found, i) for i in range(min(_LOOKED_AT, len(found.pictures))))
    return max((max(h.size) for h in headers if isinstance(h, Header)), default=0)


def _whole(
    data: str | Path | np.ndarray, options: DataOptions, announce: Callable[[str], None] | None
) -> tuple[Dataset, np.ndarray | None]:
    """All rows, and the native split of each."""
    found = find(data, options)
    native = not isinstance(found, Pile) or any(p.part for p in found.pictures)
    source = open_pile(found, options, announce=announce) if isinstance(found, Pile) else found
    rows = finish(source, "all", options)
    if not native or not source.parts:
        return rows, None
    parts = np.full(len(source.values), "", "<U5")
    for part, where in source.parts.items():
        parts[where] = part
    return rows, parts[: len(rows)]


def _second(
    test: Data, first: Dataset, options: DataOptions, announce: Callable[[str], None] | None
) -> Dataset:
    """The rows to compare with, made as the first ones were."""
    if isinstance(test, Dataset):
        found = test
    else:
        like = first.spec if first.spec.columns is not None else None
        if first.spec.kind == "image" and first.spec.sound is None:
            options = replace(options, channels=first.spec.shape[0])  # type: ignore[arg-type]
        if like is not None:
            options = replace(options, label=None)
        found = open_data(test, split="all", options=options, like=like, announce=announce)
    if found.spec.shape != first.spec.shape:
        raise UserError(
            f"{found.spec.name} has examples of shape {found.spec.shape}, {first.spec.name} of "
            f"{first.spec.shape}: only like can be compared. For pictures, give --set size=…"
        )
    return found


def _labelled(data: Dataset, path: Path, column: str | None) -> tuple[Dataset, str]:
    """The data with the labels of a table."""
    columns = columns_for(data, path)
    name = _column(columns, path, column)
    spec = replace(data.spec, classes=columns.classes[name])
    return replace(data, spec=spec, labels=columns.values[name]), f"{path.name}, {name!r}"


def _column(columns: Columns, path: Path, wanted: str | None) -> str:
    if wanted is not None and wanted not in columns.values:
        raise UserError(f"{path} has no column {wanted!r}; {nearest(wanted, columns.values)}")
    if wanted is not None and wanted not in columns.classes:
        raise UserError(f"The column {wanted!r} of {path} holds quantities; labels are classes.")
    known: Sequence[str] = [wanted] if wanted is not None else list(columns.classes)
    if len(known) == 1:
        return known[0]
    if not known:
        raise UserError(f"{path} has no column of classes: its numbers are quantities.")
    some = ", ".join(known[:6]) + (", …" if len(known) > 6 else "")
    raise UserError(f"{path} has several columns ({some}); choose one by --label-column.")


def _chosen(options: DataOptions) -> dict[str, Any]:
    """The options that differ from the default, as settings of a model."""
    default = DataOptions()
    kept = ("size", "channels", "background", "label")
    return {k: getattr(options, k) for k in kept if getattr(options, k) != getattr(default, k)}


def _notes(data: Dataset) -> tuple[str, ...]:
    notes = []
    if data.skipped:
        some = ", ".join(name for name, _ in data.skipped[:3])
        more = ", …" if len(data.skipped) > 3 else ""
        notes.append(
            f"{len(data.skipped):,} files could not be read and are left out: {some}{more}."
        )
    if data.spec.columns is not None:
        left = TableEncoder.from_json(data.spec.columns).notes
        notes += [f"Column {name!r}: {note}." for name, note in left.items()]
    return tuple(notes)
