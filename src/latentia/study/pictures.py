"""The same test images at each value of a study, the originals below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from latentia.data.pictures import grid_image, save_image
from latentia.data.spec import Dataset
from latentia.maths.chunks import spread_rows

ORIGINALS = "ground truth"
_WIDE = 660
"""Pixels that the images of a row fill at most."""
_PAPER, _INK, _SIZE, _MARGIN = "white", "black", 15, 10


def shown_rows(test: Dataset) -> Tensor:
    """`(n, C, H, W)`: the test images of the picture, evenly apart, as many as a row holds."""
    _, height, width = test.spec.shape
    tile = width * max(1, -(-48 // max(height, width))) + 2
    columns = min(12, max(3, _WIDE // tile))
    return test.batch(spread_rows(len(test), columns)).x


def save_labelled_grid(rows: Mapping[str, Tensor], path: Path) -> None:
    """Write rows of images with their names to the left.

    Args:
        rows: name -> `(n, C, H, W)`, equally many each.
        path: of the PNG.
    """
    columns = len(next(iter(rows.values())))
    images = grid_image(torch.cat(list(rows.values())), columns)
    font = _font()
    lines = {name: font.getbbox(name) for name in rows}
    left = int(max(box[2] for box in lines.values())) + 2 * _MARGIN
    sheet = Image.new("RGB", (left + images.width, images.height), _PAPER)
    sheet.paste(images, (left, 0))
    pen, step = ImageDraw.Draw(sheet), images.height / len(rows)
    for number, name in enumerate(rows):
        middle = (number + 0.5) * step
        pen.text((left - _MARGIN, middle), name, fill=_INK, font=font, anchor="rm")
    save_image(sheet, path)


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings: unlike Pillow's own font it has Greek letters."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), _SIZE)
