"""The score over a plane: at each place the direction in which noisy data become likelier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latentia.abilities import HasScore
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks


@dataclass(frozen=True)
class ScoreField:
    """Arrows on a grid.

    Attributes:
        places: `(grid², 2)` float32, in the data's units, row by row from low y to high y.
        arrows: `(grid², 2)` float32, the score there in nats per unit.
        sigma: deviation of the noise, as a multiple of each feature's own.
    """

    places: np.ndarray
    arrows: np.ndarray
    sigma: float


def score_field(
    model: HasScore,
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    sigma: float,
    grid: int = 24,
) -> ScoreField:
    """The score of a model of two features over a rectangle.

    Args:
        model: of vectors of two numbers.
        low, high: two opposite corners, in the data's units.
        sigma: noise level, above 0, as a multiple of each feature's deviation.
        grid: places along each side, 2 or more.

    Raises:
        UserError: no rectangle, level or grid, or a model of other data.
    """
    corners = np.asarray([low, high], np.float64)
    if corners.shape != (2, 2) or not (corners[0] < corners[1]).all() or sigma <= 0 or grid < 2:
        raise UserError(
            "A score field takes two corners of two numbers each, the first below the second, a "
            f"noise level above 0 and 2 or more places to a side; not {list(low)}, {list(high)}, "
            f"{sigma} and {grid}."
        )
    if (features := getattr(model, "latent_dim", 2)) != 2:
        raise UserError(f"A score field is drawn of two features; this model has {features}.")
    at = places(corners[0], corners[1], grid)
    found = in_chunks(
        lambda x: model.score(x, sigma), torch.from_numpy(at), size=2048, device=device_of(model)
    )
    return ScoreField(at, found.float().numpy(), sigma)


def places(low: np.ndarray, high: np.ndarray, side: int) -> np.ndarray:
    """An even grid over a rectangle, float32 `(side², 2)`, row by row from low y to high y."""
    x, y = (np.linspace(low[i], high[i], side) for i in (0, 1))
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
