"""Single pictures through `latentia translate`: pixels, depth, alpha, scale, memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from latentia.data.picture_files import Head, open_original
from latentia.data.picture_writing import write_picture
from latentia.translating.tiling import translated
from memory import peak_bytes
from translating_verb import Using, expected, facts, noise, save, smooth, unit, using
from translators import Local, run_of

__all__ = ["using"]  # a fixture

# one picture: pixels, depth, alpha, orientation, profile, format


def test_a_picture_becomes_what_the_model_makes_of_it(using: Using, tmp_path: Path) -> None:
    pixels = smooth(45, 37)
    path = save(pixels, tmp_path / "in" / "a.png")
    result = using(Local())(path, "--out", tmp_path / "out", "--precision", "float32")
    assert result.exit_code == 0, result.stderr
    assert str(tmp_path / "out" / "a.png") in result.stdout and "own size" in result.stdout
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert np.abs(np.asarray(image) - expected(pixels)).max() <= 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_stay_sixteen(
    using: Using, tmp_path: Path, ending: str, channels: int, alpha: bool
) -> None:
    if alpha and channels == 1:
        pytest.skip("Pillow reads grey with alpha in 8 bits")
    pixels = noise(40, 50, channels + alpha, 16).reshape(40, 50, -1)
    path = tmp_path / f"deep.{ending}"
    head = Head((50, 40), channels, 16, alpha, {"png": "PNG", "tif": "TIFF"}[ending], icc=b"x" * 99)
    write_picture(path, head, [pixels.transpose(2, 0, 1)])
    model = Local({"A": channels, "B": channels})
    run = run_of(tmp_path, (channels, 32, 32))
    result = using(model, run)(path, "--out", tmp_path / "out")
    assert result.exit_code == 0 and "bits" not in result.stderr
    with (tmp_path / "out" / path.name).open("rb") as stream:
        found = open_original(stream)
    assert found.head.depth == 16 and found.head.icc == b"x" * 99 and found.head.alpha == alpha
    if alpha:
        assert np.array_equal(found.alpha(0, 40)[0], pixels[:, :, -1])
    else:
        y = translated(model, unit(pixels), "B")[0]
        wanted = ((y + 1) * 32767.5).round().numpy()
        assert np.abs(found.rows(0, 40) - wanted).max() <= 2


def test_alpha_is_carried_over_and_the_background_shown_to_the_model(
    using: Using, tmp_path: Path
) -> None:
    pixels = np.dstack([smooth(40, 40), noise(40, 40, 1)])
    path = save(pixels, tmp_path / "a.png")
    assert using(Local())(path, "-o", tmp_path / "out", "--precision", "float32").exit_code == 0
    found = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(float)
    assert np.array_equal(found[:, :, 3], pixels[:, :, 3])
    opaque = pixels[:, :, 3:] / 255
    white = pixels[:, :, :3] * opaque + 255 * (1 - opaque)
    y = translated(Local(), torch.from_numpy(white / 127.5 - 1).float().permute(2, 0, 1)[None], "B")
    wanted = ((y[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    assert np.abs(found[:, :, :3] - wanted).max() <= 1


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_are_turned_upright_once(
    using: Using, tmp_path: Path, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    path = save(smooth(48, 32), tmp_path / f"a.{kind}", exif=exif, icc_profile=b"y" * 200)
    assert using(Local(change=0.0))(path, "-o", tmp_path / "out").exit_code == 0
    with Image.open(path) as before, Image.open(tmp_path / "out" / path.name) as after:
        assert after.format == before.format and after.info["icc_profile"] == b"y" * 200
        assert after.getexif().get(0x0112, 1) == 1 and after.getexif()[0x010F] == "Camera"
        upright = np.asarray(ImageOps.exif_transpose(before).convert("RGB")).astype(int)
        shown = np.asarray(ImageOps.exif_transpose(after).convert("RGB")).astype(int)
    assert shown.shape == upright.shape and np.abs(shown - upright).mean() < 4


def test_grey_and_colour_become_what_the_model_wants(using: Using, tmp_path: Path) -> None:
    save(noise(40, 40, 1), tmp_path / "in" / "grey.png")
    save(noise(40, 40, 3), tmp_path / "in" / "colour.png")
    pair = {"names": ("grey", "picture"), "channels": (1, 3), "made": None}
    run = run_of(tmp_path, (4, 32, 32), pair)
    model = Local({"grey": 1, "picture": 3}, targets=("picture",))
    assert using(model, run)(tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    model = Local({"picture": 3, "grey": 1}, targets=("grey",))
    back = run_of(tmp_path, (4, 32, 32), {**pair, "names": ("picture", "grey"), "channels": (3, 1)})
    assert using(model, back)(tmp_path / "in", "-o", tmp_path / "drawn").exit_code == 0
    for folder, mode in (("out", "RGB"), ("drawn", "L")):
        for name in ("grey.png", "colour.png"):
            with Image.open(tmp_path / folder / name) as image:
                assert image.mode == mode


def test_what_cannot_be_kept_is_said(using: Using, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    image = Image.fromarray(smooth(40, 40))
    frames = [Image.fromarray(noise(40, 40, 3, seed=i)) for i in range(2)]
    frames[0].save(folder / "x.gif", save_all=True, append_images=frames[1:]) if (
        folder.mkdir() is None
    ) else None
    image.convert("CMYK").save(folder / "print.jpg")
    Image.fromarray(np.dstack([smooth(40, 40)])).convert("1").save(folder / "bits.png")
    Image.fromarray(np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40)).save(
        folder / "float.tif"
    )
    result = using(Local())(folder, "-o", tmp_path / "out")
    assert result.exit_code == 0
    for words in ("GIF cannot hold", "first picture", "CMYK", "32 bits become 16"):
        assert words in result.stderr
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["bits.png", "float.tif", "print.jpg", "x.gif.png"]


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 5)])
def test_tiny_pictures_keep_their_size(using: Using, tmp_path: Path, size: tuple[int, int]) -> None:
    path = save(noise(*size, 3), tmp_path / "a.png")
    for i, scale in enumerate(("own", "auto", "fit")):
        result = using(Local())(path, "-o", tmp_path / str(i), "--scale", scale)
        assert result.exit_code == 0, result.stderr
        with Image.open(tmp_path / str(i) / "a.png") as image:
            assert image.size == size[::-1]


# what the files say of themselves


def said_by(path: Path) -> str:
    """The description that a picture file has, by any of the ways there are."""
    with Image.open(path) as image:
        image.load()
        exif, tags = image.getexif(), getattr(image, "tag_v2", {})
        found = image.info.get("Description") or image.info.get("comment", b"")
        if image.format == "TGA":
            found = image.info.get("id_section", b"")
        words = found or exif.get(270) or tags.get(270, "")
    return words.decode() if isinstance(words, bytes) else str(words)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "avif", "tif", "tga", "jp2"])
def test_translated_pictures_say_that_they_are_synthetic(
    using: Using, tmp_path: Path, kind: str
) -> None:
    path = save(smooth(48, 32), tmp_path / f"a.{kind}")
    assert "Synthetic" not in said_by(path)
    assert using(Local())(path, "-o", tmp_path / "out", "--round-trip").exit_code == 0
    assert "Synthetic picture: translated to B" in said_by(tmp_path / "out" / path.name)
    assert "translated to A" in said_by(tmp_path / "out" / "round-trip" / path.name)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_deep_pictures_say_it_too(using: Using, tmp_path: Path, kind: str) -> None:
    head = Head((50, 40), 3, 16, True, {"png": "PNG", "tif": "TIFF"}[kind], icc=b"x" * 99)
    path = tmp_path / f"deep.{kind}"
    write_picture(path, head, [noise(40, 50, 4, 16).transpose(2, 0, 1)])
    assert using(Local())(path, "-o", tmp_path / "out").exit_code == 0
    assert "Synthetic picture" in said_by(tmp_path / "out" / path.name)
    with (tmp_path / "out" / path.name).open("rb") as stream:
        found = open_original(stream)
    assert found.head.depth == 16 and found.head.icc == b"x" * 99 and found.head.alpha


def test_the_mark_leaves_what_the_camera_said(using: Using, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x010F] = "A beach", "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    path = save(smooth(48, 32), tmp_path / "a.jpg", exif=exif)
    call = using(Local())
    assert call(path, "-o", tmp_path / "out").exit_code == 0
    assert call(tmp_path / "out" / "a.jpg", "-o", tmp_path / "again").exit_code == 0
    with Image.open(tmp_path / "again" / "a.jpg") as image:
        found = image.getexif()
        taken = found.get_ifd(0x8769)[0x9003]
    assert found[0x010F] == "Camera" and taken == "2020:01:02 03:04:05"
    assert found[0x010E].startswith("A beach Synthetic") and found[0x010E].count("Synth") == 1


# scale


def test_large_pictures_are_translated_at_the_size_of_training_and_keep_their_detail(
    using: Using, tmp_path: Path
) -> None:
    pixels = smooth(160, 240)
    path = save(pixels, tmp_path / "a.png")
    model = Local(change=0.0)
    found = facts(using(model)(path, "-o", tmp_path / "out", "--json"))
    (one,) = found["files"]
    assert one["size"] == [240, 160] and one["translated_at"] == [48, 32]
    with Image.open(tmp_path / "out" / "a.png") as image:  # nothing changed: nothing is blurred
        assert np.abs(np.asarray(image).astype(int) - pixels).max() <= 2
    own = using(model)(path, "-o", tmp_path / "own", "--scale", "own")
    assert "--scale fit" in own.stderr and "240 x 160" in own.stdout
    small = facts(using(model)(path, "-o", tmp_path / "small", "--size", "40", "--json"))
    assert small["files"][0]["size"] == [60, 40]
    with Image.open(tmp_path / "small" / "a.png") as image:
        assert image.size == (60, 40)


def test_colouring_goes_by_pixels_at_any_size(using: Using, tmp_path: Path) -> None:
    path = save(smooth(160, 240), tmp_path / "a.png")
    pair = {"names": ("grey", "picture"), "channels": (1, 3), "made": "grey"}
    model = Local({"grey": 1, "picture": 3}, targets=("picture",))
    call = using(model, run_of(tmp_path, (4, 32, 32), pair))
    found = facts(call(path, "-o", tmp_path / "out", "--json"))
    assert found["files"][0]["translated_at"] == [240, 160]
    assert found["from"] == "grey" and found["to"] == "picture"
    more = facts(call(path, "-o", tmp_path / "made", "--from", "grey", "--json"))
    assert more["made"] == "grey"


def test_a_side_is_made_of_photographs(using: Using, tmp_path: Path) -> None:
    path = save(smooth(50, 60), tmp_path / "a.png")
    pair = {"names": ("edges", "picture"), "channels": (1, 3), "made": "edges"}
    model = Local({"edges": 1, "picture": 3}, targets=("picture",))
    run = run_of(tmp_path, (4, 32, 32), pair)
    for name, more in (("drawn", ("--from", "edges")), ("plain", ())):
        assert using(model, run)(path, "-o", tmp_path / name, *more).exit_code == 0
    a, b = (np.asarray(Image.open(tmp_path / n / "a.png")) for n in ("drawn", "plain"))
    assert a.shape == b.shape and not np.array_equal(a, b)
    wrong = using(model, run)(path, "-o", tmp_path / "x", "--from", "masked")
    assert wrong.exit_code == 2 and "--from edges" in wrong.stderr
    none = using(Local())(path, "-o", tmp_path / "x", "--from", "edges")
    assert none.exit_code == 2 and "leave out --from" in none.stderr


def test_half_of_two_pictures_side_by_side(using: Using, tmp_path: Path) -> None:
    left, right = smooth(40, 40), noise(40, 40, 3)
    path = save(np.concatenate([left, right], 1), tmp_path / "a.png")
    pair = {"names": ("A", "B"), "channels": (3, 3), "made": None}
    run = run_of(tmp_path, (6, 40, 40), pair)
    hinted = using(Local(targets=("B",)), run)(path, "-o", tmp_path / "hint")
    assert "--side-by-side" in hinted.stderr
    for to, half in (("B", left), ("A", right)):
        model = Local(targets=(to,), change=0.0)
        call = using(model, run)
        assert call(path, "-o", tmp_path / to, "--side-by-side", "--compare").exit_code == 0
        assert np.array_equal(np.asarray(Image.open(tmp_path / to / "a.png")), half)
        assert (tmp_path / to / "compare" / "001.png").is_file()


_MEMORY = """
import sys
from pathlib import Path
import latentia.cli.translate as verb
from latentia.cli.main import app
from latentia.training.device import tune_process
from translators import Local, run_of
tune_process()
verb.opened = lambda folder, device: (run_of(Path()), Local())
try:
    app(["translate", "run", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scale", ["own", "auto"])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_picture_of_12000_by_9000_takes_less_than_two_gigabytes(
    tmp_path: Path, ending: str, scale: str
) -> None:
    tile = smooth(900, 1200)
    path = save(np.tile(tile, (10, 10, 1)), tmp_path / f"large.{ending}")
    assert peak_bytes(_MEMORY, path, "-o", tmp_path / "out", "--scale", scale) < 2e9
    with Image.open(tmp_path / "out" / path.name) as image:
        assert image.size == (12_000, 9_000)
