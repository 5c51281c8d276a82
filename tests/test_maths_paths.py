"""Even walks, uneven ones, and points evenly apart."""

from __future__ import annotations

import pytest
import torch

from latentia.maths.paths import evenness, resampled, step_lengths


def test_evenness_is_one_for_even_walks_and_zero_for_one_jump() -> None:
    straight = torch.linspace(0, 1, 9)[:, None] * torch.tensor([3.0, -4.0])
    assert evenness(step_lengths(straight)) == pytest.approx(1)
    jump = torch.zeros(9, 2)
    jump[4:] = 7
    assert evenness(step_lengths(jump)) == pytest.approx(0)
    two = torch.tensor([0.0, 0, 1, 1, 1, 2, 2, 2, 2])[:, None]
    assert evenness(step_lengths(two)) == pytest.approx(1 / 7)  # two steps of eight share it


def test_evenness_has_no_unit_and_takes_leading_axes() -> None:
    walks = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    found = evenness(step_lengths(walks))
    assert found.shape == (2, 3) and (found > 0).all() and (found < 1).all()
    torch.testing.assert_close(found, evenness(step_lengths(100 * walks)))


def test_evenness_of_standing_still_and_of_one_step() -> None:
    assert evenness(torch.zeros(5)) == 1
    assert evenness(torch.tensor([3.0])) == 1


def test_resampled_points_are_evenly_apart_on_the_polyline() -> None:
    corner = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    found = resampled(corner, 5)
    expected = torch.tensor([[0.0, 0], [1, 0], [2, 0], [3, 0], [3, 1]])
    torch.testing.assert_close(found, expected)
    assert torch.equal(resampled(corner[:2], 3), torch.zeros(3, 2))
    assert torch.equal(resampled(corner[:1], 3), torch.zeros(3, 2))
