"""What a model makes when it is asked for a class: the right class, real-looking, varied?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Classifies
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import stacked
from latentia.metrics.classifiers import right_answers
from latentia.metrics.features import FeatureExtractor, features_of
from latentia.metrics.fidelity import frechet_distance
from latentia.metrics.intervals import wilson

MOST_CLASSES = 100
_REFERENCE_ROWS = 2000
_LEAST, _CHUNK = 10, 500


def per_class(
    samples: Tensor,
    asked: Tensor,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor,
    judge: Classifies,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of samples by the class that was asked for, each next to real test rows.

    Agreement: share of samples that a classifier trained on real data gives the class asked for;
    its floor is how often it is right about real test rows. Fréchet distance of the features of a
    class to training rows of that class; its floor is that of as many test rows. Diversity: root
    mean squared distance between two samples of a class, in that of two training rows of it; 1 is
    as varied as real data.

    Args:
        samples: `(N, …)` as the model gives them.
        asked: class number that each was asked for, int64 `(N,)`.
        train, test: real labelled rows.
        extractor: gives the features.
        judge: a classifier trained on `train`.
        seed: of the rows drawn.

    Returns:
        `agreement` and `real_agreement` (value, low, high, hits, n); means over classes
        `frechet`, `real_frechet`, `diversity`, `real_diversity`; the class of least agreement
        `worst`; `classes`: name -> the same by class (None where rows are fewer than 10);
        `samples`, `extractor` (name, hash, dims).

    Raises:
        UserError: no labels, or samples that are not finite.
    """
    if train.labels is None or test.labels is None:
        raise UserError(f"{train.spec.name} has no labels, so classes cannot be compared.")
    if not bool(samples.isfinite().all()):
        raise UserError(
            "Some samples are not finite numbers: the model has diverged. Train again with a "
            "lower learning rate, or take an earlier checkpoint."
        )
    guess = torch.cat([judge.predict_proba(part).argmax(1) for part in samples.split(_CHUNK)])
    seen = stacked(extractor(part) for part in samples.split(_CHUNK))
    right, truth = right_answers(judge, test)
    random = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for number in asked.unique().tolist():
        mine = asked == number
        found[_name(train, number)] = {
            "agreement": asdict(wilson(int((guess[mine] == number).sum()), int(mine.sum()))),
            "real_agreement": asdict(
                wilson(int(right[truth == number].sum()), int((truth == number).sum()))
            ),
            **_compared(seen[mine], number, train, test, extractor, random),
        }
    hits = guess == asked
    return {
        "agreement": asdict(wilson(int(hits.sum()), len(hits))),
        "real_agreement": asdict(wilson(int(right.sum()), len(right))),
        **{key: _mean([one[key] for one in found.values()]) for key in _COMPARED},
        "worst": min(found, key=lambda name: found[name]["agreement"]["value"]),
        "classes": found,
        "samples": len(samples),
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


_COMPARED = ("frechet", "real_frechet", "diversity", "real_diversity")


def _compared(
    seen: Tensor,
    number: int,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor,
    random: np.random.Generator,
) -> dict[str, float | None]:
    """Fréchet distance and diversity of one class, with those of as many real test rows."""
    assert train.labels is not None and test.labels is not None
    known, new = (random.permutation(np.flatnonzero(d.labels == number)) for d in (train, test))
    n = min(len(seen), len(new))
    if min(n, len(known)) < _LEAST:
        return dict.fromkeys(_COMPARED)
    reference = features_of(train, extractor, known[:_REFERENCE_ROWS])
    real = features_of(test, extractor, new[:n])
    unit = max(_spread(reference), 1e-300)
    return {
        "frechet": frechet_distance(reference, seen[:n]),
        "real_frechet": frechet_distance(reference, real),
        "diversity": _spread(seen) / unit,
        "real_diversity": _spread(real) / unit,
    }


def _spread(features: Tensor) -> float:
    """Root mean squared distance between two rows."""
    return float((2 * features.double().var(0).sum()).sqrt())


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _name(data: Dataset, number: int) -> str:
    return data.spec.classes[number] if number < len(data.spec.classes) else str(number)
