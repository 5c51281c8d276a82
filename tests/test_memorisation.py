"""Copiers are called copiers and honest models are not: generators with known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia.data.open import open_data
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics.copies import copied, drawn_to_training, nearest_training
from latentia.metrics.features import default_extractor
from latentia.metrics.membership import auc, membership
from latentia.metrics.memorisation import coverage, covered, memorisation

DIMS = 12


def points(values: Tensor, labels: np.ndarray | None = None) -> Dataset:
    rows = values.numpy().astype(np.float32)
    return Dataset(DataSpec("points", "vector", rows.shape[1:], len(rows), "0" * 16), rows, labels)


def clusters(n: int, seed: int) -> Tensor:
    """Ten clusters of different width in twelve dimensions: some samples are easy, some hard."""
    generator = torch.Generator().manual_seed(seed)
    centers = 3 * torch.randn(10, DIMS, generator=torch.Generator().manual_seed(99))
    which = torch.randint(10, (n,), generator=generator)
    width = torch.linspace(0.1, 1.5, 10)[which, None]
    return centers[which] + width * torch.randn(n, DIMS, generator=generator)


def repeated(train: Dataset, n: int, noise: float, seed: int = 5) -> Tensor:
    """Training rows, each a little changed."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(train), (n,), generator=generator)
    return train.batch(rows).x + noise * torch.randn(n, DIMS, generator=generator)


def blurred(train: Dataset, n: int) -> Tensor:
    """Means of the eight training rows nearest to new points: near to all, copies of none."""
    new = clusters(n, 7)
    nearest = torch.cdist(new, train.batch(range(len(train))).x).topk(8, largest=False).indices
    return torch.stack([train.batch(rows).x.mean(0) for rows in nearest])


TRAIN, TEST = points(clusters(1500, 0)), points(clusters(1000, 1))
SMALL = TRAIN.subset(slice(0, 50))


def verdict(samples: Tensor, train: Dataset = TRAIN) -> dict:
    return memorisation(
        object(), train, TEST, samples=samples, extractor=default_extractor(train), limit=400
    )


@pytest.mark.parametrize("train", [TRAIN, SMALL], ids=["1500", "50"])
def test_a_copier_with_noise_is_called_a_copier(train: Dataset) -> None:
    found = verdict(repeated(train, 400, 0.02), train)
    assert found["verdict"] == "copies" and found["copied"]["low"] > 0.85
    assert found["drawn"]["p"] < 1e-3 and found["drawn"]["excess"]["value"] > 0.8
    assert found["membership"]["nearest sample"]["low"] > 0.55
    assert "This model copies" in found["sentences"][0]
    assert found["pairs"][0][2] < 0.1
    json.dumps(found, allow_nan=False)


def test_half_a_copier_shows_half() -> None:
    half = torch.cat([repeated(TRAIN, 200, 0.01), clusters(200, 3)])
    found = verdict(half)
    assert found["verdict"] == "copies"
    assert found["copied"]["low"] < 0.5 < found["copied"]["high"]
    assert found["copied"]["value"] == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("train", [TRAIN, SMALL], ids=["1500", "50"])
def test_an_honest_sampler_is_not(train: Dataset) -> None:
    found = verdict(clusters(400, 2), train)
    assert found["verdict"] == "none" and found["copied"]["low"] == 0
    assert found["drawn"]["p"] > 0.01
    assert found["strongest"] == "nearest sample"
    assert "No sign of copying" in found["sentences"][0]


def test_blurred_samples_are_no_copies() -> None:
    found = verdict(blurred(TRAIN, 400))
    assert found["spaces"]["pixels"]["distance"] < found["spaces"]["pixels"]["test_distance"]
    assert found["copied"]["low"] == 0 and found["verdict"] != "copies"


def test_samples_near_one_point_prove_nothing() -> None:
    """Of one sample repeated all are on the same side: the test knows that it is one draw."""
    stuck = clusters(1, 4).repeat(400, 1)
    found = drawn_to_training(stuck, TRAIN, TEST, to_train=nearest_training(stuck, TRAIN, k=11))
    assert found.p > 0.1


def test_chance_is_told_right() -> None:
    """Of honest samples and random splits the p-values are spread as they should be."""
    whole, low = clusters(4000, 11), 0
    for seed in range(40):
        order = torch.randperm(4000, generator=torch.Generator().manual_seed(seed))
        train, held = points(whole[order[:80]]), points(whole[order[80:160]])
        samples = whole[order[160:360]]
        near = nearest_training(samples, train, k=11)
        low += drawn_to_training(samples, train, held, to_train=near).p < 0.1
    assert low <= 10  # 4 expected


def test_equal_rows_in_both_parts_are_said_and_set_no_threshold() -> None:
    test = points(torch.cat([clusters(300, 1), TRAIN.batch(range(60)).x]))
    found = memorisation(object(), TRAIN, test, samples=repeated(TRAIN, 360, 0.01))
    assert found["leaked"] == 60 and found["verdict"] == "copies"
    assert any("themselves in the training data" in said for said in found["sentences"])
    honest = memorisation(object(), TRAIN, test, samples=clusters(360, 2))
    assert honest["verdict"] == "none"
    same = nearest_training(TRAIN.batch(range(30)).x, TRAIN, k=11)
    with pytest.raises(UserError, match="Every held-out row"):
        copied(same, same)


def test_membership_by_hand_and_by_a_model_that_knows_its_rows() -> None:
    assert auc(np.array([1.0, 1.0]), np.array([1.0])).value == 0.5
    blind = auc(*np.random.default_rng(0).normal(size=(2, 300)))
    assert blind.low < 0.5 < blind.high  # type: ignore[operator]

    class Knows:
        def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
            return -torch.cdist(x, TRAIN.batch(range(200)).x).amin(1)

    found = membership(Knows(), TRAIN.subset(slice(0, 200)), TEST)
    assert found.strongest is not None and found.strongest[0] == "ELBO"
    assert found.scores["ELBO"].low > 0.9  # type: ignore[operator]
    told = memorisation(Knows(), TRAIN.subset(slice(0, 200)), TEST)
    assert told["verdict"] is None and "gives away" in told["sentences"][0]


def test_coverage_sees_what_is_missing() -> None:
    labels = (clusters(1000, 1)[:, 0] > 0).numpy().astype(np.int64)
    test = points(clusters(1000, 1), labels)
    whole = coverage(clusters(500, 2), test)
    assert whole is not None and whole["share"]["value"] > whole["real"]["value"] - 0.06
    few = coverage(repeated(SMALL, 500, 0.02), test)
    assert few is not None and few["share"]["high"] < 0.5
    on_a_line = torch.arange(5.0)[:, None]
    assert covered(on_a_line, torch.tensor([[4.5]]), k=1).tolist() == [False] * 4 + [True]


def test_too_few_held_out_rows_leave_it_open() -> None:
    found = memorisation(object(), TRAIN, TEST.subset(slice(0, 5)), samples=clusters(50, 2))
    assert found["verdict"] is None and "not known" in found["sentences"][0]
    with pytest.raises(UserError, match="needs samples"):
        memorisation(object(), TRAIN, TEST.subset(slice(0, 0)), samples=clusters(5, 2))


def test_held_out_rows_that_are_no_new_ones_leave_a_sentence_and_no_verdict() -> None:
    data = open_data("two-moons:300", split="all")
    found = memorisation(object(), data, data, samples=data.batch(range(150)).x)
    assert found["verdict"] is None and "also in the training data" in found["sentences"][0]
