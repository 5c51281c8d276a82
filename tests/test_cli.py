"""The command line: what it prints where, and how it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from latentia.cli.main import app
from latentia.recipes.registry import FAMILIES

VERBS = (
    "fit",
    "sample",
    "reconstruct",
    "encode",
    "interpolate",
    "traverse",
    "translate",
    "vocoder",
    "evaluate",
    "report",
    "health",
    "models",
    "doctor",
    "demo",
)
TINY = ["--set", "latent=3", "--set", "width=8", "--set", "depth=1", "--set", "batch_size=32"]


def call(*words: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


def shell(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latentia", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **env}
    )


def fitted(folder: Path, model: str = "vae", data: str = "digits", *more: str) -> Path:
    run = folder / model
    result = call(
        "fit", data, "--model", model, "--examples", 320, "--out", run, "--no-report", *more
    )
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("runs"), "vae", "digits", *TINY)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = ("--set", "latent=2", "--set", "width=16", "--set", "depth=1")
    return fitted(tmp_path_factory.mktemp("runs"), "vae", "two-moons:300", *tiny)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_an_example_in_its_help(verb: str) -> None:
    result = call(verb, "--help", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"latentia {verb}" in result.stdout


def test_help_of_fit_shows_defaults_and_families() -> None:
    text = call("fit", "--help", env={"COLUMNS": "200"}).stdout
    assert all(name in text for name in FAMILIES)
    assert "default: vae" in text and "default: auto" in text and "default: 0" in text


# refusals: exit status 2, one or two sentences on standard error, nothing on standard output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("fit", "digits", "--model", "vea"), "vae"),
        (("fit", "digits", "--set", "betta=4"), "'beta'"),
        (("fit", "digits", "--set", "beta"), "key=value"),
        (("fit", "digits", "--set", "beta=x"), "beta"),
        (("fit", "digits", "--set", "beta=1", "--set", "beta=2"), "twice"),
        (("fit", "digits", "--minutes", "1", "--examples", "10"), "budget"),
        (("fit", "digits", "--minutes", "-1"), "budget"),
        (("fit", "digits", "--minutes", "ten"), "--minutes"),
        (("fit", "digits", "--device", "gpu"), "device"),
        (("fit", "digits", "--resume"), "--out"),
        (("fit", "digits", "--resume", "--set", "beta=2"), "--set"),
        (("fit", "digitz"), "digits"),
        (("fit", "no/such/folder"), "no/such/folder"),
        (("fit",), "DATA"),
        (("fit", "digits", "--modle", "vae"), "--modle"),
        (("fitt",), "fitt"),
        (("models", "vaee"), "vae"),
        (("sample", "no/such/run", "--out", "x.png"), "no/such/run"),
        (("report", "no/such/run"), "no/such/run"),
        (("data", "check", "no/such/folder"), "no/such/folder"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words: tuple[str, ...], expected: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert result.stdout == ""


def test_what_a_run_cannot_do_is_refused(vae: Path, points: Path, tmp_path: Path) -> None:
    for words, expected in (
        (("sample", points, "--out", tmp_path / "x.png"), ".npz"),
        (("sample", vae, "--out", tmp_path / "x.jpg"), ".jpg"),
        (("sample", vae, "-n", 0, "--out", tmp_path / "x.png"), "-n"),
        (("encode", vae, "digits", "--out", tmp_path / "z.csv"), ".npz"),
        (("encode", vae, "two-moons", "--out", tmp_path / "z.npz"), "shape"),
        (("interpolate", vae, 0, 99999, "--out", tmp_path / "x.png"), "99999"),
        (("interpolate", vae, 0, "face.jpg", "--out", tmp_path / "x.png"), "face.jpg"),
        (("interpolate", vae, 0, 1, "--how", "round", "--out", tmp_path / "x.png"), "round"),
        (("traverse", vae, "--dims", "0,x", "--out", tmp_path / "x.png"), "0,x"),
        (("traverse", vae, "--dims", "7", "--out", tmp_path / "x.png"), "0 to 2"),
        (("evaluate", vae, "digits", "--metrics", "fid"), "fid"),
        (("evaluate", vae, "digits", "--metrics", "modes"), "modes"),
        (("fit", "digits", "--out", vae), "--resume"),
    ):
        result = call(*words)
        assert result.exit_code == 2, words
        assert expected in result.stderr
        assert "Traceback" not in result.stderr


def test_a_family_without_the_ability_says_what_it_can(tmp_path: Path) -> None:
    run = fitted(tmp_path, "autoencoder", "digits", *TINY)
    result = call("sample", run, "--out", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "cannot sample" in result.stderr and "encode" in result.stderr


def test_damaged_run_folders_are_refused(vae: Path, tmp_path: Path) -> None:
    recipe = (vae / "recipe.json").read_text()
    for text, expected in (("{", "damaged"), ("{}", "recipe.json"), (recipe, "model.safetensors")):
        (tmp_path / "recipe.json").write_text(text)
        result = call("sample", tmp_path, "--out", tmp_path / "x.png")
        assert result.exit_code == 2
        assert expected in result.stderr


def test_unexpected_errors_are_sentences_too(
    vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **named: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("latentia.run.Run.open", broken)
    words = ("sample", vae, "--out", tmp_path / "x.png")
    result = call(*words)
    assert result.exit_code == 2
    assert "ZeroDivisionError" in result.stderr and "--debug" in result.stderr
    assert isinstance(call(*words, "--debug").exception, ZeroDivisionError)
    assert isinstance(call(*words, env={"LATENTIA_DEBUG": "1"}).exception, ZeroDivisionError)

    monkeypatch.setattr(
        "latentia.run.Run.open", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert call(*words).exit_code == 130


def test_the_script_itself_shows_a_traceback_only_when_asked() -> None:
    plain = shell("sample", "no/such/run", "--out", "x.png")
    assert plain.returncode == 2 and plain.stdout == ""
    assert "Traceback" not in plain.stderr and "no/such/run" in plain.stderr
    asked = shell("sample", "no/such/run", "--out", "x.png", "--debug")
    assert "Traceback" in asked.stderr


# --json: one object on standard output and nothing else


def one_object(text: str) -> dict[str, Any]:
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(found, dict)
    return found


def test_json_answers_are_pure(vae: Path, tmp_path: Path) -> None:
    few = ("--metrics", "likelihood", "--importance-samples", 5, "--every", 10)
    likelihood = one_object(call("evaluate", vae, "digits", *few, "--json").stdout)
    wanted = {"nll_nats", "nll_standard_error", "elbo_nats", "importance_samples", "examples"}
    assert wanted <= set(likelihood)
    assert likelihood["importance_samples"] == 5 and likelihood["examples"] == 18
    both = ("--metrics", "likelihood,reconstruction", "--importance-samples", 5)
    figures = one_object(call("evaluate", vae, "digits", *both, "--json").stdout)
    assert {"likelihood", "reconstruction"} <= set(figures)
    families = one_object(call("models", "--json").stdout)["families"]
    assert [family["name"] for family in families] == list(FAMILIES)
    settings = one_object(call("models", "vae", "--json").stdout)["settings"]
    assert all(setting["about"] for setting in settings)
    assert "torch" in one_object(call("doctor", "--json").stdout)["versions"]
    assert one_object(call("data", "check", "digits", "--json").stdout)["examples"] == 1797


def test_dry_run_prints_a_plan_and_makes_nothing(tmp_path: Path) -> None:
    result = call("fit", "digits", "--set", "beta=4", "--out", tmp_path / "run", "--dry-run")
    plan = one_object(result.stdout)
    assert plan["family"] == "vae" and plan["settings"]["beta"] == 4.0
    assert plan["data"]["shape"] == [1, 8, 8] and plan["parameters"] > 0
    assert plan["budget"] == {"minutes": 10.0}
    assert not (tmp_path / "run").exists()


def test_json_of_a_process_is_pure_too() -> None:
    done = shell("data", "check", "two-moons:100", "--json")
    assert done.returncode == 0
    assert one_object(done.stdout)["kind"] == "vectors"


# the verbs do what they say


def test_fit_writes_a_run_and_says_where(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = call("fit", "digits", "--examples", 64, "--out", run, "--no-report", *TINY)
    assert result.exit_code == 0
    assert str(run) in result.stdout and (run / "samples.png").is_file()
    more = call("fit", "digits", "--out", run, "--resume", "--examples", 128, "--no-report")
    assert more.exit_code == 0
    rows = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["examples"] == 128


def test_sample_writes_grid_folder_or_arrays(vae: Path, tmp_path: Path) -> None:
    for out in ("grid.png", "folder", "all.npz"):
        assert call("sample", vae, "-n", 5, "--seed", 3, "--out", tmp_path / out).exit_code == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.format == "PNG"
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 5
    with np.load(tmp_path / "all.npz", allow_pickle=False) as arrays:
        assert arrays["samples"].shape == (5, 1, 8, 8)
        assert arrays["seeds"].tolist() == [3, 4, 5, 6, 7]
        level = np.rint((arrays["samples"][0, 0] + 1) * 127.5)
        with Image.open(files[0]) as first:
            assert np.array_equal(np.asarray(first), level)


def test_encode_writes_latents_with_labels(vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "z.npz"
    assert call("encode", vae, "digits", "--out", out).exit_code == 0
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["z"].shape == (1797, 3) and len(arrays["labels"]) == 1797


def test_pictures_of_all_kinds(vae: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "navy").save(tmp_path / "me.png")
    for words in (
        ("reconstruct", vae, "digits", "-n", 20),
        ("interpolate", vae, 0, 5),
        ("interpolate", vae, tmp_path / "me.png", 5, "--how", "linear", "--frames", 4),
        ("traverse", vae),
        ("traverse", vae, "--dims", "2,0", "--frames", 3, "--row", 4),
    ):
        out = tmp_path / f"{words[0]}.png"
        result = call(*words, "--out", out)
        assert result.exit_code == 0, result.stderr
        with Image.open(out) as image:
            assert image.width > 50


def test_vectors_go_to_arrays(points: Path, tmp_path: Path) -> None:
    for words in (("sample", points), ("reconstruct", points, "two-moons:300")):
        out = tmp_path / "out.npz"
        assert call(*words, "--out", out).exit_code == 0
        with np.load(out, allow_pickle=False) as arrays:
            assert all(arrays[name].shape[-1] == 2 for name in arrays.files if name != "seeds")


def test_evaluate_and_models_print_for_people(vae: Path) -> None:
    few = ("--metrics", "reconstruction")
    assert "PCA" in call("evaluate", vae, "digits", *few).stdout
    assert "diffusion" in call("models").stdout
    listed = call("models", "vae", env={"COLUMNS": "200"}).stdout
    assert "beta" in listed and "1.0" in listed
    assert "torch" in call("doctor").stdout


def test_data_check_says_when_data_cannot_be_used(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(b"no picture")
    result = call("data", "check", tmp_path)
    assert result.exit_code == 1
    assert "0 of 4" in result.stdout
    Image.new("L", (8, 8)).save(tmp_path / "ok.png")
    sheet = tmp_path / "sheet.png"
    assert call("data", "check", "digits", "--contact-sheet", sheet).exit_code == 0
    assert sheet.is_file()
