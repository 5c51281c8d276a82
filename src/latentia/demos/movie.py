"""Frames as a GIF, a film, and a strip of stills."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentia.data.pictures import save_image
from latentia.errors import UserError
from latentia.files import write_aside

FRAME_MS, LAST_MS = 110, 4000
_COLOURS = 48


def save_gif(frames: Sequence[Image.Image], path: Path) -> None:
    """Write an endless GIF, with a rest on its last frame; all frames share one palette."""
    palette = _palette(frames)
    flat = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    times = [FRAME_MS] * (len(flat) - 1) + [LAST_MS]
    write_aside(
        path,
        lambda aside: flat[0].save(
            aside,
            format="GIF",
            save_all=True,
            append_images=flat[1:],
            duration=times,
            loop=0,
            optimize=True,
        ),
    )


def _palette(frames: Sequence[Image.Image]) -> Image.Image:
    """The colours that a few frames beside each other need."""
    some = [frames[i] for i in np.linspace(0, len(frames) - 1, 6).astype(int)]
    return beside(some).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)


def save_strip(frames: Sequence[Image.Image], path: Path, count: int = 6, columns: int = 3) -> None:
    """Write some of the frames, the first and the last among them, as one PNG."""
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]
    sheet = beside(chosen, columns)
    save_image(sheet.quantize(_COLOURS, dither=Image.Dither.NONE), path)


def beside(frames: Sequence[Image.Image], columns: int | None = None) -> Image.Image:
    """Pictures of one size, row by row."""
    columns = columns or len(frames)
    width, height = frames[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(frames) // columns) * height), "white")
    for i, frame in enumerate(frames):
        sheet.paste(frame, (i % columns * width, i // columns * height))
    return sheet


def find_ffmpeg() -> str:
    """The program that writes films.

    Raises:
        UserError: there is none.
    """
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        maker: Any = importlib.import_module("imageio_ffmpeg")
        return str(maker.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise UserError(
            "--mp4 needs the program ffmpeg, which is not here. Install it, or the Python package "
            "imageio-ffmpeg; the GIF and the page are written without it."
        ) from None


def save_mp4(frames: Sequence[Image.Image], path: Path, ffmpeg: str) -> None:
    """Write an H.264 film that rests on its last frame.

    Args:
        frames: of one size, even on both sides.
        path: ends in .mp4.
        ffmpeg: from `find_ffmpeg`.

    Raises:
        UserError: ffmpeg refuses.
    """
    rate = 1000 / FRAME_MS
    pixels = b"".join(f.convert("RGB").tobytes() for f in frames)
    pixels += frames[-1].convert("RGB").tobytes() * round(rate * LAST_MS / 1000)
    size = f"{frames[0].width}x{frames[0].height}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{rate:.3f}", "-i", "-"]
    wanted = ["-pix_fmt", "yuv420p", "-movflags", "+faststart"]

    def write(aside: Path) -> None:
        words = [ffmpeg, "-loglevel", "error", "-y", *given, *wanted, str(aside)]
        done = subprocess.run(words, input=pixels, capture_output=True, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise UserError(f"ffmpeg could not write {path}: {(reason or ['no reason given'])[-1]}")

    write_aside(path, write)
