"""`latentia score`: tables, pictures, maps and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentia.data.pictures import save_folder
from latentia.detection.scores import SCORES
from test_cli import call
from test_scores import stripes

TINY = ["--set", "latent=3", "--set", "width=8", "--set", "depth=1", "--set", "batch_size=32"]
QUICK = ["--scores", "reconstruction,surroundings"]


def fitted(folder: Path, data: object, *more: object) -> Path:
    run = folder / "run"
    result = call("fit", data, "--examples", 640, "--out", run, "--no-report", *more)
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    save_folder(stripes(120, 0)[:, None], folder)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    return fitted(photos.parent, photos, *TINY)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten new pictures, the last two with a spot."""
    folder = tmp_path_factory.mktemp("mixed") / "new"
    pictures = np.concatenate([stripes(8, 5), stripes(2, 6, spots=True)])
    save_folder(pictures[:, None], folder)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_with_names_scores_and_reasons(run: Path, mixed: Path, tmp_path: Path) -> None:
    out, sheet, heat = tmp_path / "s.csv", tmp_path / "p.png", tmp_path / "h.png"
    result = call(
        "score", run, mixed, "--out", out, *QUICK, "--pictures", sheet, "--map", heat, "--top", 4
    )
    assert result.exit_code == 0, result.stderr
    rows = rows_of(out)
    assert {row["name"] for row in rows} == {f"{i:06d}.png" for i in range(10)}
    assert list(rows[0]) == [
        *("name", "rank", "total", "p_value", "reconstruction", "surroundings", "reason")
    ]
    first = {row["name"] for row in rows if int(row["rank"]) <= 2}
    assert first == {"000008.png", "000009.png"}
    words = [row["reason"] for row in rows if row["name"] in first]
    assert words[0] in {SCORES[name].reason for name in ("reconstruction", "surroundings")}
    assert sorted(int(row["rank"]) for row in rows) == list(range(1, 11))
    assert all(0 <= float(row["p_value"]) <= 1 for row in rows)
    assert str(out) in result.stdout and "stranger than 99 in 100" in result.stdout
    with Image.open(sheet) as a, Image.open(heat) as b:
        assert b.size[1] > a.size[1] // 2 and b.mode == "RGB"


def test_json_and_a_folder_of_maps(run: Path, mixed: Path, tmp_path: Path) -> None:
    out, heat = tmp_path / "s.csv", tmp_path / "heat"
    result = call("score", run, mixed, "--out", out, *QUICK, "--map", heat, "--top", 3, "--json")
    facts = json.loads(result.stdout)
    assert facts["rows"] == 10 and facts["scores"] == ["reconstruction", "surroundings"]
    assert len(facts["strangest"]) == 3 and facts["held_out_rows"] == 12
    names = [Path(entry["name"]).stem for entry in facts["strangest"]]
    assert sorted(p.name for p in heat.iterdir()) == sorted(
        f"{i:04d}-{name}.png" for i, name in enumerate(names, 1)
    )


def test_the_reference_and_the_seed_matter(run: Path, mixed: Path, tmp_path: Path) -> None:
    found = []
    for words in ((), ("--reference", mixed), ("--scores", "negative_elbo", "--seed", 1)):
        out = tmp_path / "s.csv"
        scores = [] if "--scores" in words else QUICK
        assert call("score", run, mixed, "--out", out, *scores, *words).exit_code == 0
        found.append([row["total"] for row in rows_of(out)])
    assert found[0] != found[1] and found[0] != found[2]


def test_vectors_are_told_by_row(tmp_path: Path) -> None:
    run = fitted(tmp_path, "two-moons:300", "--set", "latent=2", "--set", "width=16")
    out = tmp_path / "s.csv"
    result = call("score", run, "two-moons:300", "--split", "test", "--out", out)
    assert result.exit_code == 0, result.stderr
    rows = rows_of(out)
    assert len(rows) == 30 and "row" in rows[0] and "views" not in rows[0]
    assert {"reconstruction", "negative_elbo", "latent_distance"} <= set(rows[0])
    refused = call("score", run, "two-moons:300", "--out", out, "--map", tmp_path / "h.png")
    assert refused.exit_code == 2 and "no pictures" in refused.stderr


def test_plain_refusals(run: Path, mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    for words, said in (
        (("--out", tmp_path / "s.txt"), "must end in .csv"),
        (("--out", out, "--pictures", tmp_path / "p.jpg"), "must end in .png"),
        (("--out", out, "--map", tmp_path / "p.gif"), "must end in .png"),
        (("--out", out, "--scores", "likelyhood_ratio"), "did you mean"),
        (("--out", out, "--split", "val"), "no split val"),
    ):
        result = call("score", run, mixed, *words)
        assert result.exit_code == 2 and said in result.stderr.replace("'val'", "val"), said
        assert not result.stdout and not out.exists()


def test_a_model_that_judges_nothing_says_so(tmp_path: Path) -> None:
    run = fitted(tmp_path, "two-moons:200", "--model", "gan", "--set", "width=16")
    result = call("score", run, "two-moons:200", "--out", tmp_path / "s.csv")
    assert result.exit_code == 2 and "cannot say which are strange" in result.stderr


def test_help_has_examples() -> None:
    text = call("score", "--help", env={"COLUMNS": "200"}).stdout
    assert "latentia score runs/" in text and "--reference" in text
