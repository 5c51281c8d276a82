"""How seldom latent vectors like these are, and how often to show them to even that out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Combine = Literal["product", "max"]
SMOOTHINGS = (1e-3, 1e4)
"""Between which α is looked for."""
_HALVINGS = 30


def latent_rarity(
    z: Tensor,
    *,
    alpha: float | None = None,
    effective: float = 0.1,
    bins: int = 10,
    combine: Combine = "product",
) -> Tensor:
    """Sampling weights that even out how often latent values occur.

    Every latent dimension gets a histogram Q_i; a row weighs ∏_i 1 / (Q_i(z_i) + α) (Amini et
    al. 2019, eq. 4), or its largest factor alone. Q_i is taken relative to a flat histogram (its
    mean is 1), so that α means the same for any number of bins: α → ∞ gives equal weights, and
    with α = 0 a single dimension's histogram becomes flat.

    Args:
        z: `(N, d)`, posterior means.
        alpha: smoothing, ≥ 0; None takes the smallest under which the weights are worth at least
            `effective` of the rows, since a product over many dimensions comes to rest on few.
        effective: share of the rows, 0…1 (`effective_share`).
        bins: of each histogram, between the 0.5 % quantiles; what lies outside joins the last.
        combine: over dimensions, "product" or "max".

    Returns:
        float64 `(N,)`, positive, sum 1.
    """
    density = relative_density(z, bins)

    def weights(smoothing: float) -> Tensor:
        logs = -torch.log(density + smoothing)
        return (logs.sum(1) if combine == "product" else logs.amax(1)).softmax(0)

    if alpha is not None:
        return weights(alpha)
    low, high = SMOOTHINGS
    if effective_share(weights(low)) >= effective:
        return weights(low)
    for _ in range(_HALVINGS):  # the share rises with α
        middle = (low * high) ** 0.5
        low, high = (
            (low, middle) if effective_share(weights(middle)) >= effective else (middle, high)
        )
    return weights(high)


def relative_density(z: Tensor, bins: int) -> Tensor:
    """Histogram density of each value within its dimension, relative to a flat one.

    Args:
        z: `(N, d)`.
        bins: of each histogram.

    Returns:
        float64 `(N, d)`, positive; 1 throughout in a dimension without spread.
    """
    z = z.double()
    low, high = _quantile(z, 0.005), _quantile(z, 0.995)
    width = (high - low).clamp(min=1e-12)
    places = ((z - low) / width * bins).long().clamp(0, bins - 1)
    found = torch.ones_like(z)
    for i in range(z.shape[1]):
        if high[i] > low[i]:
            counts = torch.bincount(places[:, i], minlength=bins).double()
            found[:, i] = (counts * bins / len(z))[places[:, i]]
    return found


def effective_share(weights: Tensor) -> float:
    """Kish's effective number of rows under sampling weights, as a share of all: 0…1."""
    return float(weights.sum().square() / weights.square().sum() / len(weights))


def _quantile(z: Tensor, share: float) -> Tensor:
    """By dimension; `torch.quantile` refuses large tensors."""
    return z.sort(0).values[round(share * (len(z) - 1))]
