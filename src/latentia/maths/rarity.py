"""How seldom latent vectors like these are, and how often to show them to even that out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from latentia.maths.chunks import spread_rows

Combine = Literal["neighbours", "product", "max", "surprise"]
SMOOTHINGS = (1e-3, 1e9)
"""Between which α is looked for."""
LEAST_ROWS = 50
NEIGHBOURS, REFERENCE_ROWS = 10, 4096
_HALVINGS = 40


def latent_rarity(
    z: Tensor,
    surprise: Tensor | None = None,
    *,
    alpha: float | None = None,
    effective: float = 0.1,
    bins: int = 10,
    combine: Combine = "neighbours",
) -> Tensor:
    """Sampling weights that even out how often latent values occur.

    Every latent dimension gets a histogram Q_i; a row weighs ∏_i 1 / (Q_i(z_i) + α) (Amini et
    al. 2019, eq. 4: "product"), or its largest factor alone ("max"). Q_i is taken relative to a
    flat histogram, so that α means the same for any number of bins: α → ∞ gives equal weights,
    and with α = 0 a single dimension's histogram becomes flat. What is rare only in how
    dimensions go together, such as one hue on a circle of hues, no histogram of one dimension
    shows; "neighbours" weighs by 1 / (q(z) + α), q being the density that the distance to the
    tenth neighbour tells, relative to its median. What is so rare that the encoder has not learnt
    to tell it apart lies close together, not far out; the model is surprised at it all the same:
    "surprise" takes q = exp(−s), s being −ELBO in robust standard deviations above its median.

    Args:
        z: `(N, d)`, posterior means.
        surprise: −ELBO, `(N,)`, nats; for "surprise" alone.
        alpha: smoothing, ≥ 0; None takes the smallest under which the weights are worth at least
            `effective` of the rows, since a product over many dimensions comes to rest on few.
        effective: share of the rows, 0…1 (`effective_share`), but `LEAST_ROWS` at least: fewer
            would be learnt by heart.
        bins: of each histogram, between the 0.5 % quantiles; what lies outside joins the last.
        combine: what tells rarity, see above.

    Returns:
        float64 `(N,)`, positive, sum 1.
    """
    density = _density(z, surprise, bins, combine)

    def weights(smoothing: float) -> Tensor:
        logs = -torch.log(density + smoothing)
        return (logs.amax(1) if combine == "max" else logs.sum(1)).softmax(0)

    if alpha is not None:
        return weights(alpha)
    effective = max(effective, min(1.0, LEAST_ROWS / max(len(z), 1)))
    low, high = SMOOTHINGS
    if effective_share(weights(low)) >= effective:
        return weights(low)
    for _ in range(_HALVINGS):  # the share rises with α
        middle = (low * high) ** 0.5
        low, high = (
            (low, middle) if effective_share(weights(middle)) >= effective else (middle, high)
        )
    return weights(high)


def _density(z: Tensor, surprise: Tensor | None, bins: int, combine: Combine) -> Tensor:
    """Relative densities whose product, or smallest, tells how usual a row is, `(N, …)`."""
    if combine == "surprise":
        assert surprise is not None, "rarity by surprise needs the surprise of every row"
        s = surprise.double() - surprise.double().median()
        return torch.exp(-s / (1.4826 * s.abs().median()).clamp(min=1e-9)).clamp(1e-6, 1e6)[:, None]
    return neighbour_density(z)[:, None] if combine == "neighbours" else histograms(z, bins)


def histograms(z: Tensor, bins: int) -> Tensor:
    """Histogram density of each value within its dimension, relative to a flat one.

    Args:
        z: `(N, d)`.
        bins: of each histogram.

    Returns:
        float64 `(N, s)`, positive, for the s dimensions that vary; `(N, 1)` ones where none does.
    """
    z = z.double()
    low, high = _quantile(z, 0.005), _quantile(z, 0.995)
    varied = high > low
    if not varied.any():
        return torch.ones(len(z), 1, dtype=torch.float64)
    z, low, high = z[:, varied], low[varied], high[varied]
    places = ((z - low) / (high - low) * bins).long().clamp(0, bins - 1)
    counts = [torch.bincount(column, minlength=bins)[column] for column in places.T]
    return torch.stack(counts, 1).double() * bins / len(z)


def neighbour_density(z: Tensor) -> Tensor:
    """Density by the distance r to the tenth neighbour, (median r / r)^d.

    Dimensions are brought to unit variance. Neighbours are looked for among at most
    `REFERENCE_ROWS` rows, spread evenly.

    Args:
        z: `(N, d)`.

    Returns:
        float64 `(N,)`, positive, median 1.
    """
    z = z.double()
    spread = z.std(0, unbiased=False)
    varied = spread > 1e-9
    z = (z - z.mean(0))[:, varied] / spread[varied]
    if len(z) < 3 or not varied.any():
        return torch.ones(len(z), dtype=torch.float64)
    among = z[spread_rows(len(z), REFERENCE_ROWS)]
    nth = min(NEIGHBOURS, len(among) - 1) + int(len(among) == len(z))  # a row finds itself
    nth = min(nth, len(among))
    r = torch.cat([torch.cdist(part, among).kthvalue(nth).values for part in z.split(1024)])
    r = r.clamp(min=float(r[r > 0].min()) if (r > 0).any() else 1.0)  # repeated rows
    return (r.median() / r) ** z.shape[1]


def effective_share(weights: Tensor) -> float:
    """Kish's effective number of rows under sampling weights, as a share of all: 0…1."""
    return float(weights.sum().square() / weights.square().sum() / len(weights))


def _quantile(z: Tensor, share: float) -> Tensor:
    """By dimension; `torch.quantile` refuses large tensors."""
    return z.sort(0).values[round(share * (len(z) - 1))]
