"""Generators and critics: shapes, ranges, and gradients that reach every parameter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentia.maths.adversarial import gradient_penalty
from latentia.nn.adversarial_nets import (
    ImageCritic,
    ImageGenerator,
    VectorCritic,
    VectorGenerator,
    channel_plan,
)

SHAPES = [(1, 28, 28), (3, 8, 8), (1, 8, 20), (3, 33, 17), (3, 64, 64), (1, 128, 96)]


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_every_size_go_out_and_in(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    x = ImageGenerator(6, shape, width=8)(torch.randn(2, 6))
    assert x.shape == (2, *shape) and x.dtype == torch.float32 and x.abs().max() <= 1
    assert x.std() > 0.05  # not grey, not saturated
    logits = ImageCritic(shape, width=8)(x)
    assert logits.shape == (2,) and logits.isfinite().all()


def wake(net: nn.Module) -> None:
    """Move every parameter off its zero start, so that no gradient is zero by design."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


@pytest.mark.parametrize("depth", [1, 2])
def test_gradients_reach_every_parameter(depth: int) -> None:
    torch.manual_seed(1)
    image = ImageGenerator(5, (1, 12, 12), width=4, depth=depth, mapping=8)
    vector = VectorGenerator(5, 3, width=8, depth=depth)
    critics: list[tuple[nn.Module, nn.Module]] = [
        (image, ImageCritic((1, 12, 12), width=4, depth=depth)),
        (vector, VectorCritic(3, width=8, depth=depth)),
    ]
    for generator, critic in critics:
        wake(generator), wake(critic)
        critic(generator(torch.randn(8, 5))).square().sum().backward()
        for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def penalised(critic: nn.Module, x: Tensor, bf16: bool) -> tuple[Tensor, Tensor]:
    """R1 of a critic, and its gradient with respect to all parameters."""
    critic.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        penalty = gradient_penalty(critic, x)
    penalty.backward()
    slopes = [p.grad.flatten() for p in critic.parameters() if p.grad is not None]
    return penalty.detach(), torch.cat(slopes)


def test_penalty_under_autocast_agrees_with_float32() -> None:
    torch.manual_seed(2)
    critic, x = ImageCritic((1, 28, 28), width=16), torch.randn(4, 1, 28, 28)
    wake(critic)
    exact, exact_slope = penalised(critic, x, bf16=False)
    rough, rough_slope = penalised(critic, x, bf16=True)
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)
    assert torch.cosine_similarity(exact_slope, rough_slope, dim=0) > 0.99


def test_an_example_is_judged_alone() -> None:
    """No statistic of the batch: pairs, penalties and several processes rely on it."""
    torch.manual_seed(3)
    critic, x = ImageCritic((1, 16, 16), width=8), torch.randn(5, 1, 16, 16)
    assert torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-5)


def test_a_fresh_residual_block_changes_nothing() -> None:
    torch.manual_seed(4)
    deep = ImageGenerator(4, (1, 16, 16), width=8, depth=3)
    z = torch.randn(3, 4)
    for module in deep.modules():
        if type(module).__name__ == "ResidualBlock":
            h = torch.randn(2, module.first.in_channels, 4, 4)
            assert torch.equal(module(h), h)
    assert deep(z).shape == (3, 1, 16, 16)


def test_channels_grow_fourfold_whatever_the_size() -> None:
    for shape in SHAPES:
        plan = channel_plan(shape, 32)
        assert plan[-1] == 128 and sorted(plan) == plan and all(c % 16 == 0 for c in plan)
