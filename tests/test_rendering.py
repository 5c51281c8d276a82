"""Renderers: what they draw is what the model draws, and the recipe tells how."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from games import TINY
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.explore.latent import decode, encode
from latentia.explore.walks import stirring
from latentia.fitting import fit
from latentia.rendering import atlas, mixing, samples, walk
from latentia.rendering import place as places
from latentia.rendering.examples import from_file
from latentia.rendering.pictures import (
    enlarged,
    pictures_of,
    png_of,
    read_recipe,
    save_loop,
    save_png,
    save_zip,
)
from latentia.rendering.points import Plane
from latentia.rendering.recipe import recipe_of
from latentia.rendering.views import columns_of, look_of, save_sounds
from latentia.run import Run


def made(folder: Path, family: str, data: str = "digits", **more: object) -> Run:
    kind = open_data(data).spec.kind
    settings = {**TINY[family, kind], **more}
    out = folder / family
    return fit(data, model=family, examples=256, out=out, settings=settings, quiet=True)


def loaded(run: Run) -> Any:
    return run.model()


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("rendering"), "vae")


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("rendering"), "style-gan")


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> Run:
    more: dict[str, Any] = {"conditional": True, "guidance": 2.0}
    return made(tmp_path_factory.mktemp("rendering"), "diffusion", **more)


def test_samples_are_the_models_own(vae: Run) -> None:
    model = loaded(vae)
    drawn = samples.render(vae, model, [3, 5])
    torch.testing.assert_close(drawn.x, model.sample([3, 5]))
    assert drawn.recipe["seeds"] == [3, 5] and drawn.recipe["synthetic"] is True
    assert drawn.recipe_of(1)["seeds"] == [5]
    assert str(vae.folder) not in json.dumps(drawn.recipe)  # no path of this machine
    with pytest.raises(UserError, match="without classes"):
        samples.render(vae, model, [0], label="3")
    for more in ({"guidance": 2.0}, {"sampler": "heun"}):
        with pytest.raises(UserError, match="follows no noise down"):
            samples.render(vae, model, [0], **more)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="cannot truncate"):
        samples.render(vae, model, [0], truncation=0.5)


def test_every_setting_of_samples_changes_them_and_leaves_the_model(diffusion: Run) -> None:
    model = loaded(diffusion)
    before, plain = model.sampling, samples.render(diffusion, model, [1, 2]).x
    for more in ({"label": "3"}, {"guidance": 4.0}, {"steps": 2}, {"sampler": "euler"}):
        other = samples.render(diffusion, model, [1, 2], **more)  # type: ignore[arg-type]
        assert not torch.allclose(other.x, plain), more
        assert more.items() <= other.recipe.items()
    with pytest.raises(UserError, match="no sampler 'hein'"):
        samples.render(diffusion, model, [1], sampler="hein")
    with pytest.raises(UserError, match="no class 'three'"):
        samples.render(diffusion, model, [1], label="three")
    assert model.sampling == before
    torch.testing.assert_close(samples.render(diffusion, model, [1, 2]).x, plain)
    few, many = (samples.seconds(diffusion, model, 512, steps=steps) for steps in (1, 200))
    assert few is not None and many is not None and many > 5 * few
    assert samples.usual_steps(diffusion, model) == 4


def test_truncation_and_mixing(styled: Run) -> None:
    model = loaded(styled)
    usual = samples.render(styled, model, range(16), truncation=0.2).x
    assert usual.std(0).mean() < model.sample(range(16)).std(0).mean()
    assert model.truncation == 1
    assert samples.seconds(styled, model, 4) is None
    found = mixing.render(styled, model, [0, 1], [1000, 1001, 1002], split="fine")
    assert found.table.shape == (3, 4, 1, 8, 8) and (found.table[0, 0] == 1).all()
    assert found.recipe["rows"] == [0, 1] and found.recipe["split"] == "fine"
    coarse = mixing.render(styled, model, [0, 1], [1000, 1001, 1002])
    assert not torch.allclose(coarse.table[1:, 1:], found.table[1:, 1:])
    torch.testing.assert_close(coarse.table[0], found.table[0])
    with pytest.raises(UserError, match="coarse, middle or fine"):
        mixing.render(styled, model, [0], [1], split="upper")  # type: ignore[arg-type]


def test_walks_begin_and_end_where_they_are_asked_to(vae: Run, styled: Run) -> None:
    model, rows = loaded(vae), vae.data("test").batch([0, 7]).x
    found = walk.render(vae, model, rows[:1], rows[1:], frames=5, how="linear")
    ends = decode(model, encode(model, rows))
    torch.testing.assert_close(found.way[[0, -1]], ends)
    assert found.how == "linear" and 0 <= found.smoothness <= 1
    seeds = walk.render(vae, model, 0, 1, frames=5)
    torch.testing.assert_close(seeds.way[[0, -1]], model.sample([0, 1]))
    bent = walk.render(vae, model, 0, 1, frames=5, how="linear").way
    assert not torch.allclose(seeds.way[2], bent[2])
    straight = walk.render(styled, loaded(styled), 0, 1, frames=4)
    assert straight.how == "linear"  # among styles
    with pytest.raises(UserError, match="cannot interpolate between examples"):
        walk.render(styled, loaded(styled), rows[:1], 1)
    with pytest.raises(UserError, match="round"):
        walk.render(vae, model, 0, 1, how="round")  # type: ignore[arg-type]


def test_a_place_is_what_the_model_decodes(vae: Run, diffusion: Run) -> None:
    model = loaded(vae)
    axes = places.axes_of(vae, model)
    assert sorted(axes.order) == [0, 1, 2] and (axes.low < axes.high).all()
    z = encode(model, vae.data("test").batch(range(50)).x)
    inside = ((z > axes.low) & (z < axes.high)).float().mean()
    assert inside > 0.9
    found = places.render(vae, axes, [0.1, -0.5, 2.0])
    torch.testing.assert_close(found.x, model.decode(torch.tensor([[0.1, -0.5, 2.0]])))
    for wrong in ([0.0, 1.0], [0.0, 1.0, float("nan")]):
        with pytest.raises(UserError, match="3 numbers"):
            places.render(vae, axes, wrong)
    assert not torch.equal(places.random_place(axes, model, 1), places.random_place(axes, model, 2))
    asked = places.axes_of(diffusion, loaded(diffusion))
    assert asked.order == list(range(65))[: len(asked.order)]  # as many as the data: as they are
    three, four = (places.render(diffusion, asked, asked.start, label=k).x for k in "34")
    assert not torch.allclose(three, four)


def test_the_first_latent_has_the_largest_effect() -> None:
    class Known:
        """Decodes latent i with weight i."""

        latent_dim = 3

        def decode(self, z: torch.Tensor, *, condition: object = None) -> torch.Tensor:
            return z * torch.arange(3.0)

    assert stirring(Known(), torch.randn(16, 3)) == [2, 1, 0]  # type: ignore[arg-type]


def test_directions_lead_towards_their_label(vae: Run) -> None:
    model = loaded(vae)
    found, train = places.directions_of(vae, model), vae.data("train")
    assert set(found.vectors) == set(vae.spec.classes)
    z, labels = encode(model, train.batch(range(500)).x), train.labels[:500]  # type: ignore[index]
    gap = z[labels == 0].mean(0) - z[labels != 0].mean(0)
    assert torch.cosine_similarity(found["0"], gap, dim=0) > 0.9
    axes = places.axes_of(vae, model)
    still = places.render(vae, axes, axes.start, direction=found["0"], strength=0.0)
    moved = places.render(vae, axes, axes.start, direction=found["0"], strength=2.0)
    torch.testing.assert_close(moved.z - still.z, 2 * found["0"])
    with pytest.raises(UserError, match="no direction"):
        found["ten"]


def test_the_map_finds_its_rows_again(vae: Run, styled: Run) -> None:
    model = loaded(vae)
    found = atlas.map_of(vae, model)
    for row in (0, 41):
        torch.testing.assert_close(
            found.place_of(found.codes[row]), found.places[row], atol=1e-3, rtol=1e-3
        )
        assert found.nearest(found.codes[row]) == row
        pixel = found.pixel_of(found.places[row])
        torch.testing.assert_close(found.place_at(*pixel), found.places[row])
        there = found.place_of(found.latent_at(found.places[row]))
        torch.testing.assert_close(there, found.places[row], atol=1e-3, rtol=1e-3)
        near = found.nearest_place(found.places[row])
        torch.testing.assert_close(found.places[near], found.places[row])
    picture = atlas.draw_map(found, vae.spec.classes)
    x, y = (round(v) for v in found.pixel_of(found.places[0]))
    assert np.asarray(picture)[y - 3 : y + 4, x - 3 : x + 4].min() < 200  # a dot is there
    ringed = atlas.marked(picture, found, found.places[0])
    assert ringed.size == picture.size and ringed.tobytes() != picture.tobytes()
    with pytest.raises(UserError, match="does not encode"):
        atlas.map_of(styled, loaded(styled))


def test_pngs_say_what_they_are(vae: Run, tmp_path: Path) -> None:
    drawn = samples.render(vae, loaded(vae), [0, 1])
    first, second = pictures_of(drawn.x)
    path = save_png(first, tmp_path / "one.png", drawn.recipe_of(0))
    assert read_recipe(path) == drawn.recipe_of(0)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.asarray(first))
        assert "Synthetic picture" in image.info["Comment"]
    assert b"trainedAlgorithmicMedia" in path.read_bytes()
    packed = save_zip(
        [(first, drawn.recipe_of(0)), (second, drawn.recipe_of(1))],
        tmp_path / "all.zip",
        drawn.recipe,
    )
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["000000.png", "000001.png", "recipe.json"]
        assert archive.read("000001.png") == png_of(second, drawn.recipe_of(1))
        assert json.loads(archive.read("recipe.json")) == drawn.recipe
    gif = save_loop(
        [enlarged(first), enlarged(second), enlarged(first)], tmp_path / "l.gif", {**drawn.recipe}
    )
    with Image.open(gif) as film:
        assert (
            getattr(film, "n_frames", 1) >= 3 and film.info["loop"] == 0 and film.size == (256, 256)
        )
    first.save(tmp_path / "plain.png")
    for other in (tmp_path / "plain.png", tmp_path / "none.png", packed):
        with pytest.raises(UserError, match="no recipe"):
            read_recipe(other)


def test_a_file_takes_the_datas_form(vae: Run, tmp_path: Path) -> None:
    Image.new("RGB", (60, 30), "white").save(tmp_path / "white.png")
    x = from_file(vae, tmp_path / "white.png")
    assert x.shape == (1, 1, 8, 8) and (x == 1).all()
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(UserError, match="cannot be read as an image"):
        from_file(vae, tmp_path / "broken.png")


def test_vectors_are_points_or_tables(tmp_path: Path, vae: Run) -> None:
    moons = made(tmp_path, "vae", "two-moons:200")
    assert look_of(moons.spec) == "points" and look_of(vae.spec) == "pictures"
    drawn = samples.render(moons, loaded(moons), range(4))
    columns = columns_of(moons, drawn.x)
    assert np.allclose(list(columns["0"]), drawn.x[:, 0]) and len(columns) == 2
    plain, joined = (Plane(drawn.x).shown(drawn.x, way=way) for way in (False, True))
    assert plain.size == (480, 480) and plain.tobytes() != joined.tobytes()
    for wrong in (lambda: Plane(torch.zeros(3, 4)), lambda: Plane(drawn.x).shown(torch.zeros(2))):
        with pytest.raises(UserError, match="2 numbers"):
            wrong()
    with pytest.raises(UserError, match="no rows"):
        columns_of(vae, drawn.x)
    with pytest.raises(UserError, match="nothing to hear"):
        save_sounds(vae, drawn.x, tmp_path)


def test_recipes_do_not_tell_where_data_lie(vae: Run) -> None:
    for name, title in (
        ("digits", "digits"),
        ("/home/ada/faces", "faces"),
        ("/home/ada/faces.zip + /home/ada/anime.zip", "faces.zip + anime.zip"),
        ("hf:org/faces", "hf:org/faces"),
    ):
        run = replace(vae, spec=replace(vae.spec, name=name))
        recipe = recipe_of(run, "samples", {})
        assert recipe["data"]["name"] == title
        assert b"/home/ada" not in png_of(Image.new("L", (2, 2)), recipe)


def blue(picture: Image.Image) -> np.ndarray:
    """Where the dots' blue is, `(N, 2)`: across and down."""
    pixels = np.asarray(picture).astype(int)
    return np.argwhere((pixels[..., 2] - pixels[..., 0] > 150).T)


