"""One encoded picture, however odd, to upright uint8 pixels of a wanted shape."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal
from zipfile import BadZipFile

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from latentia.data.spec import DataOptions
from latentia.errors import UserError

SUFFIXES = frozenset(
    f".{kind}"
    for kind in re.findall(
        r"\w+",
        "jpg jpeg jpe jfif png apng gif bmp dib webp avif tif tiff ppm pgm pbm pnm tga ico "
        "jp2 j2k pcx sgi heic heif",
    )
)
DEFAULT_SIDE = 64
MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 1 << 28
_ORIENTATION = 0x0112
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")

Fault = Literal[
    "empty", "not an image", "not a recording", "truncated", "damaged", "too large", "no pair"
]


class Unreadable(Exception):
    """A file that gives no picture; `fault` says what kind of trouble it is."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else fault)
        self.fault: Fault = fault


@dataclass(frozen=True)
class Header:
    """What the first bytes of a picture tell.

    Attributes:
        size: width and height in pixels, upright.
        mode: Pillow's name of the pixel type.
        grey: no colours but greys (before a background is laid under).
        alpha: transparent, or may be.
        deep: more than 8 bits per channel.
        turned: EXIF asks to rotate or mirror.
    """

    size: tuple[int, int]
    mode: str
    grey: bool
    alpha: bool
    deep: bool
    turned: bool


@dataclass(frozen=True)
class Target:
    """The pixels that are wanted: `height` by `width`, 1 or 3 channels, over a background."""

    height: int
    width: int
    channels: int
    background: tuple[int, int, int]


