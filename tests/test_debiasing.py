"""Plain against debiased: the same budget, groups only for judging, files that others can use."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentia.cli.main import app
from latentia.data.open import open_data
from latentia.data.spec import DataOptions, Dataset
from latentia.debiasing import debias, joined, one_class, two_sources
from latentia.debiasing.compare import Debiased, settings_of
from latentia.errors import UserError
from latentia.fitting import weights_of
from latentia.run import Run

TINY = {"latent": 3, "width": 8, "depth": 1, "batch_size": 32, "precision": "float32"}
PLAIN = DataOptions()


@pytest.fixture(scope="module")
def sets() -> tuple[Dataset, Dataset]:
    train, test = (one_class("digits", "3", split, PLAIN) for split in ("train", "test"))
    return train, test


@pytest.fixture(scope="module")
def found(sets: tuple[Dataset, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Debiased:
    out = tmp_path_factory.mktemp("debias")
    return debias(*sets, out=out, examples=4000, seeds=(0, 1), settings=TINY, quiet=True)


def test_both_models_share_data_seed_and_budget(found: Debiased) -> None:
    for plain, debiased in zip(found.runs["plain"], found.runs["debiased"], strict=True):
        assert plain.spec.hash == debiased.spec.hash and plain.seed == debiased.seed
        assert plain.budget == debiased.budget
        differing = {
            key
            for key, value in plain.settings.model_dump().items()
            if debiased.settings.model_dump()[key] != value
        }
        assert differing == {"resample", "bound_weight"}


def test_both_models_learn_the_class(found: Debiased) -> None:
    for comparison in found.comparisons:
        for figures in (comparison.first, comparison.second):
            assert figures.overall.accuracy.value is not None
            assert figures.overall.accuracy.value > 0.9


def test_without_groups_the_rare_are_told_from_the_usual(found: Debiased) -> None:
    assert not found.known
    names = [group.name for group in found.comparisons[0].first.finest.groups]
    assert names == ["rare", "usual"]
    rare, usual = (group.positives for group in found.comparisons[0].first.finest.groups)
    assert rare / (rare + usual) == pytest.approx(0.2, abs=0.08)
    assert "--groups" in found.sentences()[-1] and found.summary is not None


def test_the_weights_are_for_any_training_loop(
    found: Debiased, sets: tuple[Dataset, Dataset]
) -> None:
    with (found.folder / "weights.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    weights = np.array([float(row["weight"]) for row in rows])
    train, _ = sets
    assert train.labels is not None and len(weights) == len(train)
    assert weights[train.labels == 1].std() == 0
    assert weights[train.labels == 0].mean() == pytest.approx(1, abs=1e-3)
    assert weights[train.labels == 0].std() > 0.1


def test_a_second_call_takes_up_what_is_there(
    found: Debiased, sets: tuple[Dataset, Dataset]
) -> None:
    before = [(run.folder / "model.safetensors").stat().st_mtime_ns for run in found.runs["plain"]]
    again = debias(*sets, out=found.folder, examples=4000, seeds=(0, 1), settings=TINY, quiet=True)
    after = [(run.folder / "model.safetensors").stat().st_mtime_ns for run in again.runs["plain"]]
    assert before == after
    assert again.to_json() == found.to_json()
    with pytest.raises(UserError, match="budget"):
        debias(*sets, out=found.folder, examples=5000, seeds=(0, 1), settings=TINY, quiet=True)


def test_what_is_for_latents_does_not_reach_the_plain_classifier(
    sets: tuple[Dataset, Dataset],
) -> None:
    chosen = {"alpha": 0.1, "beta": 2.0, "width": 8}
    plain, debiased = (settings_of(arm, chosen, sets[0]) for arm in ("plain", "debiased"))
    assert "alpha" not in plain and plain["width"] == 8 and plain["resample"] == "none"
    assert debiased == {**chosen, "positive": "3"}


# sets


def test_two_sources_become_one_of_two_classes() -> None:
    rows = open_data("digits").values
    found = two_sources(rows[:50], rows[50:120], "all", PLAIN, ("faces", "other"))
    assert found.spec.classes == ("faces", "other") and found.labels is not None
    assert found.labels.tolist() == [0] * 50 + [1] * 70
    with pytest.raises(UserError, match="shape"):
        two_sources(rows, "sprites:20", "all", PLAIN, ("a", "b"))


def test_names_say_which_source_a_file_is_of(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i in range(10):
            Image.fromarray(np.full((8, 8), i * 20, np.uint8)).save(tmp_path / folder / f"{i}.png")
    a, b = (open_data(tmp_path / folder, split="all") for folder in ("a", "b"))
    found = joined(a, b, ("yes", "no"))
    assert found.names is not None and "yes/3.png" in found.names and "no/3.png" in found.names


@pytest.mark.parametrize(("source", "positive"), [("gaussians-25", "x"), ("digits", "33")])
def test_a_class_that_is_not_there_is_named(source: str, positive: str) -> None:
    with pytest.raises(UserError, match=r"no class|no two classes"):
        one_class(source, positive, "train", PLAIN)


# the command


def photos(folder: Path, n: int = 60) -> Path:
    """Bright and dark squares, and noise."""
    random = np.random.default_rng(0)
    for kind in ("square", "noise"):
        (folder / kind).mkdir(parents=True)
    lines = [["file", "light"]]
    for i in range(n):
        light = 60 if i % 6 == 0 else 220
        picture = np.full((8, 8), 10, np.uint8)
        picture[2:6, 2:6] = light
        Image.fromarray(picture + random.integers(0, 9, (8, 8), dtype=np.uint8)).save(
            folder / "square" / f"{i}.png"
        )
        Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(
            folder / "noise" / f"{i}.png"
        )
        lines.append([f"{i}.png", "dark" if light == 60 else "bright"])
    with (folder.parent / "light.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder


def command(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        app([str(word) for word in words])
    return int(ended.value.code or 0)


SETTINGS = ["--set", "latent=2", "--set", "width=8", "--set", "depth=1", "--quiet"]


def test_the_command_compares_by_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = photos(tmp_path / "photos"), tmp_path / "fair"
    words = ["debias", "--positive", data / "square", "--negative", data / "noise"]
    words += ["--test-positive", data / "square", "--groups", tmp_path / "light.csv"]
    assert command(*words, "--examples", "600", "--out", out, "--json", *SETTINGS) == 0
    told = json.loads(capsys.readouterr().out)
    groups = told["comparisons"][0]["first"]["groupings"]["light"]["groups"]
    assert [(group["name"], group["positives"]) for group in groups] == [
        ("bright", 50),
        ("dark", 10),
    ]
    page = (out / "fairness.html").read_text(encoding="utf-8")
    assert "dark" in page and "http" not in page.replace("http://www.w3.org", "")
    assert Run.open(out / "debiased-0").finished


def test_weights_of_one_run_train_another(tmp_path: Path) -> None:
    data, out = photos(tmp_path / "photos"), tmp_path / "fair"
    words = ["debias", data, "--positive", "square", "--examples", "600", "--out", out]
    assert command(*words, *SETTINGS) == 0
    weights = weights_of(open_data(data), out / "weights.csv")
    assert len(weights) == len(open_data(data)) and weights.std() > 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "Say what to find"),
        (["--positive", "photos"], "Against what"),
        (["digits", "--positive", "33"], "no class '33'"),
        (["digits", "--positive", "3", "--negative", "digits"], "labelled DATA"),
        (["--positive", "nowhere", "--negative", "digits"], "no data"),
        (["digits", "--positive", "3", "--set", "alhpa=1"], "alpha"),
        (["digits", "--positive", "3", "--groups", "x.csv"], "no table"),
    ],
)
def test_wrong_words_get_a_sentence(
    words: list[str], wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command("debias", *words, "--examples", "64", "--out", out) == 2
    said = capsys.readouterr().err
    assert wanted in said and "Traceback" not in said
    assert not out.exists()
