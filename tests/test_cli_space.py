"""`explore space` and `manifold`, pair grids and walks along the aggregate, from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from latentia.cli.main import app

TINY = [f"--set={word}" for word in ("width=8", "depth=1", "batch_size=32", "prior=standard")]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fitted(folder: Path, name: str, data: str, *more: str) -> Path:
    run = folder / name
    result = call("fit", data, "--examples", 640, "--out", run, "--no-report", *more)
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    one = fitted(folder, "one", "digits", *TINY, "--set=latent=4")
    none = fitted(folder, "none", "digits", *TINY, "--set=latent=4", "--set=beta=0")
    return one, none


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = ("--set=latent=2", "--set=width=16", "--set=depth=1")
    return fitted(tmp_path_factory.mktemp("runs"), "points", "two-moons:300", *tiny)


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentia.metrics import occasion as room
    from latentia.metrics.features import default_extractor

    def quick(*args: object, **named: object) -> object:
        return default_extractor(*args, **named, examples=3000)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "default_extractor", quick)


def test_spaces_side_by_side(runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "both.png"
    result = call("explore", "space", *runs, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "change per latent step" in result.stdout and "largest jump" in result.stdout
    width, height = Image.open(out).size
    assert width > height > 500
    again = call("explore", "space", runs[0], "--json")
    facts = json.loads(again.stdout)[str(runs[0])]
    assert set(facts) >= {"continuity", "walks", "completeness", "holes"}


def test_spaces_of_vectors_are_figures_alone(points: Path, tmp_path: Path) -> None:
    result = call("explore", "space", points)
    assert result.exit_code == 0, result.stderr
    assert "smoothness" in result.stdout and "class kept" in result.stdout
    refused = call("explore", "space", points, "--out", tmp_path / "x.png")
    assert refused.exit_code == 2 and "vectors" in refused.stderr


def test_manifolds_of_more_than_two_latents(
    runs: tuple[Path, Path], points: Path, tmp_path: Path
) -> None:
    result = call("explore", "manifold", runs[0], "-n", 5, "--out", tmp_path / "m.png")
    assert result.exit_code == 0, result.stderr
    assert "weightiest" in result.stderr and (tmp_path / "m.png").is_file()
    result = call("explore", "manifold", points, "-n", 6, "--out", tmp_path / "m.npz")
    assert result.exit_code == 0, result.stderr
    assert np.load(tmp_path / "m.npz")["manifold"].shape == (36, 2)


def test_pair_grids(runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "grid.npz"
    result = call("traverse", runs[0], "--pair", "3,1", "--frames", 4, "--out", out)
    assert result.exit_code == 0, result.stderr
    found = np.load(out)
    assert found["grid"].shape == (16, 1, 8, 8) and found["dims"].tolist() == [3, 1]
    for words, expected in (
        (("--pair", "3"), "3,7"),
        (("--pair", "3,1", "--dims", "2"), "--dims"),
        (("--pair", "3,9"), "0 to 3"),
        (("--pair", "a,b"), "--pair 'a,b'"),
    ):
        refused = call("traverse", runs[0], *words, "--out", tmp_path / "x.png")
        assert refused.exit_code == 2 and expected in refused.stderr


def test_walks_tell_their_smoothness(runs: tuple[Path, Path], tmp_path: Path) -> None:
    for how in ("linear", "spherical", "aggregate"):
        out = tmp_path / f"{how}.npz"
        result = call("interpolate", runs[0], 0, 5, "--how", how, "--frames", 6, "--out", out)
        assert result.exit_code == 0, result.stderr
        assert "smoothness" in result.stderr and np.load(out)["walk"].shape == (6, 1, 8, 8)
    straight, bent = (np.load(tmp_path / f"{how}.npz")["walk"] for how in ("linear", "aggregate"))
    np.testing.assert_allclose(straight[[0, -1]], bent[[0, -1]], atol=1e-4)


def test_what_cannot_be_shown_is_refused(
    runs: tuple[Path, Path], points: Path, tmp_path: Path
) -> None:
    for words, expected in (
        (("space", runs[0], points), "different data"),
        (("space", runs[0], "--out", tmp_path / "x.jpg"), ".png"),
        (("space", "no/such/run"), "no/such/run"),
        (("manifold", runs[0], "-n", 0, "--out", tmp_path / "x.png"), "-n"),
        (("manifold", points, "--out", tmp_path / "x.png"), ".npz"),
    ):
        result = call("explore", *words)
        assert result.exit_code == 2, words
        assert expected in result.stderr and "Traceback" not in result.stderr
