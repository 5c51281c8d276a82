"""The page on the studio tells the truth: endpoints and arguments, examples, rooms, pictures."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'latentia[studio]'")

from gradio_client import Client

from docs_code import DOCS, blocks_of
from games import TINY
from latentia.data.open import open_data
from latentia.fitting import fit
from latentia.studio.app import ROOMS, build, served
from latentia.studio.shelf import Shelf
from translating_verb import noise, save

PAGE = DOCS / "studio.md"
ADDRESS = "http://127.0.0.1:7860"
MOST_BYTES = 120_000


def told(text: str) -> dict[str, list[str]]:
    """Endpoints of the page's table, with their arguments."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and re.fullmatch(r"(`/\w+`(, )?)+", cells[1]):
            arguments = re.findall(r"`(\w+)`", cells[2])
            found |= dict.fromkeys(re.findall(r"`(/\w+)`", cells[1]), arguments)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the names that the page's examples use, hardly trained."""
    top = tmp_path_factory.mktemp("runs")
    small = TINY["vae", open_data("digits").spec.kind]
    fit("digits", model="vae", examples=256, out=top / "digits", settings=small, quiet=True)
    for i in range(8):
        save(noise(16, 16, 3, seed=i).astype(np.uint8), top / "pictures" / f"{i}.png")
    fit(
        top / "pictures",
        model="pix2pix",
        examples=16,
        out=top / "edges",
        settings={"pairs": "edges", "size": 16, "width": 8},
        quiet=True,
    )
    return top


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(build(Shelf([folder]), folder)) as where:
        yield where


@pytest.fixture(scope="module")
def there(address: str) -> dict[str, list[str]]:
    """Endpoints of a running studio, with their arguments."""
    shown: Any = Client(address, verbose=False).view_api(return_format="dict", print_info=False)
    assert not shown["unnamed_endpoints"]
    return {
        name: [argument["parameter_name"] for argument in one["parameters"]]
        for name, one in shown["named_endpoints"].items()
    }


def test_the_page_names_every_endpoint_and_no_other(there: dict[str, list[str]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(told(text)) == set(there)
    wrong = {name: there[name] for name, named in told(text).items() if named != there[name]}
    assert not wrong, "the arguments are these"


def test_prose_and_examples_name_no_other_endpoint(there: dict[str, list[str]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r'(?<=`)/\w+(?=`)|(?<=api_name=")/\w+(?=")', text))
    assert named == set(there)


def test_the_check_can_fail() -> None:
    table = "| `/a`, `/b` | `x`, `y_2` | that `z` |\n| `/c` | | |\n| `--d` | `e` | |"
    assert told(table) == {"/a": ["x", "y_2"], "/b": ["x", "y_2"], "/c": []}


def test_the_examples_run(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    code = [block.code for block in blocks_of(PAGE) if block.language == "python"]
    assert len(code) == 3 and ADDRESS in code[0]
    monkeypatch.chdir(tmp_path)
    save(noise(16, 16, 3, seed=9).astype(np.uint8), tmp_path / "drawing.png")
    names: dict[str, Any] = {}
    for block in code:
        exec(block.replace(ADDRESS, address), names)
    assert names["recipe"]["seeds"] == list(range(7, 16)) and len(names["samples"]["value"]) == 9
    for key in ("picture", "strip", "loop"):
        assert names[key], key
    with Image.open(names["strip"]) as strip, Image.open(names["files"][0]) as made:
        assert strip.width > strip.height and made.size == (16, 16)
    assert (folder / names["name"]).parent == folder and "2 of 4" in names["where"]
    wait_until_at_rest(names["client"])


def wait_until_at_rest(client: Client) -> None:
    end = time.monotonic() + 120
    while client.predict(api_name="/training")["phase"] in ("starting", "training", "stopping"):
        assert time.monotonic() < end, "the training goes on"
        time.sleep(0.2)


def test_every_room_has_its_section_and_its_pictures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for room in ROOMS:
        title = importlib.import_module(f"latentia.studio.rooms.{room}").TITLE
        section = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
        assert re.search(
            rf"!\[The room {re.escape(title)}[^\]]+\]\(images/studio/{room}-1280\.png\)", section
        )
        assert f'<img src="images/studio/{room}-390.png" alt="The room {title} on a phone"' in text


def test_the_pictures_are_there_and_light() -> None:
    """On failure: `python tests/docs_studio.py --runs FOLDER` makes them anew."""
    for room in ROOMS:
        for width in (1280, 390):
            path = DOCS / "images" / "studio" / f"{room}-{width}.png"
            assert path.stat().st_size <= MOST_BYTES
            with Image.open(path) as image:
                assert image.mode == "P" and 0.9 * width < image.width <= width
