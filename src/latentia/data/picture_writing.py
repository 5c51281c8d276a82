"""Pictures written from top to bottom, in the format and depth of their originals."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentia.data.picture_files import Head

_QUALITY = 95
_TIFF_KEPT = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
_STRIP = 64  # rows of a TIFF that are compressed together
_ASCII, _SHORT, _LONG, _RATIONAL, _BYTES = 2, 3, 4, 5, 7
_DESCRIPTION = 270  # the tag ImageDescription, of TIFF and of EXIF
_TGA_WORDS = 255  # bytes
_PLAIN = {(1, False): "L", (3, False): "RGB", (1, True): "LA", (3, True): "RGBA"}


def write_picture(path: Path, head: Head, bands: Iterable[np.ndarray]) -> None:
    """Write a picture from bands of full width.

    Args:
        path: the file; write to one aside and rename it (`files.write_aside`).
        head: what it is; its note is left out where the format has no place for one (BMP, PPM).
        bands: of `head.dtype`, `(channels + alpha, h, width)`, from top to bottom.
    """
    if head.depth == 16 and (head.channels > 1 or head.alpha):
        write: Callable[[BinaryIO, Head, Iterable[np.ndarray]], None]
        write = _deep_png if head.format == "PNG" else _deep_tiff
        with path.open("wb") as file:
            write(file, head, bands)
        return
    image = _deep_grey(head, bands) if head.depth == 16 else _canvas(head, bands)
    image.save(path, format=head.format, **_manner(head))


def _canvas(head: Head, bands: Iterable[np.ndarray]) -> Image.Image:
    image = Image.new(_PLAIN[head.channels, head.alpha], head.size)
    for top, band in _placed(bands):
        pixels = np.ascontiguousarray(band.transpose(1, 2, 0))
        image.paste(Image.fromarray(pixels[:, :, 0] if len(band) == 1 else pixels), (0, top))
    return image


def _deep_grey(head: Head, bands: Iterable[np.ndarray]) -> Image.Image:
    pixels = np.zeros(head.size[::-1], np.uint16)
    for top, band in _placed(bands):
        pixels[top : top + band.shape[1]] = band[0]
    return Image.fromarray(pixels)


def _placed(bands: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    top = 0
    for band in bands:
        yield top, band
        top += band.shape[1]


def _manner(head: Head) -> dict[str, Any]:
    """What Pillow is to be told beside the pixels."""
    told: dict[str, Any] = {"icc_profile": head.icc} if head.icc else {}
    if head.exif:
        told["exif"] = head.exif
    if head.dpi:
        told["dpi"] = head.dpi
    if head.format in ("JPEG", "WEBP", "AVIF"):
        told["quality"] = _QUALITY
    if head.note:
        told |= _said(head, head.note)
    if head.format == "JPEG":
        told["subsampling"] = 0
    if head.format == "TIFF":
        kept = head.compression in _TIFF_KEPT
        told["compression"] = head.compression if kept else "tiff_adobe_deflate"
    return told


def _said(head: Head, note: str) -> dict[str, Any]:
    """The note where the format has a place for it."""
    if head.format == "PNG":
        words = PngInfo()
        words.add_text("Description", note)
        return {"pnginfo": words}
    if head.format in ("JPEG", "WEBP", "AVIF"):
        exif = _described(head.exif, note)
        return {"exif": exif} if exif else {}
    places = {"TIFF": "description", "JPEG2000": "comment"}
    if head.format == "TGA":
        return {"id_section": note.encode("ascii", "replace")[:_TGA_WORDS]}
    return {places[head.format]: note} if head.format in places else {}


def _described(exif: bytes | None, note: str) -> bytes | None:
    """What the camera said, with the note after its description."""
    found = Image.Exif()
    try:
        found.load(exif or b"")
        before = str(found.get(_DESCRIPTION, "")).strip("\0 ")
        if note not in before:
            found[_DESCRIPTION] = f"{before} {note}".strip()
        return found.tobytes()
    except Exception:  # cameras write odd things, which are kept as they are
        return exif


def _deep_png(file: BinaryIO, head: Head, bands: Iterable[np.ndarray]) -> None:
    """16 bits a colour, which Pillow cannot write (PNG specification, third edition)."""
    file.write(b"\x89PNG\r\n\x1a\n")
    kind = (0, 4) if head.channels == 1 else (2, 6)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", *head.size, 16, kind[head.alpha], 0, 0, 0))
    if head.icc:
        _chunk(file, b"iCCP", b"profile\0\0" + zlib.compress(head.icc))
    if head.dpi:
        across, down = (round(d / 0.0254) for d in head.dpi)
        _chunk(file, b"pHYs", struct.pack(">IIB", across, down, 1))
    if head.exif:
        _chunk(file, b"eXIf", head.exif.removeprefix(b"Exif\0\0"))
    if head.note:
        _chunk(file, b"iTXt", b"Description\0\0\0\0\0" + head.note.encode())
    packer, above = zlib.compressobj(6), None
    for band in bands:
        rows = band.transpose(1, 2, 0).astype(">u2", order="C").view(np.uint8)
        rows = rows.reshape(band.shape[1], -1)
        if above is None:
            above = np.zeros_like(rows[:1])
        over = np.concatenate([above, rows[:-1]])
        filtered = np.concatenate([np.full((len(rows), 1), 2, np.uint8), rows - over], 1)
        above = rows[-1:].copy()
        _chunk(file, b"IDAT", packer.compress(filtered.tobytes()))
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    check = zlib.crc32(name + content)
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", check))


def _deep_tiff(file: BinaryIO, head: Head, bands: Iterable[np.ndarray]) -> None:
    """16 bits a colour in deflated strips (TIFF revision 6.0; Adobe's technical notes)."""
    file.write(b"II*\0" + bytes(4))
    strips: list[tuple[int, int]] = []
    for rows in _strips(bands):
        packed = zlib.compress(rows.transpose(1, 2, 0).astype("<u2", order="C").tobytes(), 6)
        strips.append((file.tell(), len(packed)))
        file.write(packed)
    samples = head.channels + head.alpha
    across, down = head.dpi or (72.0, 72.0)
    tags: list[tuple[int, int, list[int]]] = [
        (256, _LONG, [head.size[0]]),
        (257, _LONG, [head.size[1]]),
        (258, _SHORT, [16] * samples),
        (259, _SHORT, [8]),
        (262, _SHORT, [1 if head.channels == 1 else 2]),
        (273, _LONG, [place for place, _ in strips]),
        (277, _SHORT, [samples]),
        (278, _LONG, [_STRIP]),
        (279, _LONG, [length for _, length in strips]),
        (282, _RATIONAL, [round(across * 1000), 1000]),
        (283, _RATIONAL, [round(down * 1000), 1000]),
        (296, _SHORT, [2]),
    ]
    if head.alpha:
        tags.append((338, _SHORT, [2]))
    if head.icc:
        tags.append((34675, _BYTES, list(head.icc)))
    if head.note:
        tags.append((_DESCRIPTION, _ASCII, [*head.note.encode("ascii", "replace"), 0]))
        tags.sort()
    _tiff_directory(file, tags)


def _strips(bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Bands cut anew, all but the last `_STRIP` rows high."""
    left: np.ndarray | None = None
    for band in bands:
        left = band if left is None else np.concatenate([left, band], 1)
        while left.shape[1] >= _STRIP:
            yield left[:, :_STRIP]
            left = left[:, _STRIP:]
    if left is not None and left.shape[1]:
        yield left


def _tiff_directory(file: BinaryIO, tags: list[tuple[int, int, list[int]]]) -> None:
    """Values too long for an entry first, then the directory, then its place in the header."""
    forms = {_ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _BYTES: "B"}
    entries = b""
    for tag, kind, values in tags:
        content = struct.pack(f"<{len(values)}{forms[kind]}", *values)
        count = len(values) // 2 if kind == _RATIONAL else len(values)
        if len(content) > 4:
            file.write(bytes(file.tell() % 2))
            place = file.tell()
            file.write(content)
            content = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, count) + content.ljust(4, b"\0")
    file.write(bytes(file.tell() % 2))
    place = file.tell()
    file.write(struct.pack("<H", len(tags)) + entries + bytes(4))
    file.seek(4)
    file.write(struct.pack("<I", place))
