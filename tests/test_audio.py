"""Recordings become log-mel pictures of one form, whatever their rate, channels and file."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from latentia.cli.output import example
from latentia.data import audio
from latentia.data.audio import Recording, choose_log_mel, decode, read_header, read_samples
from latentia.data.check import check
from latentia.data.images import Unreadable
from latentia.data.mel import LogMel, band_of, log_mel, to_levels, to_power
from latentia.data.open import open_data
from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError
from latentia.fitting import plan
from latentia.run import Run
from latentia.training.budget import Budget

RATE = 8000
HOW = LogMel.at(RATE, 32)


def tone(pitch: float, rate: int = RATE, seconds: float = 0.5, loud: float = 0.5) -> np.ndarray:
    return loud * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


def wav(samples: np.ndarray, rate: int = RATE, bits: int = 16, real: bool = False) -> bytes:
    """The bytes of a .wav of float samples `(n,)` or `(n, channels)`."""
    table = samples[:, None] if samples.ndim == 1 else samples
    if real:
        raw = table.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        raw = np.rint(table * 127 + 128).astype("u1").tobytes()
    else:
        whole = np.rint(table * (2 ** (bits - 1) - 1)).astype("<i4")
        raw = whole.view("u1").reshape(-1, 4)[:, : bits // 8].tobytes()
    channels, size = table.shape[1], bits // 8
    form = struct.pack(
        "<HHIIHH", 3 if real else 1, channels, rate, rate * channels * size, channels * size, bits
    )
    extra = struct.pack("<4sI", b"LIST", 5) + b"hello\0"  # an odd chunk, padded
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", 16) + form + extra
    body += struct.pack("<4sI", b"data", len(raw)) + raw
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def pictured(raw: bytes, how: LogMel = HOW) -> np.ndarray:
    return decode(io.BytesIO(raw), how)


def fill(folder: Path, n: int = 12, rate: int = RATE, **more: bytes) -> Path:
    """A folder of two classes of tones, and files by name."""
    for i in range(n):
        place = folder / ("high" if i % 2 else "low") / f"{i}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(wav(tone(2000 if i % 2 else 300 + i, rate, 0.3 + 0.02 * i), rate))
    for name, raw in more.items():
        (folder / "low" / f"{name}.wav").write_bytes(raw)
    return folder


@pytest.mark.parametrize("pitch", [120.0, 440.0, 1000.0, 3500.0])
def test_a_tone_lights_its_band_at_its_loudness(pitch: float) -> None:
    picture = pictured(wav(tone(pitch, loud=0.5)))[0]
    assert picture.shape == (64, 32) and picture.dtype == np.uint8
    loudest = picture[:, 15].argmax()
    assert abs(int(loudest) - band_of(pitch, HOW)) <= 1
    decibels = 100 * (picture.max() / 255 - 1)
    assert -9 < decibels < -4  # half of full scale is -6 dB; -3 between bands, +2 in wide ones
    tenth = pictured(wav(tone(pitch, loud=0.05)))[0]
    assert int(picture[loudest, 15]) - int(tenth[loudest, 15]) == pytest.approx(51, abs=2)  # 20 dB


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000])
def test_every_band_hears_something(rate: int) -> None:
    how = LogMel.at(rate, 16)
    assert (how.filters.amax(1) > 0.3).all() and how.filters.max() <= 1
    assert how.filters.shape == (64, how.fft // 2 + 1)


def test_levels_give_the_power_back() -> None:
    wave = torch.from_numpy(tone(500) + 0.01 * np.random.default_rng(0).standard_normal(4000))
    decibels = log_mel(wave.float(), HOW)
    power = to_power(to_levels(decibels, HOW), HOW)
    exact = torch.pow(10.0, decibels.flip(-2) / 10)
    assert (10 * torch.log10(power / exact)).abs().max() < 100 / 255 / 2 + 1e-3
    assert LogMel.from_json(HOW.to_json()) == HOW
    with pytest.raises(UserError, match="no description"):
        LogMel.from_json({"rat": 1})


@pytest.mark.parametrize(
    ("bits", "real"), [(8, False), (16, False), (24, False), (32, False), (32, True), (64, True)]
)
def test_every_plain_wav_holds_the_same_sound(bits: int, real: bool) -> None:
    raw = wav(tone(440), bits=bits, real=real)
    found, rate = read_samples(io.BytesIO(raw))
    assert rate == RATE and found.dtype == np.float32 and found.shape == (4000, 1)
    np.testing.assert_allclose(found[:, 0], tone(440), atol=0.01 if bits == 8 else 1e-4)
    header = read_header(io.BytesIO(raw))
    assert header.samples == 4000 and header.seconds == 0.5 and str(bits) in header.form


def test_stereo_is_mixed_down() -> None:
    one = tone(440)
    np.testing.assert_array_equal(pictured(wav(np.stack([one, one], 1))), pictured(wav(one)))
    np.testing.assert_allclose(
        pictured(wav(np.stack([one, 0 * one], 1), bits=32)).astype(int),
        pictured(wav(one / 2, bits=32)),
        atol=1,
    )


@pytest.mark.parametrize("rate", [11025, 22050, 44100, 48000])
def test_resampling_keeps_pitch_and_loudness(rate: int) -> None:
    here, there = pictured(wav(tone(700))), pictured(wav(tone(700, rate), rate))
    middle = slice(4, 24)
    assert (here[0].argmax(0) == there[0].argmax(0))[middle].all()
    loud = here[:, :, middle] > 128
    assert np.abs(here[:, :, middle].astype(int) - there[:, :, middle])[loud].max() <= 3
    above = pictured(wav(tone(5000, rate), rate))  # no band of 8 kHz reaches it: it must not fold
    assert above[:, :, middle].max() < here.max() - 90


def test_clips_are_cut_at_the_end_or_followed_by_silence() -> None:
    short, long = pictured(wav(tone(700, seconds=0.2))), pictured(wav(tone(700, seconds=3)))
    assert (short[0, :, 16:] == 0).all() and short[0, :, :10].max() > 200
    np.testing.assert_array_equal(short[..., :10], long[..., :10])
    assert long[0, :, -2].max() > 200


def test_the_common_form_is_chosen_by_a_rule() -> None:
    clips = [Recording(44100, 1, round(44100 * s), "") for s in np.linspace(0.1, 2, 100)]
    how = choose_log_mel(clips)
    assert how.rate == 16000 and how.frames % 16 == 0
    assert np.percentile([c.seconds for c in clips], 95) <= how.seconds < 2.2
    assert choose_log_mel([Recording(8000, 1, 8000 * 600, "")]).frames == 512
    assert choose_log_mel([Recording(8000, 1, 10, "")] * 3).frames == 16


def test_a_folder_of_recordings_opens_as_pictures(tmp_path: Path) -> None:
    said: list[str] = []
    data = open_data(fill(tmp_path / "a"), split="all", announce=said.append)
    assert data.spec.kind == "image" and data.spec.shape[:2] == (1, 64) and len(data) == 12
    assert data.values.dtype == np.uint8 and data.spec.classes == ("high", "low")
    assert data.spec.sound is not None and data.spec.sound["rate"] == RATE
    assert DataSpec.from_json(data.spec.to_json()) == data.spec
    assert "12 recordings" in said[0] and data.names is not None
    rows = dict(zip(data.names, data.values, strict=True))
    np.testing.assert_array_equal(
        rows["high/3.wav"],
        pictured((tmp_path / "a/high/3.wav").read_bytes(), LogMel.from_json(data.spec.sound)),
    )


def test_a_zip_without_folders_has_no_classes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for i in range(6):
            archive.writestr(f"{i % 2}_anna_{i}.wav", wav(tone(300 + i)))
        archive.writestr("README.txt", "tones")
    data = open_data(tmp_path / "z.zip", split="all")
    assert data.labels is None and data.spec.classes == () and len(data) == 6


def test_unreadable_recordings_are_skipped_and_named(tmp_path: Path) -> None:
    good = wav(tone(440))
    folder = fill(
        tmp_path / "a", 96, empty=b"", text=b"hello there", cut=good[:-999], short=good[:30]
    )
    data = open_data(folder, split="all")
    faults = {name: reason.split(":")[0] for name, reason in data.skipped}
    assert len(data) == 96 and faults == {
        "low/empty.wav": "empty",
        "low/text.wav": "not a recording",
        "low/cut.wav": "truncated",
        "low/short.wav": "damaged",
    }
    found = check(folder)
    assert found.kind == "sound files" and found.readable == 96 and found.usable
    assert found.problems["unreadable: truncated"] == 1 and found.classes["high"] == 48
    assert found.modes == {"16 bit PCM, mono, 8,000 Hz": 96}


def test_check_finds_silence_clipping_and_twins(tmp_path: Path) -> None:
    loud = np.clip(tone(100, loud=5.0), -1, 1)
    folder = fill(tmp_path / "a", 40, silent=wav(0 * loud), torn=wav(loud), again=wav(loud))
    problems = check(folder).problems
    assert problems["silent"] == 1 and problems["clipped"] == 2 and problems["duplicates"] == 1


def test_a_run_hears_other_recordings_as_its_own(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a")
    run, data = plan(folder, "vae", Budget(examples=8), tmp_path / "run", 0, {"width": 8})
    run.folder.mkdir()
    run.write()
    other = fill(tmp_path / "b", 5, rate=16000)
    (other / "low" / "long.wav").write_bytes(wav(tone(300, 16000, 2.5), 16000))
    found = Run.open(run.folder).data("all", str(other))
    assert found.spec.sound == data.spec.sound and found.spec.shape == data.spec.shape
    levels = example(run, str(folder / "low" / "0.wav"))
    names = list(data.names or ())
    row = names.index("low/0.wav") if "low/0.wav" in names else None
    assert levels.shape == (1, *data.spec.shape) and levels.min() >= -1 and levels.max() <= 1
    assert row is None or torch.equal(levels, data.batch([row]).x)  # it may be held out
    with pytest.raises(UserError, match="cannot be read as a recording"):
        example(run, str(run.folder / "recipe.json"))
    with pytest.raises(UserError, match="trained on others"):
        Run.open(run.folder).data("all", str(pictures(tmp_path / "c")))


def pictures(folder: Path) -> Path:
    from PIL import Image

    folder.mkdir()
    for i in range(4):
        Image.new("L", (16, 16), i).save(folder / f"{i}.png")
    return folder


def test_other_forms_need_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "a")
    (folder / "low" / "x.flac").write_bytes(b"fLaC")
    monkeypatch.setattr(audio, "_soundfile", lambda: None)
    with pytest.raises(UserError, match=r"x\.flac, which need .* pip install 'latentia\[audio\]'"):
        open_data(folder)


def test_flac_is_read_by_soundfile(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "t.flac", tone(440), RATE)
    with (tmp_path / "t.flac").open("rb") as stream:
        found = decode(stream, HOW).astype(int)
    np.testing.assert_allclose(found, pictured(wav(tone(440))), atol=1)


def test_options_of_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="are for pictures"):
        open_data(fill(tmp_path / "a"), options=DataOptions(size=32))


def test_samples_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(Unreadable, match="no numbers"):
        pictured(wav(np.full(1000, np.nan), bits=32, real=True))


def test_spoken_digits_open(shared_data: Path) -> None:
    data = open_data(shared_data / "speech_digits" / "fsdd_4speakers.zip", split="all")
    assert len(data) == 2000 and data.spec.shape == (1, 64, 48) and not data.skipped
    assert data.spec.classes == () and data.spec.sound is not None
