"""The strangest examples, each judged by a model that has never seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latentia.audit.describe import Description, nearest
from latentia.data.spec import Dataset
from latentia.detection.calibration import Calibration
from latentia.detection.scorer import OutlierScorer
from latentia.detection.scores import SCORES
from latentia.detection.views import Views

NEIGHBOUR = "neighbours"
_NEIGHBOUR_REASON = "it resembles no other example"
SHAPE = "views"
"""A score whose network is trained once, on all rows: what it is asked needs no label."""
_NEIGHBOUR_RANK = 4  # the fifth nearest: a few duplicates of a strange example do not hide it
_TRIM = 0.03  # of the rows, the strangest, which must not say what is usual
_BODY = 0.8
_SHAPE_WEIGHT = 2.0  # in pictures of things what they show tells most
_CHUNK = 250
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

    Scores that grow with how busy a picture is take part as well: in an audit noise is a finding.
    The features behind `views` are learned from all rows, and the strangest do not say what is
    usual. Scores are calibrated on the judged half itself, see `combined`.

    Args:
        models: two, each trained on one half.
        data: all rows.
        halves: row numbers of the halves.
        found: the rows' description.
        seed: of every draw.
    """
    alone = nearest(found.points, found.points, _NEIGHBOUR_RANK + 1, same=True)[0][:, -1].numpy()
    beside = {NEIGHBOUR: alone.astype(float)}
    if SCORES[SHAPE].fits(None, data.spec.shape):
        beside[SHAPE] = _unlike(data, seed)
    total = np.zeros(len(data))
    surprises: dict[str, np.ndarray] = {}
    for model, own, other in zip(models, halves, reversed(halves), strict=True):
        judged = data.subset(other)
        few = judged.subset(slice(0, 32))  # only calibrates what is calibrated anew below
        quick = quick_scores(model, data.spec.shape)
        scorer = OutlierScorer.fit(model, data.subset(own), few, scores=quick, seed=seed)
        parts = {**scorer.score(judged).parts, **{k: v[other] for k, v in beside.items()}}
        total[other], heard = combined(parts)
        for name, values in heard.items():
            surprises.setdefault(name, np.zeros(len(data)))[other] = values
    return Strangeness(total, surprises, threshold(total))


def quick_scores(model: Any, shape: tuple[int, ...]) -> list[str]:
    """Every score that the model can give and that trains nothing more."""
    return [name for name, s in SCORES.items() if s.fits(model, shape) and name != SHAPE]


def _unlike(data: Dataset, seed: int) -> np.ndarray:
    """How unlike the others' the features of every picture are, `(N,)`."""
    views = Views.fit(data, seed=seed, trim=_TRIM)
    chunks = torch.arange(len(data)).split(_CHUNK)
    return np.concatenate([views.strangeness(data.batch(rows).x) for rows in chunks])


def combined(parts: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One number for each row, and the surprise of each of its scores, nats.

    Scores of one family, which look at the same thing, are combined so that the rarest decides;
    the mean over the families then gathers what independent witnesses say (Fisher 1932), what a
    picture shows counting twice. The strangest 3 % by a first calibration on all rows do not take
    part in the second.

    Args:
        parts: scores by name, `(N,)` each, higher = stranger.
    """
    first, _ = _together(parts, np.ones(len(next(iter(parts.values()))), bool))
    return _together(parts, first <= np.quantile(first, 1 - _TRIM))


def _together(
    parts: dict[str, np.ndarray], usual: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    families: dict[str, dict[str, np.ndarray]] = {}
    for name, values in parts.items():
        family = NEIGHBOUR if name == NEIGHBOUR else SCORES[name].family
        families.setdefault(family, {})[name] = values
    surprises: dict[str, np.ndarray] = {}
    totals, weights = [], []
    for scores in families.values():
        calibration = Calibration.fit({name: values[usual] for name, values in scores.items()})
        surprises |= calibration.surprises(scores)
        totals.append(calibration.combined(scores))
        weights.append(_SHAPE_WEIGHT if SHAPE in scores else 1.0)
    return np.average(totals, axis=0, weights=weights), surprises


def threshold(total: np.ndarray) -> float:
    """Where about one of N usual rows would be expected, were the upper tail exponential.

    The tail's slope is read between the 80 % and 97 % quantiles, which a few outliers leave alone.
    """
    low, high = np.quantile(total, [_BODY, 1 - _TRIM])
    slope = (high - low) / np.log((1 - _BODY) / _TRIM)
    return float(high + slope * np.log(max(_TRIM * len(total) / EXPECTED, 1.0)))
