"""Where the truth is known, models must find it."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from latentia.data.open import open_data
from latentia.fitting import fit
from latentia.game import Batch, Now, Player
from latentia.maths.divergences import importance_bound, kl_to_standard_normal
from latentia.models.denoiser import Denoiser, Sampling
from latentia.models.vae import VAE
from latentia.models.variational import Draw
from latentia.nn.likelihoods import (
    LEVEL,
    SCALE_SPEED,
    Bernoulli,
    DiscretisedLogistic,
    Gaussian,
)
from latentia.nn.mlp import MLP
from latentia.nn.standardise import Standardise
from latentia.nn.unet import PointDenoiser
from latentia.objectives.denoising import Denoising, NoiseLevels
from latentia.objectives.elbo import Elbo
from latentia.run import load
from latentia.training.budget import Budget, rate_factor
from latentia.training.ema import WeightAverage


def linear_data(n: int = 400) -> torch.Tensor:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(2, 5)) * [[2.0], [1.0]]
    rows = rng.normal(size=(n, 2)) @ mixing + 0.5 * rng.normal(size=(n, 5)) + 1.0
    return torch.tensor(rows, dtype=torch.float32)


def linear_vae() -> VAE:
    torch.manual_seed(0)
    return VAE(MLP(5, [], 4), MLP(2, [], 5), Gaussian(), 2, Standardise())


def exact_log_prob(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """log p(x) of a linear decoder: N(b, W Wᵀ + σ² I)."""
    eye = torch.eye(2)
    b = model.decoder(torch.zeros(1, 2))[0]
    w = (model.decoder(eye) - b).T
    variance = (2 * model.likelihood.log_sigma).exp()
    return MultivariateNormal(b, w @ w.T + variance * torch.eye(5)).log_prob(x)


@pytest.fixture(scope="module")
def fitted() -> tuple[VAE, torch.Tensor]:
    """A linear VAE after its game on linear data."""
    model, x = linear_vae(), linear_data()
    objective = Elbo(model, Player(model, 1e-2), beta=1.0, warmup=0.0, free_nats=0.0)
    optimizer = torch.optim.Adam(model.parameters())
    generator, steps = torch.Generator(), 2500
    batch = Batch(x, None, torch.arange(len(x)))
    for step in range(steps):
        now = Now(step, step / steps, generator.manual_seed(step), torch.device("cpu"))
        for _, terms in objective.play(batch, now):
            optimizer.zero_grad()
            sum(terms.values()).backward()
            optimizer.param_groups[0]["lr"] = 2e-2 * (1 - step / steps)
            optimizer.step()
    return model.requires_grad_(False), x


def test_a_linear_vae_is_probabilistic_pca(fitted: tuple[VAE, torch.Tensor]) -> None:
    model, x = fitted
    ppca = PCA(2).fit(x.numpy()).score(x.numpy())
    elbo = torch.stack([model.elbo(x, seed=s) for s in range(50)]).mean()
    assert float(exact_log_prob(model, x).mean()) == pytest.approx(ppca, abs=0.02)
    assert float(elbo) == pytest.approx(ppca, abs=0.05)  # the true posterior is in the family


def test_bounds_rise_to_the_likelihood(fitted: tuple[VAE, torch.Tensor]) -> None:
    model, x = fitted
    spoiled = linear_vae()
    spoiled.load_state_dict(model.state_dict())
    with torch.no_grad():  # a posterior that is wrong, so that the bounds are apart
        for parameter in list(spoiled.encoder.parameters())[-1:]:
            parameter[2:] += 1.0
    truth = exact_log_prob(spoiled, x)
    bounds = [spoiled.log_prob(x, samples=k, seed=1).mean() for k in (1, 5, 50, 2000)]
    assert all(a < b for a, b in pairwise(bounds))
    assert bounds[-1] <= truth.mean() + 0.01
    assert float(bounds[-1]) == pytest.approx(float(truth.mean()), abs=0.02)
    elbo = torch.stack([spoiled.elbo(x, seed=s) for s in range(50)]).mean()
    assert elbo < bounds[1] - 0.05


def test_closed_form_kl_equals_its_estimate() -> None:
    mu, log_var = torch.tensor([0.7, -1.2]), torch.tensor([-0.5, 0.8])
    q, p = Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0)
    closed = kl_to_standard_normal(mu, log_var)
    torch.testing.assert_close(closed, kl_divergence(q, p))
    torch.manual_seed(0)
    z = q.sample((200_000,))
    torch.testing.assert_close((q.log_prob(z) - p.log_prob(z)).mean(0), closed, atol=0.02, rtol=0)
    assert (kl_to_standard_normal(torch.zeros(3), torch.zeros(3)) == 0).all()
    assert (kl_to_standard_normal(torch.randn(99), torch.randn(99)) > 0).all()


def test_a_closed_kl_and_a_sampled_kl_are_one_number() -> None:
    model = linear_vae()
    mu, log_var = torch.randn(20_000, 2) * 0 + 0.5, torch.full((20_000, 2), -1.0)
    torch.manual_seed(1)
    z = mu + (0.5 * log_var).exp() * torch.randn_like(mu)
    drawn = Draw(z, mu, log_var, z)
    closed = model.kl(drawn).sum(1).mean()
    model.prior, model.learned = _StandardNormal(), 2
    assert float(model.kl(drawn).mean()) == pytest.approx(float(closed), abs=0.03)


class _StandardNormal(torch.nn.Module):
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return Normal(0.0, 1.0).log_prob(z).sum(-1)


def test_importance_bound_of_equal_weights_is_the_weight() -> None:
    assert float(importance_bound(torch.full((7,), -3.0))) == pytest.approx(-3.0)


# likelihoods


def levels_of(value_count: int = 256) -> torch.Tensor:
    return torch.linspace(-1, 1, value_count)


@pytest.mark.parametrize("scale", [-6.0, -3.0, 0.0])
@pytest.mark.parametrize("mu", [-1.0, -0.3, 0.99])
def test_the_256_levels_sum_to_one(mu: float, scale: float) -> None:
    x = levels_of().view(256, 1, 1, 1)
    parameters = torch.tensor([mu, scale]).view(1, 2, 1, 1).expand(256, 2, 1, 1)
    total = DiscretisedLogistic().log_prob(x, parameters).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-4)


def test_discretised_logistic_stays_finite_in_the_tails() -> None:
    x = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).requires_grad_()
    parameters = torch.tensor([30.0, -9.0]).view(1, 2, 1, 1).expand(3, 2, 1, 1)
    value = DiscretisedLogistic().log_prob(x, parameters)
    value.sum().backward()
    assert value.isfinite().all() and x.grad is not None and x.grad.isfinite().all()


def test_gaussian_on_levels_is_nearly_a_probability() -> None:
    likelihood = Gaussian(level=LEVEL)
    likelihood._scale.data.fill_(math.log(0.1) / SCALE_SPEED)
    x = levels_of().view(256, 1, 1, 1)
    total = likelihood.log_prob(x, torch.zeros(256, 1, 1, 1)).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-3)


def test_bernoulli_probabilities_sum_to_one_and_its_mean_is_right() -> None:
    logits = torch.full((2, 1, 1, 1), 0.4)
    x = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    assert float(Bernoulli().log_prob(x, logits).exp().sum()) == pytest.approx(1.0)
    assert float(Bernoulli().mean(logits)[0]) == pytest.approx(2 / (1 + math.exp(-0.4)) - 1)


def test_the_jacobian_of_standardising_is_in_the_likelihood() -> None:
    torch.manual_seed(0)
    plain = VAE(MLP(2, [], 4), MLP(2, [], 2), Gaussian(), 2, Standardise())
    scaled = VAE(plain.encoder, plain.decoder, plain.likelihood, 2, Standardise((1, 2), (3, 4)))
    x = torch.randn(5, 2)
    outside = x * torch.tensor([3.0, 4.0]) + torch.tensor([1.0, 2.0])
    torch.testing.assert_close(
        scaled.log_prob(outside, samples=3), plain.log_prob(x, samples=3) - math.log(12)
    )


# diffusion


def test_a_denoiser_learns_the_score_of_a_gaussian_and_its_density(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mean, spread = np.array([1.0, -2.0]), np.array([[1.5, 0.0], [0.9, 0.6]])
    rows = (rng.normal(size=(20_000, 2)) @ spread.T + mean).astype(np.float32)
    fit(rows, model="diffusion", examples=150_000, out=tmp_path, quiet=True)
    model = load(tmp_path)
    x = torch.tensor(rows[:400])
    truth = MultivariateNormal(
        torch.tensor(mean, dtype=torch.float32),
        torch.tensor(spread @ spread.T, dtype=torch.float32),
    )
    found = model.log_prob(x, samples=48)
    assert float((found - truth.log_prob(x)).mean().abs()) < 0.05
    assert float((found - truth.log_prob(x)).abs().mean()) < 0.12

    inner = model.standardise
    covariance = truth.covariance_matrix / (inner.scale[:, None] * inner.scale[None, :])
    for sigma in (0.2, 0.5, 1.0, 3.0):
        level = torch.full((len(x),), sigma)
        noisy = inner(x) + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(2))
        center = inner(truth.mean)
        exact = center + (noisy - center) @ gain.T
        error = (model(noisy, level) - exact).norm(dim=1).mean() / (exact - noisy).norm(
            dim=1
        ).mean()
        assert float(error) < 0.1, sigma


def test_diffusion_encodes_and_decodes_back(tmp_path: Path) -> None:
    fit("two-moons", model="diffusion", examples=60_000, out=tmp_path, quiet=True)
    model, x = load(tmp_path), open_data("two-moons", split="test").batch(range(64)).x
    z = model.encode(x, steps=64)
    assert float((model.decode(z, steps=64) - x).abs().mean()) < 0.05
    assert abs(float(z.std()) - 1) < 0.25  # data encode to noise


# schedules and averages


def test_the_rate_is_a_function_of_the_budget_share() -> None:
    assert rate_factor(0.0) < 0.1 and rate_factor(0.02) == 1
    assert rate_factor(1.0) == pytest.approx(0)
    shares = [rate_factor(0.3 + 0.07 * k) for k in range(11)]
    assert shares == sorted(shares, reverse=True)
    assert rate_factor(0.4, hold=0.5) == 1 > rate_factor(0.6, hold=0.5)


def test_budgets_count_one_thing_only() -> None:
    assert Budget(minutes=2).progress(60, 10**9) == 0.5
    assert Budget(examples=10).progress(10**9, 5) == 0.5
    for wrong in ({}, {"minutes": 1, "examples": 1}, {"minutes": -1}, {"minutes": float("nan")}):
        with pytest.raises(ValueError, match="budget"):
            Budget(**wrong)


@pytest.mark.parametrize("span", [1, 4])
def test_the_power_average_weighs_steps_by_a_power(span: int) -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average, gamma, last = WeightAverage(model, 3.0), 3.0, 400
    for step in range(span, last + 1, span):
        model.weight.data.fill_(float(step))
        average.update(step, span)
    weights = np.arange(1, last + 1) ** gamma
    expected = (weights * np.arange(1, last + 1)).sum() / weights.sum()
    assert float(average.model.weight) == pytest.approx(expected, rel=0.02)


def a_denoiser(guidance: float) -> Denoiser:
    torch.manual_seed(0)
    net = PointDenoiser(2, width=16, depth=1)
    torch.nn.init.normal_(net.last.weight)  # type: ignore[arg-type]
    sampling = Sampling(0.02, 40.0, 8, guidance, guided_from=0.3, guided_to=5.0)
    return Denoiser(net, (2,), Standardise(), 1.0, sampling)


def test_guidance_is_a_line_through_the_bad_and_the_good() -> None:
    x, level = torch.randn(5, 2), torch.full((5,), 1.0)
    plain, guided = a_denoiser(1.0), a_denoiser(3.0)
    assert plain.guide is None and torch.equal(plain.guided()(x, level), plain(x, level))
    assert guided.guide is not None
    for parameter in guided.guide.parameters():
        parameter.data.mul_(0.5)
    good = guided(x, level)
    bad = guided._denoise(guided.guide, x, level, None)
    torch.testing.assert_close(guided.guided()(x, level), bad + 3 * (good - bad))
    for outside in (0.05, 20.0):  # coarse and fine levels are left alone
        far = torch.full((5,), outside)
        assert torch.equal(guided.guided()(x, far), guided(x, far))


def test_densities_never_use_the_guide() -> None:
    x = torch.randn(4, 2)
    plain, guided = a_denoiser(1.0), a_denoiser(3.0)
    for parameter in guided.guide.parameters():  # type: ignore[union-attr]
        parameter.data.zero_()
    torch.testing.assert_close(plain.log_prob(x), guided.log_prob(x))
    assert not torch.allclose(plain.sample([0]), guided.sample([0]))


def test_the_guide_follows_and_then_stays() -> None:
    model = a_denoiser(2.0)
    objective = Denoising(model, Player(model, 1e-3), NoiseLevels(), guide_until=0.5)
    batch = Batch(torch.randn(8, 2), None, torch.arange(8))

    def guide_after(progress: float) -> torch.Tensor:
        now = Now(0, progress, torch.Generator(), torch.device("cpu"))
        list(objective.play(batch, now))
        return model.guide.first.weight.clone()  # type: ignore[union-attr]

    model.net.first.weight.data.fill_(7.0)
    assert (guide_after(0.1) == 7).all()  # the first step's average is the weights themselves
    model.net.first.weight.data.fill_(9.0)
    assert (guide_after(0.6) == 7).all()
    assert not any(p.requires_grad for p in model.guide.parameters())  # type: ignore[union-attr]
