"""`latentia audit` on the command line: what it writes, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from latentia.cli.main import app

TINY = ["--set", "latent=3", "--set", "width=8", "--set", "depth=1", "--set", "batch_size=32"]
QUICK = ["--examples", 64, "--quiet", *TINY]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def pictures(folder: Path, n: int = 60) -> Path:
    """Grey gradients of different directions, in two classes."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:16, 0:16] / 16
    for i in range(n):
        turn = random.uniform(0, np.pi)
        levels = 128 + 100 * np.sin(6 * (x * np.cos(turn) + y * np.sin(turn)) + i)
        place = folder / ("up" if i % 2 else "down") / f"{i:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.astype(np.uint8)).save(place)
    return folder


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["audit", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "latentia audit photos/" in result.stdout


def test_a_folder_is_audited_and_the_same_command_takes_the_models_up(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "photos"), tmp_path / "audit"
    twin = folder / "up" / "twin.png"
    twin.write_bytes((folder / "up" / "001.png").read_bytes())
    result = call("audit", folder, "--out", out, "--json", *QUICK)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["examples"] == 61
    assert [sorted(e["names"]) for e in facts["exact_duplicates"]] == [
        ["up/001.png", "up/twin.png"]
    ]
    keys = {"outliers", "exact_duplicates", "near_duplicates", "label_issues", "rare_regions"}
    assert keys <= set(facts) and facts == json.loads((out / "audit.json").read_text())
    page = (out / "report.html").read_text()
    assert "up/twin.png" in page and "http" not in page.replace("http://www.w3.org", "")
    trained = (out / "model" / "model.safetensors").stat().st_mtime_ns
    again = call("audit", folder, "--out", out, *QUICK)
    assert again.exit_code == 0, again.stderr
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == trained
    assert "The same content: 1" in again.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("audit", "no/such/folder"), "no/such/folder"),
        (("audit", "digitz"), "digits"),
        (("audit", "digits", "--labels", "labels.csv"), "labels.csv"),
        (("audit", "digits", "--label-column", "kind"), "--labels"),
        (("audit", "digits", "--minutes", "0"), "budget"),
        (("audit", "digits", "--minutes", "1", "--examples", "10"), "budget"),
        (("audit", "digits", "--set", "sise=8"), "size"),
        (("audit", "digits", "--model", "gan"), "vae"),
        (("audit", "digits", "--test", "digitz"), "digits"),
        (("audit", "digits", "--test", "two-moons"), "shape"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(
    words: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    result = call(*words, "--out", out)
    assert result.exit_code == 2
    assert expected in result.stderr and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert result.stdout == "" and not out.exists()


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    result = call("audit", pictures(tmp_path / "photos", 20), "--out", tmp_path / "audit")
    assert result.exit_code == 2 and "20 examples" in result.stderr


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "home" / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("dear reader")
    result = call("audit", "digits", "--out", letter.parent, *QUICK)
    assert result.exit_code == 2 and "something else" in result.stderr
    assert [p.name for p in letter.parent.iterdir()] == ["letter.txt"]
    result = call("audit", "digits", "--out", letter, *QUICK)
    assert result.exit_code == 2 and "is a file" in result.stderr
    assert letter.read_text() == "dear reader"


def test_an_audit_of_other_data_is_not_overwritten(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "photos"), tmp_path / "audit"
    assert call("audit", folder, "--out", out, *QUICK).exit_code == 0
    before = (out / "audit.json").read_text()
    for words in (("digits", *QUICK), (folder, *QUICK, "--seed", 1)):
        result = call("audit", words[0], "--out", out, *words[1:])
        assert result.exit_code == 2 and "Choose another --out" in result.stderr
    assert (out / "audit.json").read_text() == before


def test_labels_of_a_table_beside_the_files(tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "photos"), tmp_path / "audit"
    table = tmp_path / "labels.csv"
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    lines = [f"{name},{'a' if i % 3 else 'b'},{i % 2}" for i, name in enumerate(names)]
    table.write_text("file,kind,side\n" + "\n".join(lines) + "\n")
    words = ("audit", folder, "--labels", table, "--out", out, *QUICK)
    result = call(*words)
    assert result.exit_code == 2 and "--label-column" in result.stderr
    result = call(*words, "--label-column", "knd")
    assert result.exit_code == 2 and "'kind'" in result.stderr
    result = call(*words, "--label-column", "kind")
    assert result.exit_code == 0, result.stderr
    assert "Suspected labels" in result.stdout
