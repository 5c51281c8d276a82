"""Adaptive augmentation: it changes nothing when it should not, and learns when it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.game import Now
from latentia.maths.augmentation import KINDS, NUMBERS, Kind, augmented, warped
from latentia.nn.augment import HIGHEST, Augment


def now(rank: int = 0, world: int = 1, seed: int = 0) -> Now:
    generator = torch.Generator().manual_seed(seed)
    return Now(1, 0.5, generator, torch.device("cpu"), rank, world)


def uniform(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, NUMBERS, generator=torch.Generator().manual_seed(seed))


def smooth(n: int, channels: int = 3, side: int = 16) -> Tensor:
    """Pictures of low frequencies in [-1, 1], so that a bilinear look-up loses little."""
    coarse = torch.rand(n, channels, 4, 4, generator=torch.Generator().manual_seed(7))
    return torch.nn.functional.interpolate(2 * coarse - 1, (side, side), mode="bicubic").clamp(
        -1, 1
    )


@pytest.mark.parametrize("channels", [1, 3, 2])
def test_nothing_is_changed_at_zero(channels: int) -> None:
    x = smooth(8, channels)
    assert torch.equal(augmented(x, uniform(8), 0.0), x)
    assert Augment(x.shape[1:], p=0.0)(x, now()) is x


def test_unchanged_pictures_of_a_batch_come_back_bit_for_bit() -> None:
    x = smooth(400)
    same = (augmented(x, uniform(400), 0.1) == x).flatten(1).all(1).float().mean()
    # mirror and turn draw the identity now and then; ten changes in all
    expected = 0.95 * 0.925 * 0.9**8 * 0.9
    assert abs(float(same) - expected) < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_pictures_and_lets_the_gradient_through(kind: Kind) -> None:
    x = smooth(16).double().requires_grad_()
    out = augmented(x, uniform(16), 1.0, [kind])
    assert out.shape == x.shape and out.dtype == torch.float32 and out.isfinite().all()
    assert not torch.allclose(out, x.float(), atol=1e-3)
    (slope,) = torch.autograd.grad(out.square().sum(), x)
    assert slope.isfinite().all() and slope.flatten(1).norm(dim=1).min() > 0


def test_the_gradient_is_that_of_the_finite_difference() -> None:
    x, u = smooth(2, side=8), uniform(2, 3)
    x.requires_grad_()
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad((augmented(x, u, 0.9) * weights).sum(), x)
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():  # the map is affine in the picture: exact up to rounding
        ends = [(augmented(x + s * step, u, 0.9) * weights).sum() for s in (0.5, -0.5)]
    assert float(ends[0] - ends[1]) == pytest.approx(float((slope * step).sum()), rel=1e-3)


def test_the_identity_map_gives_the_picture_itself() -> None:
    x = smooth(4)
    where = torch.eye(2, 3).expand(4, 2, 3)
    torch.testing.assert_close(warped(x, where), x, atol=1e-5, rtol=0)


def test_mirror_turn_and_shift_are_exact_moves_of_pixels() -> None:
    x = smooth(64)
    mirrored = augmented(x, uniform(64), 1.0, ["mirror"])
    ways = [x, x.flip(3)]
    assert _each_is_one_of(mirrored, ways) == {0, 1}
    ways = [torch.rot90(x, k, (2, 3)) for k in range(4)]
    assert _each_is_one_of(augmented(x, uniform(64), 1.0, ["turn"]), ways) == {0, 1, 2, 3}
    # reflection about the edge of the pixels repeats the outermost one
    padded = torch.cat([x[:, :, :, [1, 0]], x, x[:, :, :, [-1, -2]]], 3)
    padded = torch.cat([padded[:, :, [1, 0]], padded, padded[:, :, [-1, -2]]], 2)
    ways = [padded[:, :, i : i + 16, j : j + 16] for i in range(5) for j in range(5)]
    assert len(_each_is_one_of(augmented(x, uniform(64), 1.0, ["shift"]), ways)) > 15


def _each_is_one_of(x: Tensor, ways: list[Tensor]) -> set[int]:
    apart = torch.stack([(x - way).abs().flatten(1).amax(1) for way in ways])
    assert float(apart.min(0).values.max()) < 1e-3
    return set(apart.argmin(0).tolist())


def test_colour_keeps_greys_grey_and_shape_apart_from_colour() -> None:
    grey = smooth(32, 1).expand(-1, 3, -1, -1)
    out = augmented(grey, uniform(32), 1.0, ["colour"])
    torch.testing.assert_close(out[:, 0], out[:, 1], atol=1e-5, rtol=0)
    torch.testing.assert_close(out[:, 0], out[:, 2], atol=1e-5, rtol=0)


def test_a_wide_picture_is_never_turned_on_its_side() -> None:
    x = smooth(16)[:, :, :8]
    assert torch.equal(augmented(x, uniform(16), 1.0, ["turn"]), x)
    assert augmented(x, uniform(16), 1.0).shape == x.shape


def test_what_is_augmented_tells_where_the_data_lies() -> None:
    """Distributions that differ still differ, and alike ones are alike: nothing leaks at p < 1."""
    bright, dark = torch.full((3000, 1, 4, 4), 0.2), torch.full((3000, 1, 4, 4), -0.2)
    means = [augmented(x, uniform(3000, s), 0.6).mean() for x, s in ((bright, 1), (dark, 2))]
    assert means[0] > 0.05 and means[1] < -0.05
    again = augmented(bright, uniform(3000, 3), 0.6).mean()
    assert abs(float(means[0] - again)) < 0.03
    # the likeliest picture is still the unchanged one
    coloured = augmented(bright, uniform(3000, 4), 0.6, ["colour"])
    share = (coloured == 0.2).flatten(1).all(1).float().mean()
    assert float(share) == pytest.approx(0.4**2, abs=0.03)


@pytest.mark.parametrize("kinds", [KINDS, ("colour",), ("warp", "shift")])
def test_a_picture_does_not_depend_on_its_batch(kinds: tuple[Kind, ...]) -> None:
    x, u = smooth(6), uniform(6)
    whole = augmented(x, u, 0.7, kinds)
    alone = torch.cat([augmented(x[i : i + 1], u[i : i + 1], 0.7, kinds) for i in range(6)])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=1e-5)


def test_two_processes_change_pictures_as_one_does() -> None:
    x, augment = smooth(8), Augment((3, 16, 16), p=0.7, mode="fixed")
    parts = [augment(part, now(rank, 2)) for rank, part in enumerate(x.split(4))]
    torch.testing.assert_close(torch.cat(parts), augment(x, now()), atol=1e-5, rtol=1e-5)
    assert torch.equal(augment(x, now()), augment(x, now()))
    assert not torch.equal(augment(x, now()), augment(x, now(seed=1)))


def test_autocast_does_not_coarsen_pictures() -> None:
    x, augment = smooth(8), Augment((3, 16, 16), p=0.7, mode="fixed")
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment(x.bfloat16(), now())
    assert inside.dtype == torch.float32
    assert torch.equal(inside, augment(x.bfloat16(), now()))


Oracle = Callable[[int], tuple[Tensor, Tensor]]


def by_heart(step: int) -> tuple[Tensor, Tensor]:
    """A critic that is sure of every picture; only differences of its outputs mean anything."""
    return torch.full((32,), 13.0), torch.full((32,), 7.0)


def guessing(step: int) -> tuple[Tensor, Tensor]:
    """A critic that cannot tell."""
    both = torch.randn(64, generator=torch.Generator().manual_seed(step)) - 5
    return both[:32], both[32:]


@pytest.mark.parametrize(
    ("oracle", "start", "end"),
    [(by_heart, 0.0, HIGHEST), (guessing, 0.5, 0.0), (guessing, 0.0, 0.0)],
)
def test_p_follows_how_sure_the_critic_is(oracle: Oracle, start: float, end: float) -> None:
    augment = Augment((3, 16, 16), p=start, speed=5000)
    for step in range(300):
        augment.update(*oracle(step), 32, now())
    assert float(augment.p) == pytest.approx(end, abs=0.02)
    assert float(augment.signal) == pytest.approx(1.0 if oracle is by_heart else 0.0, abs=0.2)


def test_p_settles_where_the_measure_meets_its_target() -> None:
    """A critic whose certainty falls with p: r = 1 − p; so p is to settle at 0.4."""
    augment = Augment((3, 16, 16), speed=20_000)
    place = torch.linspace(0, 1, 200)
    for _ in range(3000):
        real = torch.where(place < 1 - augment.p / 2, 1.0, -1.0)
        augment.update(real, -real, 32, now())
    assert float(augment.p) == pytest.approx(0.4, abs=0.05)
    assert float(augment.signal) == pytest.approx(0.6, abs=0.05)


def test_p_moves_by_examples_not_by_steps() -> None:
    few, many = Augment((3, 8, 8), speed=10_000), Augment((3, 8, 8), speed=10_000)
    for _ in range(100):
        few.update(*by_heart(0), 16, now())
    for _ in range(25):
        many.update(*by_heart(0), 64, now())
    assert float(few.p) == pytest.approx(float(many.p), abs=0.02) and float(few.p) > 0.06


def test_a_fixed_one_only_watches() -> None:
    augment = Augment((3, 8, 8), mode="fixed", p=0.3)
    for _ in range(50):
        augment.update(*by_heart(0), 64, now())
    assert float(augment.p) == pytest.approx(0.3) and float(augment.signal) > 0.9


def test_it_goes_on_from_its_saved_state() -> None:
    one, other = Augment((3, 8, 8), p=0.5), Augment((3, 8, 8))
    for step in range(20):
        one.update(*by_heart(step), 32, now())
    other.load_state_dict(one.state_dict())
    for augment in (one, other):
        augment.update(*guessing(0), 32, now())
    assert torch.equal(one.p, other.p) and torch.equal(one.signal, other.signal)
    x = smooth(4, side=8)
    assert float(one.p) > 0.1 and torch.equal(one(x, now()), other(x, now()))


def test_tables_are_refused_in_plain_words() -> None:
    with pytest.raises(UserError, match="table of numbers"):
        Augment((5,))


def test_unknown_changes_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="no change 'blur'"):
        Augment((3, 8, 8), kinds=["blur"])  # type: ignore[list-item]
