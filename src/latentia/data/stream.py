"""Batches as a pure function of (seed, step), ready before the step asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.game import Batch

RESIDENT_BYTES = 1 << 30
_FLIP_STREAM = 1  # tells the flips' random numbers from the permutations'
_DRAW_STREAM = 2
_CLASS_STREAM = 3
_SWEEP_ROWS = 512
_Key = tuple[int, int, int]


class Stream:
    """An endless sequence of batches over a data set.

    Epochs are seeded permutations laid end to end, and batch k takes the places
    [k·B, (k+1)·B) of that sequence, so a batch may straddle two epochs and none is ragged.
    Nothing depends on what was asked before: a resumed run reads on where it stopped.

    With sampling weights a batch is instead drawn with replacement, row i with a probability
    proportional to its weight; batch k is then a function of (seed, k, weights).

    By class, every batch shows as many examples of each, row after row in turn (0, 1, 0, 1, …),
    so that a process's contiguous share does, too. Each class then has permutations of its own.

    Data up to 1 GiB is kept on the device as it is stored (uint8 images); larger data is read
    from its memory map, in order of rows, one batch ahead in a thread.

    Args:
        dataset: rows to draw from.
        batch_size: examples per batch over all processes.
        seed: of the permutations and flips.
        device: where batches are wanted.
        flip: mirror each image left to right with probability one half.
        resident_bytes: the most that is kept on the device.
        weights: how often to show each row, `(N,)`, ≥ 0; None shows each once an epoch.
        by_class: show as many of each class in every batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        device: str | torch.device = "cpu",
        flip: bool = False,
        resident_bytes: int = RESIDENT_BYTES,
        weights: np.ndarray | None = None,
        by_class: bool = False,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"A batch of {batch_size} examples is none; use 1 or more.")
        if seed < 0:
            raise UserError(f"seed={seed} is negative; use 0 or more.")
        if not len(dataset):
            raise UserError(f"{dataset.spec.name} has no rows to draw batches from.")
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._dataset, self._seed = dataset, seed
        self._flip = flip and dataset.spec.kind == "image"
        self._orders: dict[tuple[int, int], Tensor] = {}
        self._labels = None if dataset.labels is None else torch.from_numpy(dataset.labels.copy())
        self._resident: Tensor | None = None
        self._ahead: tuple[_Key, Future[Tensor]] | None = None
        self._thread: ThreadPoolExecutor | None = None
        if dataset.values.nbytes <= resident_bytes:
            self._resident = _owned(dataset.values).to(self.device)
        self._edges: np.ndarray | None = None
        self._members = _members(dataset, batch_size) if by_class else [np.arange(len(dataset))]
        if weights is not None:
            self.reweigh(weights)

    def reweigh(self, weights: np.ndarray) -> None:
        """From now on draw each row as often as its weight `(N,)` says.

        Raises:
            UserError: as `sampling_edges`, or every batch shows as many of each class.
        """
        if len(self._members) > 1:
            raise UserError(
                "Each domain is shown as often as the other, which weights would change; "
                "leave the weights out."
            )
        self._edges, self._ahead = sampling_edges(weights, self._dataset), None

    def sweep(self) -> Iterator[Batch]:
        """Every row once, in order, unmirrored."""
        for rows in torch.arange(len(self._dataset)).split(_SWEEP_ROWS):
            yield self._dataset.batch(rows, str(self.device))

    def starts_epoch(self, step: int) -> bool:
        """Whether batch `step` is the first that begins in its pass over the data."""
        return step == 0 or int(self.epoch_at(step)) > int(self.epoch_at(step - 1))

    def batch_at(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """Batch `step`, or the contiguous share of process `rank` of `world` in it.

        Raises:
            UserError: the batch does not divide among the processes.
        """
        index = self.rows_at(step, rank, world)
        rows = self._rows(index, (step, rank, world))
        if self._flip:
            chosen = self._share(self._flips(step), rank, world).nonzero().flatten()
            _mirror(rows, chosen.to(self.device))
        labels = self._labels
        if labels is not None:
            labels = labels.index_select(0, index).to(self.device)
        return Batch(rows, labels, index.to(self.device))

    def rows_at(self, step: int, rank: int = 0, world: int = 1) -> Tensor:
        """The rows of that batch, int64 on the CPU."""
        if self._edges is not None:
            return self._share(self._drawn(step, self._edges), rank, world)
        kinds = len(self._members)
        places = [self._places(k, step, self.batch_size // kinds) for k in range(kinds)]
        if kinds == 1:
            return self._share(places[0], rank, world)
        if self.batch_size % (kinds * world):
            raise UserError(
                f"A batch of {self.batch_size} cannot show as many of {kinds} domains on each of "
                f"{world} processes; use a multiple of {kinds * world}."
            )
        return self._share(torch.stack(places, 1).flatten(), rank, world)

    def epoch_at(self, step: int) -> float:
        """Passes over the data completed before batch `step`."""
        return step * self.batch_size / len(self._dataset)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._thread = self._ahead = None

    def _share(self, whole: Tensor, rank: int, world: int) -> Tensor:
        if len(whole) % world:
            raise UserError(
                f"A batch of {len(whole)} does not divide among {world} processes; "
                f"use a multiple of {world}."
            )
        part = len(whole) // world
        return whole[rank * part : (rank + 1) * part]

    def _places(self, kind: int, step: int, count: int) -> Tensor:
        """The rows of one class in batch `step`, `(count,)`: where its permutations have come."""
        n, places = len(self._members[kind]), []
        start, stop = step * count, (step + 1) * count
        if start // n == (stop - 1) // n:  # within one epoch: a slice
            order, first = self._order(kind, start // n), start // n * n
            return order[start - first : stop - first]
        for epoch in range(start // n, (stop - 1) // n + 1):
            order = self._order(kind, epoch)
            places.append(order[max(0, start - epoch * n) : stop - epoch * n])
        return torch.cat(places)

    def _order(self, kind: int, epoch: int) -> Tensor:
        if (kind, epoch) not in self._orders:
            # a batch touches neighbouring epochs, and the one read ahead perhaps the next
            for old in [e for e in self._orders if e[0] == kind and abs(e[1] - epoch) > 1]:
                del self._orders[old]
            members = self._members[kind]
            alone = len(self._members) == 1
            random = np.random.default_rng(
                [self._seed, epoch, *([] if alone else [_CLASS_STREAM, kind])]
            )
            self._orders[kind, epoch] = torch.from_numpy(random.permutation(members))
        return self._orders[kind, epoch]

    def _drawn(self, step: int, edges: np.ndarray) -> Tensor:
        """Rows by systematic sampling: each comes as often as expected, give or take one."""
        random = np.random.default_rng([self._seed, step, _DRAW_STREAM])
        at = (np.arange(self.batch_size) + random.random(self.batch_size)) / self.batch_size
        rows = np.searchsorted(edges, at, side="right").clip(max=len(edges) - 1)
        return torch.from_numpy(random.permutation(rows))

    def _flips(self, step: int) -> Tensor:
        random = np.random.default_rng([self._seed, step, _FLIP_STREAM])
        return torch.from_numpy(random.random(self.batch_size) < 0.5)

    def _rows(self, index: Tensor, key: _Key) -> Tensor:
        if self._resident is not None:
            return self._resident.index_select(0, index.to(self.device))
        ready = self._ahead[1].result() if self._ahead and self._ahead[0] == key else None
        rows = self._read(index) if ready is None else ready
        step, rank, world = key
        self._read_ahead((step + 1, rank, world))
        return rows.to(self.device, non_blocking=True)

    def _read_ahead(self, key: _Key) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="latentia-read-ahead")
        self._ahead = (key, self._thread.submit(self._read, self.rows_at(*key)))

    def _read(self, index: Tensor) -> Tensor:
        unique, places = np.unique(index.numpy(), return_inverse=True)
        rows = torch.from_numpy(self._dataset.values[unique][places])
        return rows.pin_memory() if self.device.type == "cuda" else rows


def _members(dataset: Dataset, batch_size: int) -> list[np.ndarray]:
    """The rows of each class."""
    kinds = len(dataset.spec.classes)
    if dataset.labels is None or kinds < 2:
        raise UserError(f"{dataset.spec.name} has no classes to show as many of each.")
    if batch_size % kinds:
        raise UserError(
            f"batch_size={batch_size} cannot hold as many of each of {kinds} domains; "
            f"use a multiple of {kinds}."
        )
    members = [np.flatnonzero(dataset.labels == k) for k in range(kinds)]
    empty = [name for name, m in zip(dataset.spec.classes, members, strict=True) if not len(m)]
    if empty:
        raise UserError(f"{dataset.spec.name} has no examples of {empty[0]!r} to train on.")
    return members


def sampling_edges(weights: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Cumulated sampling probabilities of the rows, float64 `(N,)`.

    Raises:
        UserError: another number of weights, a negative or non-finite one, or none above 0.
    """
    weights = np.asarray(weights, np.float64)
    if weights.shape != (len(dataset),):
        raise UserError(
            f"{dataset.spec.name} has {len(dataset)} rows to draw, but there are sampling "
            f"weights of shape {weights.shape}; give one for each row."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise UserError("Sampling weights must be finite, 0 or more, and not all 0.")
    edges = np.cumsum(weights)
    return edges / edges[-1]


def _owned(values: np.ndarray) -> Tensor:
    """The array as a tensor, in memory of its own where it is a read-only map."""
    return torch.from_numpy(values if values.flags.writeable else np.array(values))


def _mirror(rows: Tensor, chosen: Tensor) -> None:
    """Turn the chosen images left to right in place; cheap while they are still uint8."""
    rows.index_copy_(0, chosen, rows.index_select(0, chosen).flip(3))
