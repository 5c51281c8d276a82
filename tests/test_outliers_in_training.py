"""Known outliers and sampling weights change what is learned, as they say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import latentia
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.fitting import build_trainer, weights_of
from latentia.training.checkpoint import MODEL_FILE

TINY = {"latent": 3, "width": 8, "depth": 1, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits whose every second column of pixels is moved down by two."""
    rows = open_data("digits").values.copy()
    rows[:, 0, :, ::2] = np.roll(rows[:, 0, :, ::2], 2, axis=1)
    path = tmp_path_factory.mktemp("strange") / "strange.npz"
    np.savez(path, images=rows[:, 0, ..., None])
    return path


def fitted(out: Path, **changed: object) -> latentia.Run:
    return latentia.fit(
        "digits",
        model="vae",
        examples=12_000,
        out=out,
        quiet=True,
        settings={**TINY, "prior": "standard"},
        **changed,  # type: ignore[arg-type]
    )


def bounds(run: latentia.Run, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return run.model().elbo(x)


def test_exposed_outliers_end_up_below_the_data(tmp_path: Path, strange: Path) -> None:
    plain, told = fitted(tmp_path / "plain"), fitted(tmp_path / "told", outliers=strange)
    usual = open_data("digits", split="test").batch(range(100)).x
    odd = open_data(strange, split="test").batch(range(100)).x
    gaps = [(bounds(run, usual).mean() - bounds(run, odd).mean()) / 64 for run in (plain, told)]
    assert gaps[1] > gaps[0] + 0.5
    assert bounds(told, usual).mean() / 64 > bounds(plain, usual).mean() / 64 - 0.3
    assert "--outliers" in told.command and "--outliers" not in plain.command
    assert latentia.Run.open(tmp_path / "told").outliers


def test_families_without_a_bound_take_no_outliers(tmp_path: Path, strange: Path) -> None:
    with pytest.raises(UserError, match="family vae"):
        latentia.fit(
            "digits", model="gan", examples=64, out=tmp_path / "r", outliers=strange, quiet=True
        )
    assert not (tmp_path / "r").exists()


def test_outliers_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shape"):
        fitted(tmp_path / "r", outliers="sprites:10")
    assert not (tmp_path / "r").exists()


def test_weights_decide_what_is_seen_and_survive_a_resume(tmp_path: Path) -> None:
    data = open_data("digits")
    assert data.labels is not None
    ones = data.labels == 1
    run = fitted(tmp_path / "ones", weights=ones.astype(float))
    plain = fitted(tmp_path / "plain")
    x = data.batch(np.flatnonzero(ones)[:80]).x
    others = data.batch(np.flatnonzero(~ones)[:80]).x
    assert bounds(run, x).mean() > bounds(plain, x).mean()
    assert bounds(run, others).mean() < bounds(plain, others).mean()
    again = build_trainer(latentia.Run.open(run.folder), data, torch.device("cpu"))
    seen = again.batches.rows_at(3)  # type: ignore[attr-defined]
    assert ones[seen.numpy()].all()
    assert load_file(run.folder / MODEL_FILE)


def test_a_table_of_weights_is_read_by_name(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(12):
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(tmp_path / f"{i:02d}.png")
    data = open_data(tmp_path)
    assert data.names is not None
    table = tmp_path.parent / "weights.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "weight"])
        writer.writerows([f"{i:02d}.png", i] for i in range(12))
    wanted = [int(Path(name).stem) for name in data.names]
    assert weights_of(data, table).tolist() == wanted


def test_rows_without_names_are_called_by_their_number(tmp_path: Path) -> None:
    table = tmp_path / "weights.csv"
    table.write_text("name,weight\n" + "".join(f"{i},{i}.5\n" for i in range(1797)))
    data = open_data("digits")
    assert data.rows is not None
    assert weights_of(data, table).tolist() == [row + 0.5 for row in data.rows]


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(1617)])
def test_unusable_weights_leave_no_folder(tmp_path: Path, weights: np.ndarray) -> None:
    with pytest.raises(UserError, match="weights"):
        fitted(tmp_path / "r", weights=weights)
    assert not (tmp_path / "r").exists()


def test_a_family_that_weighs_itself_takes_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="chooses itself"):
        latentia.fit(
            "digits",
            model="debiasing-vae",
            examples=64,
            out=tmp_path / "r",
            weights=np.ones(1617),
            quiet=True,
        )
