"""What the room Explore knows of a run: its latents, its directions, its map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.rendering import atlas
from latentia.rendering.place import (
    Axes,
    Directions,
    axes_of,
    directions_of,
    knows_where_data_lie,
)
from latentia.rendering.views import look_of
from latentia.studio.shelf import Opened


@dataclass(frozen=True)
class Explored:
    """A run's latent space.

    Attributes:
        axes: its latents.
        directions: of labels, by name; none where there are none.
        map: of training rows; None where the model gives none, or the data are gone.
        drawn: the map as a picture.
    """

    axes: Axes
    directions: Directions
    map: atlas.Map | None
    drawn: Image.Image | None


def explored(opened: Opened) -> Explored:
    """What is known of a run, found once and kept."""
    if "explored" not in opened.memory:
        opened.memory["explored"] = _found(opened)
    found: Explored = opened.memory["explored"]
    return found


def _found(opened: Opened) -> Explored:
    run, model = opened.run, opened.model
    axes = axes_of(run, model)
    if axes.decoder is not model or not knows_where_data_lie(run, model):
        return Explored(axes, Directions(), None, None)
    try:
        mapped = atlas.map_of(run, model)
    except (UserError, OSError):  # the data are gone
        return Explored(axes, Directions(), None, None)
    return Explored(
        axes, directions_of(run, model), mapped, atlas.draw_map(mapped, run.spec.classes)
    )


def training_row(opened: Opened, found: atlas.Map, at: int) -> tuple[Tensor, str]:
    """A row of the map, `(1, …)`, and what it is called."""
    number = int(found.rows[at])
    if "train" not in opened.memory:  # opened once: a folder of pictures is searched for that
        opened.memory["train"] = opened.run.data("train")
    train: Dataset = opened.memory["train"]
    words = f"row {number}"
    if found.labels is not None and opened.run.spec.classes:
        words += f", label {opened.run.spec.classes[int(found.labels[at])]}"
    return train.batch([number]).x, words


def is_seen(opened: Opened) -> bool:
    """Whether examples of a run are pictures."""
    return look_of(opened.run.spec) == "pictures"


def written(z: Tensor) -> str:
    """A place as numbers."""
    return ", ".join(f"{value:.5g}" for value in z.tolist())


def read(text: str) -> Tensor:
    """A place from numbers, `(d,)`.

    Raises:
        UserError: no numbers.
    """
    words = str(text).replace("[", "").replace("]", "").replace(",", " ").split()
    try:
        return torch.tensor([float(word) for word in words])
    except ValueError:
        raise UserError("A place is a list of numbers such as 0.3, -1.2, 0.") from None


def bounds(axes: Axes, dim: int, value: float) -> dict[str, Any]:
    """How a slider of a latent is set; it reaches its value even where that is unusual."""
    low, high = float(axes.low[dim]), float(axes.high[dim])
    span = high - low
    return {
        "minimum": round(min(low, value), 3),
        "maximum": round(max(high, value), 3),
        "step": max(round(span / 200, 4), 1e-4),
        "value": round(value, 3),
    }
