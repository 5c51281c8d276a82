"""How evenly the latent space is covered, and how often to show each example to even that out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentia.abilities import Encodes
from latentia.data.spec import Dataset
from latentia.explore.latent import latent_weights as latent_information
from latentia.maths.chunks import spread_rows
from latentia.maths.rarity import effective_share, latent_rarity

ALPHA = 0.1
BINS = 10
MOST = 10.0
SHOWN = 8  # latent dimensions that are looked at
_JUDGED_ROWS = 1000
_HISTOGRAM_BINS = 24
_SPAN = 3.0
FAR = 2.0
"""Standard deviations beyond which an example is in the tail of a latent."""


@dataclass(frozen=True)
class Latent:
    """How the examples spread along one latent dimension.

    Attributes:
        number: of the dimension in the model.
        information: how much it tells about an example, nats (or variance, of other models).
        center, spread: mean and standard deviation of the codes.
        counts: rows in 24 equal bins from −3 to 3 deviations, with what lies beyond at the ends.
        low, high: rows beyond −2 and beyond 2 deviations, the farthest first.
    """

    number: int
    information: float
    center: float
    spread: float
    counts: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def rare(self) -> str:
        """The tail with fewer rows, "low" or "high"."""
        return "low" if len(self.low) < len(self.high) else "high"


@dataclass(frozen=True)
class Coverage:
    """How evenly examples fill the latent space.

    Attributes:
        latents: the dimensions that tell most, the most telling first.
        effective: the even sampling of `weights` draws as if there were this share of the rows.
        weights: float64 `(N,)`, mean 1, higher = rarer.
    """

    latents: tuple[Latent, ...]
    effective: float
    weights: np.ndarray


def coverage(
    model: Encodes, data: Dataset, codes: np.ndarray, *, alpha: float = ALPHA, shown: int = SHOWN
) -> Coverage:
    """The spread along the most telling latents, and weights by Amini et al. (2019).

    Args:
        model: of the data.
        data: the rows.
        codes: their latents `(N, d)`.
        alpha: smoothing of the weights, see `latentia.maths.rarity`.
        shown: dimensions at most.
    """
    told = latent_information(model, data.batch(spread_rows(len(data), _JUDGED_ROWS)).x).numpy()
    order = np.argsort(-told, kind="stable")
    active = [int(i) for i in order if told[i] > 0.01 * max(told.max(), 1e-12)][:shown]
    latents = tuple(_latent(i, float(told[i]), codes[:, i]) for i in active)
    weights = capped(
        latent_rarity(
            torch.from_numpy(codes[:, active or [0]]), alpha=alpha, bins=BINS, combine="product"
        ).numpy()
    )
    return Coverage(latents, effective_share(torch.from_numpy(weights)), weights)


def capped(weights: np.ndarray, most: float = MOST) -> np.ndarray:
    """Weights of mean 1 none of which is above `most`, in the proportions they had below it."""
    weights = weights / weights.mean()
    for _ in range(20):
        weights = np.minimum(weights, most)
        weights = weights / weights.mean()
    return np.minimum(weights, most)


def suggested(rarity: np.ndarray, doubtful: list[int], groups: list[list[int]]) -> np.ndarray:
    """Sampling weights of mean 1 that do not multiply mistakes.

    Args:
        rarity: `(N,)` as of `Coverage.weights`.
        doubtful: rows that nobody has looked at yet (outliers, suspected labels): at most 1.
        groups: duplicates, which share the weight of one.
    """
    weights = rarity.copy()
    weights[doubtful] = np.minimum(weights[doubtful], 1.0)
    for group in groups:
        weights[group] /= len(group)
    result: np.ndarray = weights / weights.mean()
    return result


def _latent(number: int, information: float, values: np.ndarray) -> Latent:
    center, spread = float(values.mean()), float(values.std())
    z = (values - center) / max(spread, 1e-12)
    edges = np.linspace(-_SPAN, _SPAN, _HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.clip(z, -_SPAN, _SPAN), edges)
    order = np.argsort(z, kind="stable")
    low = tuple(int(i) for i in order if z[i] < -FAR)
    high = tuple(int(i) for i in order[::-1] if z[i] > FAR)
    return Latent(number, information, center, spread, tuple(counts.tolist()), low, high)


def facts(found: Coverage) -> dict[str, Any]:
    """What `audit.json` says of it."""
    return {
        "effective_share": found.effective,
        "latents": [
            {
                "dimension": latent.number,
                "information_nats": latent.information,
                "mean": latent.center,
                "standard_deviation": latent.spread,
                "histogram": list(latent.counts),
                "rows_below_minus_2": len(latent.low),
                "rows_above_2": len(latent.high),
            }
            for latent in found.latents
        ],
    }
