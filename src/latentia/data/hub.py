"""Data sets of the Hugging Face hub, through the optional package `datasets`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latentia.data.arrays import from_parts
from latentia.data.images import Unreadable
from latentia.data.pile import Picture, Pile
from latentia.data.source import Source
from latentia.errors import UserError

_PARTS = {"train": "train", "test": "test", "validation": "val", "val": "val", "valid": "val"}


def open_hub(address: str) -> Pile | Source:
    """`hf:owner/name`: a pile of pictures where a column holds images, else a table of numbers.

    Raises:
        UserError: `datasets` is not installed, or the data set cannot be loaded or used.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise UserError(
            f"{address} needs the package `datasets`: pip install latentia[hub]"
        ) from None
    try:
        loaded = dict(datasets.load_dataset(address.removeprefix("hf:")))
    except Exception as error:  # the hub's own errors are many: network, names, permissions
        raise UserError(f"{address} cannot be loaded from the hub: {error}") from error
    tables = _by_part(loaded)
    features = next(iter(tables.values())).features
    kinds = {column: type(feature).__name__ for column, feature in features.items()}
    image = next((c for c, kind in kinds.items() if kind == "Image"), None)
    label = next((c for c, kind in kinds.items() if kind == "ClassLabel"), None)
    if image is not None:
        undecoded = {
            p: t.cast_column(image, datasets.Image(decode=False)) for p, t in tables.items()
        }
        return _pictures(address, undecoded, image, label)
    return _numbers(address, tables, label)


def _by_part(splits: dict[Any, Any]) -> dict[str, Any]:
    """The tables of train, val and test; a lone val serves as test, a lone split as everything."""
    known = {_PARTS[str(s)]: table for s, table in splits.items() if str(s) in _PARTS}
    if "train" in known and "val" in known and "test" not in known:
        known["test"] = known.pop("val")
    if "train" in known and "test" in known:
        return known
    return {"": known.get("train", next(iter(splits.values())))}


def _pictures(address: str, tables: dict[str, Any], image: str, label: str | None) -> Pile:
    places: list[tuple[str, int]] = []
    pictures: list[Picture] = []
    for part, table in tables.items():
        names = table.features[label].names if label else []
        classes = table[label] if label else [None] * len(table)
        for row, code in enumerate(classes):
            named = names[code] if code is not None and code >= 0 else None
            stamp = str(getattr(table, "_fingerprint", ""))
            pictures.append(Picture(f"{part}/{row:08d}", stamp, part, named))
            places.append((part, row))
    if any(p.label is None for p in pictures):
        pictures = [Picture(p.name, p.stamp, p.part) for p in pictures]
    return Pile(address, tuple(pictures), _reader(tables, places, image))


def _reader(
    tables: dict[str, Any], places: list[tuple[str, int]], image: str
) -> Callable[[int], BinaryIO]:
    def read(i: int) -> BinaryIO:
        part, row = places[i]
        cell = tables[part][row][image]
        if cell and cell.get("bytes"):
            return BytesIO(cell["bytes"])
        if cell and cell.get("path"):
            return Path(cell["path"]).open("rb")
        raise Unreadable("empty", "no image in this row")

    return read


def _numbers(address: str, tables: dict[str, Any], label: str | None) -> Source:
    first = next(iter(tables.values()))
    numeric = [
        column
        for column, feature in first.features.items()
        if column != label
        and str(getattr(feature, "dtype", "")).startswith(("int", "uint", "float"))
    ]
    if not numeric:
        raise UserError(f"{address} has neither an image column nor columns of numbers.")
    values = {
        part or "all": np.stack([np.asarray(table[c], np.float32) for c in numeric], axis=1)
        for part, table in tables.items()
    }
    labels = {part or "all": np.asarray(t[label]) for part, t in tables.items()} if label else {}
    names = tuple(first.features[label].names) if label else ()
    return from_parts(address, values, labels, names)
