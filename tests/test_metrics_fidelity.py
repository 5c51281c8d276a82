"""Distances and neighbourhoods: exact where a formula exists, ordered where only sense does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics.features import default_extractor
from latentia.metrics.fidelity import (
    class_shares,
    fidelity,
    frechet_distance,
    kernel_distance,
    neighbourhoods,
)

FIGURES = ("frechet", "kernel", "precision", "recall", "density", "coverage")


def normal(n: int, seed: int, dims: int = 3) -> Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vectors(values: Tensor, labels: np.ndarray | None = None) -> Dataset:
    spec = DataSpec("points", "vector", tuple(values.shape[1:]), len(values), "0" * 16)
    return Dataset(spec, values.float().numpy(), labels)


def with_moments(x: Tensor, mean: np.ndarray, covariance: np.ndarray) -> Tensor:
    """The rows of x, moved so that their sample mean and covariance are exactly these."""
    white = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    return white @ torch.linalg.cholesky(torch.tensor(covariance)).T + torch.tensor(mean)


def test_frechet_distance_equals_the_formula_for_two_gaussians() -> None:
    m1, m2 = np.array([0.0, 1.0, -2.0]), np.array([1.0, 1.0, 0.5])
    s1 = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.2], [0.0, 0.2, 0.5]])
    s2 = np.array([[1.0, -0.4, 0.1], [-0.4, 3.0, 0.0], [0.1, 0.0, 1.5]])
    expected = ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    real, fake = with_moments(normal(500, 0), m1, s1), with_moments(normal(400, 1), m2, s2)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_one_set_to_itself_is_zero_even_with_few_rows() -> None:
    x = normal(20, 0, dims=64)  # singular covariance
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(x, x + 1) == pytest.approx(64, abs=1e-4)


def test_kernel_distance_is_the_unbiased_mmd() -> None:
    x, y = normal(8, 0), normal(8, 1) + 0.5
    mean, spread = kernel_distance(
        torch.cat([x, x]), torch.cat([y, y]), subsets=400, subset_size=8, seed=0
    )

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / 3 + 1) ** 3

    # subsets of the doubled rows: pairs (i, j) distinct rows of the sixteen, weighted alike
    xx, yy = torch.cat([x, x]), torch.cat([y, y])
    off = ~torch.eye(16, dtype=torch.bool)
    exact = kernel(xx, xx)[off].mean() + kernel(yy, yy)[off].mean() - 2 * kernel(xx, yy).mean()
    assert mean == pytest.approx(float(exact), abs=4 * spread / 20)


def test_kernel_distance_is_seeded_and_leaves_the_global_stream_alone() -> None:
    x, y = normal(100, 0), normal(100, 1)
    before = torch.get_rng_state()
    first = kernel_distance(x, y, subsets=5, subset_size=20, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == kernel_distance(x, y, subsets=5, subset_size=20, seed=3)
    assert first != kernel_distance(x, y, subsets=5, subset_size=20, seed=4)


def test_neighbourhoods_by_hand() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0]])  # radii with k = 1: 1, 1, 2
    fake = torch.tensor([[0.5], [10.0]])  # radii 9.5, 9.5
    found = neighbourhoods(real, fake, k=1)
    # 0.5 lies in the balls of 0 and 1 only, 10 in none
    assert found == {"precision": 0.5, "density": 1.0, "coverage": 2 / 3, "recall": 1.0}


def test_neighbourhoods_of_the_truth_are_high_and_of_garbage_zero() -> None:
    real = normal(1000, 0, dims=2)
    good = neighbourhoods(real, normal(1000, 1, dims=2))
    assert good["density"] == pytest.approx(1, abs=0.1)
    assert good["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
    assert min(good["precision"], good["recall"]) > 0.95
    assert set(neighbourhoods(real, real + 100).values()) == {0.0}


def test_a_lost_mode_lowers_recall_and_coverage_but_not_precision() -> None:
    two = torch.where(torch.arange(1000) % 2 == 0, 0.0, 20.0)[:, None]
    real, whole = normal(1000, 0) + two, normal(1000, 1) + two
    half = neighbourhoods(real, normal(1000, 1))
    full = neighbourhoods(real, whole)
    assert half["precision"] > 0.9
    assert half["recall"] < 0.6 < 0.9 < full["recall"]
    assert half["coverage"] < 0.6 < 0.9 < full["coverage"]


def test_noise_lowers_precision_but_not_recall() -> None:
    real = normal(1000, 0, dims=8)
    noisy = normal(1000, 1, dims=8) * 2
    found, clean = neighbourhoods(real, noisy), neighbourhoods(real, normal(1000, 2, dims=8))
    assert found["precision"] < 0.5 < 0.8 < clean["precision"]
    assert found["density"] < 0.3
    assert found["recall"] > 0.8


def test_fidelity_of_real_samples_equals_the_floor_and_shifted_ones_are_far() -> None:
    train, test = vectors(normal(800, 0)), vectors(normal(400, 1))
    extractor = default_extractor(train)
    good = fidelity(normal(300, 2).float(), train, test, extractor)
    bad = fidelity(normal(300, 2).float() + 2, train, test, extractor)
    for name in ("frechet", "kernel"):
        assert good[name] == pytest.approx(good["floor"][name], abs=0.1)
        assert bad[name] > 10 * abs(good[name])
    assert bad["floor"] == good["floor"]
    assert good["samples"] == 300
    assert good["extractor"] == {
        "name": "standardised values",
        "hash": extractor.hash,
        "dims": 3,
    }
    assert set(FIGURES) <= set(good) and set(FIGURES) <= set(good["floor"])
    assert good == fidelity(normal(300, 2).float(), train, test, extractor)


def test_fidelity_never_calls_itself_fid() -> None:
    data = vectors(normal(50, 0))
    keys = fidelity(normal(50, 1).float(), data, data, default_extractor(data))
    assert not any("fid" in key.lower() or "inception" in key.lower() for key in keys)


def test_fidelity_refuses_too_little_and_diverged_samples() -> None:
    data = vectors(normal(50, 0))
    extractor = default_extractor(data)
    with pytest.raises(UserError, match="at least 10"):
        fidelity(normal(5, 1).float(), data, data, extractor)
    broken = normal(50, 1).float()
    broken[3, 0] = float("nan")
    with pytest.raises(UserError, match="1 of 50 samples"):
        fidelity(broken, data, data, extractor)


class SignClassifier:
    """Class 1 where the first value is positive; the sureness is its size."""

    def predict_proba(self, x: Tensor) -> Tensor:
        return torch.stack([-x[:, 0], x[:, 0]], 1).softmax(1)


def test_class_shares_count_classes_and_confidence() -> None:
    samples = torch.tensor([[5.0], [5.0], [0.1], [-5.0]])
    test = vectors(torch.tensor([[5.0], [-5.0], [5.0], [-5.0], [0.1]]))
    found = class_shares(samples, test, SignClassifier(), classes=("left", "right"))
    assert found["shares"] == {"left": 0.25, "right": 0.75}
    assert (found["smallest"], found["largest"], found["confident_share"]) == (0.25, 0.75, 0.75)
    assert found["floor"]["shares"] == {"left": 0.4, "right": 0.6}
    assert (found["floor"]["confident_share"], found["floor"]["samples"]) == (0.8, 5)
