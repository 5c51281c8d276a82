"""The loop around the game: budgets, interruptions, files, devices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import latentia
from games import tiny_run, tiny_trainer
from latentia.errors import UserError
from latentia.files import write_aside, write_text
from latentia.fitting import build_trainer, fit
from latentia.precision import resolve_precision
from latentia.run import Run
from latentia.training.checkpoint import MODEL_FILE, STATE_FILE
from latentia.training.device import resolve_device
from latentia.training.log import Diary, read_rows

TINY = {"width": 16, "depth": 1, "latent": 1}


def test_a_minutes_budget_is_a_whole_short_training(tmp_path: Path) -> None:
    run = fit(
        "two-moons:500",
        model="autoencoder",
        minutes=0.03,
        out=tmp_path / "r",
        settings=TINY,
        quiet=True,
    )
    assert run.finished
    last = run.history()[-1]
    assert last["seconds"] == pytest.approx(1.8, abs=1.0) and last["lr_factor"] < 0.01


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    out = tmp_path / "r"
    run = fit("two-moons:500", model="autoencoder", minutes=0.1, out=out, settings=TINY, quiet=True)
    assert not run.finished and run.resumable
    spent = torch.load(out / STATE_FILE, weights_only=True)["position"]["seconds"]
    assert 0 < spent < 5
    started = time.monotonic()
    fit("two-moons:500", model="autoencoder", out=out, resume=True, quiet=True)
    assert run.finished
    assert time.monotonic() - started < 6 - spent + 4  # only what was left of the budget


def test_previews_come_at_each_tenth_raw_and_averaged(tmp_path: Path) -> None:
    trainer = tiny_trainer("gan", "image", tmp_path, examples=320)
    trainer.run()
    names = [path.name for path in Run.open(tmp_path).previews()]
    assert names == [f"{k:02d}-{kind}.png" for k in range(11) for kind in ("ema", "raw")]


def test_the_state_holds_no_training_rows_and_is_plain(tmp_path: Path) -> None:
    trainer = tiny_trainer("vae", "image", tmp_path)
    trainer.run()
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert set(state) == {"format", "position", "players", "optimizers", "average"}
    pixels = trainer.batches.batch_at(0).x.flatten(1)[:, 18:46]  # the busy middle of a digit
    for tensor in _tensors(state):
        windows = tensor.flatten().float()
        if len(windows) >= 28:
            same = windows.unfold(0, 28, 1)[:, None] == pixels[None]
            assert not same.all(2).any()


def _tensors(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def test_a_second_run_does_not_write_over_the_first(tmp_path: Path) -> None:
    tiny_run("vae", "image", tmp_path)
    before = (tmp_path / "recipe.json").read_text()
    with pytest.raises(UserError, match="--resume"):
        fit("digits", examples=10, out=tmp_path, quiet=True)
    assert (tmp_path / "recipe.json").read_text() == before


def test_resuming_needs_the_same_data(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path).run()
    with pytest.raises(UserError, match="same data"):
        fit("sprites:40@8", out=tmp_path, resume=True, quiet=True)
    with pytest.raises(UserError, match="no run"):
        fit("digits", out=tmp_path / "nowhere", resume=True, quiet=True)


@pytest.mark.parametrize("damage", [b"", b"not a state", b"\x80\x04\x95"])
def test_a_damaged_state_is_refused_plainly(tmp_path: Path, damage: bytes) -> None:
    trainer = tiny_trainer("vae", "image", tmp_path)
    trainer.run()
    (tmp_path / STATE_FILE).write_bytes(damage)
    with pytest.raises(UserError, match="damaged"):
        trainer.resume()
    latentia.load(tmp_path)  # what was shipped is still good


def test_a_damaged_model_is_refused_plainly(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path).run()
    whole = (tmp_path / MODEL_FILE).read_bytes()
    (tmp_path / MODEL_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        latentia.load(tmp_path)


def test_a_state_of_another_recipe_is_refused_plainly(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path / "a").run()
    run, dataset = tiny_run("vae", "image", tmp_path / "b", latent=7)
    (tmp_path / "b" / STATE_FILE).write_bytes((tmp_path / "a" / STATE_FILE).read_bytes())
    with pytest.raises(UserError, match="does not fit"):
        build_trainer(run, dataset, torch.device("cpu")).resume()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"family": "vae"}', '{"family": "nonsense"}'])
def test_a_damaged_recipe_is_refused_plainly(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(UserError):
        Run.open(tmp_path)


def test_arrays_train_too_and_cannot_be_reopened(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    run = fit(rows, model="vae", examples=256, out=tmp_path, settings={"width": 8}, quiet=True)
    with pytest.raises(UserError, match="from Python"):
        run.data()
    assert run.model().sample(range(2)).shape == (2, 3)


def test_data_of_another_shape_is_refused(tmp_path: Path) -> None:
    tiny_trainer("vae", "image", tmp_path).run()
    with pytest.raises(UserError, match="shape"):
        Run.open(tmp_path).data("test", "sprites:20@16")


# files and diary


def test_a_file_written_aside_is_whole_or_old(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    write_text(path, "old")

    def fails(aside: Path) -> None:
        aside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_aside(path, fails)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_diary_survives_a_cut_line_and_forgets_what_is_replayed(tmp_path: Path) -> None:
    diary = Diary(tmp_path)
    for step in (1, 2, 3):
        diary.write({"step": step})
    with diary.path.open("a") as handle:
        handle.write('{"step": 4, "te')
    assert [row["step"] for row in read_rows(diary.path)] == [1, 2, 3]
    diary.cut_after(2)
    assert [json.loads(line)["step"] for line in diary.path.read_text().splitlines()] == [1, 2]


# devices


def test_devices_are_checked_by_name() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="did you mean 'cuda'"):
        resolve_device("cudaa")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device"):
            resolve_device("cuda")


def test_precision_auto_is_a_choice_between_two() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16
    assert resolve_precision("auto", cpu) in (torch.float32, torch.bfloat16)


def test_torchrun_makes_one_run_of_two_processes(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import latentia\n"
        f"latentia.fit('two-moons:300', model='vae', examples=2000, out={str(tmp_path / 'r')!r},"
        " settings=dict(batch_size=100, width=8), quiet=True)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    run = Run.open(tmp_path / "r")
    assert run.finished and run.history()[-1]["step"] == 20
