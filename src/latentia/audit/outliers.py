"""The strangest examples, each judged by a model that has never seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentia.audit.describe import Description, nearest
from latentia.data.spec import Dataset
from latentia.detection.calibration import Calibration
from latentia.detection.scorer import OutlierScorer
from latentia.detection.scores import SCORES, chosen_scores

NEIGHBOUR = "neighbours"
_NEIGHBOUR_REASON = "it resembles no other example"
SLOW = ("views",)
"""Scores that train a network of their own, which an audit has no time for."""
_NEIGHBOUR_RANK = 4  # the fifth nearest: a few duplicates of a strange example do not hide it
_TRIM = 0.03  # of the rows, the strangest, which must not say what is usual
_BODY = 0.8
EXPECTED = 1.0
"""Rows beyond the threshold that chance may bring in the whole set."""


@dataclass(frozen=True)
class Strangeness:
    """How strange every row is.

    Attributes:
        total: `(N,)`, nats, higher = stranger.
        surprises: −log p of each score, `(N,)`.
        threshold: of `total`, above which a row is listed.
    """

    total: np.ndarray
    surprises: dict[str, np.ndarray]
    threshold: float

    def reason(self, row: int) -> str:
        """Name of the score that the row stands out most by."""
        return max(self.surprises, key=lambda name: float(self.surprises[name][row]))

    def words(self, row: int) -> str:
        """That reason, to be read after "because"."""
        name = self.reason(row)
        return _NEIGHBOUR_REASON if name == NEIGHBOUR else SCORES[name].reason

    def listed(self) -> list[int]:
        """Rows above the threshold, the strangest first."""
        order = np.argsort(-self.total, kind="stable")
        return [int(i) for i in order if self.total[i] > self.threshold]


def strangeness(
    models: Sequence[Any],
    data: Dataset,
    halves: Sequence[np.ndarray],
    found: Description,
    *,
    seed: int = 0,
) -> Strangeness:
    """Scores of each half by the model of the other, and of each row by its neighbours.

    Scores are calibrated on the judged half itself without its strangest 3 %, so that outliers do
    not pass for usual.

    Args:
        models: two, each trained on one half.
        data: all rows.
        halves: row numbers of the halves.
        found: the rows' description.
        seed: of every draw.
    """
    alone = nearest(found.points, found.points, _NEIGHBOUR_RANK + 1, same=True)[0][:, -1].numpy()
    total = np.zeros(len(data))
    surprises: dict[str, np.ndarray] = {}
    for model, own, other in zip(models, halves, reversed(halves), strict=True):
        judged = data.subset(other)
        few = judged.subset(slice(0, 32))  # only calibrates what is calibrated anew below
        quick = [name for name in chosen_scores(None, model, data.spec.shape) if name not in SLOW]
        scorer = OutlierScorer.fit(model, data.subset(own), few, scores=quick, seed=seed)
        parts = {**scorer.score(judged).parts, NEIGHBOUR: alone[other].astype(float)}
        calibration = _calibrated(parts)
        total[other] = calibration.combined(parts)
        for name, values in calibration.surprises(parts).items():
            surprises.setdefault(name, np.zeros(len(data)))[other] = values
    return Strangeness(total, surprises, threshold(total))


def _calibrated(parts: dict[str, np.ndarray]) -> Calibration:
    """Calibrated on the rows that are usual by a first calibration on all."""
    first = Calibration.fit(parts).combined(parts)
    usual = first <= np.quantile(first, 1 - _TRIM)
    return Calibration.fit({name: values[usual] for name, values in parts.items()})


def threshold(total: np.ndarray) -> float:
    """Where about one of N usual rows would be expected, were the upper tail exponential.

    The tail's slope is read between the 80 % and 97 % quantiles, which a few outliers leave alone.
    """
    low, high = np.quantile(total, [_BODY, 1 - _TRIM])
    slope = (high - low) / np.log((1 - _BODY) / _TRIM)
    return float(high + slope * np.log(max(_TRIM * len(total) / EXPECTED, 1.0)))