def parse_colour(name: str) -> tuple[int, int, int]:
    """A colour name or #rrggbb as RGB levels.

    Raises:
        UserError: no such colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        raise UserError(
            f"background={name!r} is no colour; use a name such as 'white', or '#rrggbb'."
        ) from None
    return red, green, blue


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Hold back Pillow's warnings about odd files, which we count ourselves.

    Enter it around the threads, not in them: Python's warning filters are not per thread.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(stream: BinaryIO) -> Header:
    """What a picture is, without decoding it.

    Raises:
        Unreadable: empty, no image, damaged, or over `MAX_PIXELS`.
    """
    with as_unreadable():
        image = open_lazily(stream)
        # the base class: the override for PNG decodes everything to find EXIF behind the pixels
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        orientation = int(exif.get(_ORIENTATION, 1) or 1)
        width, height = image.size
        return Header(
            size=(height, width) if orientation in (5, 6, 7, 8) else (width, height),
            mode=image.mode,
            grey=image.mode in GREY_MODES or _grey_palette(image),
            alpha=image.mode in ALPHA_MODES or image.has_transparency_data,
            deep=image.mode in DEEP_MODES or stored_deep(image),
            turned=orientation in range(2, 9),
        )


def decode(stream: BinaryIO, target: Target) -> np.ndarray:
    """Upright pixels, uint8 `(C, H, W)`.

    The shorter side is resized with antialiasing (Lanczos), the longer one cropped about its
    centre; a picture that already has the size keeps its pixels.

    Raises:
        Unreadable: as `read_header`, or the pixels are cut short.
    """
    with as_unreadable():
        # a JPEG decodes at half, quarter or eighth size for free; twice the target stays sharp
        return fit(
            _upright(stream, target.background, 2 * max(target.height, target.width)), target
        )


def decode_halves(stream: BinaryIO, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """The left and the right half of a picture as pictures of their own, uint8 `(C, H, W)` each.

    They are cut apart before anything is resized, so that nothing bleeds from one into the other.

    Raises:
        Unreadable: as `decode`.
    """
    with as_unreadable():
        whole = _upright(stream, target.background, 4 * max(target.height, target.width))
        half = whole.width // 2
        left = whole.crop((0, 0, half, whole.height))
        right = whole.crop((whole.width - half, 0, whole.width, whole.height))
        return fit(left, target), fit(right, target)


def fit(image: Image.Image, target: Target) -> np.ndarray:
    """A grey or RGB image brought to the target, uint8 `(C, H, W)`."""
    if image.size != (target.width, target.height):
        image = ImageOps.fit(image, (target.width, target.height), Image.Resampling.LANCZOS)
    pixels = np.asarray(image.convert("L" if target.channels == 1 else "RGB"))
    return pixels[None] if target.channels == 1 else pixels.transpose(2, 0, 1)


def choose_target(headers: Sequence[Header], options: DataOptions) -> Target:
    """The common shape of all pictures: by the options, else by what they have in common."""
    background = parse_colour(options.background)
    sizes = {header.size for header in headers}
    if options.size is not None:
        width = height = options.size
    elif len(sizes) == 1:
        width, height = next(iter(sizes))
    else:
        width = height = DEFAULT_SIDE
    plain = len(set(background)) == 1
    grey = all(h.grey and (plain or not h.alpha) for h in headers)
    return Target(height, width, options.channels or (1 if grey else 3), background)


def _upright(stream: BinaryIO, background: tuple[int, int, int], reach: int) -> Image.Image:
    """The whole picture, grey or RGB; of a large JPEG one that is at least `reach` wide or high."""
    image = open_lazily(stream)
    image.draft(None, (reach, reach))  # type: ignore[arg-type]
    return _flat(ImageOps.exif_transpose(image), background)


def open_lazily(stream: BinaryIO, most: int = MAX_PIXELS) -> Image.Image:
    """The picture with nothing decoded.

    Args:
        stream: the file.
        most: pixels; a header that claims more is not believed.

    Raises:
        Unreadable: no bytes, or too many pixels; whatever else Pillow raises, see `as_unreadable`.
    """
    if stream.read(1) == b"":
        raise Unreadable("empty", "no bytes")
    stream.seek(0)
    image = Image.open(stream)
    width, height = image.size
    if width * height > most:
        raise Unreadable("too large", f"{width} x {height} pixels, a decompression bomb?")
    return image


@contextmanager
def as_unreadable() -> Iterator[None]:
    """Turn whatever a decoder throws at broken bytes into `Unreadable`."""
    try:
        yield
    except UnidentifiedImageError:
        raise Unreadable("not an image", "no known image format") from None
    except Image.DecompressionBombError as error:
        raise Unreadable("too large", str(error)) from None
    except MemoryError:
        raise Unreadable("too large", "out of memory") from None
    except (
        OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError,
        EOFError, ArithmeticError, AssertionError, NotImplementedError, RuntimeError,
        struct.error, zlib.error, BadZipFile,
    ) as error:  # fmt: skip
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise Unreadable("truncated" if cut else "damaged", str(error)) from None


def _flat(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Grey or RGB, 8 bits, nothing transparent."""
    if image.mode in DEEP_MODES:
        return Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.mode in ALPHA_MODES or image.has_transparency_data:
        # the transparency of "La" and "RGBa" is premultiplied; both convert by way of their own
        whole = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
        above = (image.convert(whole) if whole else image).convert("RGBA")
        below = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(below, above).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _to_8_bits(levels: np.ndarray) -> np.ndarray:
    """Deep greys to 0…255: integers by the range of 16 bits, floats by the least usual range."""
    top = float(np.nan_to_num(levels).max(initial=0))
    usual = (1.0, 255.0, 65535.0) if levels.dtype.kind == "f" else (65535.0,)
    full = next((limit for limit in usual if top <= limit), top)
    scaled = np.nan_to_num(levels.astype(np.float64)) * (255 / full)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _grey_palette(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return False
    palette = np.array(image.getpalette("RGB") or [0, 1, 2]).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def stored_deep(image: Image.Image) -> bool:
    """True for colour files of 16 bits, which Pillow hands out with 8."""
    tiles = getattr(image, "tile", ())
    return any(";16" in str(argument) for tile in tiles for argument in tile[3:])
