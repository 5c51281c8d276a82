"""Where a picture is strange: heat maps, calibrated on held-out normal pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentia.abilities import Decodes, Encodes
from latentia.data.pictures import grid_image, to_pixels
from latentia.data.spec import Dataset
from latentia.detection.calibration import Calibration
from latentia.detection.scores import Seen, seen_chunks
from latentia.detection.surroundings import (
    SMALLEST_SIDE,
    Surroundings,
    smooth,
    smoothing_width,
)
from latentia.errors import UserError

_ROWS = 200  # held-out pictures that places are calibrated on, at most
_PLACES = 50_000  # of theirs
_FLOOR = 0.1  # of the usual error: less than this at a place counts as this
_RARE = 100  # places rarer than 1 in so many normal ones begin to glow
_GREY = 0.6  # brightness of the picture below the heat


@dataclass(frozen=True)
class OutlierMaps:
    """Strangeness of every place of a picture.

    Two maps are calibrated place by place and combined: the squared error of the model's
    reconstruction beside what is usual at that place, and `Surroundings`.

    Attributes:
        model: encodes and decodes; or None, for the surroundings alone.
        shape: of a picture.
        usual: held-out squared error of reconstruction at every place, `(H, W)`, or None.
        surroundings: None for pictures with a side under 20 pixels.
        calibration: of the two, over places.
        seed: of every draw.
    """

    model: Any
    shape: tuple[int, ...]
    usual: Tensor | None
    surroundings: Surroundings | None
    calibration: Calibration
    seed: int

    @classmethod
    def fit(cls, model: Any, train: Dataset, held_out: Dataset, *, seed: int = 0) -> Self:
        """Learn what is usual from `train`, and how rare the unusual is from `held_out`.

        Args:
            model: as trained on `train`; None, or one that does not both encode and decode,
                leaves the surroundings alone.
            train: pictures.
            held_out: normal pictures that the model was not trained on; 200 are looked at.
            seed: of every draw.

        Raises:
            UserError: data that are no pictures, or nothing to look at them with.
        """
        shape = train.spec.shape
        if train.spec.kind != "image":
            raise UserError(f"{train.spec.name} holds no pictures; heat maps are of pictures.")
        rebuilds = isinstance(model, Encodes) and isinstance(model, Decodes)
        surroundings = Surroundings.fit(train, seed) if min(shape[1:]) >= SMALLEST_SIDE else None
        if not rebuilds and surroundings is None:
            raise UserError(
                f"Pictures of {shape[2]}x{shape[1]} pixels need a model that rebuilds them for "
                f"heat maps, such as --model vae, or {SMALLEST_SIDE} pixels on the shorter side."
            )
        usual = None
        if rebuilds:
            chunks = seen_chunks(model, held_out, seed, _ROWS)
            usual = torch.cat([_errors(seen) for seen in chunks]).mean(0)
            usual = usual + _FLOOR * usual.mean() + 1e-12
        kept = model if rebuilds else None
        parts = _places(kept, usual, surroundings, held_out, seed)
        return cls(kept, shape, usual, surroundings, Calibration.fit(parts), seed)

    def maps(self, data: Dataset) -> np.ndarray:
        """Strangeness of every place of every picture, `(N, H, W)` float32, nats, ≥ 0.

        Raises:
            UserError: pictures of another shape.
        """
        if data.spec.shape != self.shape:
            raise UserError(
                f"{data.spec.name} has rows of shape {data.spec.shape}; the maps were fitted to "
                f"pictures of shape {self.shape}."
            )
        found = []
        for seen in seen_chunks(self.model, data, self.seed):
            parts = _parts(seen, self.usual, self.surroundings)
            flat = {name: values.numpy().ravel() for name, values in parts.items()}
            combined = self.calibration.combined(flat).astype(np.float32)
            found.append(combined.reshape(len(seen), *self.shape[1:]))
        return np.concatenate(found) if found else np.empty((0, *self.shape[1:]), np.float32)


def _errors(seen: Seen) -> Tensor:
    """Squared error of reconstruction, summed over channels, smoothed, `(B, H, W)` on the CPU."""
    errors = (seen.x - seen.returned).square().sum(1).cpu()
    return smooth(errors, smoothing_width(errors.shape[1:]))


def _parts(
    seen: Seen, usual: Tensor | None, surroundings: Surroundings | None
) -> dict[str, Tensor]:
    parts = {}
    if usual is not None:
        parts["reconstruction"] = (_errors(seen) / usual).sqrt()
    if surroundings is not None:
        parts["surroundings"] = surroundings.maps(seen.x)
    return parts


def _places(
    model: Any,
    usual: Tensor | None,
    surroundings: Surroundings | None,
    data: Dataset,
    seed: int,
) -> dict[str, np.ndarray]:
    """Values of the maps at places drawn from the pictures."""
    found: dict[str, list[np.ndarray]] = {}
    for seen in seen_chunks(model, data, seed, _ROWS):
        for name, values in _parts(seen, usual, surroundings).items():
            found.setdefault(name, []).append(values.numpy().ravel())
    whole = {name: np.concatenate(parts) for name, parts in found.items()}
    places = len(next(iter(whole.values())))
    chosen = np.random.default_rng(seed).permutation(places)[:_PLACES]
    return {name: values[chosen] for name, values in whole.items()}


def heat_pictures(pictures: np.ndarray, maps: np.ndarray, top: float | None = None) -> np.ndarray:
    """Heat over grey pictures, uint8 `(N, 3, H, W)`.

    Args:
        pictures: uint8 `(N, C, H, W)`.
        maps: `(N, H, W)`, nats, as of `OutlierMaps`.
        top: where the heat is brightest; None takes what one place in 200 exceeds, at least twice
            what begins to glow.
    """
    import matplotlib

    start = float(np.log(_RARE))
    if top is None:
        top = max(2 * start, float(np.quantile(maps, 0.995)) if maps.size else 0.0)
    share = np.clip((maps - start) / max(top - start, 1e-9), 0, 1)[..., None]
    grey = to_pixels(pictures).astype(np.float32).mean(-1, keepdims=True) * _GREY
    colours = matplotlib.colormaps["inferno"](0.35 + 0.65 * share[..., 0])[..., :3] * 255
    weight = np.sqrt(share)
    mixed = grey * (1 - weight) + colours * weight
    return np.rint(mixed).astype(np.uint8).transpose(0, 3, 1, 2)


def side_by_side(pictures: np.ndarray, heats: np.ndarray, columns: int = 8) -> Image.Image:
    """Rows of pictures, and below each row its heat pictures.

    Args:
        pictures: uint8 `(N, C, H, W)`.
        heats: uint8 `(N, 3, H, W)`, of `heat_pictures`.
        columns: pictures beside each other.
    """
    coloured = to_pixels(pictures).transpose(0, 3, 1, 2)
    coloured = np.repeat(coloured, 3 // coloured.shape[1], 1)
    columns = min(columns, len(coloured))
    lines = [
        part[start : start + columns]
        for start in range(0, len(coloured), columns)
        for part in (coloured, heats)
    ]
    empty = lambda n: np.full((n, *heats.shape[1:]), 255, np.uint8)  # noqa: E731
    full = [np.concatenate([line, empty(columns - len(line))]) for line in lines]
    return grid_image(np.concatenate(full), columns)
