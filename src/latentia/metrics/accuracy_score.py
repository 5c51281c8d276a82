"""Classification accuracy score: are samples good enough to learn from?

A classifier is trained on samples, with the classes they were asked for as labels, and tried on
real test rows (Ravuri & Vinyals 2019, "Classification accuracy score for conditional generative
models"). What is missing, wrong or of the wrong class costs accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset, to_levels
from latentia.errors import UserError
from latentia.metrics.classifiers import right_answers, train_classifier
from latentia.metrics.intervals import wilson

_LEAST = 20

Tell = Callable[[str, int, int], None]


def accuracy_score(
    samples: Tensor,
    asked: Tensor,
    train: Dataset,
    test: Dataset,
    *,
    examples: int | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Accuracy on real test rows of a classifier trained on samples, and of one trained on as
    many real rows of each class; the same net, budget and seed for both.

    Args:
        samples: `(N, …)` as the model gives them.
        asked: class number that each was asked for, int64 `(N,)`.
        train, test: real labelled rows.
        examples: pictures each training sees, as in `train_classifier`.
        seed: of both trainings and the rows drawn.
        tell: progress, (what, done, of how many).

    Returns:
        `accuracy` and `real_accuracy` (value, low, high, hits, n), `ratio` of the two; `classes`:
        name -> the two accuracies by class; `rows` trained on, `test_rows`.

    Raises:
        UserError: no labels, fewer than 20 rows to train on, or one class alone.
    """
    if train.labels is None or test.labels is None:
        raise UserError(f"{train.spec.name} has no labels, so no classifier can be trained.")
    made, real = _alike(asked.numpy(), train.labels, np.random.default_rng(seed))
    if len(made) < _LEAST:
        raise UserError(
            f"A classifier needs at least {_LEAST} samples to learn from; there are {len(made)}."
        )
    drawn = _as_data(samples[torch.from_numpy(made)], asked.numpy()[made], train)
    outcome = {}
    for name, rows in (("samples", drawn), ("real rows", train.subset(real))):
        judge = train_classifier(
            rows,
            seed=seed,
            examples=examples,
            progress=None if tell is None else _teller(tell, f"classifier on {name}"),
        )
        outcome[name] = right_answers(judge, test)
    return _summary(outcome, train, len(made))


def _alike(
    asked: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of samples and of real data, equally many of every class."""
    made, real = [], []
    for number in np.unique(asked):
        mine, theirs = (np.flatnonzero(column == number) for column in (asked, labels))
        n = min(len(mine), len(theirs))
        made.append(mine[:n])
        real.append(np.sort(random.permutation(theirs)[:n]))
    return np.concatenate(made), np.concatenate(real)


def _as_data(samples: Tensor, labels: np.ndarray, like: Dataset) -> Dataset:
    image = like.spec.kind == "image"
    values = to_levels(samples).numpy() if image else samples.float().numpy()
    return Dataset(replace(like.spec, n=len(values)), values, labels.astype(np.int64))


def _summary(
    outcome: dict[str, tuple[np.ndarray, np.ndarray]], train: Dataset, rows: int
) -> dict[str, Any]:
    (right, truth), (really, _) = outcome["samples"], outcome["real rows"]
    own, real = (wilson(int(r.sum()), len(r)) for r in (right, really))
    classes = {
        train.spec.classes[number] if number < len(train.spec.classes) else str(number): {
            "accuracy": float(right[truth == number].mean()),
            "real_accuracy": float(really[truth == number].mean()),
        }
        for number in np.unique(truth).tolist()
    }
    return {
        "accuracy": asdict(own),
        "real_accuracy": asdict(real),
        "ratio": (own.value or 0.0) / real.value if real.value else None,
        "classes": classes,
        "rows": rows,
        "test_rows": len(truth),
    }


def _teller(tell: Tell, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(what, done, total)
