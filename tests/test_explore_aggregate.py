"""Ways along the encodings of data stay where data are; straight ones do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import make_moons
from torch import Tensor

from latentia.errors import UserError
from latentia.explore.aggregate import along
from latentia.maths.paths import step_lengths


def ring(n: int = 800) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    angle = 2 * torch.pi * torch.rand(n, generator=generator)
    noise = 0.1 * torch.randn(n, 2, generator=generator)
    return 3 * torch.stack([angle.cos(), angle.sin()], 1) + noise


def moons(n: int = 800) -> Tensor:
    return torch.from_numpy(make_moons(n, noise=0.05, random_state=0)[0]).float()


def farthest(way: Tensor, codes: Tensor) -> float:
    """The largest distance of a point of the way to its nearest encoding."""
    return float(cdist(way.numpy(), codes.numpy()).min(1).max())


@pytest.mark.parametrize(
    ("codes", "a", "b"),
    [(ring(), (3.0, 0.0), (-3.0, 0.2)), (moons(), (-1.0, 0.0), (1.0, 0.0))],
    ids=["ring", "moon"],
)
def test_it_stays_near_the_data_where_the_straight_way_does_not(
    codes: Tensor, a: tuple[float, float], b: tuple[float, float]
) -> None:
    ends = torch.tensor(a), torch.tensor(b)
    straight = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 15)[:, None])
    way = along(*ends, codes, 15)
    assert farthest(way, codes) < 0.25
    assert farthest(straight, codes) > 3 * farthest(way, codes)


def test_it_keeps_its_ends_and_walks_evenly() -> None:
    codes = ring()
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([-3.0, 0.2])
    way = along(a, b, codes, 21)
    assert way.shape == (21, 2) and way.dtype == torch.float32
    torch.testing.assert_close(way[0], a)
    torch.testing.assert_close(way[-1], b)
    lengths = step_lengths(way)
    assert float(lengths.max() / lengths.min()) < 1.1


def test_in_a_round_cloud_it_is_nearly_straight() -> None:
    codes = torch.randn(1500, 2, generator=torch.Generator().manual_seed(1))
    a, b = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    way = along(a, b, codes, 11)
    assert float(step_lengths(way).sum()) < 1.3 * 2
    assert float(way[:, 1].abs().max()) < 0.5


def test_odd_ends_and_clouds() -> None:
    codes = ring(50)
    same = along(codes[0], codes[0], codes, 4)
    torch.testing.assert_close(same, codes[0].expand(4, 2))
    lonely = along(codes[0], codes[1], codes[:1], 3)
    assert lonely.isfinite().all()
    far = along(1e20 * codes[0], 1e20 * codes[9], 1e20 * codes, 5)
    assert far.isfinite().all()
    with pytest.raises(UserError, match=r"\(N, 2\)"):
        along(codes[0], codes[1], codes[:, :1], 5)
    with pytest.raises(UserError, match="encodings"):
        along(codes[0], codes[1], codes[:0], 5)


def test_it_is_the_same_every_time() -> None:
    codes = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 5))).float()
    assert torch.equal(along(codes[0], codes[7], codes, 9), along(codes[0], codes[7], codes, 9))
