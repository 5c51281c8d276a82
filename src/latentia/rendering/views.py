"""How rows of data are looked at: as pictures, recordings, points of the plane, or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from torch import Tensor

from latentia.data.mel import LogMel
from latentia.data.spec import DataSpec
from latentia.data.tables import TableEncoder
from latentia.errors import UserError
from latentia.run import Run
from latentia.sound.drawn import save_recordings
from latentia.sound.neural import load_vocoder
from latentia.sound.vocoders import GriffinLim, Vocoder

Look = Literal["pictures", "recordings", "points", "table"]
LOOKS: tuple[Look, ...] = get_args(Look)
INK, GREY, BLUE = "#1d2021", "#8c8c8c", "#0072B2"


def look_of(spec: DataSpec) -> Look:
    """How examples of a kind are looked at."""
    if spec.kind == "image":
        return "pictures" if spec.sound is None else "recordings"
    return "points" if spec.dims == 2 and spec.columns is None else "table"


def columns_of(run: Run, rows: Tensor) -> dict[str, list[Any]]:
    """Vectors `(N, features)` as columns: those of a table in its own units and words.

    Raises:
        UserError: rows that are no vectors.
    """
    if run.spec.kind != "vector":
        raise UserError(f"{run.folder} makes pictures, and no rows of a table.")
    values = rows.cpu().numpy()
    if run.spec.columns is None:
        return {str(i): column.tolist() for i, column in enumerate(values.T)}
    return TableEncoder.from_json(run.spec.columns).inverse(values)


def save_sounds(run: Run, x: Tensor, folder: Path) -> list[Path]:
    """Write drawn recordings as .wav files that say they are synthetic, with the run's vocoder."""
    return save_recordings(x, vocoder_of(run), folder, f"a {run.family} model of {run.spec.title}")


def vocoder_of(run: Run) -> Vocoder:
    """The vocoder that was learnt for a run, else Griffin-Lim.

    Raises:
        UserError: the run is not of recordings.
    """
    if run.spec.sound is None:
        raise UserError(f"{run.folder} is not of recordings, so there is nothing to hear.")
    return load_vocoder(run.folder) or GriffinLim(LogMel.from_json(run.spec.sound))


def drawn(canvas: Any) -> Image.Image:
    """What a matplotlib canvas shows, in colour."""
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
