"""The studio's rooms Generate, Explore, Interpolate and Mix styles, by their public events."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from games import TINY
from latentia.data.open import open_data
from latentia.explore.latent import encode
from latentia.fitting import fit
from latentia.rendering.pictures import read_recipe

pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'latentia[studio]'")

from latentia.studio.explored import bounds, explored, read, written
from latentia.studio.exploring import NONE, OTHERS, SLIDERS, Exploring
from latentia.studio.place import Place, plainly
from latentia.studio.rooms import explore, generate, interpolate, mix
from latentia.studio.shelf import Shelf
from visiting import visiting

RUNS = {
    "vae": ("vae", "digits", {}),
    "style": ("style-gan", "digits", {"style": 16}),
    "points": ("vae", "two-moons:200", {}),
    "noise": ("diffusion", "digits", {"conditional": True, "guidance": 2.0}),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("studio")
    for name, (family, data, more) in RUNS.items():
        settings = {**TINY[family, open_data(data).spec.kind], **more}
        fit(data, model=family, examples=256, out=folder / name, settings=settings, quiet=True)
    return Shelf([folder])


@pytest.fixture(scope="module")
def client(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with visiting(shelf, tmp_path_factory.mktemp("downloads")) as client:
        yield client


def test_rooms_are_there_for_what_they_need(shelf: Shelf) -> None:
    fit_for = {
        name: [room.TITLE for room in (generate, explore, interpolate, mix) if room.fits(opened)]
        for name in RUNS
        if (opened := shelf.open(name))
    }
    rest = ["Generate", "Explore", "Interpolate"]
    assert fit_for == {"vae": rest, "points": rest, "noise": rest, "style": [*rest, "Mix styles"]}
    assert not any(room.fits(None) for room in (generate, explore, interpolate, mix))


def test_generate_draws_the_models_samples_and_packs_them(client: Any, shelf: Shelf) -> None:
    gallery, _, _, _, png, packed, recipe, note = client.predict(
        "vae", seed=3, count=2, api_name="/generate"
    )
    tiles = value_of(gallery)
    assert [tile["caption"] for tile in tiles] == ["seed 3", "seed 4"]
    with Image.open(tiles[0]["image"]) as image:
        assert image.size == (256, 256)
    assert recipe["seeds"] == [3, 4] and note == "Seeds 3 to 4."
    assert read_recipe(Path(value_of(png)))["seeds"] == [3, 4]
    with zipfile.ZipFile(value_of(packed)) as archive:
        assert json.loads(archive.read("recipe.json"))["seeds"] == [3, 4]
        with archive.open("000000.png") as file, Image.open(file) as image:
            drawn = shelf.open("vae").model.sample([3])[0, 0]
            levels = torch.from_numpy(np.asarray(image).copy()) / 127.5 - 1
            torch.testing.assert_close(levels, drawn, atol=0.01, rtol=0)


def test_generate_takes_the_runs_own_way_unless_asked(client: Any) -> None:
    own = client.predict("noise", count=1, api_name="/generate")[6]
    assert not {"guidance", "steps", "sampler", "label"} & set(own)
    more = {"label": "3", "guidance": 3.0, "steps": 2, "sampler": "euler"}
    asked = client.predict("noise", count=1, api_name="/generate", **more)[6]
    assert more.items() <= asked.items()
    points = client.predict("points", count=3, api_name="/generate")
    with Image.open(value_of(points[1])) as image:
        assert image.size == (480, 480)


def test_mistakes_are_told_in_words(client: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_text("no picture")
    no_picture = {"path": str(tmp_path / "mine.png"), "meta": {"_type": "gradio.FileData"}}
    for words, event, message in (
        (("gone",), "/generate", "gone"),
        (("vae", 0, 1, "3"), "/generate", "without classes"),
        (("vae", 0, 1000), "/generate", "256"),
        (("vae", "1, 2"), "/explore", "3 numbers"),
        (("vae", "0, 0, 0", NONE, "ten", 1.0), "/explore", "no direction 'ten'"),
        (("vae", "here"), "/explore", "list of numbers"),
        (("vae", "two pictures"), "/interpolate", "both pictures"),
        (("vae", "two pictures", 0, 1, *(no_picture,) * 2), "/interpolate", "cannot be read as an"),
        (("style", 99), "/mix", "12"),
    ):
        with pytest.raises(Exception, match=message):
            client.predict(*words, api_name=event)


def test_explore_shows_the_decoded_place(client: Any, shelf: Shelf) -> None:
    picture = value_of(client.predict("vae", "0.5, -1, 2", api_name="/explore")[0])
    x = shelf.open("vae").model.decode(torch.tensor([[0.5, -1.0, 2.0]]))[0, 0]
    with Image.open(picture) as image:
        seen = torch.from_numpy(np.asarray(image.convert("L")).copy())[16::32, 16::32] / 127.5 - 1
    torch.testing.assert_close(seen, x, atol=0.01, rtol=0)
    start = value_of(client.predict("vae", api_name="/explore")[0])
    assert Path(start).read_bytes() != Path(picture).read_bytes()


def test_interpolate_gives_a_strip_and_a_loop(client: Any) -> None:
    strip, loop, png, _, note, *_ = client.predict("vae", frames=5, api_name="/interpolate")
    with Image.open(value_of(strip)) as image:
        assert image.width > 4 * image.height
    with Image.open(value_of(loop)) as film:
        assert getattr(film, "n_frames", 1) == 8
    told = read_recipe(Path(value_of(png)))
    assert told["from"] == {"seed": 0} and told["frames"] == 5 and "spherical" in note
    straight = client.predict("vae", how="linear", frames=5, api_name="/interpolate")
    assert read_recipe(Path(value_of(straight[2])))["how"] == "linear"


def test_mix_has_a_cell_for_every_pair(client: Any) -> None:
    table, png = client.predict("style", 2, 3, "fine", 7, api_name="/mix")
    told = read_recipe(Path(value_of(png)))
    assert told["rows"] == [7, 8] and told["columns"] == [1007, 1008, 1009]
    with Image.open(value_of(table)) as image:
        assert abs(image.width / image.height - 4 / 3) < 0.05


def test_only_the_main_events_are_public(client: Any) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert {"/generate", "/explore", "/interpolate", "/mix"} <= set(named)
    for name in ("/generate", "/explore", "/interpolate", "/mix"):
        assert named[name]["parameters"][0]["parameter_name"] == "run"
    assert not {"/live", "/turned", "/by_chance", "/prepared", "/foretell"} & set(named)


class Shown:
    """Stands for the widgets of one example: keeps what it is given."""

    widgets = (None, None, None)
    last: torch.Tensor

    def shown(self, opened: Any, x: torch.Tensor, words: str, scratch: Any) -> list[Any]:
        self.last = x
        return [x, None, None]


@pytest.fixture
def exploring(shelf: Shelf) -> Exploring:
    return Exploring(Place(shelf, None, None, None, None, shelf.folders[0]), Shown())  # type: ignore[arg-type]


def test_sliders_move_their_own_latents(exploring: Exploring, shelf: Shelf) -> None:
    opened = shelf.open("style")
    axes = explored(opened).axes
    start = written(axes.start)
    shown = exploring.live("style", start, SLIDERS, NONE, NONE, 0.0, 1.5, -1.0)
    z = read(shown[3])
    assert z[axes.order[SLIDERS]] == 1.5 and z[axes.order[SLIDERS + 1]] == -1
    assert (z != axes.start).sum() == 2
    turned = exploring.turned("style", start, 0, NONE, NONE, 0.0)
    again = exploring.turned("style", start, SLIDERS, NONE, NONE, 0.0)
    page = 3 + 1 + 3
    assert turned[page] == SLIDERS and again[page] == 0
    assert sum(s["visible"] for s in map(props, turned[page + 1 : -1])) == len(axes.order) - SLIDERS


def test_a_run_sets_every_widget(exploring: Exploring) -> None:
    for name in RUNS:
        assert len(exploring.prepared(name)) == 3 + SLIDERS + OTHERS
    assert len(exploring.prepared(None)) == 3 + SLIDERS + OTHERS
    excuse = [props(v) for v in exploring.prepared("style")][-3]
    assert excuse["visible"] is True  # no encoder: the room says so
    with pytest.raises(Exception, match="does not encode"):
        exploring.row("style", "", 0, NONE, NONE, 0.0, 1)


def test_map_rows_files_and_directions_lead_to_places(
    exploring: Exploring, shelf: Shelf, tmp_path: Path
) -> None:
    opened = shelf.open("vae")
    known = explored(opened)
    assert known.map is not None
    x, y = known.map.pixel_of(known.map.places[10])
    there = exploring.pointed("vae", 0, x, y)
    spot = known.map.place_of(read(there[3]))
    torch.testing.assert_close(spot, known.map.places[10], atol=1e-2, rtol=1e-2)
    assert f"row {int(known.map.rows[known.map.nearest_place(spot)])}" in there[6]
    row = exploring.row("vae", "", 0, NONE, NONE, 0.0, 4)
    code = encode(opened.model, opened.run.data("test").batch([4]).x)[0]
    torch.testing.assert_close(read(row[3]), code, atol=1e-3, rtol=1e-3)
    Image.new("L", (20, 20), 255).save(tmp_path / "white.png")
    white = exploring.placed("vae", "", 0, NONE, NONE, 0.0, str(tmp_path / "white.png"))
    code = encode(opened.model, torch.ones(1, 1, 8, 8))[0]
    torch.testing.assert_close(read(white[3]), code, atol=1e-3, rtol=1e-3)
    exploring.seen("vae", row[3], NONE, NONE, 0.0)
    still = exploring.single.last  # type: ignore[attr-defined]
    exploring.seen("vae", row[3], NONE, "3", 2.0)
    assert not torch.allclose(still, exploring.single.last)  # type: ignore[attr-defined]
    two = [exploring.by_chance("vae", row[3], 0, NONE, NONE, 0.0)[3] for _ in range(2)]
    assert two[0] != two[1]
    assert exploring.back("vae", row[3], 0, NONE, NONE, 0.0)[3] == written(known.axes.start)


def test_live_events_say_what_is_wrong(exploring: Exploring, shelf: Shelf) -> None:
    at = written(explored(shelf.open("vae")).axes.start)
    seen = plainly(exploring.seen, 3)
    assert seen("vae", at, NONE, NONE, 0.0)[3:] == [""]
    for words, told in (
        (("gone", at, NONE, NONE, 0.0), "gone"),
        (("vae", "one, two", NONE, NONE, 0.0), "list of numbers"),
        (("vae", "1, 2", NONE, NONE, 0.0), "3 numbers; got 2"),
        (("vae", "1, 2, inf", NONE, NONE, 0.0), "finite"),
        (("vae", at, NONE, "ten", 0.0), "no direction 'ten'"),
        (("vae", at, "ten", NONE, 0.0), "without classes"),
    ):
        answer = seen(*words)
        assert told in answer[3] and len(answer) == 4
        assert all("value" not in update for update in answer[:3])
    live = plainly(exploring.live, 4)("vae", "1, 2", 0, NONE, NONE, 0.0, 1.0, 1.0, 1.0)
    assert "3 numbers" in live[-1] and len(live) == 5
    spot = plainly(exploring.looked_up, 3)("vae", "1, 2", NONE, NONE, 0.0)
    assert "3 numbers" in spot[-1]

    def broken() -> list[Any]:
        raise ZeroDivisionError("a secret of the server")

    assert plainly(broken, 1)()[1].endswith("the studio's terminal says how.")


def test_a_file_that_is_no_picture_is_refused_without_its_place(
    exploring: Exploring, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_text("no picture")
    with pytest.raises(Exception, match=r"mine\.png cannot be read as an image") as caught:
        exploring.placed("vae", "", 0, NONE, NONE, 0.0, str(tmp_path / "mine.png"))
    assert str(tmp_path) not in str(caught.value)


def test_a_slider_reaches_unusual_values(shelf: Shelf) -> None:
    axes = explored(shelf.open("vae")).axes
    assert bounds(axes, 0, 50.0)["maximum"] == 50 > bounds(axes, 0, 0.0)["maximum"]


def value_of(result: Any) -> Any:
    """What an event answered: a value, or an update that holds one."""
    return result["value"] if isinstance(result, dict) and "value" in result else result


def props(update: Any) -> dict[str, Any]:
    """What an update of a widget sets."""
    found = update if isinstance(update, dict) else getattr(update, "constructor_args", {})
    return found if isinstance(found, dict) else {}
