"""How two pictures of the same thing become one row: side A's channels, then side B's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np

from latentia.data.images import (
    Header,
    Target,
    Unreadable,
    choose_target,
    decode,
    decode_halves,
    read_header,
)
from latentia.data.sides import make_side
from latentia.data.spec import DataOptions, Made

SIDES = ("A", "B")
_ONE_CHANNEL = ("edges", "grey")
_SLACK = 0.02


@dataclass(frozen=True)
class PairHeader:
    """What the first bytes tell of both sides."""

    a: Header
    b: Header


@dataclass(frozen=True)
class PairTarget:
    """The pixels that are wanted of either side; both of one size."""

    a: Target
    b: Target


@dataclass(frozen=True)
class PairReader:
    """How the files of a pile become pairs.

    Attributes:
        how: both sides in one file, in two files, or side A made from side B.
        names: of the sides.
        any_shape: take every file with both sides in it for such, also one that is not twice as
            wide as high.
        seed: of made sides.
    """

    how: Literal["side-by-side", "folders"] | Made
    names: tuple[str, str] = SIDES
    any_shape: bool = False
    seed: int = 0
    noun: str = "pairs"

    def header(self, stream: BinaryIO, second: BinaryIO | None = None) -> PairHeader:
        """The headers of both sides.

        Raises:
            Unreadable: as `read_header`, or not two pictures side by side.
        """
        first = read_header(stream)
        if self.how == "side-by-side":
            if not self.any_shape and not is_double(first.size):
                width, height = first.size
                raise Unreadable("no pair", f"{width} x {height} pixels, not twice as wide as high")
            half = _half(first)
            return PairHeader(half, half)
        other = first if second is None else read_header(second)
        if not alike(first.size, other.size):
            (w, h), (w2, h2) = first.size, other.size
            raise Unreadable("no pair", f"one side is {w} x {h} pixels, the other {w2} x {h2}")
        return PairHeader(first, other)

    def target(self, headers: Sequence[PairHeader], options: DataOptions) -> PairTarget:
        a = choose_target([h.a for h in headers], options)
        b = choose_target([h.b for h in headers], options)
        if self.how in _ONE_CHANNEL:
            a = Target(b.height, b.width, 1, b.background)
        largest = max((a, b), key=lambda side: side.height * side.width)
        size = largest.height, largest.width
        return PairTarget(
            Target(*size, a.channels, a.background), Target(*size, b.channels, b.background)
        )

    def shape(self, target: PairTarget) -> tuple[int, int, int]:
        return target.a.channels + target.b.channels, target.b.height, target.b.width

    def pixels(self, stream: BinaryIO, *rest: Any) -> np.ndarray:
        """The row of a pair; `rest` is the second stream, where there is one, and the target."""
        *second, target = rest
        if self.how == "side-by-side":
            a, b = decode_halves(stream, target.b)
        elif self.how == "folders":
            a, b = decode(stream, target.a), decode(second[0], target.b)
        else:
            b = decode(stream, target.b)
            a = make_side(b, self.how, self.seed)
        return np.concatenate([a, b])

    def facts(self, target: PairTarget) -> dict[str, Any]:
        """What `DataSpec.pair` says."""
        made = None if self.how in ("side-by-side", "folders") else self.how
        channels = [target.a.channels, target.b.channels]
        return {"pair": {"names": list(self.names), "channels": channels, "made": made}}

    def describe(self, target: PairTarget) -> str:
        return f"two pictures of {target.b.width} x {target.b.height} pixels"


def is_double(size: tuple[int, int]) -> bool:
    """Whether a picture of this width and height is twice as wide as high."""
    width, height = size
    return abs(width - 2 * height) <= _SLACK * width


def alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two pictures of these widths and heights have the same proportions, nearly."""
    first, second = one[0] * other[1], other[0] * one[1]
    return abs(first - second) <= 2 * _SLACK * max(first, second)


def _half(whole: Header) -> Header:
    width, height = whole.size
    return Header(
        size=(max(1, width // 2), height),
        mode=whole.mode,
        grey=whole.grey,
        alpha=whole.alpha,
        deep=whole.deep,
        turned=whole.turned,
    )
