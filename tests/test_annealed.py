"""Annealed importance sampling where log p(x) is known, and beside importance sampling."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from games import tiny_run
from latentia.data.open import open_data
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.fitting import fit
from latentia.metrics.annealed import (
    Annealable,
    annealed_likelihood,
    annealed_log_prob,
    schedule,
)
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.tables import conditions_of, figures_of, words_of
from latentia.run import load


class LinearGaussian:
    """z ~ N(0, I), x = W z + b + σ ε: p(x) is known."""

    def __init__(self, latent_dim: int = 2, dims: int = 5, sigma: float = 0.5) -> None:
        generator = torch.Generator().manual_seed(0)
        self.latent_dim, self.sigma = latent_dim, sigma
        self.w = torch.randn(dims, latent_dim, generator=generator)
        self.b = torch.randn(dims, generator=generator)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return Normal(z @ self.w.T + self.b, self.sigma).log_prob(x).sum(1)

    def log_prior(self, z: Tensor) -> Tensor:
        return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def from_noise(self, noise: Tensor) -> Tensor:
        return noise

    def drawn(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        z = torch.randn(n, self.latent_dim, generator=generator)
        noise = torch.randn(n, len(self.b), generator=generator)
        return z @ self.w.T + self.b + self.sigma * noise

    def exact(self, x: Tensor) -> Tensor:
        covariance = self.w @ self.w.T + self.sigma**2 * torch.eye(len(self.b))
        return MultivariateNormal(self.b, covariance).log_prob(x).double()


class WithBadPosterior(LinearGaussian):
    """An encoder that is off by a good deal."""

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x).mean

    def posterior(self, x: Tensor) -> Independent:
        near = (x - self.b) @ torch.linalg.pinv(self.w).T
        return Independent(Normal(near + 0.4, torch.full_like(near, 0.2)), 1)


class FoldedPrior(LinearGaussian):
    """A prior of two numbers made from noise of three."""

    noise_dim = 3

    def from_noise(self, noise: Tensor) -> Tensor:
        return torch.stack([noise[:, 0], (noise[:, 1] + noise[:, 2]) / math.sqrt(2)], 1)


def points(values: Tensor) -> Dataset:
    return Dataset(
        DataSpec("points", "vector", tuple(values.shape[1:]), len(values), "0" * 16),
        values.numpy(),
    )


def test_the_schedule_runs_from_prior_to_posterior() -> None:
    beta = schedule(10)
    assert (float(beta[0]), float(beta[-1])) == (0, 1) and len(beta) == 11
    step = beta.diff()
    assert (step > 0).all() and step[0] < step[5] and step[-1] < step[5]


@pytest.mark.parametrize("model", [LinearGaussian(), FoldedPrior()])
def test_annealing_finds_the_known_density(model: LinearGaussian) -> None:
    x = model.drawn(24)
    found = annealed_log_prob(model, x, chains=32, steps=150, leapfrog=4)
    apart = found.log_prob - model.exact(x)
    error = float(found.error.square().mean().sqrt()) / math.sqrt(len(x))
    assert error < 0.04
    assert abs(float(apart.mean())) < 4 * error  # adapting on the way would be off by 0.1
    assert (apart.abs() < 6 * found.error + 0.05).all()
    assert 0.5 < float(found.acceptance.mean()) < 0.95
    assert (found.effective > 5).all() and (found.effective <= 32).all()


def test_few_steps_stay_below() -> None:
    model = LinearGaussian(8, 20, 0.3)
    x = model.drawn(10)
    apart = [
        float((annealed_log_prob(model, x, chains=4, steps=n).log_prob - model.exact(x)).mean())
        for n in (1, 10, 100, 600)
    ]
    assert apart == sorted(apart) and apart[0] < -50 and abs(apart[-1]) < 1.0


def test_a_start_at_the_encoder_takes_few_steps_and_mends_its_errors() -> None:
    model = WithBadPosterior(4, 12, 0.3)
    x = model.drawn(20)
    at_once, annealed = (
        annealed_log_prob(model, x, chains=16, steps=n, start="posterior") for n in (1, 60)
    )
    exact = model.exact(x)
    assert float((at_once.log_prob - exact).mean()) < -1  # importance sampling alone
    error = float(annealed.error.square().mean().sqrt()) / math.sqrt(len(x))
    assert abs(float((annealed.log_prob - exact).mean())) < 4 * error < 0.4
    assert annealed.effective.mean() > 2 * at_once.effective.mean()


def test_a_seed_settles_the_estimate_and_gradients_may_be_off() -> None:
    model = LinearGaussian()
    x = model.drawn(5)
    with torch.no_grad():
        one, two, other = (annealed_log_prob(model, x, steps=5, seed=s) for s in (1, 1, 2))
    torch.testing.assert_close(one.log_weights, two.log_weights, rtol=0, atol=0)
    assert not torch.equal(one.log_weights, other.log_weights)
    assert not one.log_weights.requires_grad


def test_figures_and_their_words() -> None:
    model = LinearGaussian()
    data, seen = points(model.drawn(300)), []
    found = annealed_likelihood(model, data, steps=20, progress=lambda *at: seen.append(at))
    assert (found["examples"], found["start"], found["importance"]) == (100, "prior", None)
    exact = -model.exact(torch.from_numpy(data.values[::3])).mean()
    assert found["nll_nats"] == pytest.approx(float(exact), abs=0.5)
    assert seen[-1][0] == seen[-1][1] and [a for a, _ in seen] == sorted(a for a, _ in seen)
    assert annealed_likelihood(model, data, every=150, steps=2)["examples"] == 2
    single = annealed_likelihood(model, data, every=150, steps=2, chains=1)
    assert single["chain_error"] is None
    json.dumps([found, single], allow_nan=False)
    assert "too fast" in words_of("ais", single)[0]
    assert list(figures_of({"ais": single}))


def test_errors_say_what_is_wrong() -> None:
    model = LinearGaussian()
    data = points(model.drawn(10))
    for named, words in (
        ({"chains": 0}, "chains is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"every": 0}, "every is 0"),
        ({"start": "posterior"}, "use 'prior'"),
        ({"start": "elsewhere"}, "cannot start"),
    ):
        with pytest.raises(UserError, match=words):
            annealed_likelihood(model, data, **named)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="decoder with a prior"):
        annealed_likelihood(object(), data)


def test_annealing_agrees_with_importance_sampling_of_a_trained_vae(tmp_path: Path) -> None:
    small = {"latent": 3, "width": 8, "depth": 1, "prior": "standard"}
    fit("digits", examples=4000, out=tmp_path / "run", settings=small, quiet=True)
    model = load(tmp_path / "run")
    assert isinstance(model, Annealable) and METRICS["ais"].fits(model, points(torch.zeros(2, 2)))
    train, test = open_data("digits", split="train"), open_data("digits", split="test")
    named = evaluate(model, train, test, metrics=["ais"], every=45, importance_samples=1000)["ais"]
    beside = named["importance"]
    assert named["start"] == "posterior" and beside["importance_samples"] == 1000
    assert abs(beside["difference_nats"]) < 0.15 + 3 * beside["difference_error"]
    assert named["effective_chains"] > 4
    json.dumps(named, allow_nan=False)
    lines = str(figures_of({"ais": named}))
    assert "1,000 importance samples" in lines and "moves accepted" in lines
    assert "8 chains" in conditions_of("ais", named)
    x = test.batch(np.arange(4)).x
    far = annealed_log_prob(model, x, steps=200, start="prior")
    near = annealed_log_prob(model, x, steps=50, start="posterior")
    assert float((far.log_prob - near.log_prob).mean()) == pytest.approx(0, abs=0.8)


def test_slow_metrics_run_only_when_named(tmp_path: Path) -> None:
    run, dataset = tiny_run("vae", "vector", tmp_path / "run")
    found = evaluate(run.build().eval(), dataset, dataset, samples=20, importance_samples=5)
    assert "likelihood" in found and "ais" not in found
