"""Directions from labels and arithmetic on encodings, where theory gives the answer."""

from __future__ import annotations

from math import isnan
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from latentia.errors import UserError
from latentia.explore.directions import (
    METHODS,
    arithmetic,
    attribute_direction,
    linear_scores,
    mean_difference,
    move,
    separability,
    strength_for,
)
from latentia.explore.guided import guided_moves


class Linear:
    """Encodes by a rotation, decodes by its inverse."""

    latent_dim = 4

    def __init__(self) -> None:
        self.turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[
            0
        ]

    def encode(self, x: Tensor) -> Tensor:
        return x @ self.turn

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z @ self.turn.T


def entangled(n: int = 20_000, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Axis 0 shows attribute 0, axis 1 attribute 1; the two attributes often go together."""
    random = torch.Generator().manual_seed(0)
    first = torch.rand(n, generator=random) < 0.5
    second = torch.where(torch.rand(n, generator=random) < 0.8, first, ~first)
    attributes = torch.stack([first, second], 1)
    z = noise * torch.randn(n, 3, generator=random)
    z[:, :2] += attributes.float()
    return z, attributes


def test_mean_difference_by_hand() -> None:
    z = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 5.0], [6.0, 7.0]])
    has = torch.tensor([False, False, True, True])
    assert mean_difference(z, has).tolist() == pytest.approx([4.0, 5.0])


def test_only_the_difference_brings_along_what_goes_together() -> None:
    z, attributes = entangled()
    found = {m: attribute_direction(z, attributes, 0, method=m) for m in METHODS}
    assert found["difference"].tolist() == pytest.approx([1, 0.6, 0], abs=0.03)
    for method in ("least", "partial"):
        along, across, idle = found[method].tolist()
        assert along > 0.9
        assert abs(across) < 0.05 * along
        assert abs(idle) < 0.05 * along


def test_least_without_slack_leaves_the_scores_of_others_alone() -> None:
    z, attributes = entangled(2000, noise=1.0)
    scores = linear_scores(z, attributes)
    raw = scores.normals @ mean_difference(z, attributes[:, 0]).double()
    least = scores.normals @ attribute_direction(z, attributes, 0, method="least", slack=0).double()
    assert least[0] == pytest.approx(float(raw[0]), rel=1e-3)  # as far, whatever the method
    assert abs(least[1]) < 0.05 * abs(raw[1])
    whole = attribute_direction(z, attributes, 0, method="least", slack=1)
    assert torch.allclose(whole, attribute_direction(z, attributes, 0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(METHODS))
def test_turning_the_codes_turns_the_direction(seed: int, method: Any) -> None:
    z, attributes = entangled(500, noise=0.5)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))[0]
    still = attribute_direction(z, attributes, 0, method=method)
    turned = attribute_direction(z @ turn, attributes, 0, method=method)
    assert torch.allclose(still @ turn, turned, atol=1e-4)


def test_scores_tell_the_groups_apart() -> None:
    z, attributes = entangled(500)
    scores = linear_scores(z, attributes)(z)
    assert separability(scores[:, 0], attributes[:, 0]) > 0.99
    assert separability(-scores[:, 0], attributes[:, 0]) < 0.01
    assert isnan(separability(scores[:2, 0], torch.ones(2, dtype=torch.bool)))


def test_moving_starts_at_the_reconstruction() -> None:
    model, x = Linear(), torch.eye(4)[:2]
    direction = torch.tensor([1.0, 0, 0, 0])
    walk = move(model, x, direction, (0, 0.5, -1))
    assert walk.shape == (2, 3, 4)
    assert torch.allclose(walk[:, 0], x, atol=1e-6)
    assert torch.allclose(walk[:, 2] - x, -model.turn[:, 0].expand(2, 4), atol=1e-6)


def test_the_strength_that_reaches_a_goal() -> None:
    model, z = Linear(), torch.zeros(3, 4)
    judge = lambda x: (x @ model.turn)[:, 0] / 4  # noqa: E731
    direction = torch.tensor([1.0, 0, 0, 0])
    found = strength_for(model, z, direction, judge, 0.7)
    assert found == pytest.approx(2.8, abs=0.01)
    assert strength_for(model, z, direction, judge, -1) == 0
    assert strength_for(model, z, -direction, judge, 0.7) is None


def test_arithmetic_is_that_of_means() -> None:
    model = Linear()
    a, b, c = (torch.randn(k, 4, generator=torch.Generator().manual_seed(k)) for k in (3, 1, 2))
    found = arithmetic(model, [a, c], [b])
    assert found.shape == (1, 4)
    assert torch.allclose(found[0], a.mean(0) - b.mean(0) + c.mean(0), atol=1e-5)
    with pytest.raises(UserError, match="at least one"):
        arithmetic(model, [])


def test_what_gives_no_direction_is_refused() -> None:
    z, attributes = entangled(50)
    with pytest.raises(UserError, match="did you mean 'least'"):
        attribute_direction(z, attributes, 0, method="lest")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="slack"):
        attribute_direction(z, attributes, 0, method="least", slack=2)
    with pytest.raises(UserError, match="all have"):
        attribute_direction(z, torch.ones(50, 1, dtype=torch.bool), 0)


def test_guided_moves_leave_what_the_judge_sees_else_alone() -> None:
    model = Linear()
    judge = lambda x: torch.sigmoid(4 * x[:, :2])  # noqa: E731
    z = model.encode(torch.tensor([[-0.5, 0.3, 0, 0], [-0.4, -0.2, 1.0, 0]]))
    both = model.turn[0] + model.turn[1]  # decodes to (1, 1, 0, 0)
    moves = guided_moves(model, z, judge, 0, start=both / 2, scale=torch.ones(4), goal=0.7)
    before, after = judge(model.decode(z)), judge(model.decode(z + moves))
    assert (before[:, 0] < 0.2).all() and (after[:, 0] > 0.65).all()
    assert ((after - before)[:, 1].abs() < 0.05).all()
    with pytest.raises(UserError, match="goal"):
        guided_moves(model, z, judge, 0, start=both, scale=torch.ones(4), goal=1.5)
