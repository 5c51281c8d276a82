"""`latentia explore direction` and `arithmetic` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from latentia.cli.main import app
from latentia.data.open import open_data
from latentia.data.pictures import save_folder

TINY = [f"--set={word}" for word in ("latent=3", "width=8", "depth=1", "batch_size=32")]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def fitted(run: Path, data: object, *more: str) -> Path:
    result = call("fit", data, "--examples", 640, "--out", run, "--no-report", *TINY, *more)
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(tmp_path_factory.mktemp("runs") / "digits", "digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on a folder of pictures, and a table of what they show."""
    home = tmp_path_factory.mktemp("folder")
    sprites = open_data("sprites:60@8", split="all")
    assert sprites.factors is not None
    names = [p.name for p in save_folder(sprites.values, home / "pictures")]
    lines = [
        f"{name},{'right' if x > 15 else 'left'},{shape}"
        for name, x, shape in zip(
            names, sprites.factors["x"], sprites.factors["shape"], strict=True
        )
    ]
    (home / "facts.csv").write_text("file,side,shape\n" + "\n".join(lines))
    return fitted(home / "run", home / "pictures"), home / "facts.csv"


def test_help_has_examples() -> None:
    for verb in ("direction", "arithmetic"):
        assert f"latentia explore {verb}" in call("explore", verb, "--help").stdout


def test_a_direction_of_a_class_as_pictures(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "threes.png"
    result = call(
        "explore", "direction", digits, "--label", "3", "-n", 2, "--frames", 3, "--out", out,
        "--no-judge",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "area under the ROC" in result.stdout and str(out) in result.stdout
    assert Image.open(out).size == (3 * 50 + 2, 2 * 50 + 2)


def test_a_direction_as_numbers(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "threes.npz"
    result = call(
        "explore", "direction", digits, "--label", "3", "--strength", -1, "--out", out,
        "--no-judge", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["score_change"] < 0 and 0.5 < facts["separability"] <= 1
    with np.load(out, allow_pickle=False) as found:
        assert found["direction"].shape == found["mean"].shape == (3,)
        assert str(found["label"]) == "3"


def test_a_table_gives_labels_and_a_judge_tells(folder: tuple[Path, Path], tmp_path: Path) -> None:
    run, facts = folder
    result = call(
        "explore", "direction", run, "--label", "side", "--attributes", facts,
        "--out", tmp_path / "right", "--json", "-n", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert {"probability_before", "probability_after", "others_change"} <= set(told)
    assert len(list((tmp_path / "right").glob("*.png"))) == 7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--label", "33"), "There is no attribute '33'"),
        (("--label", "3", "--strength", "0"), "moves nothing"),
        (("--label", "3", "--method", "lesat"), "did you mean 'least'"),
        (("--label", "3", "--attributes", "none.csv"), "have no file names"),
    ],
)
def test_wrong_words_are_named(
    digits: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    result = call("explore", "direction", digits, *words, "--out", tmp_path / "a.png")
    assert result.exit_code == 2
    assert says in result.stderr and "Traceback" not in result.stderr
    assert not result.stdout


def test_wrong_endings_and_wrong_data(digits: Path, tmp_path: Path) -> None:
    result = call("explore", "direction", digits, "--label", "3", "--out", tmp_path / "a.jpg")
    assert result.exit_code == 2 and "write a .png" in result.stderr
    toy = fitted(tmp_path / "toy", "two-moons:100")
    result = call("explore", "direction", toy, "--label", "3", "--out", tmp_path / "a.npz")
    assert result.exit_code == 2 and "Traceback" not in result.stderr


def test_arithmetic_on_rows_files_and_folders(folder: tuple[Path, Path], tmp_path: Path) -> None:
    run, facts = folder
    pictures = facts.parent / "pictures"
    out = tmp_path / "sum.npz"
    plus, minus = f"0+2,{pictures / '000003.png'}", f"{pictures}"
    result = call("explore", "arithmetic", run, "--plus", plus, "--minus", minus, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert not result.stderr
    with np.load(out, allow_pickle=False) as found:
        assert found["terms"].shape == (3, 3, 8, 8) and found["result"].shape == (1, 3, 8, 8)


def test_arithmetic_says_when_the_sum_is_lopsided(digits: Path, tmp_path: Path) -> None:
    grid = tmp_path / "sum.png"
    result = call("explore", "arithmetic", digits, "--plus", "3,5", "--out", grid)
    assert result.exit_code == 0 and "2 terms are added" in result.stderr
    for words, says in (
        (("--plus", "9999"), "there is no 9999"),
        (("--plus", "nobody.jpg"), "neither an image file nor a row number"),
        (("--plus", ","), "at least one example"),
    ):
        result = call("explore", "arithmetic", digits, *words, "--out", grid)
        assert result.exit_code == 2 and says in result.stderr