def test_a_dot_lies_where_the_axes_say() -> None:
    corners = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 4.0], [0.0, 6.0]])
    plane = Plane(corners)
    first, second, third = (
        blue(plane.shown(torch.tensor([at]))).mean(0) for at in ([0.0, 3.0], [1.0, 3.0], [0.0, 4.0])
    )
    right, up = second - first, third - first
    assert right[0] > 20 and abs(right[1]) <= 1  # one to the right, as far as one upwards
    assert up[1] < -20 and abs(up[0]) <= 1 and abs(right[0] + up[1]) <= 1.5
    grey = np.argwhere((np.asarray(plane.shown(torch.zeros(0, 2)))[..., 0] < 245).T)
    assert abs(blue(plane.shown(corners[3:])).mean(0) - grey).sum(1).min() < 3  # on its data point


def test_the_plane_is_drawn_once_and_widens_for_points_far_out() -> None:
    plane = Plane(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    near, far = torch.tensor([[0.0, 0.0]]), torch.tensor([[500.0, -300.0]])
    seen = blue(plane.shown(far))
    assert len(seen) > 20 and seen.min() > 20 and seen.max() < 470
    assert len(blue(plane.shown(torch.cat([near, far])))) > 1.5 * len(seen)
    assert not len(blue(plane.shown(torch.tensor([[float("nan"), 0.0]]))))
    start = time.process_time()
    for _ in range(20):
        plane.shown(near)
    once = (time.process_time() - start) / 20
    start = time.process_time()
    Plane(torch.zeros(50, 2)).shown(near)
    assert once < (time.process_time() - start) / 5
