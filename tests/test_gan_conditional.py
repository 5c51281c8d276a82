"""The conditional GAN keeps the contract, learns what its labels mean, and says what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from PIL import Image

import test_contract as contract
from games import SOURCES, TINY, tiny_run, tiny_trainer, weights
from latentia.abilities import TakesClasses
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.explore.classes import class_rows
from latentia.fitting import fit
from latentia.recipes.registry import recipe
from latentia.report import gallery
from latentia.report.subject import Subject
from latentia.run import Run, load
from test_cli import call

BOTH = {"conditional": True, "condition_critic": "both", "spectral_norm": True, "penalty": "r1"}
VARIANTS = {
    ("image", "both"): {**BOTH, "augment": "adaptive", "augment_p": 0.5},
    ("image", "wasserstein"): {"loss": "wasserstein", "penalty_every": 2, "conditional": True},
    ("vector", "both"): BOTH,
    ("vector", "wasserstein"): {"loss": "wasserstein", "spectral_norm": True, "penalty": "wgan-gp"},
}
every_variant = pytest.mark.parametrize(("kind", "variant"), list(VARIANTS))


@pytest.fixture
def case(kind: str, variant: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The contract's tiny run with a variant's settings on top."""
    chosen = {**TINY["gan", kind], **VARIANTS[kind, variant]}
    monkeypatch.setitem(TINY, ("gan", kind), chosen)
    return "gan", kind


@every_variant
def test_the_contract_of_turns_and_resuming(case: tuple[str, str], tmp_path: Path) -> None:
    """Power iterations, class counts and augmentation are part of what is saved."""
    contract.test_a_turn_changes_its_own_player_only(*case, tmp_path / "turns")
    contract.test_killed_and_resumed_equals_never_stopped(*case, tmp_path / "cut")


@every_variant
def test_the_contract_of_samples(case: tuple[str, str], tmp_path: Path) -> None:
    contract.test_saved_and_loaded_does_the_same(*case, tmp_path / "load")
    contract.test_a_sample_does_not_depend_on_its_batch(*case, tmp_path / "batch")
    contract.test_a_condition_is_obeyed_or_refused(*case, tmp_path / "asked")


def test_two_processes_equal_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The critic's power iterations and the count of classes are those of the whole batch."""
    cases = [("gan", kind) for kind in SOURCES]
    for case in cases:
        chosen = {**TINY[case], **VARIANTS[case[1], "both"]}
        monkeypatch.setitem(TINY, case, chosen)
        tiny_run(*case, tmp_path / "-".join(case))
    mp.spawn(contract._shard, (str(tmp_path), cases), nprocs=2)
    for family, kind in cases:
        alone = tiny_trainer(family, kind, tmp_path / "alone" / f"{family}-{kind}")
        alone.run()
        shared = torch.load(tmp_path / f"{family}-{kind}.weights", weights_only=True)
        for name, tensor in weights(alone).items():
            torch.testing.assert_close(shared[name], tensor, atol=5e-4, rtol=5e-3, msg=name)


# learning and asking


def test_each_class_is_learned_as_its_own(tmp_path: Path) -> None:
    """Two moons: what is asked for lies on the moon asked for, and one model walks between."""
    chosen = {"conditional": True, "width": 64, "batch_size": 128}
    fit("two-moons", model="gan", examples=60_000, out=tmp_path, settings=chosen, quiet=True)
    model, real = load(tmp_path), open_data("two-moons", split="test")
    assert isinstance(model, TakesClasses) and model.classes == 2
    points = torch.from_numpy(real.values)
    for label in (0, 1):
        x = model.sample(range(300), condition=torch.tensor(label))
        nearest = real.labels[torch.cdist(x, points).argmin(1).numpy()]
        assert (nearest == label).mean() > 0.93
    counted = model.frequency.seen / model.frequency.seen.sum()
    assert torch.allclose(counted, torch.tensor([0.5, 0.5]), atol=0.02)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    chosen = {"conditional": True, "width": 8, "latent": 4, "batch_size": 16}
    fit("digits", model="gan", examples=64, out=folder, settings=chosen, quiet=True)
    return folder


def test_a_label_is_sampled_from_the_command_line(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "threes.npz"
    assert call("sample", digits, "-n", 5, "--label", 3, "--out", out).exit_code == 0
    found = np.load(out, allow_pickle=False)
    pictures = found[found.files[0]]
    wanted = load(digits).sample(range(5), condition=torch.tensor(3))
    assert pictures.shape == wanted.shape
    assert not torch.equal(wanted, load(digits).sample(range(5), condition=torch.tensor(4)))


def test_a_mixture_of_classes_is_sampled_from_the_command_line(
    digits: Path, tmp_path: Path
) -> None:
    out = tmp_path / "between.npz"
    assert call("sample", digits, "-n", 4, "--label", "3+5", "--out", out).exit_code == 0
    weights = torch.zeros(10)
    weights[[3, 5]] = 0.5
    wanted = load(digits).sample(range(4), condition=weights)
    with np.load(out, allow_pickle=False) as found:
        assert np.abs(found["samples"].reshape(wanted.shape) - wanted.numpy()).max() < 0.01


def test_a_label_that_is_not_there_is_named(digits: Path, tmp_path: Path) -> None:
    result = call("sample", digits, "-n", 5, "--label", "eleven", "--out", tmp_path / "x.png")
    assert result.exit_code and "There is no class 'eleven'" in result.output


def test_data_without_labels_cannot_be_conditional(tmp_path: Path) -> None:
    bare = np.random.default_rng(0).integers(0, 255, (64, 12, 12), dtype=np.uint8)
    with pytest.raises(UserError, match="has no labels, and conditional=true needs two classes"):
        fit(
            bare, model="gan", examples=64, out=tmp_path, settings={"conditional": True}, quiet=True
        )


def test_the_settings_are_told_in_words() -> None:
    fields = recipe("gan").settings.model_fields
    assert "--label" in fields["conditional"].description
    assert "sparse" in fields["penalty_every"].description
    assert json.dumps({name: field.description for name, field in fields.items()})


def test_previews_and_report_show_a_row_for_each_class(digits: Path) -> None:
    classes, pictures = class_rows(load(digits), 3)
    assert classes == list(range(10)) and pictures.shape == (30, 1, 8, 8)
    wanted = load(digits).sample(range(3), condition=torch.tensor(4))
    assert torch.allclose(pictures[12:15], wanted, atol=1e-5)
    assert class_rows(load(digits), 1, most=4)[0] == [0, 2, 5, 7]
    with Image.open(digits / "previews" / "10-ema.png") as grid:
        assert grid.height / grid.width == pytest.approx(10 / 6, rel=0.02)
    section = gallery.samples(Subject(Run.open(digits), quick=True))
    assert section is not None and "Asked for each class" in [f.title for f in section.figures]
