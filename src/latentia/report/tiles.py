"""Pictures with a name and a word or two below each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from latentia.data.pictures import to_image
from latentia.report.page import img

_WIDTH = 110
_LONGEST_NAME = 36


@dataclass(frozen=True)
class Tile:
    """One picture.

    Attributes:
        pixels: uint8 `(C, H, W)`.
        name: of the file or row.
        words: what is to be said of it.
    """

    pixels: np.ndarray
    name: str
    words: str


def tiles(shown: Sequence[Tile], *, wide: int = 1, sound: bool = False) -> Markup:
    """Tiles side by side, as many in a row as fit.

    Args:
        shown: in reading order.
        wide: how many usual widths a tile takes.
        sound: spectrograms, which stand with their low tones at the bottom.
    """
    cells = [_cell(tile, sound) for tile in shown]
    return Markup(
        '<div style="display:grid;gap:14px 12px;grid-template-columns:'
        'repeat(auto-fill,minmax({}px,1fr))">{}</div>'
    ).format(_WIDTH * wide, Markup("").join(cells))


def _cell(tile: Tile, sound: bool) -> Markup:
    name = tile.name
    if len(name) > _LONGEST_NAME:
        name = "…" + name[1 - _LONGEST_NAME :]
    pixels = np.ascontiguousarray(tile.pixels.transpose(1, 2, 0))
    image = img(to_image(pixels), alt=f"{name}: {tile.words}", small=max(pixels.shape[:2]) < 64)
    return Markup(
        '<div style="min-width:0;font-size:12.5px;line-height:1.35;overflow-wrap:anywhere">'
        '<div class="tile">{}</div><b title="{}">{}</b><br>{}</div>'
    ).format(image, tile.name, name, tile.words)
