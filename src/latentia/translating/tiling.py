"""Pictures of any size through a translating model: in windows, with bounded memory.

Where an output pixel depends on its surroundings alone (`Translates.reach`), windows overlap by
that much and only their middles are kept: the result is that of one pass, up to the rounding of the
arithmetic. Where it depends on the whole picture, windows overlap widely and are blended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentia.abilities import Translates
from latentia.maths.chunks import device_of
from latentia.precision import autocast

Read = Callable[[int, int, int, int], Tensor]
"""The pixels of rows top to bottom, columns left to right, `(B, C, h, w)` in [-1, 1]."""

BUDGET = 240_000_000
"""Bytes that one window may take in the model, roughly."""

_ALIVE = 4  # tensors as large as the largest that are alive at once in a network
_PROBE = 64  # side of the picture the model's need of memory is measured with, at least
_OVERLAP = 3  # blended windows share a third of their side with the next
_UNKNOWN = 512  # the side where a model is no module that could be asked
_SHORTEST, _LONGEST = 256, 1024  # sides that a window has whatever the budget
_PIECE = 1 << 20  # pixels that are handed on at once


@dataclass(frozen=True)
class Window:
    """A stretch of one axis.

    Attributes:
        start, stop: what the model sees.
        first: where what is kept of it begins.
        weights: of what is kept, float32; the windows' weights add up to one everywhere.
    """

    start: int
    stop: int
    first: int
    weights: Tensor

    @property
    def last(self) -> int:
        """Behind what is kept."""
        return self.first + len(self.weights)

    @property
    def kept(self) -> slice:
        """What is kept of what the model returns."""
        return slice(self.first - self.start, self.last - self.start)


def exact_windows(length: int, multiple: int, reach: int, side: int) -> list[Window]:
    """Windows whose middles lie side by side, each with `reach` around it.

    Args:
        length: of the axis, a multiple of `multiple`.
        multiple: where windows may begin and end.
        reach: what an output depends on.
        side: what a window should measure.
    """
    margin = _up(reach, multiple)
    core = _up(max(side - 2 * margin, side // 2, 1), multiple)
    if length <= core + 2 * margin:
        return [Window(0, length, 0, torch.ones(length))]
    core = _up(math.ceil(length / math.ceil(length / core)), multiple)  # of equal size
    return [
        Window(
            max(0, first - margin),
            min(length, first + core + margin),
            first,
            torch.ones(min(core, length - first)),
        )
        for first in range(0, length, core)
    ]


def blended_windows(length: int, multiple: int, side: int) -> list[Window]:
    """Windows that share a third of their side with the next and fade into one another."""
    side = _up(max(side, 4 * multiple), multiple)
    if length <= side:
        return [Window(0, length, 0, torch.ones(length))]
    n = 1 + math.ceil((length - side) / (side - side // _OVERLAP))
    starts = [(length - side) * i // (n - 1) // multiple * multiple for i in range(n)]
    places = torch.arange(side) + 0.5
    fade = torch.minimum(places, side - places)
    total = torch.zeros(length)
    for start in starts:
        total[start : start + side] += fade
    return [Window(s, s + side, s, fade / total[s : s + side]) for s in starts]


def windows_of(model: Translates, length: int, side: int) -> list[Window]:
    """The windows of an axis, by what the model's output depends on."""
    if model.reach is None:
        return blended_windows(length, model.multiple, side)
    return exact_windows(length, model.multiple, model.reach, side)


