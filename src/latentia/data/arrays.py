"""Arrays on disk and in memory: IDX, .npz and .npy files, whatever their layout."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from latentia.data.source import Part, Source
from latentia.errors import UserError

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_NAME = re.compile(r"(train|t10k|test)[-_.]images")
_VALUES = ("x", "images", "image", "data", "values", "features", "samples", "arr_0")
LABEL_NAMES = ("y", "labels", "label", "targets", "target", "classes")
_CLASSES = ("class_names", "classes", "label_names", "names")
_SHORTEST_IMAGE = 4


def is_idx_folder(path: Path) -> bool:
    """True where a folder holds files in the MNIST layout."""
    return any(_IDX_NAME.search(p.name) and is_idx_file(p) for p in path.iterdir())


def is_idx_file(path: Path) -> bool:
    """True where a file, gzipped or not, starts with the magic number of IDX."""
    try:
        with _unzipped(path) as file:
            magic = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    known = magic[:2] == b"\0\0" and len(magic) == 4
    return known and magic[2] in _IDX_TYPES and magic[3] in (2, 3, 4)


def read_idx(path: Path) -> np.ndarray:
    """The array of one IDX file (LeCun's format), gzipped or not.

    Raises:
        UserError: the file is not IDX, or shorter than its header says.
    """
    try:
        with _unzipped(path) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); is it complete?") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise UserError(f"{path} is no IDX file: its first four bytes are not an IDX header.")
    head = 4 + 4 * data[3]
    shape = tuple(int(s) for s in np.frombuffer(data[4:head], ">i4"))
    dtype = np.dtype(_IDX_TYPES[data[2]])
    if len(data) - head != int(np.prod(shape)) * dtype.itemsize:
        raise UserError(f"{path} is cut short: its header promises an array of shape {shape}.")
    array = np.frombuffer(data, dtype, offset=head).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def open_idx(path: Path, name: str) -> Source:
    """One IDX images file, or a folder of them: train-images… and perhaps t10k-images…"""
    if path.is_file():
        return from_parts(name, {"all": read_idx(path)}, _with_labels({"all": path}))
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        found = _IDX_NAME.search(file.name)
        if found and is_idx_file(file):
            part = "train" if found[1] == "train" else "test"
            rival = files.setdefault(part, file)
            if rival.name.removesuffix(".gz") != file.name.removesuffix(".gz"):
                raise UserError(f"{path} holds both {rival.name} and {file.name}; name one file.")
    files = {part: files[part] for part in ("train", "test") if part in files}
    values = {part: read_idx(file) for part, file in files.items()}
    return from_parts(name, values, _with_labels(files))


def open_array_file(path: Path, name: str) -> Source:
    """An .npy array, or an .npz of values and perhaps labels, class names and native splits.

    Raises:
        UserError: unreadable, pickled or nameless arrays.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return from_arrays(name, loaded)
        with loaded:
            columns = {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise UserError(
            f"{path} cannot be read as NumPy arrays without pickle: {reason}."
        ) from None
    return _from_npz(name, columns)


def from_arrays(name: str, values: np.ndarray, labels: np.ndarray | None = None) -> Source:
    """A source from arrays in memory; layouts as in `to_rows`."""
    return from_parts(name, {"all": values}, {} if labels is None else {"all": labels})


def to_rows(array: np.ndarray, name: str = "the array") -> np.ndarray:
    """An array of any usual layout as uint8 `(N, C, H, W)` or float32 `(N, features)`.

    Three axes are N, H, W; four are N, H, W, C or N, C, H, W with C 1 or 3; one or two are
    vectors. Images may be uint8, bool, uint16, or floats within [0, 1], [-1, 1] or [0, 255].

    Raises:
        UserError: another layout, type or range.
    """
    if array.dtype.kind not in "buif":
        raise UserError(f"{name} holds {array.dtype} values; numbers are needed.")
    if array.ndim in (1, 2):
        return np.ascontiguousarray(array.reshape(len(array), -1), np.float32)
    if array.ndim == 3:
        return _levels(array, name)[:, None]
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return np.ascontiguousarray(_levels(array, name).transpose(0, 3, 1, 2))
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return np.ascontiguousarray(_levels(array, name))
    raise UserError(
        f"{name} has shape {array.shape}: neither a table (N, features) nor images (N, H, W), "
        "(N, H, W, C) or (N, C, H, W) with 1 or 3 channels."
    )


def to_labels(
    parts: Mapping[str, np.ndarray], classes: tuple[str, ...] = ()
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels of all parts as int64 from 0, and the class names; nothing for real-valued targets."""
    flat = {part: np.asarray(column).reshape(-1) for part, column in parts.items()}
    every = np.concatenate(list(flat.values())) if flat else np.empty(0)
    if not len(every) or (every.dtype.kind == "f" and not np.array_equal(every, np.round(every))):
        return {}, ()
    if every.dtype.kind == "f":
        every = every.astype(np.int64)
    if classes and every.dtype.kind in "iu" and every.min() >= 0 and every.max() < len(classes):
        return {part: column.astype(np.int64) for part, column in flat.items()}, classes
    known = np.unique(every)
    codes = {p: np.searchsorted(known, column.astype(known.dtype)) for p, column in flat.items()}
    return codes, tuple(str(k) for k in known)


def _levels(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled = array * 255
    elif array.dtype.kind == "f" and low >= -1 and high <= 1:
        scaled = (array + 1) * 127.5
    elif low >= 0 and high <= 255:
        scaled = array
    elif array.dtype.kind in "ui" and low >= 0 and high <= 65535:
        scaled = array / 257
    else:
        raise UserError(
            f"{name} holds images with values from {low:g} to {high:g}; "
            "use 0 to 255, 0 to 1 or -1 to 1."
        )
    return np.rint(scaled).astype(np.uint8)


def _unzipped(path: Path) -> gzip.GzipFile:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _with_labels(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """The labels beside each images file, where there are any."""
    found = {}
    for part, file in files.items():
        stem = file.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
        for beside in (file.with_name(stem), file.with_name(stem + ".gz")):
            if beside.name != file.name and beside.is_file():
                found[part] = read_idx(beside)
                break
    return found if len(found) == len(files) else {}


def _from_npz(name: str, columns: dict[str, np.ndarray]) -> Source:
    by_name = {key.lower(): column for key, column in columns.items()}
    whole = _first(by_name, _VALUES)
    values, labels = ({"all": whole} if whole is not None else {}), {}
    if whole is None:
        for part in ("train", "test"):
            found = _first(by_name, _of_part(_VALUES, part))
            if found is not None:
                values[part] = found
    if not values and len(by_name) == 1:
        values = {"all": next(iter(by_name.values()))}
    if not values:
        raise UserError(
            f"{name} holds the arrays {', '.join(columns)}; name the one with the data x or images."
        )
    for part in values:
        found = _first(by_name, LABEL_NAMES if part == "all" else _of_part(LABEL_NAMES, part))
        if found is not None and found.ndim <= 2 and found.size == len(values[part]):
            labels[part] = found
    names = _first(by_name, _CLASSES)
    listed = () if names is None or names.ndim != 1 or names.dtype.kind not in "US" else names
    return from_parts(name, values, labels, tuple(str(c) for c in listed))


def _of_part(keys: tuple[str, ...], part: str) -> list[str]:
    return [f"{key}_{part}" for key in keys] + [f"{part}_{key}" for key in keys]


def _first(columns: Mapping[str, np.ndarray], keys: Sequence[str]) -> np.ndarray | None:
    return next((columns[key] for key in keys if key in columns), None)


def from_parts(
    name: str,
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    classes: tuple[str, ...] = (),
) -> Source:
    """A source from arrays by part: "train" and "test" (and "val"), or one of any name.

    Raises:
        UserError: parts or labels that do not fit each other.
    """
    rows = {part: to_rows(array, name) for part, array in values.items()}
    if len({r.shape[1:] for r in rows.values()}) > 1:
        raise UserError(f"{name}: the train and test parts hold rows of different shapes.")
    for part, column in labels.items():
        if column.size != len(rows[part]):
            raise UserError(f"{name} has {len(rows[part])} rows but {column.size} labels.")
    codes, classes = to_labels(labels if len(labels) == len(values) else {}, classes)
    ends = np.cumsum([len(r) for r in rows.values()]).tolist()
    parts: dict[str, Part] = {
        part: slice(end - len(rows[part]), end) for part, end in zip(rows, ends, strict=True)
    }
    return Source(
        name=name,
        values=_joined(list(rows.values())),
        labels=_joined([codes[part] for part in rows]) if codes else None,
        classes=classes,
        parts=parts if set(parts) >= {"train", "test"} else {},
    )


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
