"""Ways through latent space that stay where encoded data are."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.maths.paths import resampled

MOST_CODES = 2000
"""Encodings a way may lead through: a distance is kept for each pair of them."""
_POWER = 3.0
_FINE = 400
_SMOOTHING = 0.06
_LEAST_COST = 1e-12  # of equal rows: a zero would mean that there is no way


def along(a: Tensor, b: Tensor, codes: Tensor, steps: int) -> Tensor:
    """Points from a to b through the encodings of data, both ends included.

    The way is the one of least Σ lengthᵖ over chains of encodings, p = 3 (the power-weighted
    shortest path of Hwang, Damelin & Hero 2016, which approximates a geodesic of a metric that is
    short where data are dense): many small steps among the data are cheaper than a jump across a
    gap. It is smoothed, and walked in steps of equal length.

    Args:
        a, b: one end each, `(d,)`.
        codes: encodings of data, `(N, d)`; at most 2,000 are used, evenly apart.
        steps: points, at least 2.

    Returns:
        `(steps, d)`.

    Raises:
        UserError: encodings of another size, or none.
    """
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != len(a):
        raise UserError(
            f"A way along the aggregate posterior needs encodings (N, {len(a)}) of data; "
            f"got {tuple(codes.shape)}."
        )
    chosen = codes[spread_rows(len(codes), MOST_CODES)]
    nodes = torch.cat([a[None], chosen, b[None]]).double().numpy()
    chain = torch.from_numpy(nodes[_cheapest(nodes)])
    fine = _smoothed(resampled(chain, _FINE))
    return resampled(fine, steps).to(a.dtype)


def _cheapest(nodes: np.ndarray) -> list[int]:
    """The chain of rows from the first to the last."""
    scale = np.linalg.norm(nodes.std(0)) or 1.0  # keeps the powers in range
    costs = np.maximum((cdist(nodes, nodes) / scale) ** _POWER, _LEAST_COST)
    # Sparse, because of dense input dijkstra takes all below 1e-8 for "no way".
    before = dijkstra(csr_array(costs), indices=0, return_predecessors=True)[1]
    chain = [len(nodes) - 1]
    while chain[-1] != 0:
        chain.append(int(before[chain[-1]]))
    return chain[::-1]


def _smoothed(points: Tensor) -> Tensor:
    """A Gaussian average along the way; both ends stay, by reflection about them."""
    n = len(points)
    width = max(1, int(_SMOOTHING * n))
    reach = min(3 * width, n - 1)
    before = 2 * points[0] - points[1 : reach + 1].flip(0)
    after = 2 * points[-1] - points[-reach - 1 : -1].flip(0)
    offsets = torch.arange(-reach, reach + 1, dtype=points.dtype)
    weights = torch.exp(-0.5 * (offsets / width).square())
    windows = torch.cat([before, points, after]).unfold(0, 2 * reach + 1, 1)
    return windows @ (weights / weights.sum())
