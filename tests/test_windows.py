"""Recordings in windows: cut where they are long, brought to one loudness, read from any place."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from latentia.data.audio import BLOCK, blocks, read_header, read_samples
from latentia.data.images import Unreadable
from latentia.data.open import open_data
from latentia.data.pile import list_folder
from latentia.data.spec import DataOptions
from latentia.data.wave_file import read_notes, wave_bytes, wave_header
from latentia.data.windows import LEVEL_DB, gain_to, speech_level, windowed
from latentia.errors import UserError
from test_audio import RATE, fill, tone, wav


def test_long_recordings_give_overlapping_windows_and_short_ones_one(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", 12)  # 0.3 to 0.52 s
    (folder / "low" / "long.wav").write_bytes(wav(tone(300, seconds=2.3)))
    pile = windowed(list_folder(folder, "a"), 1.0)
    starts = [p.name.split("@")[1] for p in pile.pictures if "long" in p.name]
    assert starts == ["0.00s", "0.43s", "0.87s", "1.30s"]
    assert len(pile.pictures) == 16
    parts = {p.name.split("@")[0]: p.part for p in pile.pictures}
    assert {"train", "test"} == set(parts.values())
    assert len({p.part for p in pile.pictures if "long" in p.name}) == 1, "in both splits"
    with pile.open(next(i for i, p in enumerate(pile.pictures) if "0.43" in p.name)) as stream:
        found = read_samples(stream)[0][:, 0]
    assert len(found) == pytest.approx(RATE, abs=80)


def test_windows_are_of_one_loudness(tmp_path: Path) -> None:
    for i, loud in enumerate((0.01, 0.1, 0.9)):
        place = tmp_path / "a" / "xyz"[i] / "tone.wav"
        place.parent.mkdir(parents=True)
        place.write_bytes(wav(tone(300, loud=loud)))
    pile = windowed(list_folder(tmp_path / "a", "a"), 1.0)
    for i in range(3):
        with pile.open(i) as stream:
            found = read_samples(stream)[0][:, 0]
        assert speech_level([found], RATE) == pytest.approx(LEVEL_DB, abs=0.1)


def test_short_recordings_are_repeated_to_the_usual_length(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", 12)  # 0.3 to 0.52 s
    for wanted, given in ((0.51, None), (0.8, 0.8)):
        pile = windowed(list_folder(folder, "a"), 1.0, fill=given)
        with pile.open(next(i for i, p in enumerate(pile.pictures) if "/0.wav" in p.name)) as s:
            found = read_samples(s)[0][:, 0]
        assert len(found) == pytest.approx(wanted * RATE, abs=80)
        np.testing.assert_array_equal(found[: len(found) - 2400], found[2400:])


def test_a_run_on_voices_sees_windows(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", 12)
    (folder / "low" / "long.wav").write_bytes(wav(tone(300, seconds=4)))
    data = open_data(folder, split="all", options=DataOptions(window=0.5))
    assert len(data) == 11 + 2 + 15  # one of 0.52 s has two
    assert data.spec.shape == (1, 64, 48)  # 33 frames, in steps of 16
    plain = open_data(folder, split="all")
    assert len(plain) == 13


def test_pauses_do_not_count_as_loudness() -> None:
    speech = np.concatenate([np.zeros(3 * RATE), tone(200), np.zeros(RATE)])
    assert speech_level([speech], RATE) == pytest.approx(speech_level([tone(200)], RATE), abs=0.2)
    assert speech_level([np.zeros(100)], RATE) == -np.inf
    assert speech_level([], RATE) == -np.inf and gain_to(-np.inf) == 1
    assert gain_to(LEVEL_DB - 20) == pytest.approx(10)


def test_pictures_have_no_windows(tmp_path: Path) -> None:
    pile = list_folder(fill(tmp_path / "a", 2), "a")
    with pytest.raises(UserError, match="leaves no sound"):
        windowed(pile, 0.0)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_a_piece_is_what_the_whole_has_there(bits: int) -> None:
    raw = wav(np.stack([tone(300), 0.5 * tone(500)], 1), bits=bits)
    whole, rate = read_samples(io.BytesIO(raw))
    part, _ = read_samples(io.BytesIO(raw), seconds=0.1, start=0.2)
    first = round(0.2 * rate)
    np.testing.assert_array_equal(part, whole[first : first + len(part)])
    pieces = list(blocks(io.BytesIO(raw), 999))
    np.testing.assert_allclose(np.concatenate(pieces), whole.mean(axis=1), atol=1e-7)
    assert all(len(p) == 999 for p in pieces[:-1]) and BLOCK > 999


def test_a_written_wave_says_what_it_is() -> None:
    notes = {"ICMT": "made by a computer", "INAM": "odd"}
    raw = wave_header(RATE, 4, notes=notes) + np.array([0, 1, -1, 5], "<i2").tobytes()
    assert read_notes(io.BytesIO(raw)) == notes
    header = read_header(io.BytesIO(raw))
    assert (header.rate, header.samples, header.words) == (RATE, 4, "16 bit PCM, mono, 8,000 Hz")
    loud = np.array([0.5, -3.0, 2.0], np.float32)
    found, _ = read_samples(io.BytesIO(wave_bytes(loud, RATE)))
    np.testing.assert_array_equal(found[:, 0], loud)


def test_no_wave_is_longer_than_its_header_can_say() -> None:
    with pytest.raises(UserError, match="do not fit into one"):
        wave_header(48_000, 1 << 32)


def test_rf64_tells_its_size_elsewhere() -> None:
    """EBU Tech 3306: sizes of 64 bits in a chunk of their own."""
    import struct

    raw = wave_bytes(np.arange(8, dtype=np.float32) / 10, RATE)
    sizes = struct.pack("<QQQI", len(raw), 32, 8, 0)
    chunk = struct.pack("<4sI", b"ds64", len(sizes)) + sizes
    at = raw.index(b"data")
    long = b"RF64" + b"\xff" * 4 + b"WAVE" + chunk + raw[12:at] + b"data" + b"\xff" * 4
    long += raw[at + 8 :] + b"tail"
    assert read_header(io.BytesIO(long)).samples == 8


def test_nothing_after_the_end() -> None:
    with pytest.raises(Unreadable):
        list(blocks(io.BytesIO(b"")))
    assert len(read_samples(io.BytesIO(wav(tone(300))), start=99.0)[0]) == 0
