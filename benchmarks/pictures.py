"""The picture of the README: samples of several finished runs side by side, not selected.

python benchmarks/pictures.py OUT.png TITLE=RUN [TITLE=RUN …]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import latentia
from latentia.data.pictures import grid_image, save_image

SIDE, GAP, TITLE = 8, 16, 28


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path)
    words.add_argument("runs", nargs="+", metavar="TITLE=RUN")
    chosen = words.parse_args()
    panels = [panel(*each.split("=", 1)) for each in chosen.runs]
    width = sum(p.width for p in panels) + GAP * (len(panels) - 1)
    sheet = Image.new("RGB", (width, max(p.height for p in panels)), "white")
    left = 0
    for each in panels:
        sheet.paste(each, (left, 0))
        left += each.width + GAP
    save_image(sheet, chosen.out)


def panel(title: str, run: str) -> Image.Image:
    """A titled grid of the samples of seeds 0 to 63."""
    grid = grid_image(latentia.load(run).sample(range(SIDE * SIDE)), SIDE, zoom=1).convert("RGB")
    framed = Image.new("RGB", (grid.width, grid.height + TITLE), "white")
    framed.paste(grid, (0, TITLE))
    ImageDraw.Draw(framed).text((0, 4), title, fill="black", font=ImageFont.load_default(16))
    return framed


if __name__ == "__main__":
    main()
