"""Adversarial losses against their closed-form optima and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentia.maths import adversarial as adv

DOUBLE = torch.float64


def logits(*values: float) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE, requires_grad=True)


def test_minimax_value_at_the_optimum_is_minus_log_four() -> None:
    undecided = torch.zeros(5, dtype=DOUBLE)  # D = 1/2 everywhere: theorem 1
    assert -adv.minimax_critic(undecided, undecided).item() == pytest.approx(-math.log(4))
    assert adv.minimax_generator(undecided).item() == pytest.approx(-math.log(2))


@pytest.mark.parametrize(("p", "q"), [(0.3, 0.7), (0.05, 0.2), (0.5, 0.5)])
def test_best_minimax_critic_is_the_density_ratio(p: float, q: float) -> None:
    """Where data have mass p and samples q, the stationary D is p / (p + q): proposition 1."""
    logit = logits(math.log(p / q))
    loss = p * adv.minimax_critic(logit, logits(-1e9)) + q * adv.minimax_critic(logits(1e9), logit)
    loss.backward()
    assert logit.grad is not None and logit.grad.item() == pytest.approx(0, abs=1e-12)


def test_critic_gains_by_calling_data_real() -> None:
    """D is the probability of *real*: the loss falls with real logits, rises with fake ones."""
    for loss in (adv.minimax_critic, adv.relativistic_critic):
        real, fake = logits(0.3), logits(-0.2)
        loss(real, fake).backward()
        assert real.grad is not None and real.grad.item() < 0
        assert fake.grad is not None and fake.grad.item() > 0


@pytest.mark.parametrize("logit", [-4.0, 0.0, 3.0])
def test_generator_gradients_saturate_or_do_not(logit: float) -> None:
    d = 1 / (1 + math.exp(-logit))
    for loss, slope in ((adv.minimax_generator, -d), (adv.non_saturating_generator, d - 1)):
        fake = logits(logit)
        loss(fake).backward()
        assert fake.grad is not None and fake.grad.item() == pytest.approx(slope)


def test_relativistic_losses_at_equal_logits_are_log_two() -> None:
    same = torch.randn(7, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    for loss in (adv.relativistic_critic, adv.relativistic_generator):
        assert loss(same, same).item() == pytest.approx(math.log(2))


def test_relativistic_losses_see_differences_only() -> None:
    real, fake = logits(0.4, -1.0), logits(0.1, 2.0)
    here = adv.relativistic_critic(real, fake)
    assert torch.allclose(here, adv.relativistic_critic(real + 9, fake + 9))
    assert torch.equal(here, adv.relativistic_generator(fake, real))


@pytest.mark.parametrize("loss", [adv.minimax_critic, adv.relativistic_critic])
def test_losses_stay_finite_at_extreme_logits(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    real, fake = torch.tensor([-1e4]), torch.tensor([1e4])
    assert torch.isfinite(loss(real, fake))


def test_penalty_of_a_linear_critic_is_half_its_squared_weights() -> None:
    w = logits(1.0, -2.0, 0.5)
    penalty = adv.gradient_penalty(lambda x: x @ w, torch.randn(6, 3, dtype=DOUBLE))
    assert penalty.item() == pytest.approx(0.5 * w.square().sum().item())
    penalty.backward()
    assert w.grad is not None and torch.allclose(w.grad, w.detach())  # d(½|w|²)/dw = w


def test_penalty_of_a_quadratic_critic_averages_over_examples() -> None:
    x = torch.randn(4, 2, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    scale = torch.ones((), dtype=DOUBLE, requires_grad=True)
    penalty = adv.gradient_penalty(lambda x: scale * x.square().sum((1, 2)), x)
    assert torch.allclose(penalty, (2 * x).square().sum((1, 2)).mean() / 2)
    penalty.backward()
    assert scale.grad is not None and torch.allclose(scale.grad, 2 * penalty)


def test_penalty_leaves_its_points_alone_and_works_without_gradients() -> None:
    x = logits(1.0, 2.0)
    with torch.no_grad():
        penalty = adv.gradient_penalty(lambda x: x**3, x)
    assert penalty.item() == pytest.approx(0.5 * (3.0**2 + 12.0**2) / 2)
    adv.gradient_penalty(lambda x: x**3 * torch.ones((), requires_grad=True), x).backward()
    assert x.grad is None


# the further losses, against their closed-form optima on discrete densities

DATA = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=DOUBLE)  # mass p of the data, by place
MADE = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=DOUBLE)  # and g of the generator


def expected(loss: Callable[[Tensor, Tensor], Tensor], out: Tensor) -> Tensor:
    """A critic's loss with outputs `out` by place, in the mean over both densities.

    The losses are sums of one mean over data and one over fakes: places one by one, weighted.
    """
    zero = torch.zeros(1, dtype=DOUBLE)
    rest = loss(zero, zero) / 2  # what the idle half adds, by symmetry or shift: a constant
    real = torch.stack([loss(o[None], zero) - rest for o in out])
    fake = torch.stack([loss(zero, o[None]) - rest for o in out])
    return (DATA * real).sum() + (MADE * fake).sum()


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (-1.0, 1.0), (0.2, 0.9)])
def test_best_least_squares_critic_is_the_share_of_data(a: float, b: float) -> None:
    def loss(real: Tensor, fake: Tensor) -> Tensor:
        return adv.least_squares_critic(real, fake, a=a, b=b)

    best = ((b * DATA + a * MADE) / (DATA + MADE)).requires_grad_()  # Mao et al., eq. 5
    (slope,) = torch.autograd.grad(expected(loss, best), best)
    assert slope.abs().max() < 1e-12
    wrong = DATA.clone().requires_grad_()  # a bad oracle: the density itself
    (slope,) = torch.autograd.grad(expected(loss, wrong), wrong)
    assert slope.abs().max() > 0.01


def test_least_squares_generator_descends_pearsons_chi_squared() -> None:
    """With b − c = 1 and b − a = 2, Mao et al. (2017), eq. 8, at the best critic."""
    best = (DATA - MADE) / (DATA + MADE)
    both = sum(
        mass * adv.least_squares_generator(out[None], c=0.0)
        for density in (DATA, MADE)
        for mass, out in zip(density, best, strict=True)
    )
    pearson = ((DATA + MADE - 2 * MADE).square() / (DATA + MADE)).sum()
    assert (2 * both).item() == pytest.approx(pearson.item())


def test_best_hinge_critic_is_the_sign_of_the_difference() -> None:
    best = (DATA - MADE).sign()
    least = expected(adv.hinge_critic, best)
    exact = 2 * torch.minimum(DATA, MADE).sum()  # 2 − the total variation
    assert (least - expected(adv.hinge_critic, torch.zeros_like(best)) + 2).item() == pytest.approx(
        exact.item()
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        other = best + torch.randn(4, dtype=DOUBLE, generator=generator)
        assert expected(adv.hinge_critic, other) >= least
    assert expected(adv.hinge_critic, -best) > least + 0.5


def test_hinge_stops_at_its_margin() -> None:
    real, fake = logits(2.0, 0.5), logits(-2.0, 0.5)
    adv.hinge_critic(real, fake).backward()
    assert real.grad is not None and real.grad.tolist() == [0.0, -0.5]
    assert fake.grad is not None and fake.grad.tolist() == [0.0, 0.5]


def test_wasserstein_critic_meets_the_earth_movers_distance() -> None:
    """In one dimension the best critic of slope 1 between shifted copies is x: the shift."""
    x = torch.randn(500, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    for slope, distance in ((1.0, 3.0), (0.5, 1.5)):
        assert -adv.wasserstein_critic(slope * (x + 3), slope * x).item() == pytest.approx(distance)


@pytest.mark.parametrize("weight", [10.0, 2.0])
def test_slope_under_the_penalty_is_as_in_closed_form(weight: float) -> None:
    """−w·m + λ(w − 1)² is least at w = 1 + m / 2λ: the slope of a linear critic on a shift m."""
    x = torch.randn(8, 1, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    shift = 0.7
    w = logits(1 + shift / (2 * weight))

    def critic(x: Tensor) -> Tensor:
        return x @ w

    loss = adv.wasserstein_critic(critic(x + shift), critic(x))
    (loss + weight * adv.slope_penalty(critic, x)).backward()
    assert w.grad is not None and w.grad.abs().item() < 1e-12


def test_slope_penalty_knows_a_unit_slope_and_bears_none() -> None:
    x = torch.randn(6, 3, dtype=DOUBLE)
    unit, flat = logits(0.6, 0.0, 0.8), logits(0.0, 0.0, 0.0)
    assert adv.slope_penalty(lambda x: x @ unit, x).item() == pytest.approx(0)
    penalty = adv.slope_penalty(lambda x: x @ flat, x)
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert flat.grad is not None and flat.grad.isfinite().all()


def test_generator_losses_have_the_slopes_of_their_papers() -> None:
    for loss, slope in ((adv.linear_generator, -1.0), (adv.least_squares_generator, 0.3 - 1)):
        fake = logits(0.3)
        loss(fake).backward()
        assert fake.grad is not None and fake.grad.item() == pytest.approx(slope)


def test_points_between_lie_on_the_line() -> None:
    real, fake = torch.ones(3, 2, 2), torch.zeros(3, 2, 2)
    share = torch.tensor([0.0, 0.25, 1.0])
    assert torch.equal(adv.between(real, fake, share)[:, 0, 0], share)


def test_penalties_on_some_examples_are_in_the_mean_those_on_all() -> None:
    x = torch.randn(12, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(4))

    def critic(x: Tensor) -> Tensor:
        return x.pow(3).sum(1)

    whole = adv.gradient_penalty(critic, x)
    parts = torch.stack([adv.gradient_penalty(critic, x[start::4]) for start in range(4)])
    assert torch.allclose(parts.mean(), whole)
