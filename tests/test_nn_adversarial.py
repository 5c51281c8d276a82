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
from latentia.nn.conditioning import EMBEDDING, ClassFrequency, ConditionalCritic, How, Modulation
from latentia.nn.spectral import normalise_spectrally

SHAPES = [(1, 28, 28), (3, 8, 8), (1, 8, 20), (3, 33, 17), (3, 64, 64), (1, 128, 96)]


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_every_size_go_out_and_in(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    x = ImageGenerator(6, shape, width=8)(torch.randn(2, 6))
    assert x.shape == (2, *shape) and x.dtype == torch.float32
    assert x.std() > 0.05  # not grey, not saturated
    logits = ImageCritic(shape, width=8)(x)
    assert logits.shape == (2,) and logits.isfinite().all()


def test_a_generator_that_draws_black_alone_still_hears_its_critic() -> None:
    torch.manual_seed(0)
    net = ImageGenerator(4, (3, 16, 16), width=8)
    bias = net.levels[-1].bias
    assert isinstance(bias, nn.Parameter)
    nn.init.constant_(bias, -30.0)
    (net(torch.randn(4, 4)).mean() * -1).backward()  # brighter, please
    assert bias.grad is not None and bias.grad.abs().min() > 0.01


def wake(net: nn.Module) -> None:
    """Move every parameter off its zero start, so that no gradient is zero by design."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


@pytest.mark.parametrize("depth", [1, 2])
def test_gradients_reach_every_parameter(depth: int) -> None:
    torch.manual_seed(1)
    image = ImageGenerator(5, (1, 12, 12), width=4, depth=depth)
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


# classes


@pytest.mark.parametrize("how", ["projection", "auxiliary", "both"])
def test_gradients_reach_every_parameter_of_nets_with_classes(how: How) -> None:
    torch.manual_seed(5)
    labels = torch.arange(9) % 3
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (
            ImageGenerator(5, (1, 12, 12), width=4, classes=3),
            ConditionalCritic(ImageCritic((1, 12, 12), width=4), 3, how),
        ),
        (
            VectorGenerator(5, 3, width=8, classes=3),
            ConditionalCritic(VectorCritic(3, width=8), 3, how),
        ),
    ]
    for generator, critic in pairs:
        wake(generator), wake(critic)
        x = generator(torch.randn(9, 5), labels)
        critic.rank(x, labels).square().sum().backward()  # type: ignore[operator]
        for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_projection_is_linear_in_the_class_and_silent_where_it_is_unknown() -> None:
    torch.manual_seed(6)
    critic = ConditionalCritic(VectorCritic(2, width=8), 3)
    x, eye = torch.randn(4, 2), torch.eye(3)
    zero, one = critic(x, torch.zeros(4).long()), critic(x, torch.ones(4).long())
    assert not torch.allclose(zero, one)
    assert torch.allclose(
        critic(x, (0.25 * eye[0] + 0.75 * eye[1]).expand(4, 3)), zero.lerp(one, 0.75)
    )
    assert torch.allclose(critic(x, torch.full((4,), -1)), critic.critic(x))


def test_a_naming_critic_ranks_the_class_that_was_asked_for() -> None:
    torch.manual_seed(7)
    critic = ConditionalCritic(VectorCritic(2, width=8), 3, "auxiliary")
    x = torch.randn(5, 2)
    real, names = critic.judge(x, torch.zeros(5).long())
    assert torch.equal(real, critic(x, torch.ones(5).long()))  # it sees no class
    for label in range(3):
        ranks = critic.rank(x, torch.full((5,), label))
        assert torch.allclose(ranks, real + names.log_softmax(1)[:, label])


def test_modulation_starts_as_the_identity_and_moves_channels_apart() -> None:
    torch.manual_seed(8)
    change, x, e = Modulation(3), torch.randn(2, 3, 4, 4), torch.randn(2, EMBEDDING)
    assert torch.equal(change(x, e), x)
    wake(change)
    scale, shift = change.linear(e).chunk(2, 1)
    wanted = x * (1 + scale)[:, :, None, None] + shift[:, :, None, None]
    assert torch.allclose(change(x, e), wanted, atol=1e-6)


def test_classes_are_picked_as_often_as_they_were_counted() -> None:
    frequency = ClassFrequency(3)
    for _ in range(500):
        frequency.count(torch.tensor([0.7, 0.0, 0.3]))
    picked = frequency.pick(torch.randn(20_000, generator=torch.Generator().manual_seed(9)))
    shares = picked.bincount(minlength=3) / len(picked)
    assert torch.allclose(shares, torch.tensor([0.7, 0.0, 0.3]), atol=0.02)
    assert frequency.pick(torch.tensor([-40.0, 40.0])).tolist() == [0, 2]


# spectral normalisation


def largest(net: nn.Module) -> list[float]:
    """The largest singular value of each layer's weight, exactly."""
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return [torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2).item() for m in layers]


@pytest.mark.parametrize("bf16", [False, True])
def test_spectral_normalisation_keeps_singular_values_at_one(bf16: bool) -> None:
    torch.manual_seed(10)
    plain = ConditionalCritic(ImageCritic((1, 12, 12), width=8), 3, "both")
    assert max(abs(value - 1) for value in largest(plain)) > 0.3  # the bad oracle
    critic = normalise_spectrally(plain)
    optimiser = torch.optim.Adam(critic.parameters(), 1e-3)
    x, labels = torch.randn(16, 1, 12, 12), torch.arange(16) % 3
    for _ in range(30):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = critic.rank(x, labels).mean() + gradient_penalty(lambda x: critic(x, labels), x)
        loss.backward()
        optimiser.step()
    critic.eval()
    values = largest(critic)
    assert len(values) == len(largest(plain)) and all(
        v == pytest.approx(1, abs=0.05) for v in values
    )


def test_power_iteration_rests_in_evaluation() -> None:
    torch.manual_seed(11)
    critic = normalise_spectrally(VectorCritic(2, width=8))
    x = torch.randn(3, 2)
    before = {k: v.clone() for k, v in critic.state_dict().items()}
    critic.eval()(x)
    assert all(torch.equal(v, before[k]) for k, v in critic.state_dict().items())
    critic.train()(x)
    assert any(not torch.equal(v, before[k]) for k, v in critic.state_dict().items())
