"""The equations that make noise of data: marginals by simulation, one coordinate for all."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.schedules import karras_sigmas
from latentia.maths.sdes import (
    Geometric,
    Sde,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from latentia.samplers.heun import ode_log_prob, probability_flow
from mixtures import three_heaps

SDES: dict[str, Sde] = {
    "ve": VarianceExploding(0.05, 20.0),
    "vp": VariancePreserving(0.05, 0.1, 20.0),
    "sub-vp": SubVariancePreserving(0.05, 0.1, 20.0),
}
every_sde = pytest.mark.parametrize("name", SDES)


def at(t: float) -> Tensor:
    return torch.tensor(t, dtype=torch.float64)


@every_sde
def test_marginals_are_those_of_the_simulated_equation(name: str) -> None:
    """Euler-Maruyama from a point of the data: mean α(t) · point, deviation as stated."""
    sde, point, rows, steps = SDES[name], 1.5, 8000, 1000
    generator = torch.Generator().manual_seed(0)
    x = torch.full((rows,), point, dtype=torch.float64)
    if name == "ve":  # which begins at the data with noise of its lowest level
        x += sde.sigma_min * torch.randn(rows, generator=generator, dtype=torch.float64)
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    for number, (now, then) in enumerate(pairwise(times), 1):
        middle, h = (now + then) / 2, then - now
        kick = torch.randn(rows, generator=generator, dtype=torch.float64)
        x = x + h * sde.drift(middle) * x + h.sqrt() * sde.diffusion(middle) * kick
        if number in (200, 500, 1000):
            deviation = float(sde.deviation(then))
            assert float(x.std()) == pytest.approx(deviation, rel=0.035)
            error = 4 * deviation / math.sqrt(rows) + 0.002
            assert float(x.mean()) == pytest.approx(point * float(sde.alpha(then)), abs=error)


@every_sde
def test_sigma_is_noise_over_signal_and_has_its_time(name: str) -> None:
    sde, t = SDES[name], torch.linspace(0.001, 1, 400, dtype=torch.float64)
    torch.testing.assert_close(sde.sigma(t), sde.deviation(t) / sde.alpha(t))
    torch.testing.assert_close(sde.time(sde.sigma(t)), t)
    assert bool((sde.sigma(t).diff() > 0).all())
    assert float(sde.sigma(at(sde.start))) == pytest.approx(0.05)
    small = torch.tensor(1e-7)  # no cancellation where noise begins, in float32
    assert float(sde.sigma(small).double()) == pytest.approx(float(sde.sigma(small.double())), 1e-4)


@every_sde
def test_drift_and_diffusion_follow_from_mean_and_deviation(name: str) -> None:
    """f = (ln α)' and g² = α² (σ²)' (Karras et al. 2022, eq. 12 to 14), by autograd."""
    sde = SDES[name]
    t = torch.linspace(0.01, 1, 50, dtype=torch.float64).requires_grad_()
    if name == "ve":
        assert not sde.drift(t).any()
    else:
        (slope,) = torch.autograd.grad(sde.alpha(t).log().sum(), t)
        torch.testing.assert_close(sde.drift(t).detach(), slope)
    (growth,) = torch.autograd.grad(sde.sigma(t).square().sum(), t)
    torch.testing.assert_close(sde.diffusion(t).square(), sde.alpha(t).square() * growth)


def test_the_papers_variances() -> None:
    """Song et al. 2021, eq. 29: VP keeps variance one, sub-VP has its square, so less."""
    vp, sub = SDES["vp"], SDES["sub-vp"]
    t = torch.linspace(0, 1, 30, dtype=torch.float64)
    ones = torch.ones_like(t)
    torch.testing.assert_close(vp.alpha(t).square() + vp.deviation(t).square(), ones)
    torch.testing.assert_close(sub.deviation(t), vp.deviation(t).square())
    assert float(vp.alpha(at(1.0))) == pytest.approx(math.exp(-10.05 / 2))
    assert SDES["ve"].sigma_max == pytest.approx(20.0)


@every_sde
def test_its_own_ode_is_that_of_sigma(name: str) -> None:
    """dx/dt = f x - g² score / 2 of the mixture, solved in t, ends where `probability_flow` does.

    And its likelihood, integrated along with it (Song et al. 2021, eq. 39), is `ode_log_prob`'s.
    """
    sde, mixture = SDES[name], three_heaps()
    x = mixture.draw(8, seed=3)
    low, high = sde.sigma_min, 15.0
    levels = karras_sigmas(200, low, high)[:-1].flip(0)
    end, there = _own_ode(sde, x, low, high)
    torch.testing.assert_close(
        end, probability_flow(mixture.denoise, x, levels), rtol=2e-3, atol=2e-3
    )
    wide = 400.0
    found = ode_log_prob(mixture.denoise, x, low, wide, steps=200, exact=True)
    torch.testing.assert_close(found, there, rtol=0, atol=1e-2)


def _own_ode(sde: Sde, data: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The end at `high` in the σ coordinate, and the log-density of data with noise of `low`."""
    mixture = three_heaps()

    def flow(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The ODE's velocity at time t and its divergence."""
        a, sigma = sde.alpha(t), sde.sigma(t)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            score = mixture.score(x / a, sigma) / a
            velocity = sde.drift(t) * x - sde.diffusion(t).square() / 2 * score
            parts = [
                torch.autograd.grad(velocity[:, i].sum(), x, retain_graph=True)[0][:, i]
                for i in range(2)
            ]
        return velocity.detach(), sum(parts).detach()  # type: ignore[union-attr]

    begin, end = sde.time(at(low)), sde.time(at(high))
    x, change = data * sde.alpha(begin), torch.zeros(len(data), dtype=torch.float64)
    # even steps in ln σ, in which all these equations are smooth
    times = sde.time(torch.logspace(math.log10(low), math.log10(high), 201, dtype=torch.float64))
    for now, then in pairwise(times):
        h = then - now
        slope, spread = flow(x, now)
        ahead, spread_ahead = flow(x + h * slope, then)
        x, change = x + h / 2 * (slope + ahead), change + h / 2 * (spread + spread_ahead)
    a = sde.alpha(end)
    density = mixture.log_prob(x / a, sde.sigma(end)) - 2 * a.log()
    # the density of x_t = α · (data with noise) is smaller by α² than that of the latter
    return x / a, density + change + 2 * sde.alpha(begin).log()


def test_levels_to_train_and_to_sample() -> None:
    uniform = torch.rand(4000, generator=torch.Generator().manual_seed(0))
    for sde in SDES.values():
        trained = sde.trained_levels(uniform)
        assert trained.dtype == torch.float32 and trained.shape == uniform.shape
        assert float(trained.min()) >= 0.05 * 0.999
        assert float(trained.max()) <= sde.sigma_max * 1.0001
        steps = sde.steps(30)
        assert steps.shape == (31,) and steps[-1] == 0 and bool((steps.diff() < 0).all())
        assert float(steps[0]) == pytest.approx(sde.sigma_max)
        assert float(steps[-2]) == pytest.approx(0.05)
    ncsn = Geometric(0.05, 20.0, 10)
    levels, counts = ncsn.trained_levels(uniform).unique(return_counts=True)
    assert len(levels) == 10 and int(counts.min()) > 300
    torch.testing.assert_close(levels.flip(0).double(), ncsn.steps(10)[:-1], rtol=1e-5, atol=0)
    ratios = levels[1:] / levels[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(9))


def test_senseless_equations_are_refused() -> None:
    with pytest.raises(UserError, match="sigma_min < sigma_max"):
        VarianceExploding(2.0, 1.0)
    with pytest.raises(UserError, match="beta_min"):
        VariancePreserving(0.02, 3.0, 1.0)
    with pytest.raises(UserError, match="larger beta_max"):
        SubVariancePreserving(0.5, 0.01, 0.02)
    with pytest.raises(UserError, match="at least 2 steps"):
        SDES["vp"].steps(1)
