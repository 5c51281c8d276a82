"""Likelihood, reconstruction, copies, modes: models with known answers, good and bad."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from latentia.abilities import Seeds
from latentia.data.spec import Dataset, DataSpec
from latentia.data.toys import gaussians_25, two_moons
from latentia.errors import UserError
from latentia.metrics import tables
from latentia.metrics.copies import nearest_training
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.likelihood import likelihood
from latentia.metrics.modes import known_mixture, modes
from latentia.metrics.reconstruction import psnr, reconstruction, squared_errors


def normal(n: int, dims: int, seed: int) -> Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))


def points(values: Tensor, name: str = "points", known: bool = False) -> Dataset:
    spec = DataSpec(name, "vector", tuple(values.shape[1:]), len(values), "0" * 16)
    density = (lambda v: standard_log_prob(torch.from_numpy(v)).numpy()) if known else None
    return Dataset(spec, values.numpy(), log_density=density)


def pictures(n: int, seed: int) -> Dataset:
    """Smooth 6x6 pictures: a few random waves."""
    random = np.random.default_rng(seed)
    waves = np.random.default_rng(99).normal(size=(4, 36))
    levels = np.clip(128 + 30 * random.normal(size=(n, 4)) @ waves, 0, 255).astype(np.uint8)
    spec = DataSpec("waves", "image", (1, 6, 6), n, "1" * 16)
    return Dataset(spec, levels.reshape(n, 1, 6, 6))


def standard_log_prob(x: Tensor) -> Tensor:
    return -0.5 * x.square().sum(1) - x.shape[1] / 2 * math.log(2 * math.pi)


class StandardNormal:
    """Knows the true density of its data; its ELBO is loose by exactly half a nat."""

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, int]] = []

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        self.asked.append((samples, seed))
        return standard_log_prob(x)

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        return standard_log_prob(x) - 0.5

    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        return torch.cat([normal(1, 3, seed + 1000) for seed in seeds])


class FlowOnly:
    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        self.asked.append(samples)
        return standard_log_prob(x)


class ElboOnly:
    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        return standard_log_prob(x) - 1


class FirstValues:
    """Keeps the first k values of an example, loses the rest."""

    def __init__(self, shape: tuple[int, ...], k: int) -> None:
        self.shape, self.latent_dim = shape, k

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, : self.latent_dim]

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        flat = torch.zeros(len(z), math.prod(self.shape))
        flat[:, : self.latent_dim] = z
        return flat.reshape(-1, *self.shape)


def test_likelihood_of_the_true_model() -> None:
    data, model = points(normal(1000, 3, 0), known=True), StandardNormal()
    seen: list[tuple[int, int]] = []
    found = likelihood(
        model, data, samples=7, seed=5, batch=300, progress=lambda *at: seen.append(at)
    )
    exact = -standard_log_prob(torch.from_numpy(data.values)).double()
    assert found["nll_nats"] == pytest.approx(float(exact.mean()))
    assert found["nll_nats"] == pytest.approx(3 / 2 * math.log(2 * math.pi * math.e), abs=0.15)
    assert found["nll_standard_error"] == pytest.approx(float(exact.std()) / math.sqrt(1000))
    assert found["elbo_nats"] == pytest.approx(-found["nll_nats"] - 0.5)
    assert found["bits_per_dim"] == pytest.approx(found["nll_nats"] / 3 / math.log(2))
    assert found["entropy_nats"] == pytest.approx(found["nll_nats"])
    assert (found["importance_samples"], found["examples"]) == (7, 1000)
    assert model.asked == [(7, 5), (7, 6), (7, 7), (7, 8)]  # every batch its own draws
    assert seen == [(300, 1000), (600, 1000), (900, 1000), (1000, 1000)]


def test_likelihood_of_every_tenth_row() -> None:
    data = points(normal(95, 3, 0))
    found = likelihood(StandardNormal(), data, every=10)
    kept = -standard_log_prob(torch.from_numpy(data.values[::10])).mean()
    assert found["examples"] == 10
    assert found["nll_nats"] == pytest.approx(float(kept))
    assert found["importance_samples"] == 5000


def test_importance_samples_are_not_taken_for_solver_steps() -> None:
    flow = FlowOnly()
    found = likelihood(flow, points(normal(10, 3, 0)))
    assert flow.asked == [None]  # the model's own number of steps
    assert found["elbo_nats"] is None and found["solver_steps"] is None
    assert "importance_samples" not in found


def test_a_bound_alone_is_not_called_a_likelihood() -> None:
    found = likelihood(ElboOnly(), points(normal(50, 3, 0)))
    assert found["nll_nats"] is None and found["importance_samples"] is None
    assert found["bits_per_dim"] == pytest.approx(-found["elbo_nats"] / 3 / math.log(2))


class Bernoulli(StandardNormal):
    likelihood = SimpleNamespace(levels=2)

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        return -math.log(2) * torch.ones(len(x)) * x[0].numel()

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        return self.log_prob(x) - 1


def test_bits_per_dimension_are_claimed_of_probabilities_only() -> None:
    grey = pictures(20, 0)
    black = Dataset(grey.spec, np.where(grey.values > 128, 255, 0).astype(np.uint8))
    found = likelihood(Bernoulli(), black, samples=7)
    assert (found["is_probability"], found["levels"]) == (True, 2)
    assert found["bits_per_dim"] == pytest.approx(1)
    assert "2 levels" in str(tables.figures_of({"likelihood": found}))
    weights = likelihood(Bernoulli(), grey, samples=7)
    assert (weights["is_probability"], weights["bits_per_dim"]) == (False, None)
    assert weights["nll_nats"] == found["nll_nats"]
    lines = str(tables.figures_of({"likelihood": weights}))
    assert "cross-entropy" in lines and "bits" not in lines
    words = tables.conditions_of("likelihood", weights)
    assert "no probability" in words and "7 importance samples" in words and " s" in words


def test_rows_of_no_finite_likelihood_are_counted() -> None:
    values = normal(50, 3, 0)
    values[7] = float("inf")
    found = likelihood(FlowOnly(), points(values))
    assert found["nll_nats"] is None
    assert found["non_finite"] == 1
    json.dumps(found, allow_nan=False)


def test_likelihood_refuses_what_has_none() -> None:
    data = points(normal(10, 3, 0))
    with pytest.raises(UserError, match="neither log_prob nor elbo"):
        likelihood(object(), data)
    with pytest.raises(UserError, match="every is 0"):
        likelihood(FlowOnly(), data, every=0)


def test_reconstruction_and_its_pca_baseline() -> None:
    train, test = pictures(300, 0), pictures(200, 1)
    found = reconstruction(FirstValues((1, 6, 6), 3), train, test, examples=100)
    x = test.batch(np.arange(0, 200, 2)).x.flatten(1)
    own = x[:, 3:].square().sum(1) / 36
    assert found["squared_error"] == pytest.approx(float(own.mean()), rel=1e-5)
    error = float(own.std()) / 10
    assert found["squared_error_standard_error"] == pytest.approx(error, rel=1e-4)
    assert found["psnr_db"] == pytest.approx(float((10 * torch.log10(4 / own)).mean()), rel=1e-5)

    pca = PCA(3, svd_solver="full").fit(train.batch(np.arange(300)).x.flatten(1))
    plain = torch.from_numpy(pca.inverse_transform(pca.transform(x)))
    expected = float((x - plain).square().mean())
    assert found["pca"]["squared_error"] == pytest.approx(expected, rel=1e-3)
    assert found["pca"]["components"] == found["latent_dim"] == 3
    assert found["pca"]["squared_error"] < found["squared_error"]  # a poor model loses to PCA


def test_a_perfect_model_reconstructs_without_error() -> None:
    data = pictures(60, 0)
    found = reconstruction(FirstValues((1, 6, 6), 36), data, data)
    assert found["squared_error"] == 0
    assert found["psnr_db"] is None  # infinite
    assert found["pca"]["squared_error"] == pytest.approx(0, abs=1e-8)
    json.dumps(found, allow_nan=False)
    assert "psnr_db" not in reconstruction(
        FirstValues((3,), 2), points(normal(50, 3, 0)), points(normal(50, 3, 1))
    )


def test_squared_errors_and_psnr_by_hand() -> None:
    errors = squared_errors(torch.ones(2, 1, 2, 2), torch.stack([torch.zeros(1, 2, 2)] * 2))
    assert errors.tolist() == [1, 1]
    assert psnr(torch.tensor([4.0, 0.04])).tolist() == pytest.approx([0, 20])


def test_nearest_training_rows_by_hand() -> None:
    train = points(torch.tensor([[0.0], [10.0], [11.0], [30.0]]))
    found = nearest_training(torch.tensor([[10.4], [29.0]]), train, k=2)
    assert found.index.tolist() == [[1, 2], [3, 2]]
    assert found.distance[0].tolist() == pytest.approx([0.4, 0.6], abs=1e-5)
    with pytest.raises(UserError, match="shape"):
        nearest_training(torch.zeros(2, 5), train)


def test_nearest_training_rows_agree_with_brute_force_over_many_chunks() -> None:
    train, queries = normal(2500, 6, 0), normal(40, 6, 1)
    found = nearest_training(queries, points(train), k=3)
    exact = (queries[:, None] - train).norm(dim=2).sort(1)
    assert torch.equal(found.index, exact.indices[:, :3])
    assert torch.allclose(found.distance, exact.values[:, :3], atol=1e-5)


def test_modes_of_the_truth_and_of_a_collapsed_model() -> None:
    truth = gaussians_25()
    drawn, _ = truth.draw(5000, np.random.default_rng(0))
    centers = torch.from_numpy(truth.centers)
    good = modes(torch.from_numpy(drawn), centers, truth.sigma)
    assert good["modes_found"] == good["modes"] == 25
    assert good["expected_share"] == pytest.approx(1 - math.exp(-4.5))
    assert good["high_quality_share"] == pytest.approx(good["expected_share"], abs=0.01)
    assert 0.02 < good["smallest_share"] < 1 / 25 < good["largest_share"] < 0.06

    stuck = modes(centers[:1].repeat(100, 1), centers, truth.sigma)
    assert (stuck["modes_found"], stuck["high_quality_share"]) == (1, 1)
    astray = modes(centers + 1, centers, truth.sigma)
    assert (astray["modes_found"], astray["high_quality_share"]) == (0, 0)


def test_only_separated_toy_mixtures_have_modes_to_count() -> None:
    rows = torch.zeros(30, 2)
    mixture = known_mixture(points(rows, "gaussians-25"))
    assert mixture is not None and len(mixture.centers) == 25
    assert len(two_moons().centers) > 1
    for name in ("two-moons", "rings", "points"):
        assert known_mixture(points(rows, name)) is None


def test_evaluate_takes_what_model_and_data_allow() -> None:
    train, test = points(normal(300, 3, 0)), points(normal(100, 3, 1))
    found = evaluate(StandardNormal(), train, test, samples=60)
    assert set(found) == {"likelihood", "fidelity", "memorisation"}
    assert found["fidelity"]["samples"] == 60
    assert found["likelihood"]["examples"] == 100
    text = json.dumps(found, allow_nan=False)
    repeated = evaluate(StandardNormal(), train, test, samples=60)
    for figures in (found, repeated):
        figures["likelihood"].pop("seconds")
    assert repeated == json.loads(json.dumps(found)) and text

    assert set(evaluate(FirstValues((3,), 2), train, test)) == {
        "reconstruction",
        "latent_space",
        "memorisation",
    }
    named = evaluate(StandardNormal(), train, test, metrics=["likelihood"], every=10)
    assert set(named) == {"likelihood"} and named["likelihood"]["examples"] == 10


def test_evaluate_keeps_long_likelihoods_to_a_thousand_rows() -> None:
    train, test = points(normal(30, 3, 0)), points(normal(10_000, 3, 1))
    found = evaluate(FlowOnly(), train, test)["likelihood"]
    assert (found["every"], found["examples"]) == (10, 1000)


def test_evaluate_draws_other_samples_for_another_seed() -> None:
    train, test = points(normal(100, 3, 0)), points(normal(50, 3, 1))
    one, two = (
        evaluate(StandardNormal(), train, test, metrics=["fidelity"], samples=50, seed=seed)
        for seed in (0, 1)
    )
    assert one["fidelity"]["frechet"] != two["fidelity"]["frechet"]


def test_evaluate_refuses_the_unknown_and_the_impossible() -> None:
    data = points(normal(30, 3, 0))
    with pytest.raises(UserError, match="did you mean 'fidelity'"):
        evaluate(StandardNormal(), data, data, metrics=["fidelty"])
    with pytest.raises(UserError, match="'reconstruction' needs a model that encodes and decodes"):
        evaluate(StandardNormal(), data, data, metrics=["reconstruction"])
    with pytest.raises(UserError, match="samples is 0"):
        evaluate(StandardNormal(), data, data, samples=0)


def test_every_metric_is_described_and_printed() -> None:
    assert all(metric.about and metric.needs for metric in METRICS.values())
    assert set(METRICS) == set(tables._LINES) == set(tables._CONDITIONS)
    slow = [name for name, metric in METRICS.items() if not metric.by_default]
    assert slow == ["accuracy_score", "ais"]
