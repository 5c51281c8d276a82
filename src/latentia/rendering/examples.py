"""Examples that someone brings: files brought to the form that a model was trained on, and rows."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from latentia.data import audio
from latentia.data.images import Target, Unreadable, decode, parse_colour, quiet_pillow
from latentia.data.mel import LogMel
from latentia.data.spec import Dataset, to_unit
from latentia.errors import UserError
from latentia.run import Run


def row_of(rows: Dataset, number: int) -> Tensor:
    """`(1, …)`, one row by number.

    Raises:
        UserError: there is no such row.
    """
    if number >= len(rows):
        raise UserError(f"The test split has rows 0 to {len(rows) - 1}; there is no {number}.")
    return rows.batch([number]).x


def from_file(run: Run, path: Path) -> Tensor:
    """A picture or a recording in the form of the run's data, `(1, C, H, W)` in [-1, 1].

    Raises:
        UserError: it cannot be read, or the run models vectors.
    """
    if run.spec.kind != "image":
        raise UserError(f"{run.folder} models vectors; name a row number instead of {path}.")
    what = "an image" if run.spec.sound is None else "a recording"
    try:
        with quiet_pillow(), path.open("rb") as stream:
            levels = _decoded(run, stream)
    except Unreadable as problem:
        raise UserError(f"{path} cannot be read as {what} ({problem}).") from None
    return to_unit(torch.from_numpy(levels.copy())[None])


def _decoded(run: Run, stream: BinaryIO) -> np.ndarray:
    """`(C, H, W)` levels of a picture or a recording."""
    if run.spec.sound is not None:
        return audio.decode(stream, LogMel.from_json(run.spec.sound))
    channels, height, width = run.spec.shape
    return decode(stream, Target(height, width, channels, parse_colour(run.options.background)))
