"""`check` lists everything odd; pictures and contact sheets are written whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dirty_images import UNREADABLE
from latentia.data.check import check, contact_sheet
from latentia.data.open import open_data
from latentia.data.pictures import grid_image, save_folder, save_grid
from latentia.errors import UserError


def test_dirty_folder_is_listed_in_full(dirty_folder: Path) -> None:
    report = check(dirty_folder)
    assert report.kind == "image files" and report.usable
    assert (report.examples, report.readable) == (120, 115)
    assert {name: reason.split(":")[0] for name, reason in report.unreadable} == UNREADABLE
    assert report.duplicates == (("cat/clean000.png", "dog/twin.png"),)
    assert report.others == ("notes.txt",)
    wanted = {
        "unreadable: too large": 1,
        "unreadable: empty": 1,
        "unreadable: not an image": 1,
        "unreadable: truncated": 2,
        "duplicates": 1,
        "alpha channel": 3,
        "CMYK": 1,
        "16-bit or deeper": 2,
        "turned by EXIF": 1,
        "grey among colour": 4,
        "not images": 1,
    }
    assert wanted.items() <= report.problems.items()
    assert report.problems["palette"] >= 2
    assert set(report.modes) >= {"RGB", "L", "LA", "RGBA", "P", "CMYK", "I;16", "1"}
    assert report.sizes["32 x 32"] == 101 and report.sizes["40 x 48"] == 1
    assert report.classes == {"dog": 61, "cat": 59} or sum(report.classes.values()) == 120
    json.dumps(report.to_json())


def test_copies_across_splits_are_counted(dirty_folder: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "split" / part).mkdir(parents=True)
        shutil.copy(dirty_folder / "cat" / "clean000.png", tmp_path / "split" / part / "a.png")
        shutil.copy(
            dirty_folder / "cat" / "clean002.png", tmp_path / "split" / part / f"{part}.png"
        )
    report = check(tmp_path / "split")
    assert report.leaked == 2 and report.parts == {"test": 2, "train": 2}


def test_tables_are_checked_by_column() -> None:
    values = np.random.default_rng(0).normal(size=(50, 4))
    values[:, 2] = 3
    values[4, 1], values[5, 1], values[9] = np.nan, np.inf, values[8]
    report = check(values)
    assert report.columns == {"constant": [2], "missing or infinite": [1]}
    assert report.problems == {"duplicates": 1, "missing": 1, "infinite": 1}
    assert report.duplicates == (("8", "9"),)
    assert not report.usable and report.readable == 48
    assert check("gaussians-25:100").usable


def test_image_arrays_are_checked_by_row() -> None:
    values = np.random.default_rng(0).integers(0, 256, (10, 4, 4), dtype=np.uint8)
    values[3], values[5] = values[2], 0
    report = check(values)
    assert report.problems == {"duplicates": 1, "of one level throughout": 1}
    assert report.sizes == {"4 x 4": 10} and report.kind == "images"


def test_contact_sheet_shows_images_only(tmp_path: Path) -> None:
    contact_sheet(open_data("digits"), tmp_path / "sheet.png", n=9)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 50 + 2, 3 * 50 + 2)
    with pytest.raises(UserError, match="no images"):
        contact_sheet(open_data("rings:50"), tmp_path / "none.png")


def test_grid_places_images_row_by_row(tmp_path: Path) -> None:
    x = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 64, 64)
    grid = np.asarray(grid_image(x, columns=3))
    assert grid.shape == (2 * 66 + 2, 3 * 66 + 2, 3)
    shown = [grid[10 + 66 * (i // 3), 10 + 66 * (i % 3), 0] for i in range(5)]
    assert shown == [0, 64, 128, 191, 255]
    save_grid(x, tmp_path / "deep" / "grid.png", columns=3)
    with Image.open(tmp_path / "deep" / "grid.png") as again:
        assert np.array_equal(np.asarray(again), grid)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["grid.png"]


def test_folder_of_pngs_keeps_every_level(tmp_path: Path) -> None:
    values = open_data("digits").values[:6]
    paths = save_folder(values, tmp_path / "out", start=10)
    assert [p.name for p in paths] == [f"{i:06d}.png" for i in range(10, 16)]
    for path, pixels in zip(paths, values, strict=True):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), pixels[0])


def test_pictures_of_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not from data of shape"):
        save_grid(torch.zeros(4, 2), tmp_path / "a.png")
    with pytest.raises(UserError, match="no images"):
        grid_image(torch.zeros(0, 1, 4, 4))
