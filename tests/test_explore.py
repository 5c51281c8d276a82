"""Walks through latent space of models whose latents are understood."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from latentia.errors import UserError
from latentia.explore import (
    active_dimensions,
    between,
    decode,
    information,
    interpolate,
    latent_map,
    latent_weights,
    manifold,
    reconstruct,
    traverse,
)


class Linear(nn.Module):
    """Latents are the first d of D values, weighted; decoding undoes it."""

    def __init__(self, weights: list[float], values: int = 6) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))
        self.values = values
        self.largest = 0

    @property
    def latent_dim(self) -> int:
        return len(self.weights)

    def encode(self, x: Tensor) -> Tensor:
        self.largest = max(self.largest, len(x))
        return x.flatten(1)[:, : self.latent_dim]

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        self.largest = max(self.largest, len(z))
        rest = torch.zeros(len(z), self.values - self.latent_dim)
        return torch.cat([z * self.weights, rest], 1).reshape(len(z), 1, self.values)


class Posterior(Linear):
    """Latent 2 says most, latent 0 a little, latent 1 nothing."""

    def posterior(self, x: Tensor) -> Distribution:
        z = self.encode(x)
        return Independent(
            Normal(z * torch.tensor([0.1, 0.0, 3.0]), torch.tensor([1.0, 1.0, 0.1]).expand_as(z)), 1
        )


def data(n: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 6, generator=torch.Generator().manual_seed(seed))


def test_reconstruct_keeps_what_the_latents_hold_in_bounded_batches() -> None:
    model, x = Linear([1.0, 1.0, 1.0]), data(600)
    again = reconstruct(model, x)
    assert again.shape == x.shape
    assert torch.equal(again[..., :3], x[..., :3])
    assert not again[..., 3:].any()
    assert not again.requires_grad
    assert model.largest <= 256


@pytest.mark.parametrize("how", ["linear", "spherical"])
def test_the_ends_of_an_interpolation_are_reconstructions(how: str) -> None:
    model, a, b = Linear([1.0, 2.0, 0.5]), data(4, 0), data(4, 1)
    walk = interpolate(model, a, b, 5, how)  # type: ignore[arg-type]
    assert walk.shape == (4, 5, 1, 6)
    assert torch.allclose(walk[:, 0], reconstruct(model, a), atol=1e-5)
    assert torch.allclose(walk[:, -1], reconstruct(model, b), atol=1e-5)


def test_linear_steps_are_even() -> None:
    walk = between(torch.zeros(1, 2), torch.tensor([[4.0, -8.0]]), 5)
    assert walk[0].tolist() == [[0, 0], [1, -2], [2, -4], [3, -6], [4, -8]]


def test_spherical_steps_keep_length_and_turn_evenly() -> None:
    walk = between(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]]), 4, "spherical")[0]
    assert torch.allclose(walk.norm(dim=1), torch.full((4,), 3.0))
    angles = torch.atan2(walk[:, 1], walk[:, 0])
    assert angles.tolist() == pytest.approx([0, math.pi / 6, math.pi / 3, math.pi / 2], abs=1e-5)
    longer = between(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]), 3, "spherical")[0]
    assert longer.norm(dim=1).tolist() == pytest.approx([1, 2, 3], abs=1e-5)


@pytest.mark.parametrize("end", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_where_there_is_no_arc_the_way_is_straight(end: list[float]) -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([end])
    assert torch.equal(between(a, b, 3, "spherical"), between(a, b, 3))


def test_interpolation_refuses_nonsense() -> None:
    model = Linear([1.0])
    with pytest.raises(UserError, match="2 or more"):
        interpolate(model, data(), data(), steps=1)
    with pytest.raises(UserError, match="'round'"):
        interpolate(model, data(), data(), how="round")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="shape"):
        interpolate(model, data(2), data(3))


def test_a_traversal_changes_the_named_latent_alone() -> None:
    model, z = Linear([1.0, 2.0, 3.0]), torch.tensor([0.3, 0.4, 0.5])
    walk = traverse(model, z, [2, 0], span=2.0, steps=5)
    assert walk.shape == (2, 5, 1, 6)
    for row, dim in zip(walk[:, :, 0], (2, 0), strict=True):
        moved = row[:, dim] / model.weights[dim].detach()
        assert moved.tolist() == pytest.approx([-2, -1, 0, 1, 2])
        others = [i for i in range(6) if i != dim]
        assert torch.equal(row[:, others], decode(model, z[None])[0, 0, others].expand(5, -1))


def test_a_traversal_can_follow_encoded_data() -> None:
    walk = traverse(
        Linear([1.0, 1.0]),
        torch.zeros(1, 2),
        torch.tensor([1]),
        span=1.0,
        steps=3,
        center=torch.tensor([0.0, 10.0]),
        scale=torch.tensor([1.0, 4.0]),
    )
    assert walk[0, :, 0, 1].tolist() == [6, 10, 14]


@pytest.mark.parametrize("dims", [[3], [-1], []])
def test_a_traversal_of_latents_that_are_not_there_is_refused(dims: list[int]) -> None:
    with pytest.raises(UserError, match="latents 0 to 2"):
        traverse(Linear([1.0, 1.0, 1.0]), torch.zeros(3), dims)


def test_latents_weigh_by_their_information() -> None:
    model, x = Posterior([1.0, 1.0, 1.0]), data(50)
    assert torch.equal(latent_weights(model, x), information(model, x))
    assert latent_weights(model, x)[1] == pytest.approx(0, abs=1e-6)
    assert active_dimensions(model, x).tolist() == [2, 0, 1]


def test_without_a_posterior_latents_weigh_by_what_they_change() -> None:
    x = data(200)
    weights = latent_weights(Linear([0.1, 5.0, 1.0]), x)
    z = x.flatten(1)[:, :3]
    exact = (z.var(0, correction=0) * torch.tensor([0.1, 5.0, 1.0]).square()) / 6
    assert torch.allclose(weights, exact, rtol=1e-3)
    assert active_dimensions(Linear([0.1, 5.0, 1.0]), x).tolist() == [1, 2, 0]


def test_the_latent_map_is_the_plane_of_most_variance() -> None:
    x = data(100) * torch.tensor([1.0, 9.0, 4.0, 1.0, 1.0, 1.0])
    wide = latent_map(Linear([1.0] * 4), x)
    expected = PCA(2).fit_transform(x.flatten(1)[:, :4].numpy())
    assert wide.shape == (100, 2)
    assert torch.allclose(wide.abs(), torch.from_numpy(expected).abs(), atol=1e-3)
    assert torch.equal(latent_map(Linear([1.0, 1.0]), x), x.flatten(1)[:, :2])
    line = latent_map(Linear([1.0]), x)
    assert line.shape == (100, 2) and not line[:, 1].any()


def test_the_manifold_lies_at_the_quantiles_of_the_prior() -> None:
    grid = manifold(Linear([1.0, 1.0]), 4)
    assert grid.shape == (4, 4, 1, 6)
    levels = Normal(0.0, 1.0).icdf(torch.tensor([0.125, 0.375, 0.625, 0.875]))
    assert torch.allclose(grid[0, :, 0, 0], levels, atol=1e-5)  # z0 rises to the right
    assert torch.allclose(grid[:, 2, 0, 1], levels.flip(0), atol=1e-5)  # z1 rises upwards
    with pytest.raises(UserError, match="2 latents"):
        manifold(Linear([1.0, 1.0, 1.0]), 4)
    with pytest.raises(UserError, match="empty"):
        manifold(Linear([1.0, 1.0]), 0)
