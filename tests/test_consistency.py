"""Consistency models: the end of the ODE in one call, from a teacher or from data alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from games import tiny_run, tiny_trainer
from latentia import fit, load
from latentia.abilities import HasLogProb
from latentia.errors import UserError
from latentia.fitting import build_game
from latentia.game import Batch, Now, Player
from latentia.models.few_steps import FewSteps
from latentia.objectives.consistency import Consistency
from test_cli import call
from test_diffusion import a_model

CENTERS, SPREAD = np.array([[-1.5, 0.0], [1.5, 0.5], [0.0, -1.5]]), 0.3
SMALL = {"width": (64,), "depth": (3,), "batch_size": 256}


def now(progress: float = 0.5, seed: int = 0) -> Now:
    return Now(1, progress, torch.Generator().manual_seed(seed), torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three Gaussians in a plane, each a class."""
    rng = np.random.default_rng(0)
    which = rng.integers(3, size=8000)
    x = CENTERS[which] + SPREAD * rng.normal(size=(8000, 2))
    path = tmp_path_factory.mktemp("data") / "points.npz"
    np.savez(path, x=x.astype(np.float32), labels=which)
    return str(path)


@pytest.fixture(scope="module")
def teacher(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    how = {**SMALL, "conditional": True}
    fit(data, model="diffusion", settings=how, examples=150_000, out=folder, quiet=True)
    return folder


@pytest.fixture(scope="module")
def student(data: str, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student") / "run"
    how = {**SMALL, "conditional": True, "teacher": str(teacher)}
    fit(data, model="consistency", settings=how, examples=150_000, out=folder, quiet=True)
    return folder


def test_at_the_lowest_level_nothing_changes() -> None:
    model = FewSteps(a_model("classless"))
    x, lowest = torch.randn(5, 2), torch.full((5,), model.sigma_min)
    assert torch.equal(model(x, lowest), x)
    assert not torch.allclose(model(x, 2 * lowest), x)


def test_a_student_ends_where_its_teachers_path_ends(student: Path, teacher: Path) -> None:
    """One call against 80 steps of Heun; the teacher's own single step is the bad oracle."""
    model, knows = load(student), load(teacher)
    z = torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
    asked = torch.arange(400) % 3
    end = knows.decode(z, condition=asked, steps=80)
    once = model.decode(z, condition=asked)
    naive = knows.decode(z, condition=asked, steps=1)
    error, bad = ((found - end).square().mean().sqrt() for found in (once, naive))
    assert float(error) < 0.12 and float(bad) > 0.2


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_reach_all_of_the_data(steps: int, student: Path) -> None:
    found = load(student).sample(range(900), steps=steps)
    apart = torch.cdist(found, torch.tensor(CENTERS, dtype=torch.float32)).min(1)
    assert int(apart.indices.bincount(minlength=3).min()) > 220
    width = float(apart.values.square().mean().sqrt())
    assert 0.32 < width < 0.52  # 0.42 in truth


def test_classes_are_obeyed(student: Path) -> None:
    model = load(student)
    centers = torch.tensor(CENTERS, dtype=torch.float32)
    for which in range(3):
        found = model.sample(range(100), condition=torch.tensor(which))
        assert bool((torch.cdist(found, centers).argmin(1) == which).float().mean() > 0.97)
    assert not isinstance(model, HasLogProb) and not hasattr(model, "encode")


def test_data_alone_teach_as_well(data: str, tmp_path: Path) -> None:
    fit(data, model="consistency", settings=SMALL, examples=150_000, out=tmp_path, quiet=True)
    found = load(tmp_path).sample(range(900), steps=2)
    apart = torch.cdist(found, torch.tensor(CENTERS, dtype=torch.float32)).min(1)
    assert int(apart.indices.bincount(minlength=3).min()) > 180
    assert float((apart.values < 3 * SPREAD).float().mean()) > 0.9


# the game


class Line:
    """f(x; σ) = a x with f as a stand-in for a student."""

    sigma_min = 0.1

    def __init__(self, a: float) -> None:
        self.a = torch.tensor(a, requires_grad=True)
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor:
        self.seen.append(sigma)
        return self.a * x

    def standardise(self, x: Tensor) -> Tensor:
        return x


def played(game: Consistency, at: Now) -> Tensor:
    batch = Batch(torch.randn(512, 2), None, torch.arange(512))
    ((_, terms),) = game.play(batch, at)
    return terms["consistency"]


def test_neighbours_are_next_to_each_other_and_grow_in_number() -> None:
    model = Line(1.0)
    game = Consistency(model, Player(torch.nn.Linear(1, 1), 1e-3), None, 80, 40.0)  # type: ignore[arg-type]
    counts = []
    for progress in (0.0, 0.5, 1.0):
        model.seen.clear()
        played(game, now(progress))
        low, high = model.seen
        assert bool((low < high).all())
        counts.append(len(torch.unique(torch.cat([low, high]))))
    assert counts == sorted(counts) and counts[0] <= 10 < counts[-1] <= 80


def test_agreement_costs_nothing_and_no_gradient_flows_into_the_aim() -> None:
    zero = Line(0.0)
    game = Consistency(zero, Player(torch.nn.Linear(1, 1), 1e-3), None, 10, 40.0)  # type: ignore[arg-type]
    assert float(played(game, now()).detach()) == 0
    model = Line(1.0)
    game = Consistency(model, Player(torch.nn.Linear(1, 1), 1e-3), None, 10, 40.0)  # type: ignore[arg-type]
    loss = played(game, now())
    loss.backward()
    # d/da ‖a·above − aim‖ with the aim fixed: not the loss itself, as it is where both move
    assert model.a.grad is not None and float(model.a.grad) > 1.01 * float(loss.detach())


# the verbs


def test_distill_makes_a_run_of_few_steps(tmp_path: Path) -> None:
    tiny_trainer("diffusion", "image", tmp_path / "teacher").run()
    quick = tmp_path / "quick"
    words = ("--examples", "160", "--out", quick, "--no-report", "--set", "batch_size=16")
    said = call("distill", tmp_path / "teacher", *words)
    assert said.exit_code == 0, said.stderr
    model = load(quick)
    assert model.sample([1]).shape == (1, 1, 8, 8)
    out = tmp_path / "one.png"
    assert call("sample", quick, "-n", "4", "--steps", "1", "--out", out).exit_code == 0
    assert out.exists()


def test_wrong_teachers_are_refused(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path / "vae").run()
    said = call("distill", tmp_path / "vae", "--out", tmp_path / "quick")
    assert said.exit_code == 2 and "no diffusion run" in said.stderr
    said = call("distill", tmp_path / "nowhere", "--out", tmp_path / "quick")
    assert said.exit_code == 2 and "no run" in said.stderr
    assert not (tmp_path / "quick").exists()

    tiny_trainer("diffusion", "image", tmp_path / "teacher").run()
    run, _ = tiny_run(
        "consistency", "image", tmp_path / "other", teacher=str(tmp_path / "teacher"), width=(8, 24)
    )
    with pytest.raises(UserError, match="other networks"):
        build_game(run, torch.device("cpu"))
