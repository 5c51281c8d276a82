"""Classifiers that judge or are judged: a short fixed training on pictures or on vectors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from latentia.abilities import Classifies
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.metrics.convnet import default_examples, train_convnet
from latentia.metrics.features import JUDGED_ROWS, ClassifierFeatures

MOST_EXAMPLES = 100_000
_VECTOR_ROWS, _ROUNDS = 20_000, 100
_CHUNK = 500


@dataclass(frozen=True)
class VectorClassifier:
    """A small scikit-learn network on standardised vectors.

    Attributes:
        fitted: has `predict_proba` and `classes_`.
        classes: how many classes there are, seen in training or not.
    """

    fitted: Any
    classes: int

    def predict_proba(self, x: Tensor) -> Tensor:
        """`(B, features) -> (B, classes)`, rows sum to 1; 0 for classes never seen."""
        found = torch.zeros(len(x), self.classes)
        found[:, torch.from_numpy(self.fitted.classes_)] = torch.from_numpy(
            self.fitted.predict_proba(x.double().numpy())
        ).float()
        return found


def train_classifier(
    data: Dataset,
    *,
    seed: int = 0,
    examples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Classifies:
    """Train a classifier of the data's labels, always the same way.

    Pictures: the net of `metrics.convnet`. Vectors: two hidden layers of 64 units (scikit-learn's
    `MLPClassifier`), on at most 20,000 rows.

    Args:
        data: labelled rows.
        seed: of weights and order.
        examples: pictures seen; None lets the data's size decide, up to 100,000.
        progress: called with (examples seen, of how many), of pictures.

    Raises:
        UserError: no labels, or one class alone.
    """
    if data.labels is None or len(np.unique(data.labels)) < 2:
        raise UserError(f"{data.spec.name} has no two classes that a classifier could tell apart.")
    classes = max(len(data.spec.classes), int(data.labels.max()) + 1)
    if data.spec.kind == "vector":
        return _on_vectors(data, classes, seed)
    seen = min(MOST_EXAMPLES, default_examples(data)) if examples is None else examples
    net = train_convnet(data, data.labels, seed=seed, examples=seen, progress=progress)
    return ClassifierFeatures(net, "conv classifier", float("nan"))


def _on_vectors(data: Dataset, classes: int, seed: int) -> VectorClassifier:
    assert data.labels is not None
    rows = np.random.default_rng(seed).permutation(len(data))[:_VECTOR_ROWS]
    net = MLPClassifier((64, 64), max_iter=_ROUNDS, n_iter_no_change=5, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the rounds are the budget
        fitted = make_pipeline(StandardScaler(), net).fit(
            np.asarray(data.values[rows], np.float64), data.labels[rows]
        )
    return VectorClassifier(fitted, classes)


def right_answers(classifier: Classifies, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Which of at most 10,000 rows are classified correctly, bool `(N,)`, and their labels."""
    assert data.labels is not None
    rows = spread_rows(len(data), JUDGED_ROWS)
    guesses = [
        classifier.predict_proba(data.batch(chunk).x).argmax(1) for chunk in rows.split(_CHUNK)
    ]
    labels = data.labels[rows.numpy()]
    return torch.cat(guesses).numpy() == labels, labels
