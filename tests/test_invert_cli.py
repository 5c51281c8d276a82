"""`latentia explore invert`, and verbs that find examples in a model that does not encode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from games import tiny_trainer
from latentia.explore import inverse_net
from latentia.explore import invert as search
from test_cli import call, fitted

GAN = ("--set", "latent=4", "--set", "width=8", "--set", "sparse=2", "--set", "batch_size=32")


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentia.metrics import features, occasion

    whole = features.default_extractor

    def quick(*args: object, **named: object) -> object:
        return whole(*args, **named, examples=1280)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "default_extractor", quick)
    monkeypatch.setattr(occasion, "default_extractor", quick)
    monkeypatch.setattr(search, "STEPS", 15)
    monkeypatch.setattr(inverse_net, "default_examples", lambda shape: 1280)


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("runs"), "gan", "digits", *GAN)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("--set", "latent=2", "--set", "width=16", "--set", "depth=1")
    return fitted(tmp_path_factory.mktemp("runs"), "gan", "two-moons:300", *words)


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("--set", "latent=3", "--set", "width=8", "--set", "depth=1")
    return fitted(tmp_path_factory.mktemp("runs"), "vae", "digits", *words)


def test_pictures_are_found_and_told_next_to_baselines(gan: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 200).save(tmp_path / "me.png")
    out = tmp_path / "inverted"
    words = ("explore", "invert", gan, 0, 5, tmp_path / "me.png", "--steps", 20, "--out", out)
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    assert "encoder alone" in result.stdout and "nearest training" in result.stdout
    assert "own draws" in result.stdout and str(out) in result.stdout
    latents = load_file(out / "latents.safetensors")
    assert latents["z"].shape == latents["start"].shape == (3, 4)
    facts = json.loads((out / "inversion.json").read_text())
    assert facts["names"][:2] == ["0", "5"] and len(facts["errors"]) == 3
    assert facts["squared_error"] <= facts["encoder_alone"]
    assert facts["own_draws"] < facts["own_draws_mean"]
    with Image.open(out / "inverted.png") as picture:
        assert picture.height > picture.width  # four rows of three
    assert (gan / inverse_net.FILE).is_file()
    again = json.loads(call(*words, "--json").stdout)
    assert again["squared_error"] == pytest.approx(facts["squared_error"])


def test_data_of_any_kind_and_models_that_encode(points: Path, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "points"
    words = ("explore", "invert", points, "two-moons:50", "-n", 7, "--steps", 10)
    found = json.loads(call(*words, "--json", "--out", out).stdout)
    assert found["examples"] == 7 and not (out / "inverted.png").exists()
    out = tmp_path / "vae"
    words = ("explore", "invert", vae, "digits", "--no-perceptual", "-n", 4, "--steps", 30)
    found = json.loads(call(*words, "--json", "--out", out).stdout)
    assert found["squared_error"] <= found["encoder_alone"] and not found["perceptual"]
    assert (out / "inverted.png").is_file() and not (vae / inverse_net.FILE).exists()


def test_walks_start_at_draws_and_at_examples(gan: Path, points: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 200).save(tmp_path / "me.png")
    for words in (
        ("interpolate", gan, "seed:3", "seed:8", "--frames", 4),
        ("interpolate", gan, 0, tmp_path / "me.png", "--frames", 4, "--perceptual"),
        ("traverse", gan, "--frames", 3),
        ("traverse", gan, "--row", 2, "--frames", 3),
        ("traverse", gan, "--start", tmp_path / "me.png", "--pair", "0,1", "--frames", 3),
        ("reconstruct", gan, "digits", "-n", 3),
        ("explore", "arithmetic", gan, "--plus", "1,2", "--minus", "3"),
    ):
        out = tmp_path / "x.png"
        result = call(*words, "--out", out)
        assert result.exit_code == 0, (words, result.stderr)
        assert out.is_file()
        drawn = "seed:3" in words or words == ("traverse", gan, "--frames", 3)
        assert ("does not encode" in result.stderr) != drawn
        out.unlink()
    told = call("interpolate", gan, "seed:3", "seed:8", "--perceptual", "--out", tmp_path / "x.png")
    assert "to the feature extractor" in told.stderr
    arrays = tmp_path / "walk.npz"
    assert call("interpolate", points, "seed:3", "seed:8", "--out", arrays).exit_code == 0
    with np.load(arrays, allow_pickle=False) as kept:
        assert kept["walk"].shape == (10, 2)


def test_draws_end_walks_of_models_that_encode_too(vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.npz"
    assert call("interpolate", vae, "seed:3", 5, "--frames", 3, "--out", out).exit_code == 0
    drawn = tmp_path / "drawn.npz"
    assert call("sample", vae, "-n", 1, "--seed", 3, "--out", drawn).exit_code == 0
    with np.load(out) as walk, np.load(drawn) as sample:
        assert np.allclose(walk["walk"][0], sample["samples"][0], atol=1e-5)


def test_directions_are_learned_from_quick_encodings(gan: Path, tmp_path: Path) -> None:
    out = tmp_path / "direction.npz"
    result = call("explore", "direction", gan, "--label", "3", "--no-judge", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "quickly" in result.stderr
    with np.load(out, allow_pickle=False) as kept:
        assert kept["direction"].shape == (4,)


def test_found_pictures_are_mixed_and_edited_by_style(tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    tiny_trainer("style-gan", "image", faces, examples=48).run()
    out = tmp_path / "inverted"
    words = ("explore", "invert", faces, 0, 5, "--steps", 10, "--no-perceptual", "--out", out)
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    latents = load_file(out / "latents.safetensors")
    n, layers, width = latents["styles"].shape
    assert n == 2 and latents["z"].shape == (2, layers * width)
    with Image.open(out / "mixed.png") as picture:
        assert picture.width == picture.height
    for verb in (("interpolate", faces, 0, "seed:5"), ("traverse", faces, "--row", 1)):
        result = call(*verb, "--frames", 3, "--out", tmp_path / "x.png")
        assert result.exit_code == 0, result.stderr
        assert "through the styles" in result.stderr and "does not encode" in result.stderr


def test_figures_by_class_from_the_command_line(tmp_path: Path) -> None:
    run = fitted(tmp_path, "gan", "digits", *GAN, "--set", "conditional=true")
    words = ("evaluate", run, "digits", "--metrics", "per_class", "--samples", 150)
    shown = call(*words).stdout
    for part in ("agrees with the class asked for", "real test data", "diversity"):
        assert part in shown
    found = json.loads(call(*words, "--json").stdout)
    assert set(found["classes"]) == set("0123456789")


def test_what_cannot_be_inverted_is_refused(gan: Path, vae: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "taken").write_text("")
    out = ("--out", tmp_path / "x")
    for words, expected in (
        (("explore", "invert", gan, "face.jpg", *out), "face.jpg"),
        (("explore", "invert", gan, tmp_path / "note.txt", *out), "note.txt"),
        (("explore", "invert", gan, 99999, *out), "99999"),
        (("explore", "invert", gan, 0, "--out", tmp_path / "taken"), "folder"),
        (("explore", "invert", gan, *out), "PICTURES"),
        (("explore", "invert", gan, "two-moons:50", *out), "shape"),
        (("interpolate", gan, "seed:x", "seed:1", *out), "seed:7"),
        (("traverse", gan, "--row", 1, "--start", "me.png", *out), "not both"),
        (("interpolate", gan, "seed:1", "seed:2", "--how", "aggregate", *out), "cannot"),
    ):
        result = call(*words)
        assert result.exit_code == 2, words
        assert expected in result.stderr and "Traceback" not in result.stderr
    assert "latentia explore invert" in call("explore", "invert", "--help").stdout
