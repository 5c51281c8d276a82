"""Samplers on a Gaussian, whose denoiser, paths and density are known exactly."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.schedules import (
    edm_scalings,
    karras_sigmas,
    lognormal_sigmas,
    stratified,
)
from latentia.samplers.heun import euler, heun, ode_log_prob, probability_flow
from latentia.samplers.levels import Denoise

MU, C = 0.5, 0.7


def gaussian_denoiser(mu: float = MU, c: float = C) -> Denoise:
    """E[data | x] for data ~ N(mu, c²)."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.view(-1, *[1] * (x.ndim - 1))
        return mu + c**2 / (c**2 + s**2) * (x - mu)

    return denoise


def exact_path(x: Tensor, start: float, end: float) -> Tensor:
    """The solution of the probability-flow ODE: standardised values stay what they are."""
    return MU + (x - MU) * math.sqrt((C**2 + end**2) / (C**2 + start**2))


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_samplers_converge_at_their_order(sampler, order: int) -> None:
    x = 10 * draw(16, 3)
    errors = []
    for n in (100, 200, 400):
        levels = karras_sigmas(n + 1, 0.05, 10.0)[:-1]
        errors.append((sampler(gaussian_denoiser(), x, levels) - exact_path(x, 10, 0.05)).norm())
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_sampling_gives_the_gaussian() -> None:
    x = 80 * draw(20_000, 1)
    sample = heun(gaussian_denoiser(), x, karras_sigmas(64, 0.02, 80.0))
    assert sample.mean().item() == pytest.approx(MU, abs=0.02)
    assert sample.std().item() == pytest.approx(C, abs=0.02)


def test_heun_spends_two_evaluations_a_step_and_one_in_the_last() -> None:
    calls = []

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(sigma)
        return gaussian_denoiser()(x, sigma)

    heun(counted, draw(4, 2), karras_sigmas(18, 0.02, 80.0))
    assert len(calls) == 35
    assert calls[0].shape == (4,)
    assert calls[0].dtype == torch.float64


def test_encode_then_decode_returns_the_point() -> None:
    data = MU + C * draw(8, 1, 8, 8)
    rising = karras_sigmas(200, 0.01, 40.0)[:-1].flip(0)
    code = probability_flow(gaussian_denoiser(), data, rising)
    back = probability_flow(gaussian_denoiser(), code, rising.flip(0))
    torch.testing.assert_close(code, exact_path(data, 0.01, 40.0), rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(back, data, rtol=1e-3, atol=1e-3)


def test_probability_flow_stops_above_zero() -> None:
    x = draw(4, 2)
    levels = karras_sigmas(20, 0.05, 10.0)
    same = heun(gaussian_denoiser(), x, levels[:-1])
    torch.testing.assert_close(probability_flow(gaussian_denoiser(), x, levels), same)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_ode_log_prob_is_the_exact_density(dimensions: int) -> None:
    x = MU + C * draw(32, dimensions)
    got = ode_log_prob(gaussian_denoiser(), x, 0.1, 200.0, steps=512, exact=True)
    smoothed = torch.distributions.Normal(
        torch.tensor(MU, dtype=torch.float64), math.sqrt(C**2 + 0.1**2)
    )
    torch.testing.assert_close(got, smoothed.log_prob(x).sum(1), rtol=0, atol=1e-3)


def test_ode_log_prob_with_correlated_dimensions() -> None:
    """Data on a tilted ellipse: the trace is that of a full matrix."""
    factor = torch.tensor([[1.0, 0.0], [0.8, 0.3]], dtype=torch.float64)
    covariance = factor @ factor.T
    eye = torch.eye(2, dtype=torch.float64)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        shrink = covariance @ torch.linalg.inv(covariance + sigma[0] ** 2 * eye)
        return x @ shrink.T

    x = draw(16, 2) @ factor.T
    got = ode_log_prob(denoise, x, 0.05, 200.0, steps=512, exact=True)
    truth = torch.distributions.MultivariateNormal(x.new_zeros(2), covariance + 0.05**2 * eye)
    torch.testing.assert_close(got, truth.log_prob(x), rtol=0, atol=1e-3)


def test_hutchinson_agrees_with_the_exact_trace() -> None:
    """Rademacher probes give a multiple of the identity its trace without variance."""
    x = MU + C * draw(4, 1, 10, 10)
    probing = ode_log_prob(
        gaussian_denoiser(),
        x,
        0.1,
        200.0,
        steps=32,
        generator=torch.Generator().manual_seed(1),
    )
    exact = ode_log_prob(gaussian_denoiser(), x, 0.1, 200.0, steps=32, exact=True)
    torch.testing.assert_close(probing, exact)


def test_probes_need_a_generator() -> None:
    with pytest.raises(UserError, match="generator"):
        ode_log_prob(gaussian_denoiser(), draw(2, 100), 0.1, 10.0)


@pytest.mark.parametrize("levels", [[1.0], [1.0, 1.0], [0.0, 1.0], [2.0, 1.0, 3.0], [1.0, -1.0]])
def test_senseless_levels_are_refused(levels: list[float]) -> None:
    with pytest.raises(UserError, match="noise levels"):
        heun(gaussian_denoiser(), draw(2, 2), levels)


def test_karras_levels() -> None:
    levels = karras_sigmas(18, 0.02, 80.0)
    assert levels.shape == (19,)
    assert levels[0].item() == pytest.approx(80.0)
    assert levels[-2].item() == pytest.approx(0.02)
    assert levels[-1] == 0
    assert bool((levels.diff() < 0).all())
    with pytest.raises(UserError):
        karras_sigmas(0, 0.02, 80.0)
    assert karras_sigmas(1, 0.02, 80.0).tolist() == [80.0, 0.0]


def test_preconditioning_keeps_unit_variance() -> None:
    """EDM eq. 114-144: input, target and first loss have variance one at every level."""
    sigma, sd = torch.tensor([0.01, 0.5, 50.0], dtype=torch.float64)[:, None], 0.6
    data, noise = sd * draw(3, 200_000, seed=1), sigma * draw(3, 200_000, seed=2)
    scale = edm_scalings(sigma, sd)
    target = (data - scale.skip * (data + noise)) / scale.out
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close((scale.inward * (data + noise)).std(1), ones, atol=0.02, rtol=0)
    torch.testing.assert_close(target.std(1), ones, atol=0.02, rtol=0)


def test_training_levels_follow_their_law() -> None:
    uniform = torch.rand(4096, generator=torch.Generator().manual_seed(0))
    spread = stratified(uniform)
    assert torch.equal((spread * 4096).floor(), torch.arange(4096.0))
    logs = lognormal_sigmas(spread, -0.4, 1.2).log()
    assert logs.mean().item() == pytest.approx(-0.4, abs=0.01)
    assert logs.std().item() == pytest.approx(1.2, abs=0.02)
    assert bool(lognormal_sigmas(torch.zeros(1), -0.4, 1.2).isfinite().all())
