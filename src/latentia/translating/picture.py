"""One picture, translated and written piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentia.data.images import Unreadable
from latentia.data.picture_files import Head, Original, output_head
from latentia.data.picture_writing import write_picture
from latentia.data.sides import make_side
from latentia.data.spool import Spool
from latentia.files import write_aside
from latentia.translating.job import Job
from latentia.translating.scale import Plan, bands_of, planned, resampled
from latentia.translating.tiling import translated_bands

Told = Callable[[float], None]

_MOST_MADE = 16_000_000  # pixels: what a side is made from is looked at as a whole
Rows = Callable[[int, int, int, int], np.ndarray]
"""Rows top to bottom, columns left to right, float32 `(C, h, w)` in [-1, 1]."""


def _silent(share: float) -> None:
    """Hears nothing."""


@dataclass(frozen=True)
class Translation:
    """What became of a picture.

    Attributes:
        plan: its sizes.
        notes: what could not be kept.
        cycle_error: mean absolute difference to the round trip, in levels of 0 to 255; None
            without one.
    """

    plan: Plan
    notes: tuple[str, ...]
    cycle_error: float | None


def translate_original(
    original: Original,
    job: Job,
    out: Path,
    *,
    returned: Path | None = None,
    back: Job | None = None,
    told: Told = _silent,
) -> Translation:
    """Translate a picture and write it, and what comes back from there.

    Args:
        original: the picture.
        job: how.
        out: the file to write.
        returned: the file for the round trip, with `back`; None makes none.
        back: the way back.
        told: hears the share that is done.

    Raises:
        Unreadable: the picture cannot be translated.
    """
    plan = planned(original.head.size, job.trained, job.scale, side=job.size, local=job.local)
    there = marked(output_head(original.head, plan.out, job.channels[1]), job.to)
    notes = [*original.notes]
    if original.head.alpha and not there.alpha:
        notes.append(f"{there.format} cannot hold its transparency")
    out.parent.mkdir(parents=True, exist_ok=True)
    way = _Way(original, job, plan, _source(original, job, plan), there, told)
    if returned is None or back is None:
        way.write(out)
        return Translation(plan, tuple(notes), None)
    kept = Spool(out.parent, job.channels[1], plan.work[0], there.dtype)
    replace(way, kept=kept, told=lambda share: told(share / 2)).write(out)
    home = marked(output_head(original.head, plan.out, back.channels[1]), back.to)
    found = _Difference(way.x)
    second = partial(_second_half, told)
    _Way(original, back, plan, _of_spool(kept), home, second, found=found).write(returned)
    return Translation(plan, tuple(notes), found.mean)


def marked(head: Head, to: str) -> Head:
    """The head of a picture that says of itself that it is synthetic."""
    from latentia import __version__

    note = f"Synthetic picture: translated to {to} by a computer (latentia {__version__})."
    return replace(head, note=note)


def _second_half(told: Told, share: float) -> None:
    told(0.5 + share / 2)


def translated_levels(original: Original, job: Job) -> np.ndarray:
    """A picture's translation, uint8 or uint16 `(channels + alpha, H, W)`, in memory.

    Raises:
        Unreadable: the picture cannot be translated.
    """
    plan = planned(original.head.size, job.trained, job.scale, side=job.size, local=job.local)
    head = output_head(original.head, plan.out, job.channels[1])
    way = _Way(original, job, plan, _source(original, job, plan), head)
    return np.concatenate([*way.levels()], 1)


class _Difference:
    """The mean absolute difference between bands and what they should be, in 255 levels."""

    def __init__(self, wanted: Rows) -> None:
        self._wanted, self._sum, self._count = wanted, 0.0, 0

    def add(self, top: int, band: np.ndarray) -> None:
        x = self._wanted(top, top + band.shape[1], 0, band.shape[2])
        self._sum += float(np.abs(x - band).sum(dtype=np.float64))
        self._count += band.size

    @property
    def mean(self) -> float:
        return self._sum / max(self._count, 1) * 127.5


def _source(original: Original, job: Job, plan: Plan) -> Rows:
    """The picture as the model is to see it."""
    size = original.head.size
    if job.made is not None:
        return _made(original, job, plan)
    if plan.work == size:
        return lambda *box: original.over(job.background, job.channels[0], box)
    small = _resized(original, job.background, job.channels[0], plan)
    return lambda top, bottom, left, right: to_unit(small[:, top:bottom, left:right])


def _resized(
    original: Original, background: tuple[int, int, int], channels: int, plan: Plan
) -> np.ndarray:
    """The whole picture at the size it is translated at, levels `(C, h, w)`."""
    size = original.head.size
    wide, tall = plan.work
    whole = np.empty((channels, tall, wide), original.head.dtype)

    def rows(top: int, bottom: int) -> np.ndarray:
        return original.over(background, channels, (top, bottom, 0, size[0]))

    step = max(1, (1 << 21) * tall // (size[0] * size[1]))  # rows that read two million pixels
    for top in range(0, tall, step):
        bottom = min(top + step, tall)
        band = resampled(rows, size, plan.work, top, bottom)
        whole[:, top:bottom] = to_levels(band, whole.dtype.type)
    return whole


def _made(original: Original, job: Job, plan: Plan) -> Rows:
    """The side that the model starts from, made from the picture."""
    if plan.work[0] * plan.work[1] > _MOST_MADE:
        raise Unreadable(
            "too large", f"to make {job.made} of it at its own size; use --scale fit or --size"
        )
    channels = original.head.channels
    if plan.work == original.head.size:
        box = (0, plan.work[1], 0, plan.work[0])
        levels = to_levels(original.over(job.background, channels, box), np.uint8)
    else:
        levels = _resized(original, job.background, channels, plan)
    if levels.dtype == np.uint16:
        levels = (levels >> 8).astype(np.uint8)
    if job.channels[0] == 3 and channels == 1:
        levels = np.repeat(levels, 3, axis=0)
    side = make_side(levels, str(job.made), job.seed)
    return lambda top, bottom, left, right: to_unit(side[:, top:bottom, left:right])


def _of_spool(kept: Spool) -> Rows:
    return lambda *box: to_unit(kept.read(*box))


@dataclass(frozen=True)
class _Way:
    """One way through a model: what it sees, and what is made of its answers.

    Attributes:
        original: the picture, with its opacity and its finer detail.
        job: how it is translated.
        plan: its sizes.
        x: what the model sees.
        head: of what is written.
        told: hears the share that is done.
        kept: keeps the answers at the size of the work, for a way back.
        found: compares them with what they should be.
    """

    original: Original
    job: Job
    plan: Plan
    x: Rows
    head: Head
    told: Told = _silent
    kept: Spool | None = None
    found: _Difference | None = None

    def write(self, out: Path) -> None:
        write_aside(out, lambda aside: write_picture(aside, self.head, self.levels()))

    def levels(self) -> Iterator[np.ndarray]:
        """The translation in the size and with the opacity of the original, in bands."""
        bands = self._noted()
        if self.plan.work != self.plan.out:
            bands = self._brought_back(bands)
        levels = (to_levels(band, self.head.dtype) for band in bands)
        return _with_alpha(levels, self.original, self.head)

    def _noted(self) -> Iterator[np.ndarray]:
        for top, band in self._translated():
            if self.kept is not None:
                self.kept.write(to_levels(band, self.head.dtype))
            if self.found is not None:
                self.found.add(top, band)
            yield band

    def _translated(self) -> Iterator[tuple[int, np.ndarray]]:
        def read(*box: int) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(self.x(*box)))[None]  # type: ignore[call-arg]

        job, (wide, tall) = self.job, self.plan.work
        bands = translated_bands(
            job.model,
            read,
            tall,
            wide,
            job.to,
            channels=job.channels[0],
            side=job.side,
            least=job.least,
            precision=job.precision if self.head.depth == 8 else torch.float32,
            told=self.told,
        )
        for top, band in bands:
            yield top, band[0].numpy()

    def _brought_back(self, bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The translation in the size of the original; finer detail is the original's own."""
        y = np.concatenate(list(bands), 1)
        job, work, out = self.job, self.plan.work, self.plan.out
        finer = job.detail and work[0] < out[0]
        change = y - self.x(0, work[1], 0, work[0]) if finer else y
        for top, bottom in bands_of(out[1], out[0]):
            band = resampled(lambda a, b: change[:, a:b], work, out, top, bottom)
            if finer:
                box = (top, bottom, 0, out[0])
                band = band + self.original.over(job.background, job.channels[0], box)
            yield band


def _with_alpha(
    bands: Iterator[np.ndarray], original: Original, head: Head
) -> Iterator[np.ndarray]:
    """Bands with the opacity of the original below their colours."""
    top, size = 0, original.head.size

    def rows(first: int, last: int) -> np.ndarray:
        return original.alpha(first, last).astype(np.float32)

    for band in bands:
        if not head.alpha:
            yield band
            continue
        bottom = top + band.shape[1]
        if head.size == size:
            opaque = rows(top, bottom)
        else:
            opaque = resampled(rows, size, head.size, top, bottom)
        full = np.iinfo(original.head.dtype).max
        yield np.concatenate([band, to_levels(opaque / full * 2 - 1, head.dtype)])
        top = bottom


def to_unit(levels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 to float32 in [-1, 1]."""
    x = levels.astype(np.float32)
    x *= np.float32(2 / np.iinfo(levels.dtype).max)
    x -= 1
    return x


def to_levels(x: np.ndarray, dtype: type) -> np.ndarray:
    """Floats in [-1, 1] to the nearest level."""
    full = np.iinfo(dtype).max
    scaled = x.astype(np.float32)
    scaled += 1
    scaled *= np.float32(full / 2)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, full, out=scaled).astype(dtype)
