"""Labels that the examples themselves speak against."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from latentia.audit.describe import Description, nearest
from latentia.audit.foretelling import folds_of, seen_out_of_fold
from latentia.data.spec import Dataset

FOLDS = 5
NEIGHBOURS = 10
STRENGTHS = (0.01, 0.1)
"""Inverse regularisations that are tried; the one that predicts the given labels best is kept."""
FEWEST_OF_A_CLASS = 5
LEAST_ODDS = 8.0
"""The other label must be this many times more probable, next to what is usual for both classes."""
LEAST_P = 0.5
MOST_SHARE = 0.05  # of the rows, the surest, that are listed
_MOST_ROUNDS = 100
_LEAST_HEARD = 0.02  # probability below which a label counts no worse
_MOST_FITTED = 6000


@dataclass(frozen=True)
class LabelIssue:
    """A row whose label looks wrong.

    Attributes:
        row: its number.
        given, likely: its label, and the one it looks like.
        given_p, likely_p: their probabilities by what was learned from other rows alone.
        agreeing: share of its nearest neighbours with the label `likely`.
        score: log of the odds, next to what is usual for both classes, nats; higher = surer.
    """

    row: int
    given: int
    likely: int
    given_p: float
    likely_p: float
    agreeing: float
    score: float


@dataclass(frozen=True)
class LabelAudit:
    """What the labels are worth.

    Attributes:
        issues: the surest first.
        accuracy: share of the rows whose label is foretold by the others; low where pictures do not
            show their labels, and then little can be said.
        judged: rows whose class is large enough to be judged.
    """

    issues: tuple[LabelIssue, ...]
    accuracy: float
    judged: int

    def without(self, strange: Sequence[int]) -> LabelAudit:
        """The same but for rows that are strange altogether: no label fits those."""
        kept = tuple(issue for issue in self.issues if issue.row not in set(strange))
        return replace(self, issues=kept)


def wrong_labels(
    found: Description,
    labels: np.ndarray,
    codes: np.ndarray | None = None,
    *,
    pictures: Dataset | None = None,
    seed: int = 0,
) -> LabelAudit | None:
    """Labels that are contradicted by classifiers which never saw the row.

    After confident learning (Northcutt et al. 2021): probabilities are taken next to what is usual
    for rows of a class, so that a class which is hard to tell is not accused as a whole. They come
    from a logistic regression of the description, from the labels of the nearest neighbours and,
    for pictures, from a small convolutional network; of these and their geometric means those are
    taken that foretell the given labels best.

    Args:
        found: the rows.
        labels: int64 `(N,)`.
        codes: latents of the rows `(N, d)`, which a model learned without labels.
        pictures: the rows themselves, where they are pictures that a network may look at.
        seed: of the folds.

    Returns:
        None where fewer than two classes have rows enough.
    """
    kinds, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    large = counts >= FEWEST_OF_A_CLASS
    rows = np.flatnonzero(large[place])
    if large.sum() < 2:
        return None
    target = np.searchsorted(np.flatnonzero(large), place[rows])
    features = _features(found, codes)[rows]
    near = _neighbour_shares(found.points[torch.from_numpy(rows)], target)
    witnesses = [near, out_of_fold(features, target, seed)]
    if pictures is not None:
        witnesses.append(seen_out_of_fold(pictures.subset(rows), target, seed))
    joint = best_foretold(witnesses, target)
    issues = _issues(joint, near, target, rows, kinds[large])
    accuracy = float((joint.argmax(1) == target).mean())
    return LabelAudit(issues, accuracy, len(rows))


def _issues(
    joint: np.ndarray, near: np.ndarray, target: np.ndarray, rows: np.ndarray, names: np.ndarray
) -> tuple[LabelIssue, ...]:
    """Rows whose probabilities `(N, K)` speak clearly against their class, the surest first."""
    every = np.arange(len(rows))
    own = joint[every, target]
    usual = np.array([own[target == k].mean() for k in range(len(names))])
    likely = joint.argmax(1)
    surely = joint[every, likely]
    score = np.log(surely / usual[likely]) - np.log(np.maximum(own, 1e-12) / usual[target])
    odd = (likely != target) & (score >= np.log(LEAST_ODDS)) & (surely >= LEAST_P)
    order = [i for i in np.argsort(-score, kind="stable") if odd[i]]
    return tuple(
        LabelIssue(
            row=int(rows[i]),
            given=int(names[target[i]]),
            likely=int(names[likely[i]]),
            given_p=float(own[i]),
            likely_p=float(surely[i]),
            agreeing=float(near[i, likely[i]]),
            score=float(score[i]),
        )
        for i in order[: round(MOST_SHARE * len(rows))]
    )


def best_foretold(witnesses: Sequence[np.ndarray], target: np.ndarray) -> np.ndarray:
    """The geometric mean `(N, K)` of those witnesses that foretell the labels best together."""
    best, found = -np.inf, witnesses[0]
    for count in range(1, len(witnesses) + 1):
        for some in combinations(witnesses, count):
            joint = np.exp(np.mean([np.log(np.maximum(p, 1e-6)) for p in some], axis=0))
            joint /= joint.sum(1, keepdims=True)
            fit = _capped_fit(joint, target)
            if fit > best:
                best, found = fit, joint
    return found


def _capped_fit(p: np.ndarray, target: np.ndarray) -> float:
    """Mean log-probability of the labels, nats.

    Capped, so that wrong labels do not choose a classifier that is sure of nothing.
    """
    return float(np.log(np.maximum(p[np.arange(len(target)), target], _LEAST_HEARD)).mean())


def out_of_fold(features: np.ndarray, target: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities `(N, K)` of a logistic regression that never saw the row it judges.

    Every class is spread evenly over the folds; the strength is chosen by log-likelihood.
    """
    fold = folds_of(target, FOLDS, seed)
    best, found = -np.inf, np.empty((0, 0))
    for strength in STRENGTHS:
        p = np.full((len(target), int(target.max()) + 1), 1e-6)
        for k in range(FOLDS):
            _predict(
                features, target, np.flatnonzero(fold != k), np.flatnonzero(fold == k), strength, p
            )
        p /= p.sum(1, keepdims=True)
        fit = _capped_fit(p, target)
        if fit > best:
            best, found = fit, p
    return found


def _predict(
    features: np.ndarray,
    target: np.ndarray,
    train: np.ndarray,
    held: np.ndarray,
    strength: float,
    out: np.ndarray,
) -> None:
    train = train[:: -(-len(train) // _MOST_FITTED)]
    net = LogisticRegression(C=strength, max_iter=_MOST_ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit predicts as well
        net.fit(features[train], target[train])
    out[np.ix_(held, net.classes_)] = net.predict_proba(features[held])


def _features(found: Description, codes: np.ndarray | None) -> np.ndarray:
    """Components and latents, each of mean square 1 over all columns together."""
    parts = [found.components]
    if codes is not None:
        parts.append(codes - codes.mean(0))
    return np.concatenate([p / max(float(p.std()), 1e-9) for p in parts], 1)


def _neighbour_shares(points: torch.Tensor, target: np.ndarray) -> np.ndarray:
    """Share of each class among the nearest other rows, smoothed, `(N, K)`."""
    rows = nearest(points, points, NEIGHBOURS, same=True)[1].numpy()
    classes = int(target.max()) + 1
    counts = np.stack([(target[rows] == k).sum(1) for k in range(classes)], 1)
    shares: np.ndarray = (counts + 1 / classes) / (rows.shape[1] + 1)
    return shares
