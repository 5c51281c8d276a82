"""Toy densities integrate to one and fit their own samples; sprites show their factors."""

from __future__ import annotations

import numpy as np
import pytest

from latentia.data.open import open_data
from latentia.data.spec import DataOptions
from latentia.data.sprites import FACTOR_SIZES, draw_factors, render
from latentia.data.toys import TOYS


@pytest.mark.parametrize("name", TOYS)
def test_density_integrates_to_one(name: str) -> None:
    step = 0.02  # far below the narrowest width, so that the sum over the grid is exact
    dims = dimensions(name)
    axis = np.arange(-6 if dims == 1 else -5, 6 if dims == 1 else 5, step)
    grid = np.stack(np.meshgrid(*[axis] * dims), -1).reshape(-1, dims)
    log_density = TOYS[name]().log_density
    total = sum(np.exp(log_density(part)).sum() for part in np.array_split(grid, 50))
    assert abs(total * step**dims - 1) < 1e-6


def dimensions(name: str) -> int:
    return open_data(f"{name}:2", split="all").spec.dims


@pytest.mark.parametrize("name", TOYS)
def test_samples_follow_the_density(name: str) -> None:
    """Counts in the cells of a grid against their exact probabilities (chi-square)."""
    data = open_data(f"{name}:40000", split="all")
    assert data.log_density is not None
    dims = data.spec.dims
    fine = np.arange(-4.5, 4.5, 0.03) + 0.015
    grid = np.stack(np.meshgrid(*[fine] * dims, indexing="ij"), -1).reshape(-1, dims)
    mass = np.concatenate([np.exp(data.log_density(p)) for p in np.array_split(grid, 20)])
    within = tuple(range(1, 2 * dims, 2))
    expected = mass.reshape([30, 10] * dims).sum(within) * 0.03**dims * len(data)
    counts = np.histogramdd(data.values, bins=[np.linspace(-4.5, 4.5, 31)] * dims)[0]
    well = expected > 20
    chi = ((counts - expected)[well] ** 2 / expected[well]).mean()
    assert 0.6 < chi < 1.5


def test_log_density_far_out_stays_finite() -> None:
    for name, make in TOYS.items():
        far = np.array([[30.0, -30.0]])[:, : dimensions(name)]
        assert np.isfinite(make().log_density(far)).all()


def test_toys_depend_on_the_seed() -> None:
    one = open_data("rings:100", options=DataOptions(seed=1))
    assert np.array_equal(one.values, open_data("rings:100", options=DataOptions(seed=1)).values)
    assert not np.array_equal(one.values, open_data("rings:100").values)


def middle(factor: str, k: int, **others: int) -> dict[str, np.ndarray]:
    """`k` sprites that differ in one factor only."""
    fixed = {"shape": 0, "scale": 5, "rotation": 0, "x": 16, "y": 16, "hue": 0} | others
    factors = {name: np.full(k, value) for name, value in fixed.items()}
    return factors | {factor: np.arange(k)}


def centres(images: np.ndarray) -> np.ndarray:
    light = images.max(1).astype(float)
    places = np.arange(images.shape[-1])
    total = light.sum((1, 2))
    return (
        np.stack([(light.sum(1) * places).sum(1), (light.sum(2) * places).sum(1)], 1)
        / total[:, None]
    )


@pytest.mark.parametrize("shape", range(3))
def test_sprites_show_their_factors(shape: int) -> None:
    across = centres(render(middle("x", 32, shape=shape), 64))
    assert (np.diff(across[:, 0]) > 0.5).all() and np.ptp(across[:, 1]) < 0.1
    down = centres(render(middle("y", 32, shape=shape), 64))
    assert (np.diff(down[:, 1]) > 0.5).all() and np.ptp(down[:, 0]) < 0.1
    area = render(middle("scale", 6, shape=shape), 64).max(1).astype(float).sum((1, 2))
    assert np.allclose(area / area[-1], np.linspace(0.5, 1, 6) ** 2, rtol=0.05)
    turned = render(middle("rotation", 40, shape=shape), 64).max(1).astype(float).sum((1, 2))
    assert np.ptp(turned) / turned.mean() < 0.03


def test_sprites_have_different_hues_and_stay_inside() -> None:
    colours = render(middle("hue", 8), 32).max((2, 3))
    assert len(np.unique(colours, axis=0)) == 8 and (colours.max(1) == 255).all()
    factors = draw_factors(500, 0)
    corners = {**factors, "x": np.resize([0, 31], 500), "y": np.resize([0, 0, 31, 31], 500)}
    edge = render(corners, 32).max(1)
    rim = np.concatenate([edge[:, 0], edge[:, -1], edge[:, :, 0], edge[:, :, -1]], 1)
    assert rim.max() == 0


def test_sprites_open_with_factors_and_options() -> None:
    data = open_data("sprites:300@24", split="all")
    assert data.spec.shape == (3, 24, 24) and data.factors is not None
    assert {k: int(v.max()) < FACTOR_SIZES[k] for k, v in data.factors.items()} == dict.fromkeys(
        FACTOR_SIZES, True
    )
    assert np.array_equal(data.values, render(data.factors, 24))
    train = open_data("sprites:300@24")
    assert train.factors is not None
    assert np.array_equal(
        train.values[:5], render({k: v[:5] for k, v in train.factors.items()}, 24)
    )
    grey = open_data("sprites:50", options=DataOptions(channels=1, size=16))
    assert grey.spec.shape == (1, 16, 16) and grey.factors is not None and "hue" not in grey.factors
    assert open_data("sprites:300@24", options=DataOptions(seed=1)).spec.hash != train.spec.hash
