"""Continuity and completeness: oracles that are perfect, and oracles with a known fault."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics.features import default_extractor
from latentia.metrics.latent_space import latent_space


def normal(n: int, dims: int, seed: int) -> Tensor:
    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))


def points(values: Tensor) -> Dataset:
    spec = DataSpec("points", "vector", (values.shape[1],), len(values), "0" * 16)
    return Dataset(spec, values.numpy())


class Linear:
    """x = z A, an invertible map."""

    latent_dim = 3

    def __init__(self, turn: Tensor | None = None) -> None:
        self.matrix = normal(3, 6, 9)
        self.turn = torch.eye(3) if turn is None else turn

    def encode(self, x: Tensor) -> Tensor:
        return x @ torch.linalg.pinv(self.matrix) @ self.turn

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z @ torch.linalg.inv(self.turn) @ self.matrix


class Stepped:
    """Smooth but for a step: the first number decoded is the sign of the latent, nearly."""

    latent_dim = 1

    def encode(self, x: Tensor) -> Tensor:
        return x[:, 1:]

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return torch.cat([torch.tanh(200 * z), z], 1)


class Identity:
    latent_dim = 2

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z


class Hollow(Identity):
    """Decodes what lies inside the ring to garbage."""

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        inside = z.norm(dim=1, keepdim=True) < 0.7
        return torch.where(inside, torch.tensor([9.0, -7.0]), z)


class Filled(Identity):
    """Decodes every direction to the ring, wherever on the ray."""

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z / z.norm(dim=1, keepdim=True).clamp(min=1e-6)


def ring(n: int, seed: int) -> Dataset:
    angle = 2 * torch.pi * torch.rand(n, generator=torch.Generator().manual_seed(seed))
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    return points(circle + 0.05 * normal(n, 2, seed + 50))


def linear_data() -> tuple[Dataset, Dataset]:
    both = normal(900, 3, 0) * torch.tensor([1.0, 3.0, 0.2]) @ Linear().matrix
    return points(both[:600]), points(both[600:])


def step_data() -> tuple[Dataset, Dataset]:
    both = Stepped().decode(normal(900, 1, 0))
    return points(both[:600]), points(both[600:])


def measured(model: object, train: Dataset, test: Dataset, **more: int) -> dict:  # type: ignore[type-arg]
    return latent_space(model, train, test, default_extractor(train), **more)


def test_a_linear_decoder_is_perfectly_continuous() -> None:
    found = measured(Linear(), *linear_data())
    for figures in found["continuity"]["by_step"].values():
        assert figures["change_per_step"] == pytest.approx(1, abs=0.08)
    assert found["walks"]["smoothness"] == pytest.approx(1, abs=1e-4)
    assert found["walks"]["least_smoothness"] == pytest.approx(1, abs=1e-4)
    assert found["walks"]["largest_jump"]["mean_steps"] == pytest.approx(1, abs=1e-3)
    assert found["continuity"]["kept_class"] is None
    json.dumps(found, allow_nan=False)


def test_no_figure_of_continuity_depends_on_the_scale_or_basis_of_the_latents() -> None:
    stretched = torch.tensor([[100.0, 3, 0], [0, 0.5, 1], [2, 0, 0.01]])
    one, other = (measured(Linear(turn), *linear_data()) for turn in (None, stretched))
    for name in ("change_per_step", "largest_change"):
        assert one["continuity"][name] == pytest.approx(other["continuity"][name], rel=1e-2)
    assert one["walks"]["largest_jump"]["share"] == pytest.approx(
        other["walks"]["largest_jump"]["share"], rel=1e-2
    )
    assert one["completeness"]["gaussian_precision"] == pytest.approx(
        other["completeness"]["gaussian_precision"], abs=0.01
    )


def test_a_step_is_caught_and_its_place_told() -> None:
    train, test = step_data()
    found = measured(Stepped(), train, test)
    assert found["continuity"]["change_per_step"] > 1.5
    assert found["walks"]["smoothness"] < 0.75
    jump = found["walks"]["largest_jump"]
    a, b = (float(test.values[row, 1]) for row in jump["rows"])
    assert a * b < 0  # the ends lie on the two sides of the step
    assert jump["at"] == pytest.approx(a / (a - b), abs=1 / 16)
    assert jump["mean_steps"] > 5
    row = found["continuity"]["largest_change_row"]
    assert abs(float(test.values[row, 1])) < 1  # a row that a step of noise carries across
    assert found["continuity"]["by_step"]["0.1"]["change_per_step"] > 1.5  # smaller, steeper


def test_a_hole_is_found_where_it_is() -> None:
    train, test = ring(1500, 0), ring(300, 1)
    found = measured(Hollow(), train, test)
    figures = found["completeness"]
    assert figures["midpoints_on"] < 0.4
    assert figures["walks_with_hole"] > 0.6
    assert figures["reconstructions_on"] > 0.9 and figures["real_on"] > 0.94
    worst = found["holes"][0]
    a, b = (test.values[row] for row in worst["rows"])
    middle = a + worst["at"] * (b - a)
    assert np.linalg.norm(middle) < 0.7
    assert worst["remoteness"] > 10 and 0 < worst["share"] <= 1
    depths = [hole["remoteness"] for hole in found["holes"]]
    assert depths == sorted(depths, reverse=True)


def test_a_latent_space_without_holes_has_none() -> None:
    train, test = ring(1500, 0), ring(300, 1)
    complete = measured(Filled(), train, test)["completeness"]
    hollow = measured(Hollow(), train, test)["completeness"]
    assert complete["walks_on"] > 0.95 and complete["midpoints_on"] > 0.95
    assert complete["prior_precision"] > 0.95 > 0.6 > hollow["prior_precision"]
    assert complete["gaussian_precision"] > 0.95


def test_the_prior_fills_what_it_was_made_for() -> None:
    train, test = points(normal(1500, 2, 0)), points(normal(300, 2, 1))
    figures = measured(Identity(), train, test)["completeness"]
    assert figures["prior"] == "decoded standard normal latents"
    assert figures["prior_precision"] == pytest.approx(figures["real_precision"], abs=0.05)
    assert figures["walks_on"] > 0.95
    far = points(10 * normal(1500, 2, 0)), points(10 * normal(300, 2, 1))
    stretched = measured(Identity(), *far)["completeness"]  # the prior meets its middle alone
    assert stretched["gaussian_precision"] == pytest.approx(figures["real_precision"], abs=0.05)


def test_samples_are_judged_where_there_are_some() -> None:
    train, test = points(normal(1500, 2, 0)), points(normal(300, 2, 1))
    off = latent_space(
        Identity(), train, test, default_extractor(train), drawn=normal(200, 2, 3) + 20
    )
    assert off["completeness"]["prior_precision"] == 0
    assert off["completeness"]["prior"] == "the model's own samples"


@dataclass(frozen=True)
class Sign:
    """Features are the values; the class is the sign of the second."""

    name: str = "sign"
    hash: str = "0" * 16
    dims: int = 2

    def __call__(self, x: Tensor) -> Tensor:
        return x.float()

    def predict_proba(self, x: Tensor) -> Tensor:
        up = (x[:, 1:] > 0).float()
        return torch.cat([1 - up, up], 1)


def test_classes_kept_are_those_that_no_step_carries_across() -> None:
    train, test = step_data()
    found = latent_space(Stepped(), train, test, Sign(), examples=300)["continuity"]["by_step"]
    for step, figures in found.items():  # P(z and z + s ε have one sign) = 1 - arctan(s) / π
        expected = 1 - np.arctan(float(step)) / np.pi
        assert figures["kept_class"] == pytest.approx(expected, abs=0.05)


def test_it_is_the_same_for_the_same_seed_and_needs_few_rows() -> None:
    train, test = ring(300, 0), ring(12, 1)
    assert measured(Hollow(), train, test) == measured(Hollow(), train, test)
    assert measured(Hollow(), train, test, walks=50)["pairs"] == 50
    assert measured(Hollow(), train, test) != measured(Hollow(), train, test, seed=1)


def test_what_cannot_be_measured_is_refused() -> None:
    train, test = ring(300, 0), ring(5, 1)
    with pytest.raises(UserError, match="at least 10"):
        measured(Identity(), train, test)
    with pytest.raises(UserError, match="does not both encode and decode"):
        measured(object(), train, ring(30, 1))

    class Broken(Identity):
        def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
            return z / 0

    with pytest.raises(UserError, match="not finite"):
        measured(Broken(), train, ring(30, 1))


def test_a_decoder_that_ignores_its_latents_gives_numbers_too() -> None:
    class Constant(Identity):
        def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
            return torch.ones(len(z), 2)

    found = measured(Constant(), ring(300, 0), ring(30, 1))
    json.dumps(found, allow_nan=False)
    assert found["continuity"]["change_per_step"] == 0
