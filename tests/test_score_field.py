"""The picture of a score field: exact on a Gaussian, and drawn so that arrows can be told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.explore.score_field import ScoreField, score_field
from latentia.report.draw_field import LONGEST, arrows, drawable


class Gaussian:
    """Of mean (1, -2), deviation 2 along both axes."""

    latent_dim = 2

    def score(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return (torch.tensor([1.0, -2.0]) - x) / (4 * (1 + sigma**2))


def test_arrows_are_the_score_at_their_places() -> None:
    field = score_field(Gaussian(), (-1.0, -4.0), (3.0, 0.0), 0.5, 5)
    assert field.places.shape == field.arrows.shape == (25, 2)
    assert field.places.dtype == field.arrows.dtype == np.float32
    assert field.places[0].tolist() == [-1, -4] and field.places[-1].tolist() == [3, 0]
    assert field.places[1].tolist() == [0, -4]  # along x first
    np.testing.assert_allclose(field.arrows, (np.array([1, -2]) - field.places) / 5, rtol=1e-6)
    assert not field.arrows[12].any()  # at the mean


def test_drawn_arrows_keep_direction_and_have_a_longest() -> None:
    field = score_field(Gaussian(), (-10.0, -10.0), (10.0, 10.0), 1.0, 20)
    shown, step = drawable(field), 20 / 19
    sizes = np.linalg.norm(shown, axis=1) / step
    assert sizes.max() == pytest.approx(LONGEST) and 0.4 < (sizes > 0.999 * LONGEST).mean() < 0.6
    cross = shown[:, 0] * field.arrows[:, 1] - shown[:, 1] * field.arrows[:, 0]
    np.testing.assert_allclose(cross, 0, atol=1e-5)
    short = sizes < 0.9 * LONGEST
    ratio = sizes[short] / np.linalg.norm(field.arrows[short], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)  # one scale
    still = ScoreField(field.places, np.zeros_like(field.arrows), 1.0)
    assert np.isfinite(drawable(still)).all()


def test_the_drawing_has_a_panel_for_each_level() -> None:
    low, high = np.array([-5.0, -8.0]), np.array([7.0, 4.0])
    levels = (0.1, 1.0)
    fields = {f"level {s:g}": score_field(Gaussian(), low, high, s, 6) for s in levels}
    points = np.random.default_rng(0).normal(size=(50, 2)) * 2 + [1, -2]
    drawn = arrows(points, fields, low, high, alt="two fields")
    assert drawn.startswith("<svg") and 'aria-label="two fields"' in drawn
    assert "level 0.1" in drawn and "level 1" in drawn
    assert "var(--c1)" in drawn  # arrows in the colours of the page


@pytest.mark.parametrize(
    ("low", "high", "sigma", "grid"),
    [
        ((0.0, 0.0), (1.0, 0.0), 1.0, 5),
        ((0.0,), (1.0,), 1.0, 5),
        ((0.0, 0.0), (1.0, 1.0), 0.0, 5),
        ((0.0, 0.0), (1.0, 1.0), 1.0, 1),
    ],
)
def test_no_field_is_refused(
    low: tuple[float, ...], high: tuple[float, ...], sigma: float, grid: int
) -> None:
    with pytest.raises(UserError, match="score field takes"):
        score_field(Gaussian(), low, high, sigma, grid)


def test_a_model_of_other_data_is_refused() -> None:
    model = Gaussian()
    model.latent_dim = 3
    with pytest.raises(UserError, match="this model has 3"):
        score_field(model, (0.0, 0.0), (1.0, 1.0), 1.0)
