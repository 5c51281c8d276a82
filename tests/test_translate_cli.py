"""`latentia translate`: files in, files out, nothing lost, nothing overwritten unasked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import latentia
from latentia.cli.main import app
from latentia.data.picture_files import Head, open_original
from latentia.data.picture_writing import write_picture
from latentia.errors import UserError
from latentia.run import Run
from latentia.translating.tiling import translated
from translators import Local, Whole, run_of

Call = Callable[..., Result]
Using = Callable[..., Call]


@pytest.fixture
def using(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Using:
    """The verb with a run and a model that were never trained."""

    def with_model(model: object, run: Run | None = None) -> Call:
        found = run or run_of(tmp_path / "run")
        monkeypatch.setattr("latentia.cli.translate.opened", lambda folder, device: (found, model))

        def call(*words: object) -> Result:
            return CliRunner().invoke(app, ["translate", "run", *map(str, words)])

        return call

    return with_model


def noise(height: int, width: int, channels: int, depth: int = 8, seed: int = 0) -> np.ndarray:
    kind = np.uint16 if depth == 16 else np.uint8
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 1 << depth, shape, dtype=kind)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + i) + y / (9 - i)) for i in range(3)]
    return ((np.stack(waves, 2) + 1) * 100 + 20).astype(np.uint8)


def save(pixels: np.ndarray, path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)
    return path


def unit(pixels: np.ndarray) -> torch.Tensor:
    """`(H, W, C)` levels as `(1, C, H, W)` in [-1, 1]."""
    full = np.iinfo(pixels.dtype).max
    x = torch.from_numpy(pixels.astype(np.float32) * (2 / full) - 1)
    return (x[..., None] if x.ndim == 2 else x).permute(2, 0, 1)[None]


def expected(pixels: np.ndarray, to: str = "B", full: int = 255) -> np.ndarray:
    y = translated(Local(), unit(pixels), to)
    return ((y[0].permute(1, 2, 0) + 1) * (full / 2)).round().clamp(0, full).numpy()


def facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


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
    from PIL import ImageOps

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
import resource, sys
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
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_bytes(*words: object) -> int:
    """Of a process of its own that translates (kilobytes are what Linux counts in)."""
    command = [sys.executable, "-c", _MEMORY, *map(str, words)]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scale", ["own", "auto"])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_picture_of_12000_by_9000_takes_less_than_two_gigabytes(
    tmp_path: Path, ending: str, scale: str
) -> None:
    tile = smooth(900, 1200)
    path = save(np.tile(tile, (10, 10, 1)), tmp_path / f"large.{ending}")
    assert peak_bytes(path, "-o", tmp_path / "out", "--scale", scale) < 2e9
    with Image.open(tmp_path / "out" / path.name) as image:
        assert image.size == (12_000, 9_000)


# folders, zips, sheets, round trips


def mixed_folder(folder: Path) -> Path:
    for i, name in enumerate(("a.png", "sub/b.jpg", "sub/deeper/a.png", "süß.png")):
        save(noise(40, 44, 3, seed=i), folder / name)
    (folder / "bad.png").write_bytes(b"nothing of the kind")
    (folder / "empty.jpg").write_bytes(b"")
    cut = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(cut[: len(cut) // 2])
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_folders_keep_their_shape_and_name_what_is_broken(using: Using, tmp_path: Path) -> None:
    folder = mixed_folder(tmp_path / "in")
    out = tmp_path / "out"
    result = using(Local())(folder, "-o", out, "--compare", "--round-trip")
    assert result.exit_code == 0, result.stderr
    for name in ("a.png", "sub/b.jpg", "sub/deeper/a.png", "süß.png"):
        assert (out / name).is_file() and (out / "round-trip" / name).is_file()
    for name in ("bad.png", "empty.jpg", "cut.png"):
        assert f"Skipped: {name}" in result.stderr and not (out / name).exists()
    assert "there and back" in result.stdout
    with Image.open(out / "compare" / "001.png") as sheet:
        assert sheet.width > 3 * 44 and sheet.height > 4 * 40
    assert not list(out.rglob("*.tmp*"))


def test_zips_are_read_in_place_and_cannot_write_elsewhere(using: Using, tmp_path: Path) -> None:
    folder = mixed_folder(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder).as_posix())
    found = facts(using(Local())(tmp_path / "all.zip", "-o", tmp_path / "out", "--json"))
    assert len(found["files"]) == 4 and len(found["skipped"]) == 3
    assert (tmp_path / "out" / "sub" / "deeper" / "a.png").is_file()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.write(folder / "a.png", "/evil.png")
    result = using(Local())(tmp_path / "evil.zip", "-o", tmp_path / "out2")
    assert result.exit_code == 2 and "leads out" in result.stderr
    assert not (tmp_path / "out2").exists()


def test_the_cycle_error_is_that_of_the_way_there_and_back(using: Using, tmp_path: Path) -> None:
    pixels = smooth(44, 40)
    path = save(pixels, tmp_path / "a.png")
    words = (path, "-o", tmp_path / "out", "--round-trip", "--json", "--precision", "float32")
    found = facts(using(Local())(*words))["files"][0]
    there = expected(pixels).astype(np.uint8)
    back = expected(there, "A")
    wanted = np.abs(back - pixels).mean()
    assert found["cycle_error"] == pytest.approx(wanted, abs=0.3)
    with Image.open(tmp_path / "out" / "round-trip" / "a.png") as image:
        assert np.abs(np.asarray(image) - back).max() <= 2
    same = facts(using(Local(change=0.0))(*words, "--overwrite"))
    assert same["cycle_error"] == pytest.approx(0, abs=1e-3)
    large = save(smooth(200, 180), tmp_path / "b.png")
    fit = facts(using(Local())(large, "-o", tmp_path / "fit", "--round-trip", "--json"))
    assert fit["files"][0]["cycle_error"] > 0
    with Image.open(tmp_path / "fit" / "round-trip" / "b.png") as image:
        assert image.size == (180, 200)


def test_results_are_not_overwritten_unasked(using: Using, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "b.png"):
        save(noise(40, 40, 3), folder / name)
    call = using(Local())
    assert call(folder, "-o", out).exit_code == 0
    (out / "a.png").write_bytes(b"mine")
    (out / "b.png").unlink()
    again = call(folder, "-o", out)
    assert again.exit_code == 2 and "--overwrite" in again.stderr and "a.png" in again.stderr
    assert not (out / "b.png").exists()
    gone_on = call(folder, "-o", out, "--resume")
    assert gone_on.exit_code == 0 and "1 were there already" in gone_on.stdout
    assert (out / "a.png").read_bytes() == b"mine" and (out / "b.png").is_file()
    assert call(folder, "-o", out, "--overwrite").exit_code == 0
    assert (out / "a.png").read_bytes() != b"mine"


def test_a_failure_in_the_middle_leaves_nothing_half_written(
    using: Using, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(noise(40, 40, 3), tmp_path / "a.png")
    model = Local()

    def broken(x: torch.Tensor, to: str) -> torch.Tensor:
        if x.shape[2] == 40:
            raise KeyboardInterrupt
        return x

    monkeypatch.setattr(model, "translate", broken)
    assert using(model)(path, "-o", tmp_path / "out").exit_code == 130
    assert not list((tmp_path / "out").iterdir())


# refusals


def test_wrong_words_are_refused_in_a_sentence(using: Using, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save(noise(40, 40, 3), folder / "a.png")
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.png").write_bytes(b"x")
    (tmp_path / "broken.zip").write_bytes(b"x")
    call, out = using(Local()), tmp_path / "out"
    for words, expected in (
        ((folder, "-o", out, "--to", "b"), "known: A, B"),
        ((tmp_path / "nothing", "-o", out), "There is no"),
        ((tmp_path / "none", "-o", out), "holds no pictures"),
        ((tmp_path / "bad.png", "-o", out), "not an image"),
        ((tmp_path / "broken.zip", "-o", out), "zip"),
        ((folder, "-o", folder), "outside it"),
        ((folder, "-o", folder / "below"), "outside it"),
        ((folder / "a.png", "-o", folder), "one of the originals"),
        ((folder, "-o", tmp_path / "bad.png"), "is a file"),
        ((folder, "-o", out, "--scale", "fitt"), "'fit'"),
        ((folder, "-o", out, "--precision", "float16"), "float"),
        ((folder, "-o", out, "--overwrite", "--resume"), "exclude"),
        ((folder, "-o", out, "--side-by-side"), "side by side"),
        ((folder, "-o", out, "--size", "0"), "--size"),
    ):
        result = call(*words)
        assert result.exit_code == 2 and expected in result.stderr, (words, result.stderr)
        assert "Traceback" not in result.stderr and result.stdout == ""
        assert not out.exists()


def test_one_way_models_say_so(using: Using, tmp_path: Path) -> None:
    path = save(noise(40, 40, 3), tmp_path / "a.png")
    call = using(Local(targets=("B",)))
    wrong = call(path, "-o", tmp_path / "out", "--to", "A")
    assert wrong.exit_code == 2 and "one direction" in wrong.stderr
    back = call(path, "-o", tmp_path / "out", "--round-trip")
    assert back.exit_code == 2 and "no way back" in back.stderr


def test_models_that_do_not_translate_say_what_they_can(using: Using, tmp_path: Path) -> None:
    path = save(noise(40, 40, 3), tmp_path / "a.png")
    result = using(torch.nn.Linear(1, 1))(path, "-o", tmp_path / "out")
    assert result.exit_code == 2 and "cannot translate" in result.stderr


def test_a_header_that_claims_too_much_is_not_believed(using: Using, tmp_path: Path) -> None:
    import struct
    import zlib

    folder = tmp_path / "in"
    save(noise(40, 40, 3), folder / "a.png")
    content = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    result = using(Local())(folder, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "bomb.png (too large" in result.stderr


# recordings


def test_recordings_go_to_the_functions_for_sound(
    using: Using, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentia.sound.recording import Spoken

    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.wav", "sub/b.flac"):
        (folder / name).write_bytes(b"sound")
    calls: list[tuple[str, str]] = []

    def said(model: object, spec: object, source: Path, to: str, out: Path) -> Spoken:
        if Path(source).suffix == ".flac" and len(calls) == 5:
            raise UserError("no")
        calls.append((Path(source).name, to))
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_bytes(b"spoken")
        return Spoken(str(source), str(out), to, 1.0, "", 8000, 0.0, 0.0, "Griffin-Lim", {})

    monkeypatch.setattr("latentia.translating.recordings.translate_recording", said)
    run = run_of(tmp_path, (1, 64, 64), sound={"rate": 8000})
    call = using(Local({"jackson": 1, "theo": 1}, ("jackson", "theo")), run)
    result = call(folder, "-o", tmp_path / "out", "--to", "theo", "--round-trip")
    assert result.exit_code == 0, result.stderr
    assert calls[:2] == [("a.wav", "theo"), ("a.wav", "jackson")]
    assert (tmp_path / "out" / "sub" / "b.flac.wav").is_file()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(folder / "a.wav", "a.wav")
    assert call(tmp_path / "all.zip", "-o", tmp_path / "zip").exit_code == 0
    for option in ("--compare", "--side-by-side"):
        refused = call(folder, "-o", tmp_path / "x", option)
        assert refused.exit_code == 2 and "for pictures" in refused.stderr
    pictures = save(noise(8, 8, 3), tmp_path / "pictures" / "a.png").parent
    assert "holds pictures" in call(pictures, "-o", tmp_path / "x").stderr
    assert "holds recordings" in using(Local())(folder, "-o", tmp_path / "x").stderr


# Python


def test_the_same_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, run = Local(), run_of(tmp_path)
    monkeypatch.setattr(Run, "model", lambda self, device: model)
    pixels = smooth(45, 37)
    x = unit(pixels)
    assert torch.equal(latentia.translate(model, x, "B"), translated(model, x, "B"))
    wanted = expected(pixels)
    image = latentia.translate(run, Image.fromarray(pixels))
    assert image.size == (37, 45) and np.abs(np.asarray(image) - wanted).max() <= 1
    assert np.array_equal(latentia.translate(run, pixels, "B"), np.asarray(image))
    path = save(pixels, tmp_path / "a.png")
    assert np.array_equal(np.asarray(latentia.translate(run, path)), np.asarray(image))
    deep = pixels.astype(np.uint16) * 257
    found = latentia.translate(run, deep)
    assert found.dtype == np.uint16
    assert np.abs(found - expected(deep, full=65535)).max() <= 2
    for wrong in (np.zeros((4, 4)), np.zeros((2, 2, 2, 2), np.uint8), tmp_path / "no.png"):
        with pytest.raises((UserError, FileNotFoundError)):
            latentia.translate(run, wrong)
    with pytest.raises(UserError, match="give"):
        latentia.translate(model, pixels)


def test_blended_models_take_the_same_road(using: Using, tmp_path: Path) -> None:
    path = save(smooth(300, 290), tmp_path / "a.png")
    result = using(Whole())(path, "-o", tmp_path / "out", "--scale", "own")
    assert result.exit_code == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (290, 300)
