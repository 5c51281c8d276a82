"""A Gaussian fitted to feature vectors, and the distance to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.covariance import ledoit_wolf

_STEADY = 1e-6  # of the mean variance, added to every dimension: one that never moves says nothing


@dataclass(frozen=True)
class FittedGaussian:
    """Mean `(d,)` and inverse covariance `(d, d)`, float64."""

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray) -> Self:
        """Of rows `(N, d)`, the covariance shrunk as Ledoit & Wolf 2004 have it."""
        values = np.asarray(rows, np.float64)
        covariance, _ = ledoit_wolf(values)
        size = len(covariance)
        scale = max(float(np.trace(covariance)) / size, 1e-12)
        precision = np.linalg.inv(covariance + _STEADY * scale * np.eye(size))
        return cls(values.mean(0), precision)

    def squared_distance(self, rows: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance of rows `(N, d)`, `(N,)`, ≥ 0; about d for its own."""
        off = np.asarray(rows, np.float64) - self.mean
        squared: np.ndarray = ((off @ self.precision) * off).sum(1)
        return np.maximum(squared, 0)
