"""Images to look at: grids and folders of PNGs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentia.data.spec import to_levels
from latentia.errors import UserError
from latentia.files import write_aside

_GAP = 2
_GREY = 128


def to_pixels(x: Tensor | np.ndarray) -> np.ndarray:
    """Images `(N, C, H, W)`, floats in [-1, 1] or uint8, as uint8 `(N, H, W, C)` with C 1 or 3.

    Raises:
        UserError: not images.
    """
    tensor = torch.as_tensor(x).detach().cpu()
    if tensor.ndim != 4 or tensor.shape[1] not in (1, 3):
        raise UserError(
            f"Pictures are drawn from images (N, C, H, W) with 1 or 3 channels, "
            f"not from data of shape {tuple(tensor.shape)}."
        )
    levels = tensor if tensor.dtype == torch.uint8 else to_levels(tensor.float().nan_to_num(0))
    return levels.permute(0, 2, 3, 1).contiguous().numpy()


def grid_image(
    x: Tensor | np.ndarray, columns: int | None = None, zoom: int | None = None
) -> Image.Image:
    """Images side by side, row by row, with a thin gap.

    Args:
        x: `(N, C, H, W)`, floats in [-1, 1] or uint8.
        columns: images per row; default a square, or nearly.
        zoom: whole-number enlargement; default brings small images to 48 pixels or more.
    """
    pixels = to_pixels(x)
    n, height, width, channels = pixels.shape
    if not n:
        raise UserError("There are no images to draw.")
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    zoom = zoom or max(1, math.ceil(48 / max(height, width)))
    pixels = pixels.repeat(zoom, axis=1).repeat(zoom, axis=2)
    down, right = height * zoom + _GAP, width * zoom + _GAP
    rows = math.ceil(n / columns)
    sheet = np.full((rows * down + _GAP, columns * right + _GAP, channels), _GREY, np.uint8)
    for i, tile in enumerate(pixels):
        top, left = i // columns * down + _GAP, i % columns * right + _GAP
        sheet[top : top + down - _GAP, left : left + right - _GAP] = tile
    return to_image(sheet)


def to_image(pixels: np.ndarray) -> Image.Image:
    """uint8 `(H, W, C)` as a grey or colour image."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def save_image(image: Image.Image, path: Path) -> None:
    """Write a PNG aside, then rename it into place."""
    write_aside(Path(path), lambda aside: image.save(aside, format="PNG"))


def save_grid(x: Tensor | np.ndarray, path: Path, columns: int | None = None) -> None:
    """Write `grid_image` of `x` as a PNG."""
    save_image(grid_image(x, columns), path)


def save_folder(x: Tensor | np.ndarray, folder: Path, start: int = 0) -> list[Path]:
    """Write each image as `000000.png`, `000001.png`, …, counted from `start`."""
    pixels = to_pixels(x)
    paths = [Path(folder) / f"{start + i:06d}.png" for i in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        save_image(to_image(image), path)
    return paths
