"""Before and after, side by side, a page of pictures at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentia.data.picture_files import Original, open_original
from latentia.data.pictures import save_image

ROWS = 12
_CELL, _ALONE = 256, 768  # longest side of a picture on a sheet, and of one that has it to itself
_GAP, _LINE, _LETTERS = 8, 16, 12
_PAPER, _INK = (255, 255, 255), (60, 60, 60)
_WHITE = (255, 255, 255)
_LEAST = 96  # the smaller are enlarged by whole numbers


@dataclass
class Sheets:
    """Collects rows of pictures and writes a sheet when it is full.

    Attributes:
        folder: where sheets go: 001.png, 002.png, …
        heads: what stands above the columns.
        alone: there will be one row only, which is shown larger.
        written: sheets so far.
    """

    folder: Path
    heads: tuple[str, ...]
    alone: bool = False
    written: list[Path] = field(default_factory=list)
    _rows: list[tuple[str, list[Image.Image]]] = field(default_factory=list)

    @property
    def cell(self) -> int:
        """Longest side of a picture."""
        return _ALONE if self.alone else _CELL

    def path(self, number: int) -> Path:
        """Of a sheet, counted from 0."""
        return self.folder / f"{number + 1:03d}.png"

    def add(self, name: str, pictures: Sequence[Original | Path]) -> None:
        """A row: a picture and what was made of it, a picture for each head."""
        shown: list[Image.Image] = []
        for picture in pictures:
            if isinstance(picture, Original):
                shown.append(thumbnail(picture, self.cell))
                continue
            with picture.open("rb") as stream:
                shown.append(thumbnail(open_original(stream), self.cell))
        self._rows.append((name, shown))
        if len(self._rows) == ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected."""
        if not self._rows:
            return
        path = self.path(len(self.written))
        save_image(_drawn(self.heads, self._rows), path)
        self.written.append(path)
        self._rows.clear()


def thumbnail(original: Original, most: int) -> Image.Image:
    """A picture in RGB over white, no side longer than `most`."""
    width, height = original.head.size
    step = max(1, min(width, height) // (2 * most))  # every so many rows and columns
    rows = [
        original.over(_WHITE, 3, (top, min(top + 1, height), 0, width))[:, :, ::step]
        if step > 1
        else original.over(_WHITE, 3, (0, height, 0, width))
        for top in (range(0, height, step) if step > 1 else range(1))
    ]
    pixels = np.rint((np.concatenate(rows, 1) + 1) * 127.5).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    scale = most / max(width, height)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return image.resize(size, Image.Resampling.LANCZOS)
    zoom = max(1, min(most, _LEAST) // max(width, height))
    return image.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)


def _drawn(heads: tuple[str, ...], rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    columns = [max(row[i].width for _, row in rows) for i in range(len(heads))]
    columns = [max(wide, _GAP * len(head)) for wide, head in zip(columns, heads, strict=True)]
    heights = [max(image.height for image in row) for _, row in rows]
    width = sum(columns) + _GAP * (len(columns) + 1)
    height = _GAP + _LINE + sum(tall + _LINE + _GAP for tall in heights)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen, letters = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTERS)
    lefts = [_GAP + sum(columns[:i]) + _GAP * i for i in range(len(columns))]
    for left, head in zip(lefts, heads, strict=True):
        pen.text((left, _GAP // 2), _plain(head), _INK, letters)
    top = _GAP + _LINE
    for (name, row), tall in zip(rows, heights, strict=True):
        for left, image in zip(lefts, row, strict=True):
            sheet.paste(image, (left, top))
        pen.text((_GAP, top + tall), _plain(name), _INK, letters)
        top += tall + _LINE + _GAP
    return sheet


def _plain(text: str) -> str:
    """What the built-in letters can show."""
    return text.encode("latin-1", "replace").decode("latin-1")
