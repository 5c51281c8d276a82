"""Evaluation of picture models end to end, on scikit-learn's digits with a tiny classifier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from latentia.abilities import Seeds
from latentia.data.spec import Dataset, DataSpec
from latentia.metrics import occasion as room
from latentia.metrics.evaluate import evaluate
from latentia.metrics.features import default_extractor


def digits(rows: slice) -> Dataset:
    raw = load_digits()
    values = (raw.images[rows] * 255 / 16).round().astype(np.uint8)[:, None]
    spec = DataSpec("digits", "image", (1, 8, 8), len(values), "d" * 16, tuple("0123456789"))
    return Dataset(spec, values, raw.target[rows].astype(np.int64))


TRAIN, TEST, UNSEEN = (digits(slice(*at)) for at in ((0, 900), (900, 1350), (1350, 1797)))


class Replays:
    """Gives out rows of a data set as its samples."""

    def __init__(self, source: Dataset) -> None:
        self.source = source

    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        return self.source.batch(np.array([seed % len(self.source) for seed in seeds])).x


class Noise:
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        return torch.stack([torch.rand(1, 8, 8, generator=g) * 2 - 1 for g in random])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(*args: object, **named: object) -> object:
        return default_extractor(*args, **named, examples=9000)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "default_extractor", quick)


def test_new_real_digits_score_like_real_digits(cache: Path) -> None:
    found = evaluate(Replays(UNSEEN), TRAIN, TEST, samples=440, cache_dir=cache)
    assert set(found) == {"fidelity", "classes", "memorisation"}
    fidelity, classes = found["fidelity"], found["classes"]
    assert fidelity["frechet"] < 2.5 * fidelity["floor"]["frechet"]
    assert fidelity["precision"] == pytest.approx(fidelity["floor"]["precision"], abs=0.15)
    assert classes["smallest"] > 0.05 and classes["largest"] < 0.15
    assert classes["confident_share"] == pytest.approx(classes["floor"]["confident_share"], abs=0.1)
    assert classes["test_accuracy"] > 0.85
    assert found["memorisation"]["verdict"] == "none"
    json.dumps(found, allow_nan=False)


def test_noise_scores_far_from_real_digits(cache: Path) -> None:
    found = evaluate(Noise(), TRAIN, TEST, samples=440, metrics=["fidelity"], cache_dir=cache)
    assert found["fidelity"]["frechet"] > 10 * found["fidelity"]["floor"]["frechet"]
    assert found["fidelity"]["precision"] < 0.2
    assert found["fidelity"]["coverage"] < 0.2


def test_a_model_that_lost_classes_shows_it(cache: Path) -> None:
    assert UNSEEN.labels is not None
    few = UNSEEN.subset(np.flatnonzero(UNSEEN.labels < 3))
    found = evaluate(Replays(few), TRAIN, TEST, samples=120, cache_dir=cache)
    assert found["classes"]["largest"] > 0.25
    assert found["classes"]["smallest"] < 0.01
    assert found["fidelity"]["recall"] < found["fidelity"]["floor"]["recall"] - 0.2


def test_a_model_that_replays_training_rows_is_flagged(cache: Path) -> None:
    found = evaluate(
        Replays(TRAIN), TRAIN, TEST, samples=100, metrics=["memorisation"], cache_dir=cache
    )
    assert found["memorisation"]["verdict"] == "copies"
    assert found["memorisation"]["spaces"]["pixels"]["distance"] == 0
