"""At which size a picture is translated, and how it is brought there and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from latentia.errors import UserError, nearest

Scale = Literal["auto", "own", "fit"]
SCALES: tuple[Scale, ...] = ("auto", "own", "fit")

RowsOf = Callable[[int, int], np.ndarray]
"""Rows top to bottom of a picture, float32 `(C, h, W)`."""

_NEAR = 2.0  # pictures up to so many times as large or small as those of training stay as they are
_LOBES = 3  # of the Lanczos filter
_BAND = 256


@dataclass(frozen=True)
class Plan:
    """Sizes of a picture on its way.

    Attributes:
        work: width and height at which it is translated.
        out: width and height that are written.
        enlarged: how many times as large as in training what it shows is, at `work`.
        words: what to say of it.
    """

    work: tuple[int, int]
    out: tuple[int, int]
    enlarged: float
    words: str


def parse_scale(word: str) -> Scale:
    """A scale by name.

    Raises:
        UserError: no such scale.
    """
    for scale in SCALES:
        if word == scale:
            return scale
    raise UserError(f"There is no scale {word!r}: {nearest(word, SCALES)}")


def planned(
    size: tuple[int, int], trained: tuple[int, int], scale: Scale, *, side: int | None, local: bool
) -> Plan:
    """How a picture is translated.

    Args:
        size: width and height of the picture.
        trained: width and height of the pictures that the model was trained on.
        scale: "own" translates all pixels as they are; "fit" translates at the size of training
            and brings the result back; "auto" takes "own" where the picture is at most twice as
            large or small as those of training, and where `local`.
        side: the shorter side to bring the picture to, and to write it with; None for its own.
        local: what the model does is told by the pixels (grey to colour), not by what is shown.
    """
    whole = max(t / s for t, s in zip(trained, size, strict=True))
    if side is not None:
        work = _times(size, side / min(size))
        at = max(t / s for t, s in zip(trained, work, strict=True))
        return Plan(work, work, 1 / at, f"brought to {_said(work)} pixels and translated")
    near = 1 / _NEAR <= whole <= _NEAR
    if scale == "own" or (scale == "auto" and (near or local)):
        return Plan(size, size, 1 / whole, f"translated at its own size, {_said(size)} pixels")
    work = _times(size, whole)
    words = f"translated at {_said(work)} pixels, the size of the training pictures"
    return Plan(work, size, 1.0, f"{words}, and brought back to {_said(size)}")


def resampled(
    rows: RowsOf, size: tuple[int, int], wanted: tuple[int, int], top: int, bottom: int
) -> np.ndarray:
    """Rows top to bottom of a picture in another size (Lanczos), float32 `(C, h, w)`.

    Reads no more of the picture than these rows take.

    Args:
        rows: gives the picture's rows.
        size, wanted: width and height it has, and those it is brought to.
        top, bottom: rows of the wanted picture.
    """
    (width, height), (wide, tall) = size, wanted
    step = height / tall
    reach = math.ceil(_LOBES * max(step, 1)) + 1
    first = max(0, math.floor(top * step) - reach)
    last = min(height, math.ceil(bottom * step) + reach)
    box = (0, top * step - first, width, min(bottom * step - first, last - first))
    how = Image.Resampling.LANCZOS
    return np.stack([
        np.asarray(Image.fromarray(np.ascontiguousarray(c)).resize((wide, bottom - top), how, box))
        for c in rows(first, last)
    ])  # fmt: skip


def bands_of(height: int, width: int) -> list[tuple[int, int]]:
    """First rows and last of bands that a picture is worked through in."""
    step = max(1, min(_BAND, (1 << 20) // max(width, 1)))
    return [(top, min(top + step, height)) for top in range(0, height, step)]


def _times(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _said(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]:,}"
