"""Pictures that are broken: the same pixels elsewhere, strips, small ones, light for dark."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentia.maths.broken_pictures import TILES, broken_pictures, shuffled, small, strips


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(n: int = 6, side: int = 13) -> Tensor:
    return drawn(n, 3, side, side).clamp(-1, 1)


def test_tiles_change_places_and_nothing_else() -> None:
    x = pictures(side=12)
    found = shuffled(x, drawn(*x.shape, seed=1))
    assert not torch.equal(found, x)
    assert torch.equal(found.flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    tiles = {
        tuple(t.flatten().tolist())
        for t in x[0].unfold(1, 3, 3).unfold(2, 3, 3).flatten(1, 2).unbind(1)
    }
    again = found[0].unfold(1, 3, 3).unfold(2, 3, 3).flatten(1, 2).unbind(1)
    assert len(tiles) == TILES**2 and {tuple(t.flatten().tolist()) for t in again} == tiles
    rest = pictures(side=13)
    assert torch.equal(shuffled(rest, drawn(*rest.shape))[:, :, 12:], rest[:, :, 12:])


def test_strips_leave_some_of_the_picture_on_its_ground() -> None:
    x = pictures(40, 28)
    found = strips(x, drawn(*x.shape, seed=1), drawn(40, 4, seed=2))
    kept = (found == x).all(1)
    ground = (found == x[:, :, :1, :1]).all(1)
    assert bool((kept | ground).all()) and 0.1 < float(kept.float().mean()) < 0.5


def test_small_pictures_lie_whole_on_their_ground() -> None:
    x = pictures(30, 16) * 0 + 0.5
    x[:, :, :1] = -1.0  # the ground, and the first row
    found = small(x, torch.rand(30, 4, generator=torch.Generator().manual_seed(0)))
    inside = (found > -1).all(1)
    assert bool((inside.sum((1, 2)) == 64).all())
    first = inside.flatten(1).float().argmax(1)
    assert len(first.unique()) > 10  # at many places


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 3, 28, 20), (5, 1, 3, 3)])
def test_a_picture_is_broken_alone_and_within_the_levels(shape: tuple[int, ...]) -> None:
    x, noise, choice = drawn(*shape).clamp(-1, 1), drawn(*shape, seed=1), drawn(5, 4, seed=2)
    whole = broken_pictures(x, noise, choice)
    assert whole.shape == x.shape and float(whole.abs().max()) <= 1
    assert not torch.equal(whole, x)
    for i in range(5):
        alone = broken_pictures(x[i : i + 1], noise[i : i + 1], choice[i : i + 1])
        assert torch.equal(alone[0], whole[i])


def test_every_way_is_taken() -> None:
    x = pictures(400, 12)
    choice = drawn(400, 4, seed=3)
    found = broken_pictures(x, drawn(*x.shape, seed=1), choice)
    inverted = (found == -x).flatten(1).all(1).float().mean()
    moved = (found.flatten(1).sort(1).values == x.flatten(1).sort(1).values).all(1).float().mean()
    assert 0.15 < float(inverted) < 0.35 and 0.15 < float(moved) < 0.35