def translated_bands(
    model: Translates,
    read: Read,
    height: int,
    width: int,
    to: str,
    *,
    channels: int,
    side: int | None = None,
    least: int = 1,
    precision: torch.dtype = torch.float32,
    told: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[int, Tensor]]:
    """A translated picture from top to bottom, in bands of full width.

    Sides that are no multiples of `model.multiple` are continued by reflection, and cut again.

    Args:
        model: what translates.
        read: gives the picture's pixels.
        height, width: of the picture.
        to: the target domain.
        channels: of the picture.
        side: of a window; None takes what fits `BUDGET` bytes.
        least: shorter sides are continued to it by reflection.
        precision: of the arithmetic.
        told: hears the share that is done.

    Yields:
        The first row of a band, and the band `(B, C', h, width)`, float32 in [-1, 1] on the CPU.

    Raises:
        UserError: `to` is none of the model's targets.
    """
    device = device_of(model)
    side = side or window_side(model, channels, to, precision)
    tall, wide = (_up(max(n, least), model.multiple) for n in (height, width))
    rows, columns = windows_of(model, tall, side), windows_of(model, wide, side)
    band: Tensor | None = None  # sums of rows that are not complete yet, from row `top`
    top = 0
    for i, row in enumerate(rows):
        following = rows[i + 1].first if i + 1 < len(rows) else tall
        for j, column in enumerate(columns):
            x = _reflected(read, row, column, height, width).to(device)
            with torch.inference_mode(), autocast(device, precision):
                y = model.translate(x, to)
            y = y[..., row.kept, column.kept].float().cpu()
            y = y.clamp(-1, 1).mul_(row.weights[:, None]).mul_(column.weights)
            if band is None:
                band = y.new_zeros(*y.shape[:2], row.last - top, wide)
            elif band.shape[2] < row.last - top:
                more = y.new_zeros(*y.shape[:2], row.last - top - band.shape[2], wide)
                band = torch.cat([band, more], 2)
            band[:, :, row.first - top :, column.first : column.last] += y
            told((i * len(columns) + j + 1) / (len(rows) * len(columns)))
        assert band is not None
        done, band = band[:, :, : following - top], band[:, :, following - top :].clone()
        yield from _pieces(done[:, :, : max(0, height - top), :width], top)
        del done  # before the next band is made
        top = following


def _pieces(band: Tensor, top: int) -> Iterator[tuple[int, Tensor]]:
    """A band in slices of about `_PIECE` pixels, each with its first row."""
    step = max(1, _PIECE // band.shape[3])
    for first in range(0, band.shape[2], step):
        yield top + first, band[:, :, first : first + step]


def translated(
    model: Translates,
    x: Tensor,
    to: str,
    *,
    side: int | None = None,
    least: int = 1,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Pictures of any size, `(B, C, H, W) -> (B, C', H, W)`, both in [-1, 1], on the CPU.

    Args:
        model: what translates.
        x: the pictures.
        to: the target domain.
        side, least, precision: as for `translated_bands`.

    Raises:
        UserError: `to` is none of the model's targets.
    """

    def read(top: int, bottom: int, left: int, right: int) -> Tensor:
        return x[..., top:bottom, left:right]

    bands = translated_bands(
        model,
        read,
        x.shape[2],
        x.shape[3],
        to,
        channels=x.shape[1],
        side=side,
        least=least,
        precision=precision,
    )
    return torch.cat([band for _, band in bands], 2)


def window_side(
    model: Translates, channels: int, to: str, precision: torch.dtype, budget: int = BUDGET
) -> int:
    """The side of a square that takes `budget` bytes in the model, by its largest layer."""
    largest = 0

    def look(module: nn.Module, given: object, result: object) -> None:
        nonlocal largest
        if isinstance(result, Tensor):
            largest = max(largest, result.numel() * result.element_size())

    if not isinstance(model, nn.Module):
        return _UNKNOWN
    hooks = [module.register_forward_hook(look) for module in model.modules()]
    side, device = _up(_PROBE, model.multiple), device_of(model)
    try:
        with torch.inference_mode(), autocast(device, precision):
            model.translate(torch.zeros(1, channels, side, side, device=device), to)
    finally:
        for hook in hooks:
            hook.remove()
    pixel = _ALIVE * max(largest, 1) / side**2
    return min(max(_SHORTEST, int(math.sqrt(budget / pixel))), _LONGEST)


def reflected(start: int, stop: int, length: int) -> Tensor:
    """Places start … stop of an axis that is continued by reflection beyond its end.

    >>> reflected(1, 7, 4).tolist()
    [1, 2, 3, 2, 1, 0]
    """
    if length == 1:
        return torch.zeros(stop - start, dtype=torch.int64)
    turn = 2 * (length - 1)
    place = torch.arange(start, stop) % turn
    return torch.minimum(place, turn - place)


def _reflected(read: Read, row: Window, column: Window, height: int, width: int) -> Tensor:
    """What the model sees of a window; what lies beyond the picture is its mirror image."""
    down, right = (reflected(w.start, w.stop, n) for w, n in ((row, height), (column, width)))
    top, left = int(down.min()), int(right.min())
    x = read(top, int(down.max()) + 1, left, int(right.max()) + 1)
    if row.stop > height:
        x = x[:, :, down - top]
    return x[..., right - left] if column.stop > width else x


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
