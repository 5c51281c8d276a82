"""The rooms *Train* and *Which one is real?*, through the page's own doors."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentia.fitting import fit
from latentia.guessing.answers import read
from latentia.guessing.deck import drawn_deck
from latentia.run import Run

pytest.importorskip("gradio", reason="the studio needs the extra `studio`: gradio is missing")

from latentia.studio.shelf import Shelf
from visiting import visiting

INFINITY, GLANCE = "As long as you like", "A glance, shorter and shorter"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("studio") / "runs"
    small = {"width": 8, "depth": 1, "latent": 2, "batch_size": 64}
    fit("digits", examples=64, out=top / "small", settings=small, quiet=True)
    return top


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with visiting(Shelf([folder]), tmp_path_factory.mktemp("downloads")) as client:
        yield client


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.2)


def order(**changed: Any) -> dict[str, Any]:
    asked = {
        "data": "two-moons:200",
        "family": "vae",
        "lines": "depth=1\nbatch_size=32",
        "minutes": 5,
        "seed": 1,
        "param_5": "",
        "param_6": "16",
        "param_7": "",
        "param_8": "",
    }
    return {**asked, **changed}


def trained(client: Any, **changed: Any) -> Any:
    return client.predict(*order(**changed).values(), api_name="/train")


def test_trained_stopped_and_resumed_from_the_page(client: Any, folder: Path) -> None:
    def state() -> dict[str, Any]:
        return dict(client.predict(api_name="/training"))

    assert state()["phase"] == "none"
    name = trained(client)
    with pytest.raises(Exception, match="runs already"):
        trained(client)
    until(lambda: state()["share"] > 0)
    client.predict(api_name="/stop_training")
    until(lambda: state()["phase"] == "stopped")
    stopped = state()
    assert stopped["run"] == name and "resumed" in stopped["sentence"]
    run = Run.open(folder / name)
    assert run.settings.width == 16 and run.settings.depth == 1  # type: ignore[attr-defined]
    assert client.predict(name, api_name="/resume_training") == name
    until(lambda: state()["share"] > stopped["share"])
    client.predict(api_name="/stop_training")
    until(lambda: state()["phase"] == "stopped")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": "/etc"}, "may read"),
        ({"data": "../"}, "may read"),
        ({"lines": "betta=3"}, "did you mean 'beta'"),
        ({"minutes": 99999}, "budget"),
        ({"param_6": "wide"}, "width"),
    ],
)
def test_wrong_orders_are_refused_in_words(
    client: Any, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        trained(client, **changed)


def test_no_run_to_resume(client: Any) -> None:
    with pytest.raises(Exception, match="is finished"):
        client.predict("small", api_name="/resume_training")
    with pytest.raises(Exception, match="unfinished run"):
        client.predict("../small", api_name="/resume_training")


def pixels(html: str) -> np.ndarray:
    data = re.search(r"base64,([^\"]+)", html)
    assert data is not None
    with Image.open(BytesIO(base64.b64decode(data[1]))) as image:
        return np.asarray(image)


def without_pictures(html: str) -> str:
    return re.sub(r"base64,[^\"]+", "", html)


def test_a_sitting_whose_guesser_knows_the_deck(client: Any, folder: Path) -> None:
    run = Run.open(folder / "small")
    deck = drawn_deck(run, run.model(), 6, 11)
    shown = client.predict("small", INFINITY, 6, "11", api_name="/guess_begin")
    pages = []
    for i in range(6):
        small = pixels(shown[0])[::32, ::32]
        assert np.array_equal(small, deck.pixels[i, :, :, 0])
        pages.append(without_pictures(shown[0]).replace(f"Picture {i + 1}", "Picture"))
        door = "/guess_real" if deck.real[i] else "/guess_fake"
        shown = client.predict(api_name=door)
    assert len(set(pages)) == 1  # nothing around a picture tells which it is
    assert "0.0 %" in shown[2] and "Seed of this session: 11" in shown[2]
    answers = [a for a in read(folder / "small") if a.protocol == "infinity"]
    assert len(answers) == 6 and not any(a.wrong for a in answers)


def test_a_glance_is_as_long_as_the_staircase_says(client: Any, folder: Path) -> None:
    run = Run.open(folder / "small")
    deck = drawn_deck(run, run.model(), 8, 3)
    shown = client.predict("small", GLANCE, 8, "3", api_name="/guess_begin")
    times = []
    for i in range(8):
        found = re.search(r"(\d+)ms 700ms", shown[0])
        assert found is not None and "<script" not in shown[0]
        times.append(int(found[1]))
        right = i != 3
        door = "/guess_real" if bool(deck.real[i]) == right else "/guess_fake"
        shown = client.predict(api_name=door)
    assert times == [500, 500, 500, 470, 480, 480, 480, 450]
    assert "Exposure shown most often" in shown[2]


def test_a_wrong_seed_is_refused(client: Any) -> None:
    with pytest.raises(Exception, match="whole number"):
        client.predict("small", INFINITY, 6, "x", api_name="/guess_begin")
