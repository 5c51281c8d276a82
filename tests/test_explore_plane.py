"""Grids over two latents, planes through latent space, and the smoothness of a walk."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from latentia.errors import UserError
from latentia.explore.latent import between, encode, interpolate
from latentia.explore.plane import pair_grid, plane, smoothness
from latentia.explore.walks import pair_walk


class Decoder:
    """x = z, with as many zeros behind."""

    latent_dim = 4

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return torch.cat([z, torch.zeros_like(z)], 1)


class Coder(Decoder):
    def encode(self, x: Tensor) -> Tensor:
        return x[:, : x.shape[1] // 2]


class Flat(Coder):
    latent_dim = 2


class Posterior(Coder):
    def posterior(self, x: Tensor) -> Independent:
        mean = self.encode(x)
        return Independent(Normal(mean, torch.full_like(mean, 0.5)), 1)


def rows(*spread: float, n: int = 500) -> Tensor:
    z = torch.randn(n, len(spread), generator=torch.Generator().manual_seed(0))
    z = (z - z.mean(0)) / z.std(0, correction=0) * torch.tensor(spread) + 2
    return torch.cat([z, torch.zeros_like(z)], 1)


def test_a_pair_grid_varies_its_two_latents_and_no_other() -> None:
    z = torch.tensor([9.0, 8.0, 7.0, 6.0])
    grid = pair_grid(Decoder(), z, (1, 3), span=2.0, steps=5)
    assert grid.shape == (5, 5, 8)
    assert (grid[..., 0] == 9).all() and (grid[..., 2] == 7).all()
    up, right = torch.tensor([2.0, 1, 0, -1, -2]), torch.tensor([-2.0, -1, 0, 1, 2])
    assert torch.equal(grid[..., 1], up[:, None].expand(5, 5))  # high above, as on paper
    assert torch.equal(grid[..., 3], right.expand(5, 5))


def test_a_pair_grid_takes_middle_and_unit() -> None:
    z, one = torch.zeros(4), torch.ones(4)
    grid = pair_grid(Decoder(), z, (0, 1), span=1.0, steps=3, center=5 * one, scale=2 * one)
    assert grid[:, 0, 0].tolist() == [7, 5, 3] and grid[0, :, 1].tolist() == [3, 5, 7]


@pytest.mark.parametrize("pair", [(0, 4), (-1, 2), (2, 2)])
def test_a_pair_that_is_none_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="two different latents of 0 to 3"):
        pair_grid(Decoder(), torch.zeros(4), pair)


def test_pair_walks_span_the_encodings_or_the_prior() -> None:
    x = rows(1.0, 3.0, 0.5, 1.0)
    grid = pair_walk(Coder(), x, (1, 0), span=2.0, steps=3)
    torch.testing.assert_close(grid[:, 0, 1], torch.tensor([8.0, 2.0, -4.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(grid[..., 2], x[0, 2].expand(3, 3))
    drawn = pair_walk(Decoder(), x, (0, 1), span=3.0, steps=2, seed=1)
    assert drawn[:, 0, 0].tolist() == [3, -3]
    assert torch.equal(drawn, pair_walk(Decoder(), x, (0, 1), span=3.0, steps=2, seed=1))


def test_a_plane_takes_the_weightiest_latents_of_a_posterior() -> None:
    grid, words = plane(Posterior(), rows(1.0, 3.0, 0.1, 2.0), n=4)
    assert grid.shape == (4, 4, 8)
    assert "latents 1 (across) and 3 (up)" in words
    assert (grid[:, :-1, 1] < grid[:, 1:, 1]).all() and (grid[:-1, :, 3] > grid[1:, :, 3]).all()
    torch.testing.assert_close(grid[..., 0], torch.full((4, 4), 2.0), atol=1e-4, rtol=0)


def test_a_plane_takes_principal_directions_of_codes() -> None:
    z = rows(1.0, 3.0, 0.1, 2.0)
    grid, words = plane(Coder(), z, n=3)
    assert "principal" in words
    codes = encode(Coder(), z)
    reach = grid.flatten(0, 1)[:, :4].std(0)
    assert reach[1] > reach[3] > 5 * reach[0]
    torch.testing.assert_close(grid[1, 1, :4], codes.mean(0), atol=1e-4, rtol=0)


def test_planes_of_two_latents_and_of_none() -> None:
    grid, words = plane(Flat(), rows(1.0, 1.0), n=3)
    assert grid.shape == (3, 3, 4) and "principal" in words  # no prior: where the codes are
    with pytest.raises(UserError, match="no encoder"):
        plane(Decoder(), torch.zeros(3, 8))
    with pytest.raises(UserError, match="1 or more pictures"):
        plane(Coder(), rows(1.0, 1.0, 1.0, 1.0), n=0)


def test_smoothness_tells_an_even_walk_from_a_jump() -> None:
    even = torch.linspace(-1, 1, 8)[:, None, None, None] * torch.ones(1, 3, 3)
    assert smoothness(even) == pytest.approx(1)
    assert smoothness((even > 0).float()) == pytest.approx(0)
    a, b = rows(1.0, 1.0, 1.0, 1.0)[:2, None]
    assert smoothness(interpolate(Coder(), a, b, 9)[0]) == pytest.approx(1, abs=1e-3)


def test_interpolation_along_the_aggregate_needs_codes() -> None:
    x = rows(1.0, 3.0, 0.1, 2.0)
    codes = encode(Coder(), x)
    way = interpolate(Coder(), x[:2], x[2:4], 5, "aggregate", codes)
    assert way.shape == (2, 5, 8)
    torch.testing.assert_close(way[:, 0], x[:2])
    torch.testing.assert_close(way[:, -1], x[2:4])
    with pytest.raises(UserError, match="encodings"):
        between(codes[:1], codes[1:2], 5, "aggregate")
    with pytest.raises(UserError, match="'aggregate', not 'round'"):
        between(codes[:1], codes[1:2], 5, "round")  # type: ignore[arg-type]
