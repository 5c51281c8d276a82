"""A picture file of any size and depth, upright, read in pieces; what is needed to write its like.

Training wants small 8-bit pixels (`data.images`); this is for those who hand a picture back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from latentia.data.images import (
    ALPHA_MODES,
    DEEP_MODES,
    GREY_MODES,
    as_unreadable,
    open_lazily,
    stored_deep,
)
from latentia.data.spool import Spool

MOST_PIXELS = 178_000_000
"""Pictures with more are taken for decompression bombs, as Pillow takes them."""

_KEPT = {  # formats that are written as they were read, by Pillow's name of what is written
    **{name: name for name in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "TGA", "JPEG2000")},
    "AVIF": "AVIF",
    "MPO": "JPEG",
    "DIB": "BMP",
}
_DEEP_FORMATS = ("PNG", "TIFF")
_OPAQUE_FORMATS = ("JPEG", "PPM")
_WITH_EXIF = ("PNG", "JPEG", "WEBP", "AVIF")
_EXIF_IFD, _SIZE_TAGS = 0x8769, (0xA002, 0xA003)
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_LARGE = 8_000_000  # pixels from which on a picture is better kept on disk
_PIECE = 1 << 20  # pixels that are handled at once
_Pixels = Callable[[int, int, int, int], np.ndarray]
_LUMA = np.array([299, 587, 114])


@dataclass(frozen=True)
class Head:
    """What a picture file is, but for its pixels.

    Attributes:
        size: width and height in pixels, upright.
        channels: 1 or 3, without alpha.
        depth: bits of each, 8 or 16.
        alpha: with transparency.
        format: Pillow's name of the format to write.
        icc: colour profile.
        exif: what the camera said, without orientation and thumbnail.
        dpi: dots per inch.
        compression: of a TIFF.
        note: what the file is to say of itself.
    """

    size: tuple[int, int]
    channels: int
    depth: int
    alpha: bool
    format: str
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    compression: str | None = None
    note: str | None = None

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint16 if self.depth == 16 else np.uint8


@dataclass(frozen=True)
class Original:
    """A decoded picture, upright.

    Attributes:
        head: what it is, and what its translation can be written as.
        notes: what cannot be kept, in words.
        suffix: what must be appended to the name, where the format cannot be written.
    """

    head: Head
    notes: tuple[str, ...]
    suffix: str
    _pixels: _Pixels = field(repr=False)

    def rows(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> np.ndarray:
        """Colours as they are stored, uint8 or uint16 `(1 or 3, h, w)`, without alpha."""
        return self._part(top, bottom, left, right)[: self.head.channels]

    def alpha(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> np.ndarray:
        """Opacity, uint8 or uint16 `(1, h, w)`; all opaque where the picture has none."""
        if self.head.alpha:
            return self._part(top, bottom, left, right)[-1:]
        right = self.head.size[0] if right is None else right
        full = np.iinfo(self.head.dtype).max
        return np.full((1, bottom - top, right - left), full, self.head.dtype)

    def over(
        self,
        background: tuple[int, int, int],
        channels: int,
        box: tuple[int, int, int, int],
    ) -> np.ndarray:
        """Rows top to bottom, columns left to right over a background, float32 in [-1, 1].

        Args:
            background: RGB levels laid under what is transparent.
            channels: 1 or 3, as the picture is wanted.
            box: top, bottom, left, right.

        Returns:
            `(channels, h, w)`.
        """
        full = float(np.iinfo(self.head.dtype).max)
        x = as_channels(self.rows(*box).astype(np.float32) / full, channels)
        if self.head.alpha:
            below = as_channels(np.array(background, np.float32)[:, None, None] / 255, channels)
            opaque = self.alpha(*box).astype(np.float32) / full
            x = x * opaque + below * (1 - opaque)
        return x * 2 - 1

    def half(self, left: bool) -> Original:
        """The left or the right half, of two pictures side by side."""
        (wide, tall), cut, whole = self.head.size, self.head.size[0] // 2, self._pixels
        start = 0 if left else wide - cut
        return replace(
            self,
            head=replace(self.head, size=(cut, tall)),
            _pixels=lambda top, bottom, a, b: whole(top, bottom, a + start, b + start),
        )

    def spooled(self, folder: Path) -> Original:
        """The same with its pixels in a file, if it is large; what memory they took is freed."""
        (wide, tall), pixels = self.head.size, self._pixels
        if wide * tall < _LARGE:
            return self
        spool = Spool(folder, self.head.channels + self.head.alpha, wide, self.head.dtype)
        step = max(1, _PIECE // wide)
        for top in range(0, tall, step):
            spool.write(pixels(top, min(top + step, tall), 0, wide))
        return replace(self, _pixels=spool.read)

    def _part(self, top: int, bottom: int, left: int, right: int | None) -> np.ndarray:
        return self._pixels(top, bottom, left, self.head.size[0] if right is None else right)


def _pixels_of(high: Image.Image, low: Image.Image | None, depth: int) -> _Pixels:
    """The pixels of an image in memory; `low` has the lower bytes of its colours, if any."""

    def pixels(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        box = (left, top, right, bottom)
        found = np.asarray(high.crop(box))
        found = found[:, :, None] if found.ndim == 2 else found
        found = found.transpose(2, 0, 1).astype(np.uint16 if depth == 16 else np.uint8, copy=False)
        if low is None:
            return found
        return found * np.uint16(256) + np.asarray(low.crop(box)).transpose(2, 0, 1)

    return pixels


def as_channels(x: np.ndarray, channels: int) -> np.ndarray:
    """Float `(1 or 3, …)` as grey (luma of ITU-R BT.601, as Pillow takes it) or colour."""
    if len(x) == channels:
        return x
    if channels == 1:
        return np.tensordot(_LUMA.astype(np.float32) / 1000, x, 1)[None]
    return np.repeat(x, channels, axis=0)


def open_original(stream: BinaryIO) -> Original:
    """Decode a picture; what it holds is read in pieces afterwards.

    Takes four bytes a pixel, eight where it has 16 bits a colour.

    Raises:
        Unreadable: empty, no image, damaged, cut short, or over `MOST_PIXELS`.
    """
    notes: list[str] = []
    with as_unreadable():
        image = open_lazily(stream, MOST_PIXELS)
        kind, stored, deep = image.format or "", image.mode, stored_deep(image)
        if kind != "MPO" and getattr(image, "is_animated", False):
            notes.append("only its first picture is translated")
        dpi, compression = image.info.get("dpi"), image.info.get("compression")
        image.load()
        low = _low_bytes(stream) if deep and stored in ("RGB", "RGBA") else None
        ImageOps.exif_transpose(image, in_place=True)
        exif = _exif(image) if kind != "TIFF" else None
        icc = image.info.get("icc_profile")
        if low is not None and image.mode in ("RGB", "RGBA") and "transparency" in image.info:
            low = None  # one colour is transparent: Pillow makes that out in 8 bits
        whole = _plain(image)
    if deep and low is None and whole.mode != "I;16":
        notes.append("its 16 bits a colour become 8")
    if stored in ("I", "F"):
        notes.append("its 32 bits become 16")
    if stored == "CMYK":
        notes.append("its printing colours (CMYK) become RGB")
        icc = None
    if kind not in _KEPT:
        notes.append(f"{kind or 'its format'} cannot hold the result, which is written as PNG")
    depth = 16 if low is not None or whole.mode == "I;16" else 8
    form = _KEPT.get(kind, "PNG")
    if depth == 16 and form not in _DEEP_FORMATS:
        notes.append(f"{form} is written with 8 bits")
    head = Head(
        size=whole.size,
        channels=1 if whole.mode in GREY_MODES else 3,
        depth=depth,
        alpha=whole.mode in ALPHA_MODES,
        format=form,
        icc=icc if isinstance(icc, bytes) else None,
        exif=exif if form in _WITH_EXIF else None,
        dpi=_sound_dpi(dpi),
        compression=compression if isinstance(compression, str) else None,
    )
    return Original(
        head, tuple(notes), "" if kind in _KEPT else ".png", _pixels_of(whole, low, depth)
    )


def original_of(image: Image.Image) -> Original:
    """A picture that is open already, upright, with 16 bits only where it is grey."""
    upright = ImageOps.exif_transpose(image)
    whole = _plain(upright)
    head = Head(
        size=whole.size,
        channels=1 if whole.mode in GREY_MODES else 3,
        depth=16 if whole.mode == "I;16" else 8,
        alpha=whole.mode in ALPHA_MODES,
        format="PNG",
    )
    return Original(head, (), "", _pixels_of(whole, None, head.depth))


def original_of_array(pixels: np.ndarray) -> Original:
    """A picture from its levels, uint8 or uint16, `(H, W)` or `(H, W, 2 to 4)`."""
    if pixels.dtype != np.uint16 or pixels.ndim == 2:
        return original_of(Image.fromarray(np.ascontiguousarray(pixels)))
    high, low = (np.ascontiguousarray(part.astype(np.uint8)) for part in (pixels >> 8, pixels))
    above = original_of(Image.fromarray(high))
    both = _pixels_of(Image.fromarray(high), Image.fromarray(low), 16)
    return replace(above, head=replace(above.head, depth=16), _pixels=both)


def output_head(head: Head, size: tuple[int, int], channels: int) -> Head:
    """The head of a picture that is to be written in place of another.

    Args:
        head: of the original.
        size: width and height of the result.
        channels: 1 or 3, of the result.
    """
    alpha = head.alpha and head.format not in _OPAQUE_FORMATS
    odd = head.format == "TIFF" and channels == 1 and alpha  # few programs read that in 16 bits
    return Head(
        size=size,
        channels=channels,
        depth=head.depth if head.format in _DEEP_FORMATS and not odd else 8,
        alpha=alpha,
        format=head.format,
        icc=head.icc if channels == head.channels else None,
        exif=head.exif,
        dpi=head.dpi,
        compression=head.compression,
    )


def _plain(image: Image.Image) -> Image.Image:
    """Grey or RGB, each with alpha where there is transparency; 16 bits where it is deep grey."""
    if image.mode in DEEP_MODES:
        return image if image.mode == "I;16" else Image.fromarray(_to_16_bits(np.asarray(image)))
    whole = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(image.mode, image.mode)
    if whole not in ALPHA_MODES and image.has_transparency_data:
        whole = "LA" if image.mode in GREY_MODES else "RGBA"
    elif whole not in ALPHA_MODES:
        whole = "L" if image.mode in GREY_MODES else "RGB"
    return image if image.mode == whole else image.convert(whole)


def _to_16_bits(levels: np.ndarray) -> np.ndarray:
    """Deep greys to 0…65535: integers as they are, else by the least usual range."""
    if levels.dtype.itemsize == 2:
        return levels.astype(np.uint16)
    finite = np.nan_to_num(levels, nan=0.0, posinf=0.0, neginf=0.0)
    top = float(finite.max(initial=0))
    usual = (1.0, 255.0, 65535.0) if levels.dtype.kind == "f" else (65535.0,)
    full = next((limit for limit in usual if top <= limit), top)
    return np.clip(np.rint(finite * (65535 / full)), 0, 65535).astype(np.uint16)


def _low_bytes(stream: BinaryIO) -> Image.Image | None:
    """The lower bytes of 16-bit colours, upright; Pillow itself hands out the upper ones alone.

    Read with its bytes in the other order, a file gives the other byte of each colour.
    """
    stream.seek(0)
    image = open_lazily(stream, MOST_PIXELS)
    try:
        tiles = [_swapped(tile) for tile in getattr(image, "tile", ())]
        image.tile = tiles  # type: ignore[attr-defined]
        image.load()
    except ValueError:
        return None
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _swapped(tile: tuple) -> tuple:
    """A tile whose bytes are taken in the other order; ValueError where it has none."""
    named = isinstance(tile[3], str)
    raw, *rest = [tile[3]] if named else tile[3]
    base, sign, order = str(raw).partition(";16")
    if base not in ("RGB", "RGBA") or not sign or order not in _SWAPPED:
        raise ValueError(f"{raw} has no other byte order")
    mode = f"{base};16{_SWAPPED[order]}"
    return type(tile)(*tile[:3], mode if named else (mode, *rest))  # type: ignore[call-arg]


def _exif(image: Image.Image) -> bytes | None:
    """What the camera said; upright, so without its word on how to turn, and no old thumbnail."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(_EXIF_IFD)
        for tag in _SIZE_TAGS:
            inner.pop(tag, None)
        return exif.tobytes() if len(exif) else None
    except Exception:  # cameras write odd things; none of them is worth the picture
        return None


def _sound_dpi(dpi: object) -> tuple[float, float] | None:
    if isinstance(dpi, tuple) and len(dpi) == 2:
        across, down = float(dpi[0]), float(dpi[1])
        if 1 <= across <= 65535 and 1 <= down <= 65535:
            return across, down
    return None
