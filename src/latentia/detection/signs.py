"""The signs of scikit-learn's outlier detectors, from one score of strangeness."""

from __future__ import annotations

from typing import Any

import numpy as np


class OutlierSigns:
    """What follows from `outlier_scores` (PyOD's sign) and the threshold `offset_`."""

    offset_: float

    def outlier_scores(self, X: Any) -> np.ndarray:
        """How strange each row is, `(N,)` nats, higher = stranger."""
        raise NotImplementedError

    def score_samples(self, X: Any) -> np.ndarray:
        """How normal each row is, `(N,)`, higher = more normal: −`outlier_scores`."""
        return -self.outlier_scores(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` less the threshold, `(N,)`; below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """−1 for outliers, 1 for the others, int64 `(N,)`."""
        return np.where(self.decision_function(X) < 0, -1, 1)
