"""Langevin chains on densities that are known, with the error that each chain must have."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.maths.noise_pictures import noise_pictures
from latentia.maths.randomness import Streams, seeded_noise
from latentia.samplers.langevin import Walk, langevin, metropolis_langevin, slope

MU, S2 = 0.7, 0.25


def gaussian(x: Tensor) -> Tensor:
    """The energy of N(MU, S2)."""
    return ((x - MU) ** 2).flatten(1).sum(1) / (2 * S2)


def double_well(x: Tensor) -> Tensor:
    return ((x**2 - 1) ** 2 + 0.5 * x).flatten(1).sum(1)


def chains(n: int = 40_000, at: float = -2.0) -> Tensor:
    return torch.full((n, 1), at, dtype=torch.float64)


def walked(walk: Walk, steps: int, energy=gaussian) -> Tensor:
    generator, x = torch.Generator().manual_seed(0), chains()
    return langevin(
        energy,
        x,
        lambda: torch.randn(x.shape, generator=generator, dtype=x.dtype),
        walk,
        steps,
    )


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_unadjusted_chain_has_its_known_bias(share: float) -> None:
    step = share * S2
    x = walked(Walk.exact(math.sqrt(2 * step)), 120)
    assert x.mean().item() == pytest.approx(MU, abs=0.01)
    assert x.var().item() == pytest.approx(S2 / (1 - share / 2), rel=0.03)


def test_the_adjusted_chain_has_none() -> None:
    generator = torch.Generator().manual_seed(1)
    x, taken = metropolis_langevin(gaussian, chains(), generator, step=S2, steps=60)
    assert x.mean().item() == pytest.approx(MU, abs=0.01)
    assert x.var().item() == pytest.approx(S2, rel=0.03)
    assert 0.5 < taken < 0.95
    short = metropolis_langevin(gaussian, chains(2000), generator, step=0.001, steps=60)
    assert short[1] > 0.98


def test_the_adjusted_chain_is_exact_between_two_wells() -> None:
    grid = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    weights = (-double_well(grid[:, None])).softmax(0)
    mean, square = (weights * grid).sum().item(), (weights * grid**2).sum().item()
    generator = torch.Generator().manual_seed(2)
    starts = 3 * torch.rand(20_000, 1, generator=generator, dtype=torch.float64) - 1.5
    step = 0.15
    x, taken = metropolis_langevin(double_well, starts, generator, step=step, steps=300)
    assert 0.2 < taken < 1
    assert x.mean().item() == pytest.approx(mean, abs=0.03)
    assert x.square().mean().item() == pytest.approx(square, abs=0.01)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_noise_over_step_is_the_temperature(temperature: float) -> None:
    step = 0.02 * S2
    walk = Walk(step, math.sqrt(2 * step * temperature))
    assert walk.temperature == pytest.approx(temperature)
    x = walked(walk, 300)
    assert x.var().item() == pytest.approx(temperature * S2, rel=0.05)


def test_without_noise_a_chain_descends() -> None:
    x = walked(Walk(0.5 * S2, 0.0), 60)
    torch.testing.assert_close(x, torch.full_like(x, MU))


def test_moves_are_clipped_and_states_bounded() -> None:
    once = walked(Walk(S2, 0.0, clip=0.1), 1)
    torch.testing.assert_close(once, chains() + 0.1)
    ends = walked(Walk.exact(0.5, bounds=(-1.0, 0.5)), 30)
    assert ends.min() == -1 and ends.max() == 0.5


def test_a_walk_needs_a_step() -> None:
    with pytest.raises(UserError, match="step above 0"):
        Walk(0.0, 0.1)
    with pytest.raises(UserError, match="no negative noise"):
        Walk(0.1, -0.1)


def test_streams_of_a_seed_do_not_depend_on_the_others() -> None:
    several, alone = Streams([5, 9]), Streams([9])
    pieces = [several.normal(2, 3) for _ in range(3)]
    assert torch.equal(pieces[0], seeded_noise([5, 9], (2, 3)))
    for piece in pieces:
        assert torch.equal(piece[1:], alone.normal(2, 3))
    assert not torch.equal(pieces[0], pieces[1])


def test_chains_leave_the_weights_alone_and_walk_without_gradients() -> None:
    net = nn.Linear(3, 1)
    with torch.no_grad():
        values, down = slope(lambda x: net(x).squeeze(1), torch.zeros(2, 3))
        x = langevin(
            lambda x: net(x).squeeze(1), torch.zeros(2, 3), lambda: torch.zeros(2, 3), Walk(1, 0), 2
        )
    torch.testing.assert_close(down, net.weight.detach().expand(2, 3))
    torch.testing.assert_close(x, -2 * net.weight.detach().expand(2, 3))
    assert not values.requires_grad and not x.requires_grad and net.weight.grad is None


def test_pictures_of_noise_are_grey_at_every_scale_but_for_strange_ones() -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(400, 1, 28, 28, generator=generator)
    choice = torch.randn(400, 4, generator=generator)
    grey, strange = noise_pictures(noise, choice), noise_pictures(noise, choice, 1.0)
    assert grey.abs().max() <= 1 and strange.abs().max() <= 1
    assert grey.var().item() == pytest.approx(1 / 3, abs=0.03)  # uniform in [-1, 1]
    assert strange.mean((1, 2, 3)).std() > 2 * grey.mean((1, 2, 3)).std()
    beside = (grey[..., 1:] * grey[..., :-1]).mean((1, 2, 3))
    assert beside.min() < 0.05 and beside.max() > 0.2  # of pixels, and of blobs
    torch.testing.assert_close(noise_pictures(noise[7:9], choice[7:9]), grey[7:9])
