"""What a data set is, for those who model it: a specification, and rows ready to batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from latentia.game import Batch
from latentia.game import to_unit as to_unit

Binarize = Literal["none", "static"]
Made = Literal["edges", "grey", "low-resolution", "masked"]
Pairs = Literal["auto", "side-by-side", "folders", "edges", "grey", "low-resolution", "masked"]


@dataclass(frozen=True)
class DataSpec:
    """The facts a model is built from. JSON-able, kept in every run folder.

    Attributes:
        name: how the user called the data.
        kind: "image" (uint8 rows, modelled in [-1, 1]) or "vector" (float32 rows).
        shape: `(C, H, W)` or `(features,)`.
        n: rows in this split.
        hash: content hash of the rows, 16 hex digits.
        classes: label names, empty without labels.
        center, scale: per-feature mean and standard deviation of the training split's vectors
            (1 for constant features); empty for images.
        pixel_mean, pixel_std: moments of image values in [-1, 1], over at most 10,000 rows.
        columns: how a table became vectors (`TableEncoder.to_json`, and the name of the label
            column as `label`); None where it was no table.
        sound: how recordings became images (`LogMel.to_json`); None for pictures.
        pair: of pairs, whose channels are those of side A and then those of side B:
            `names` of the sides, `channels` of each, and `made`, how side A was made from
            side B (as `DataOptions.pairs`), None where both were given; None for other data.
    """

    name: str
    kind: Literal["image", "vector"]
    shape: tuple[int, ...]
    n: int
    hash: str
    classes: tuple[str, ...] = ()
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    pixel_mean: float = 0.0
    pixel_std: float = 0.5
    columns: dict[str, Any] | None = None
    sound: dict[str, Any] | None = None
    pair: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """The name without folders: it tells nothing of the machine that the data lie on."""
        parts = self.name.split(" + ")
        return " + ".join(p if p.startswith("hf:") else PurePath(p).name or p for p in parts)

    @property
    def dims(self) -> int:
        """Numbers per example."""
        return int(np.prod(self.shape))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        return cls(**_with_tuples(facts))


@dataclass(frozen=True)
class DataOptions:
    """How raw sources become rows; part of a run's recipe, so that it can be repeated.

    Attributes:
        size: side of the square that images are resized and centre-cropped to; None keeps
            images that all share one size, and else takes 64.
        channels: 1 (grey), 3 (colour) or None (grey only if every image is).
        background: colour name or #rrggbb laid under transparent images.
        binarize: "static" draws every pixel once with probability = intensity, fixed seed
            (Larochelle and Murray, 2011).
        limit: keep only the first rows.
        seed: of generated data (toy densities, sprites) and of the held-out split.
        label: the column of a table that holds the class; None takes one that is called label,
            labels, class, classes, target, targets or y, if there is one.
        pairs: two pictures a row: found by looking ("auto"), both in one file ("side-by-side"), in
            two folders under the same names ("folders"), or side A made from the picture; None
            for single pictures.
        domains: the two classes that are wanted, in this order; empty: the two there are; None
            for data of any classes.
        split: attributes that decide the domain instead of classes: one (those with it and those
            without), or two (those with exactly one of them).
        attributes: CSV of the attributes of each file; None takes known factors.
        window: seconds; recordings are brought to one loudness, and longer ones give several
            overlapping windows. None cuts them to the common length.
    """

    size: int | None = None
    channels: Literal[1, 3] | None = None
    background: str = "white"
    binarize: Binarize = "none"
    limit: int | None = None
    seed: int = 0
    label: str | None = None
    pairs: Pairs | None = None
    domains: tuple[str, ...] | None = None
    split: tuple[str, ...] = ()
    attributes: str | None = None
    window: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        return cls(**_with_tuples(facts))


def _with_tuples(facts: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}


@dataclass(frozen=True)
class Dataset:
    """Rows ready to batch.

    Attributes:
        spec: what they are.
        values: uint8 `(N, C, H, W)` (often a read-only memory map) or float32 `(N, features)`.
        labels: int64 `(N,)` or None.
        names: file name of each row, or None.
        rows: int64 `(N,)`, number of each row in its source, or None.
        factors: known generating factors, each `(N,)`; empty where unknown.
        log_density: exact log-density in nats of float rows, for toy data; else None.
        skipped: unreadable files, as (name, reason).
    """

    spec: DataSpec
    values: np.ndarray
    labels: np.ndarray | None = None
    names: Sequence[str] | None = None
    rows: np.ndarray | None = None
    factors: dict[str, np.ndarray] | None = None
    log_density: Callable[[np.ndarray], np.ndarray] | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def called(self) -> Sequence[str]:
        """What each row is called: its file name, else its number in the source."""
        if self.names is not None:
            return self.names
        return [str(i) for i in (range(len(self)) if self.rows is None else self.rows)]

    def subset(self, index: np.ndarray | slice) -> Dataset:
        """The chosen rows, as a data set of their own (same spec but for `n`)."""
        rows = np.arange(len(self))[index]
        pick = lambda a: None if a is None else a[rows]  # noqa: E731
        return Dataset(
            spec=DataSpec.from_json({**self.spec.to_json(), "n": len(rows)}),
            values=self.values[rows],
            labels=pick(self.labels),
            rows=pick(self.rows),
            names=None if self.names is None else [self.names[i] for i in rows],
            factors=None if self.factors is None else {k: v[rows] for k, v in self.factors.items()},
            log_density=self.log_density,
        )

    def batch(self, index: Tensor | np.ndarray | Sequence[int], device: str = "cpu") -> Batch:
        """The chosen rows on `device`, images scaled to [-1, 1]."""
        rows = torch.as_tensor(index, dtype=torch.int64)
        values = torch.from_numpy(np.ascontiguousarray(self.values[rows.numpy()])).to(device)
        labels = None
        if self.labels is not None:
            labels = torch.from_numpy(self.labels[rows.numpy()]).to(device)
        return Batch(values, labels, rows.to(device))


def to_levels(x: Tensor) -> Tensor:
    """float [-1, 1] to the nearest uint8 level 0…255."""
    return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
