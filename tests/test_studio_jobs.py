"""Training beside the page: started, stopped with its state saved, resumed, and never elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentia.errors import UserError
from latentia.recipes.registry import FAMILIES, recipe
from latentia.run import Run
from latentia.studio import orders
from latentia.studio.jobs import CHILD, Trainings, curves, last_sentence, terms
from latentia.studio.orders import Order, data_within, fitting, form, looks, order, settings_of

SMALL = {"width": "16", "depth": "1", "batch_size": "32"}


def ordered(folder: Path, minutes: float = 5, data: str = "two-moons:200", **more: str) -> Order:
    return order(data, "vae", {**SMALL, **more}, minutes, 3, [folder], folder)


@pytest.fixture
def trainings(tmp_path: Path) -> Iterator[Trainings]:
    found = Trainings(tmp_path)
    yield found
    found.close(5)


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.05)


def test_started_stopped_and_resumed(trainings: Trainings, tmp_path: Path) -> None:
    assert trainings.state().phase == "none"
    run = trainings.start(ordered(tmp_path))
    with pytest.raises(UserError, match="runs already"):
        trainings.start(ordered(tmp_path))
    until(lambda: trainings.state().share > 0)
    now = trainings.state()
    assert now.phase == "training" and now.left is not None and now.rate
    trainings.stop()
    trainings.stop()  # twice is once: the second wish would break the saving off
    until(lambda: not trainings.state().running)
    stopped = trainings.state()
    assert (stopped.phase, stopped.code) == ("stopped", 130)
    assert "can be resumed" in stopped.sentence
    assert orders.unfinished([run]) == [run]
    before = json.loads((run / "recipe.json").read_text())
    assert before["seed"] == 3 and before["settings"]["width"] == 16

    trainings.resume(run)
    until(lambda: trainings.state().seconds > stopped.seconds)
    trainings.close()  # as at the studio's end: asked to save
    ended = trainings.state()
    assert ended.code == 130 and ended.share > stopped.share
    assert {"rate", *terms(run)} == {"rate", "vae/reconstruction", "vae/kl"}
    shares = [x for x, _, name in curves(run, ["vae/kl"])]
    assert shares == sorted(shares) and shares[0] > 0
    # in per cent of the budget; the closing row has no losses if no step came after the last one
    assert 100 * stopped.share < shares[-1] <= 100 * ended.share + 1e-9


def test_a_child_saves_when_its_studio_is_killed(tmp_path: Path) -> None:
    """No atexit runs in a killed process; the closed pipe does what it would have done."""
    words = ordered(tmp_path).words("cpu")
    code = (
        "import subprocess, sys, time\n"
        f"words = [sys.executable, '-m', {CHILD!r}, *{words!r}]\n"
        "child = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(120)\n"
    )
    studio = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert studio.stdout is not None
    pid = int(studio.stdout.readline())
    out = tmp_path / "vae-two-moons-200-1"
    until(lambda: (out / "metrics.jsonl").is_file())
    studio.kill()
    studio.wait()
    until(lambda: (out / "train.pt").is_file(), 20)
    until(lambda: not _alive(pid), 20)
    assert Run.open(out).resumable and not Run.open(out).finished


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    if not Path("/proc").is_dir():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return status.exists() and "State:\tZ" not in status.read_text()


def test_errors_of_the_child_are_told(trainings: Trainings, tmp_path: Path) -> None:
    wrong = Order("two-moons:200", "progressive-gan", tmp_path / "wrong", 1)
    trainings.start(wrong)
    until(lambda: not trainings.state().running)
    failed = trainings.state()
    assert (failed.phase, failed.code) == ("failed", 2)
    assert "does not model data of kind vector" in failed.sentence
    with pytest.raises(UserError, match="No training runs"):
        trainings.stop()


def test_data_elsewhere_is_refused_and_not_looked_at(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    (mine / "faces").mkdir(parents=True)
    other.mkdir()
    (mine / "link").symlink_to(other)
    assert data_within("faces", [mine]) == str(mine / "faces")
    assert data_within(str(mine / "faces"), [mine]) == str(mine / "faces")
    assert data_within("digits + faces", [mine]).startswith("digits + /")
    for bad in ("../other", str(other), "link", "/etc/passwd", "hf:a/b", "", "~", "faces\0", "no"):
        with pytest.raises(UserError) as told:
            data_within(bad, [mine])
        assert "root:" not in str(told.value)
    # what is there but elsewhere sounds like what is nowhere
    words = [
        str(_refusal(f"../{name}", mine)).replace(f"/{name}'", "") for name in ("other", "nosuch")
    ]
    assert words[0] == words[1]


def _refusal(text: str, folder: Path) -> UserError:
    with pytest.raises(UserError) as told:
        data_within(text, [folder])
    return told.value


def test_settings_that_name_files_are_known() -> None:
    """A new setting that takes free text is either no file, or must be fenced in."""
    no_files = {"background", "label", "to", "positive", "domains", "split"}
    free = {
        key
        for name in FAMILIES
        for key, field in recipe(name).settings.model_fields.items()
        if "str" in str(field.annotation) and "Literal" not in str(field.annotation)
    }
    assert free == no_files | set(orders.FILES)


def test_a_table_of_attributes_elsewhere_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "secret.csv"
    table.write_text("name,a\n")
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="may read"):
        order("digits", "cyclegan", {"attributes": str(table)}, 1, 0, [tmp_path / "mine"], tmp_path)


def test_an_order_is_checked_before_it_starts(tmp_path: Path) -> None:
    for bad in (-1.0, 0.0, 1e9, float("nan")):
        with pytest.raises(UserError, match="budget"):
            ordered(tmp_path, minutes=bad)
    with pytest.raises(UserError, match="did you mean 'beta'"):
        ordered(tmp_path, betta="4")
    with pytest.raises(UserError, match="beta"):
        ordered(tmp_path, beta="much")
    words = ordered(tmp_path, minutes=0.5, beta="4").words("cpu")
    assert words[words.index("--minutes") + 1] == "0.5"
    assert "beta=4" in words and words[-2:] == ["--", "two-moons:200"]
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(UserError, match="single run"):
        ordered(tmp_path)


def test_families_follow_the_data(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / label / "1.png")
    points, digits, pictures = (looks(n) for n in ("rings:50", "digits", str(tmp_path)))
    assert (points.kind, digits.kind, pictures.kind) == ("vector", "image", "image")
    assert "rbm" in fitting(digits) and "rbm" not in fitting(points)
    assert "cyclegan" in fitting(pictures) and "voice-cyclegan" not in fitting(pictures)
    assert "cyclegan" not in fitting(looks(str(tmp_path / "a")))


def test_the_form_tells_each_setting() -> None:
    first, *_ = fields = form("vae", "image")
    assert (first.name, first.usual) == ("latent", "40")
    assert {f.name: f.options for f in fields}["prior"][:2] == ("auto", "standard")
    assert {f.name for f in fields} == set(recipe("vae").settings.model_fields)
    assert all(f.help for f in fields)
    assert settings_of("beta = 4\n\n# no\nprior=vamp") == {"beta": "4", "prior": "vamp"}
    for bad in ("beta", "=4", "a b=4", "beta="):
        with pytest.raises(UserError, match="KEY=VALUE"):
            settings_of(bad)


def test_the_last_sentence_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_sentence(log) == ""
    log.write_text("first\nThere is no data 'x'.\n\n")
    assert last_sentence(log) == "There is no data 'x'."
