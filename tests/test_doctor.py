"""The training doctor: names what is provoked, keeps quiet about what is well, touches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from games import tiny_run, tiny_trainer, weights
from latentia.fitting import build_trainer, plan
from latentia.maths.resemblance import Frame, above, moved, resemblance
from latentia.run import Run
from latentia.training.budget import Budget
from latentia.training.checkup import MARKS, as_in_use, checkups_of
from latentia.training.doctor import Finding, diagnose, span_of, unknown, words, worst
from latentia.training.remedies import Settings, remedy
from latentia.training.trainer import Trainer

NAMES = ("collapse", "critic saturation", "vanishing gradient", "critic overfit", "oscillation")
HEALTHY: dict[str, Any] = {
    "rows": 256,
    "spread": 0.95,
    "nearness": 1.1,
    "repeats": 0.02,
    "real_repeats": 0.02,
    "coverage": 0.8,
    "precision": 0.85,
    "distance": 0.02,
    "moved": 0.02,
    "on_real": 0.4,
    "on_fake": 0.2,
    "on_held": 0.38,
    "right": 0.75,
    "right_held": 0.74,
    "seen": 0.53,
    "leak": 0.1,
    "held_rows": 256,
    "critic_pull": 0.9,
    "generator_pull": 1.1,
    "gradients": {"critic": 0.7, "generator": 1.5},
}
BAD: dict[str, dict[str, Any]] = {
    "collapse": {"spread": 0.05, "repeats": 0.9, "coverage": 0.02},
    "critic saturation": {"right": 1.0, "right_held": 1.0, "critic_pull": 0.002},
    "vanishing gradient": {"right": 1.0, "generator_pull": 0.01, "critic_pull": 0.01},
    "critic overfit": {"seen": 0.9, "leak": 0.7, "right": 0.99, "right_held": 0.7},
    "oscillation": {"moved": 0.5, "distance": 0.4},
}


def history(*changes: tuple[float, dict[str, Any]]) -> list[dict[str, Any]]:
    """40 healthy check-ups, changed from each share of the budget on."""
    found = []
    for mark in range(1, MARKS + 1):
        progress = mark / MARKS
        here = {"step": mark, "progress": progress, **HEALTHY}
        for since, change in changes:
            here |= change if progress >= since else {}
        found.append(here)
    return found


def names(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in findings}


# the rules, on made-up figures


def test_a_healthy_history_has_no_findings() -> None:
    assert diagnose(history()) == [] and words([]) == ""


@pytest.mark.parametrize("name", NAMES)
def test_each_trouble_is_named_alone_with_its_time_and_advice(name: str) -> None:
    (finding,) = diagnose(history((0.4, BAD[name])))
    assert finding.name == name and finding.ongoing
    assert 0.4 <= finding.since <= 0.55  # the slow ones need some check-ups to show
    assert finding.sentence.endswith(".") and finding.advice.endswith(".")
    assert words([finding]).startswith("! ") and "on" in span_of(finding)
    assert json.loads(json.dumps(finding.to_json()))["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_one_odd_check_up_is_no_alarm(name: str) -> None:
    assert diagnose(history((0.5, BAD[name]), (0.51, HEALTHY))) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_beginning_is_not_judged(name: str) -> None:
    assert diagnose(history((0.0, BAD[name]), (0.1, HEALTHY))) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_has_passed_says_until_when(name: str) -> None:
    (finding,) = diagnose(history((0.3, BAD[name]), (0.6, HEALTHY)))
    assert not finding.ongoing and finding.until is not None and 0.6 <= finding.until <= 0.8
    assert words([finding]) == "" and " to " in span_of(finding)


def test_a_gradient_that_dies_is_named_in_any_family() -> None:
    rows = [
        {"step": k, "progress": k / MARKS, "gradients": {"vae": 3.0 if k < 20 else 0.0}}
        for k in range(1, MARKS + 1)
    ]
    (finding,) = diagnose(rows)
    assert finding.name == "vanishing gradient" and "vae" in finding.sentence
    assert "no critic" in unknown(rows)[0]


def test_samples_that_leave_out_kinds_are_a_collapse_too() -> None:
    (finding,) = diagnose(history((0.4, {"precision": 0.95, "coverage": 0.3})))
    assert finding.name == "collapse" and "dropped" in finding.sentence


def test_few_held_out_rows_need_more_evidence() -> None:
    assert diagnose(history((0.4, {**BAD["critic overfit"], "seen": 0.72, "held_rows": 20}))) == []


def test_without_held_out_rows_it_says_what_it_cannot_know() -> None:
    rows = [{k: v for k, v in h.items() if k not in ("seen", "leak")} for h in history()]
    assert diagnose(rows) == [] and "held-out" in unknown(rows)[0]
    assert unknown(history()) == []


def test_the_worst_come_first() -> None:
    passed = history((0.2, BAD["collapse"]), (0.5, HEALTHY), (0.7, BAD["critic overfit"]))
    assert [f.name for f in diagnose(passed)] == ["collapse", "critic overfit"]
    assert [f.name for f in worst(diagnose(passed))] == ["critic overfit", "collapse"]


@pytest.mark.parametrize("name", NAMES)
def test_advice_names_a_setting_and_a_value(name: str) -> None:
    chosen = {
        "loss": "minimax",
        "penalty": "r1+r2",
        "gamma": 0.1,
        "gamma_end": 0.01,
        "lr": 1e-3,
        "critic_lr": 1e-2,
        "width": 32,
        "augment": "none",
    }
    about = Settings(chosen, {"loss": "relativistic", "gamma": 2.0})
    assert "--set " in remedy(name, about) and "now" in remedy(name, about)
    assert remedy(name, None)  # without settings too


def test_advice_where_there_is_no_penalty_yet_names_one() -> None:
    about = Settings({"gamma": 0.0, "critic_width": 32, "width": 64}, {"gamma": 0.0})
    said = remedy("critic overfit", about)
    assert "--set gamma=1 (gamma is now 0)" in said
    assert "--set critic_width=16 (now 32)" in remedy(
        "critic overfit", Settings({"critic_width": 32})
    )


# the figures


def test_resemblance_tells_alike_collapsed_and_dropped() -> None:
    random = np.random.default_rng(0)
    draw = lambda n: torch.tensor(random.normal(size=(n, 2)), dtype=torch.float32)  # noqa: E731
    real = draw(256)
    frame = Frame.of(real)
    alike = resemblance(frame(draw(256)), frame(real))
    assert alike["spread"] == pytest.approx(1, abs=0.1) and alike["distance"] < 0.03
    assert alike["coverage"] > 0.85 and alike["precision"] > 0.85 and alike["repeats"] < 0.05
    point = resemblance(frame(draw(1).expand(256, 2)), frame(real))
    assert point["spread"] == 0 and point["repeats"] == 1 and point["coverage"] < 0.1
    half = draw(2000)
    half = half[half[:, 0] > 0.5][:256]
    dropped = resemblance(frame(half), frame(real))
    assert dropped["precision"] > 0.85 and dropped["coverage"] < 0.5


def test_data_that_repeat_themselves_are_no_collapse() -> None:
    real = torch.randint(0, 2, (200, 3), generator=torch.Generator().manual_seed(0)).float()
    frame = Frame.of(real)
    facts = resemblance(frame(real.flip(0)), frame(real))
    assert facts["repeats"] == facts["real_repeats"] == 1 and facts["spread"] == pytest.approx(1)


def test_pictures_are_compared_small_and_in_one_scale() -> None:
    real = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert Frame.of(real)(real).shape == (64, 3 * 8 * 8)
    still = torch.zeros(20, 1, 8, 8)
    assert Frame.of(still)(still).isfinite().all()


def test_moved_is_a_distance_and_above_a_share() -> None:
    a, b = torch.zeros(10, 1), torch.ones(10, 1)
    assert moved(a, a, 1.0) == 0 and moved(a, b, 1.0) == pytest.approx(2)
    assert above(torch.tensor([1.0, 2]), torch.tensor([0.0, 1])) == pytest.approx(7 / 8)


# it touches nothing


@pytest.mark.parametrize("kind", ["image", "vector"])
def test_a_run_with_check_ups_is_bit_for_bit_the_run_without(kind: str, tmp_path: Path) -> None:
    looked = tiny_trainer("gan", kind, tmp_path / "a")
    assert looked.checkups is not None
    looked.checkups.share = 1e3
    looked.run()
    blind = tiny_trainer("gan", kind, tmp_path / "b")
    blind.checkups = None
    blind.run()
    ours, theirs = weights(looked), weights(blind)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert len(looked.checkups.history) >= 4
    assert [h["step"] for h in checkups_of(Run.open(tmp_path / "a").history())] == [
        h["step"] for h in looked.checkups.history
    ]
    assert checkups_of(Run.open(tmp_path / "b").history()) == []


def test_modes_of_modules_are_kept() -> None:
    net = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(1, 1)).train()
    net[0].eval()
    with as_in_use([net]):
        assert not net.training and not net[1].training
    assert net.training and net[1].training and not net[0].training


def test_a_resumed_run_knows_its_history(tmp_path: Path) -> None:
    tiny_trainer("gan", "image", tmp_path).run()
    run = Run.open(tmp_path)
    again = build_trainer(run, run.data(), torch.device("cpu"))
    again.resume()
    assert again.checkups is not None
    assert again.checkups.history == checkups_of(run.history()) != []


def test_only_the_first_process_looks(tmp_path: Path) -> None:
    run, data = tiny_run("gan", "image", tmp_path)
    assert build_trainer(run, data, torch.device("cpu"), rank=1, world=2).checkups is None


def test_check_ups_keep_to_their_share_of_the_time(tmp_path: Path) -> None:
    checkups = tiny_trainer("gan", "image", tmp_path).checkups
    assert checkups is not None and not checkups.due(0.01, 1.0)
    assert checkups.due(0.03, 1.0)
    checkups.spent = 2.0
    assert not checkups.due(0.5, 100.0) and checkups.due(0.5, 200.0)


def test_arrays_have_no_held_out_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    run, data = plan(rows, "gan", Budget(examples=512), tmp_path, 0, {"batch_size": 32})
    run.folder.mkdir(exist_ok=True)
    trainer = build_trainer(run, data, torch.device("cpu"))
    trainer.run()
    assert trainer.checkups is not None and trainer.checkups.history
    assert "held-out" in unknown(trainer.checkups.history)[0]


# provoked by real trainings

NO_PENALTY = {"penalty": "none", "candidates": 1}
POINTS = {**NO_PENALTY, "precision": "float32", "width": 32, "depth": 2, "hold": 0.9}
SMALL = {**NO_PENALTY, "width": 8, "loss": "non-saturating"}


def trained(
    folder: Path,
    data: str,
    seed: int,
    chosen: dict[str, Any],
    steps: int,
    *,
    family: str = "gan",
    rows: int | None = None,
    betas: tuple[float, float] | None = None,
) -> Trainer:
    """A finished training that was looked at at every mark."""
    batch = {"digits": 32}.get(data, 256) if family == "gan" else 128
    run, dataset = plan(data, family, Budget(examples=batch * steps), folder, seed, chosen)
    if rows is not None:
        dataset = dataset.subset(slice(rows))
    folder.mkdir(exist_ok=True)
    run.write()
    trainer = build_trainer(run, dataset, torch.device("cpu"))
    assert trainer.checkups is not None
    trainer.checkups.share = 1.0
    if betas is not None:
        for optimizer in trainer.optimizers.values():
            for group in optimizer.param_groups:
                group["betas"] = betas
    trainer.run()
    return trainer


def collapse(folder: Path, seed: int) -> Trainer:
    """A critic that hardly learns: the generator runs to where it stands."""
    chosen = {**SMALL, "lr": 1e-2, "critic_lr": 1e-5}
    return trained(folder, "digits", seed, chosen, 160)


def saturation(folder: Path, seed: int) -> Trainer:
    """A generator that hardly learns, against a fast critic without penalty."""
    return trained(folder, "digits", seed, {**SMALL, "lr": 1e-5, "critic_lr": 2e-3}, 80)


def vanishing(folder: Path, seed: int) -> Trainer:
    """The same in the minimax game."""
    chosen = {**SMALL, "loss": "minimax", "lr": 1e-5, "critic_lr": 2e-3}
    return trained(folder, "digits", seed, chosen, 80)


def overfit(folder: Path, seed: int) -> Trainer:
    """A hundred pictures, little penalty, no augmentation."""
    chosen = {"width": 8, "gamma": 0.2, "candidates": 1}
    return trained(folder, "digits", seed, chosen, 300, rows=60)


def oscillation(folder: Path, seed: int) -> Trainer:
    """No penalty, high rates, and momentum, which turns circles into spirals outwards."""
    chosen = {**POINTS, "loss": "non-saturating", "lr": 5e-3}
    return trained(folder, "two-moons", seed, chosen, 800, betas=(0.9, 0.99))


PROVOKED: dict[str, Callable[[Path, int], Trainer]] = dict(
    zip(NAMES, (collapse, saturation, vanishing, overfit, oscillation), strict=True)
)


@pytest.mark.parametrize("name", NAMES)
def test_a_provoked_failure_is_named_and_no_other(name: str, tmp_path: Path) -> None:
    trainer = PROVOKED[name](tmp_path, 0)
    assert trainer.checkups is not None
    assert names(trainer.checkups.findings) == {name}
    assert diagnose(checkups_of(Run.open(tmp_path).history())) != []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_named_whatever_the_seed(name: str, seed: int, tmp_path: Path) -> None:
    trainer = PROVOKED[name](tmp_path, seed)
    assert trainer.checkups is not None
    assert names(trainer.checkups.findings) == {name}


WELL: dict[str, tuple[str, str, int]] = {
    "gan on 25 gaussians": ("gan", "gaussians-25", 800),
    "gan on two moons": ("gan", "two-moons", 800),
    "gan on digits": ("gan", "digits", 400),
    "vae on digits": ("vae", "digits", 200),
    "vae on two moons": ("vae", "two-moons", 400),
    "diffusion on two moons": ("diffusion", "two-moons", 400),
}


@pytest.mark.parametrize("case", ["gan on two moons", "vae on two moons"])
def test_a_healthy_run_is_left_in_peace(case: str, tmp_path: Path) -> None:
    family, data, steps = WELL[case]
    trainer = trained(tmp_path, data, 0, {}, steps // 2, family=family)
    assert trainer.checkups is not None
    assert len(trainer.checkups.history) > 30 and trainer.checkups.findings == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("case", WELL)
def test_healthy_runs_are_left_in_peace(case: str, seed: int, tmp_path: Path) -> None:
    family, data, steps = WELL[case]
    trainer = trained(tmp_path, data, seed, {}, steps, family=family)
    assert trainer.checkups is not None and trainer.checkups.findings == []
