"""`latentia translate`: folders in, folders out, nothing lost, nothing overwritten unasked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import latentia
from latentia.data.mel import LogMel
from latentia.errors import UserError
from latentia.run import Run
from latentia.translating.tiling import translated
from translating_verb import Using, expected, facts, noise, save, smooth, unit, using
from translators import Local, Whole, run_of

__all__ = ["using"]  # a fixture

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
        archive.write(folder / "a.png", "C:/evil.png")
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
    for name in ("a.gif", "a.gif.png"):
        save(noise(40, 40, 3), tmp_path / "twice" / name)
    call, out = using(Local()), tmp_path / "out"
    for words, wanted in (
        ((tmp_path / "twice", "-o", out), "a.gif may have to be written as a.gif.png"),
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
        assert result.exit_code == 2 and wanted in result.stderr, (words, result.stderr)
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

    def said(
        model: object, spec: object, source: Path, to: str, out: Path, *, vocoder: object
    ) -> Spoken:
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


def test_a_picture_given_to_a_run_on_speech_is_no_recording_and_that_is_said_once(
    using: Using, tmp_path: Path
) -> None:
    run = run_of(tmp_path, (1, 64, 64), sound=LogMel.at(8000, 64).to_json())
    call = using(Local({"jackson": 1, "theo": 1}, ("jackson", "theo")), run)
    found = call(save(noise(8, 8, 3), tmp_path / "a.png"), "-o", tmp_path / "x")
    assert found.exit_code == 2 and found.stderr.count("a recording") == 1
    assert "a.png could not be translated" in found.stderr


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
