"""What every kind of source is brought to, and how a split of it becomes a `Dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from latentia.data.spec import DataOptions, Dataset, DataSpec
from latentia.errors import UserError

Split = Literal["train", "test", "all"]
Part = slice | np.ndarray

HELD_OUT = 0.1
_BINARIZE_SEEDS = {"train": 0, "test": 1, "val": 2}
_CHUNK_ROWS = 4096
_MOMENT_ROWS = 10_000
_MOMENT_VALUES = 1 << 15
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Source:
    """All rows of a source, before splitting.

    Attributes:
        name: how the user called it.
        values: uint8 `(N, C, H, W)` or float32 `(N, features)`.
        labels, names, factors, log_density, skipped: as in `Dataset`.
        classes: label names.
        parts: rows of the native splits by name ("train", "test", perhaps "val"); empty where
            the source has none and a tenth is held out.
        hashes: content hashes already known, by split.
        columns, sound, pair: as in `DataSpec`.
    """

    name: str
    values: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    names: Sequence[str] | None = None
    factors: dict[str, np.ndarray] | None = None
    log_density: Callable[[np.ndarray], np.ndarray] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Any] | None = None
    sound: dict[str, Any] | None = None
    pair: dict[str, Any] | None = None


def held_out(n: int, seed: int) -> dict[str, Part]:
    """A seeded permutation of `n` rows: the first tenth is "test", the rest "train".

    Both stay in permuted order, so that the first rows of a split are a fair sample of it.
    """
    order = np.random.default_rng(seed).permutation(n)
    cut = round(n * HELD_OUT) or min(1, n - 1)
    return {"train": order[cut:], "test": order[:cut]}


def finish(source: Source, split: Split, options: DataOptions) -> Dataset:
    """The asked split of `source`, binarised, limited, hashed and described.

    Raises:
        UserError: an empty split, vectors that are not finite or that cannot be binarised.
    """
    if not len(source.values):
        raise UserError(f"{source.name} holds no rows at all.")
    parts = source.parts or held_out(len(source.values), options.seed)
    if split != "all" and split not in parts:
        raise UserError(f"{source.name} has no {split} split; it has: {', '.join(parts)}.")
    rows = parts[split] if split != "all" else slice(None)
    image = source.values.ndim == 4
    whole = _binarised(source, parts, split) if options.binarize == "static" else None
    values = source.values[rows] if whole is None else whole
    if not len(values):
        raise UserError(f"The {split} split of {source.name} is empty: add data, or use 'all'.")
    if not image:
        _require_finite(source)
    keep = slice(None, _limit(options.limit))
    values = values[keep]
    known = whole is None and len(values) == len(source.values[rows])
    spec = DataSpec(
        name=source.name,
        kind="image" if image else "vector",
        shape=tuple(int(s) for s in values.shape[1:]),
        n=len(values),
        hash=(known and source.hashes.get(split)) or content_hash(values),
        classes=source.classes,
        columns=source.columns,
        sound=source.sound,
        pair=source.pair,
        **(_pixel_moments(values) if image else _moments(source.values[parts["train"]])),
    )
    pick = _Picker(rows, keep, len(source.values))
    return Dataset(
        spec=spec,
        values=values,
        labels=pick(source.labels),
        names=pick.names(source.names),
        rows=np.arange(len(source.values))[rows][keep],
        factors=source.factors and {k: v[rows][keep] for k, v in source.factors.items()},
        log_density=source.log_density,
        skipped=source.skipped,
    )


class RowHash:
    """SHA-256 of rows as they come, closed with their number, shape and type."""

    def __init__(self, shape: tuple[int, ...], dtype: str = "|u1") -> None:
        self._digest, self._kind = hashlib.sha256(), (shape, dtype)

    def add(self, rows: bytes | memoryview) -> None:
        self._digest.update(rows)

    def result(self, n: int) -> str:
        """16 hex digits."""
        closed = self._digest.copy()
        closed.update(f"{n} rows of {self._kind}".encode())
        return closed.hexdigest()[:16]


def content_hash(values: np.ndarray) -> str:
    """16 hex digits that tell these rows, `(N, …)`, from all others; read in chunks."""
    digest = RowHash(tuple(int(s) for s in values.shape[1:]), values.dtype.str)
    step = max(1, _CHUNK_BYTES // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        digest.add(np.ascontiguousarray(values[start : start + step]).data)
    return digest.result(len(values))


def binarise(levels: np.ndarray, seed: int) -> np.ndarray:
    """Draw every pixel once: 255 with probability level/255, else 0.

    The protocol of Larochelle and Murray (2011), exact in integers: u is uniform on 0…254 and
    the pixel is lit where u < level.
    """
    random = np.random.default_rng(seed)
    out = np.empty(levels.shape, np.uint8)
    for start in range(0, len(levels), _CHUNK_ROWS):
        part = levels[start : start + _CHUNK_ROWS]
        lit = random.integers(0, 255, part.shape, dtype=np.uint8) < part
        np.multiply(lit, 255, out=out[start : start + _CHUNK_ROWS], dtype=np.uint8)
    return out


@dataclass(frozen=True)
class _Picker:
    rows: Part
    keep: slice
    n: int

    def __call__(self, column: np.ndarray | None) -> np.ndarray | None:
        return None if column is None else column[self.rows][self.keep]

    def names(self, names: Sequence[str] | None) -> Sequence[str] | None:
        if names is None:
            return None
        return [names[i] for i in np.arange(self.n)[self.rows][self.keep]]


def _binarised(source: Source, parts: dict[str, Part], split: Split) -> np.ndarray:
    if source.values.ndim != 4:
        raise UserError(
            f"binarize=static draws pixels, but {source.name} has no images: leave it out, and "
            "take another family where it is the default (rbm, for black and white pictures)."
        )
    if split != "all":
        return binarise(source.values[parts[split]], _BINARIZE_SEEDS[split])
    out = np.empty(source.values.shape, np.uint8)
    for name, rows in parts.items():
        out[rows] = binarise(source.values[rows], _BINARIZE_SEEDS[name])
    return out


def _limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise UserError(f"limit={limit} leaves no data; use 1 or more.")
    return limit


def _require_finite(source: Source) -> None:
    bad = ~np.isfinite(source.values)
    if bad.any():
        columns = np.flatnonzero(bad.any(axis=0))
        raise UserError(
            f"{source.name} has {int(bad.any(axis=1).sum())} rows with missing or infinite values "
            f"(columns {', '.join(map(str, columns[:5]))}); drop or fill them first."
        )


def _pixel_moments(values: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation in [-1, 1], over at most 10,000 rows spread over all."""
    rows = values[:: -(-len(values) // _MOMENT_ROWS)]
    step = max(1, _MOMENT_VALUES // rows[0].size)  # counting widens to 64 bits: little at a time
    parts = (rows[i : i + step].reshape(-1) for i in range(0, len(rows), step))
    counts = sum(np.bincount(part, minlength=256) for part in parts) / rows.size
    levels = np.linspace(-1, 1, 256)
    mean = float(counts @ levels)
    spread = float(np.sqrt(counts @ np.square(levels - mean)))
    return {"pixel_mean": mean, "pixel_std": spread or 1.0}


def _moments(train: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation by feature; constant features count as scale 1."""
    center, scale = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-12 * np.maximum(1, np.abs(center)), scale, 1.0)
    return {"center": tuple(center.tolist()), "scale": tuple(scale.tolist())}
