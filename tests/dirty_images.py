"""Builds a folder as dirty as a real one."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

UNREADABLE = {
    "cat/bomb.png": "too large",
    "cat/empty.jpg": "empty",
    "cat/text.jpg": "not an image",
    "dog/cut.jpg": "truncated",
    "dog/cut.png": "truncated",
}


def png(width: int, height: int, depth: int, colour_type: int, pixels: bytes) -> bytes:
    """A PNG by hand, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def deep_colour_png(side: int, level: int) -> bytes:
    """A 16-bit RGB PNG of one level."""
    row = b"\0" + struct.pack(">H", level) * (3 * side)
    return png(side, side, 16, 2, row * side)


def ramp(width: int, height: int) -> np.ndarray:
    """A colour ramp, uint8 `(height, width, 3)`, smooth so that JPEG keeps it."""
    x, y = np.linspace(0, 255, width), np.linspace(0, 255, height)
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 128), -1).astype(np.uint8)


def build_dirty_folder(folder: Path, clean: int = 100) -> Path:
    cat, dog = folder / "cat", folder / "dog"
    cat.mkdir(parents=True)
    dog.mkdir()
    colour = Image.fromarray(ramp(48, 40))
    random = np.random.default_rng(0)
    for i in range(clean):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save((cat, dog)[i % 2] / f"clean{i:03d}.png")
    grey = colour.convert("L")
    grey.save(cat / "grey.png")
    colour.convert("LA").save(cat / "grey-alpha.png")
    seen_through = colour.convert("RGBA")
    seen_through.putalpha(0)
    seen_through.save(cat / "rgba.png")
    colour.convert("P").save(cat / "palette.png")
    colour.convert("P").save(cat / "palette-transparent.png", transparency=0)
    colour.convert("CMYK").save(cat / "cmyk.jpg", quality=95)
    Image.fromarray(np.full((20, 20), 32768, np.uint16)).save(cat / "deep.png")
    (cat / "deep-colour.png").write_bytes(deep_colour_png(20, 32768))
    grey.convert("1").save(dog / "two-levels.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.save(dog / "turned.jpg", exif=exif, quality=95)
    colour.save(dog / "frames.gif", save_all=True, append_images=[grey.convert("RGB")])
    colour.resize((200, 50)).save(dog / "wide.webp", lossless=True)
    colour.resize((9, 700)).save(dog / "tall.bmp")
    colour.save(dog / "UPPER.JPG", format="JPEG", quality=95)
    shutil.copy(cat / "clean000.png", dog / "twin.png")
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "text.jpg").write_text("these are words, not pixels\n" * 20)
    (cat / "bomb.png").write_bytes(png(60_000, 60_000, 8, 2, b"\0" * 1000))
    for suffix in ("jpg", "png"):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(dog / f"cut.{suffix}")
        whole = (dog / f"cut.{suffix}").read_bytes()
        (dog / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not an image, and does not claim to be one")
    (folder / ".DS_Store").write_bytes(b"junk")
    return folder
