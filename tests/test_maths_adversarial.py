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
