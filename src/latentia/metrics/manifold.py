"""Where data lie: balls about real rows that reach to their k-th neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

NEIGHBOURS = 5


@dataclass(frozen=True)
class Manifold:
    """The union of balls about real rows (Kynkäänniemi et al. 2019, eq. 1).

    Attributes:
        points: features of the real rows, float64 `(N, F)`.
        radius: distance of each to its k-th other neighbour, `(N,)`.
        k: which neighbour that is.
    """

    points: np.ndarray
    radius: np.ndarray
    k: int

    @classmethod
    def of(cls, real: Tensor, k: int = NEIGHBOURS) -> Manifold:
        """Features `(N, F)` of real rows, N at least 2."""
        points = real.double().numpy()
        k = min(k, len(points) - 1)
        return cls(points, radii(points, k), k)

    def remoteness(self, features: Tensor) -> Tensor:
        """How far out each row is, `(M, F) -> (M,)`: the smallest distance to a real row, in that
        row's radius. At most 1 inside the manifold: the share of such samples is their precision.
        """
        nearest = np.full(len(features), np.inf)
        floor = np.finfo(np.float64).tiny
        for start, apart in distances(self.points, features.double().numpy()):
            own = np.maximum(self.radius[start : start + len(apart)], floor)
            nearest = np.minimum(nearest, (apart / own[:, None]).min(0))
        return torch.from_numpy(nearest)


def radii(points: np.ndarray, k: int) -> np.ndarray:
    """Distance of every point to its k-th other neighbour."""
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0][:, -1]


def distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, distances of some rows of x to all of y), in bounded memory."""
    start = 0
    for apart in pairwise_distances_chunked(x, y, working_memory=64):
        yield start, apart
        start += len(apart)
