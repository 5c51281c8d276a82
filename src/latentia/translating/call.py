"""Translation from Python, in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from latentia.abilities import Translates
from latentia.data.images import Unreadable, as_unreadable, quiet_pillow
from latentia.data.picture_files import Original, open_original, original_of, original_of_array
from latentia.errors import UserError
from latentia.run import Run
from latentia.translating.job import Job, chosen_target, job_of
from latentia.translating.picture import translated_levels
from latentia.translating.scale import parse_scale
from latentia.translating.tiling import translated


def translate(
    run: Run | str | Path | Translates,
    picture: Tensor | np.ndarray | Image.Image | str | Path,
    to: str | None = None,
    *,
    scale: str = "auto",
    size: int | None = None,
    made: str | None = None,
    precision: str = "float32",
    device: str = "cpu",
) -> Any:
    """Carry pictures of any size from one domain to another.

    Args:
        run: a run or its folder; for tensors also a model that translates.
        picture: a tensor `(B, C, H, W)` in [-1, 1], which is translated as it is; or one picture:
            an array `(H, W)` or `(H, W, 1 to 4)`, uint8 or uint16, a PIL image, or a file.
        to: the target domain; None takes the last that there is.
        scale: "own" translates all pixels as they are; "fit" at the size of training, and brings
            the result back; "auto" takes "fit" where the picture is more than twice as large
            or small as those of training.
        size: bring the shorter side to so many pixels first.
        made: make the model's side from the picture first ("edges", "grey", …), for runs that
            were trained so.
        precision: "float32", "bfloat16", or "auto".
        device: of the run's model.

    Returns:
        A tensor `(B, C', H, W)`; an array like the one given; a PIL image for images and files.

    Raises:
        UserError: a model that does not translate, an unknown domain, or no picture.
    """
    if isinstance(picture, Tensor):
        return _tensor(run, picture, to, device)
    if isinstance(run, str | Path):
        run = Run.open(run)
    if not isinstance(run, Run):
        raise UserError(
            "A model alone translates tensors (B, C, H, W) in [-1, 1]; for pictures and files give "
            "its run, which knows their size and colours."
        )
    model = run.model(device)
    if not isinstance(model, Translates):
        raise UserError(f"The {run.family} in {run.folder} cannot translate.")
    job = job_of(
        run, model, to, scale=parse_scale(scale), size=size, made=made, precision=precision
    )
    if isinstance(picture, np.ndarray):
        return _array(picture, job)
    return _image(_opened(picture), job)


def _tensor(run: Run | str | Path | Translates, x: Tensor, to: str | None, device: str) -> Tensor:
    model: Any = Run.open(run) if isinstance(run, str | Path) else run
    model = model.model(device) if isinstance(model, Run) else model
    if not isinstance(model, Translates):
        raise UserError(f"{type(model).__name__} cannot translate.")
    if x.ndim != 4:
        raise UserError(f"Pictures are tensors (B, C, H, W), not of shape {tuple(x.shape)}.")
    return translated(model, x, chosen_target(model, to))


def _opened(picture: Image.Image | str | Path) -> Original:
    try:
        with quiet_pillow(), as_unreadable():
            if isinstance(picture, Image.Image):
                return original_of(picture)
            with Path(picture).expanduser().open("rb") as stream:
                return open_original(stream)
    except Unreadable as problem:
        raise UserError(f"{picture} cannot be read as a picture ({problem}).") from None


def _image(original: Original, job: Job) -> Image.Image:
    levels = _levels(original, job)
    if levels.dtype == np.uint16 and len(levels) > 1:  # Pillow has no such colours
        levels = (levels >> 8).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(_like_image(levels)))


def _array(pixels: np.ndarray, job: Job) -> np.ndarray:
    """An array like the one that was given."""
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        raise UserError(
            "A picture is an array (H, W) or (H, W, 1 to 4) of uint8 or uint16, not of "
            f"{pixels.dtype} and shape {pixels.shape}."
        )
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if flat.ndim == 3 and flat.shape[2] > 4:
        raise UserError(f"A picture has 1 to 4 channels, not {flat.shape[2]}.")
    found = _like_image(_levels(original_of_array(flat), job))
    return found[:, :, None] if pixels.ndim == 3 and found.ndim == 2 else found


def _levels(original: Original, job: Job) -> np.ndarray:
    try:
        return translated_levels(original, job)
    except Unreadable as problem:
        raise UserError(f"The picture cannot be translated ({problem}).") from None


def _like_image(levels: np.ndarray) -> np.ndarray:
    """`(C, H, W)` as `(H, W)` or `(H, W, C)`."""
    return levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)
