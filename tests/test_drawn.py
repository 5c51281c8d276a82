"""Recordings that models make up: heard again as what was drawn, and marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from latentia.data.audio import decode
from latentia.data.mel import LogMel
from latentia.data.wave_file import read_notes
from latentia.run import Run
from latentia.sound.drawn import save_recordings
from latentia.sound.vocoders import GriffinLim
from test_audio import HOW, fill, pictured, tone, wav
from test_cli import call


def test_what_is_written_sounds_like_what_was_drawn(tmp_path: Path) -> None:
    levels = np.stack([pictured(wav(tone(pitch))) for pitch in (400, 1500)])
    drawn = torch.from_numpy(levels.copy()).float() * (2 / 255) - 1
    paths = save_recordings(drawn, GriffinLim(HOW), tmp_path / "out", "a test")
    assert [path.name for path in paths] == ["000000.wav", "000001.wav"]
    for path, picture in zip(paths, levels, strict=True):
        with path.open("rb") as stream:
            assert "made up by a test" in read_notes(stream)["ICMT"]
            stream.seek(0)
            again = decode(stream, HOW)
        loudest = [int(p[0].astype(int).sum(1).argmax()) for p in (again, picture)]
        assert abs(loudest[0] - loudest[1]) <= 1


def test_sample_writes_recordings_into_a_folder(tmp_path: Path) -> None:
    clips = fill(tmp_path / "clips", 24)
    run = tmp_path / "run"
    small = ("--set", "width=8,16", "--set", "depth=1,1", "--set", "batch_size=8")
    words = ("--model", "diffusion", "--set", "conditional=true", *small)
    made = call("fit", clips, *words, "--examples", 64, "--out", run, "--no-report")
    assert made.exit_code == 0, made.stderr
    out = tmp_path / "said"
    said = call("sample", run, "-n", 3, "--label", "high", "--steps", 3, "--out", out)
    assert said.exit_code == 0, said.stderr
    files = sorted(out.glob("*.wav"))
    assert len(files) == 3
    how = LogMel.from_json(Run.open(run).spec.sound)  # type: ignore[arg-type]
    assert len(files[0].read_bytes()) > 2 * how.samples * 0.9
    file = tmp_path / "taken"
    file.write_text("mine")
    said = call("sample", run, "-n", 1, "--steps", 2, "--out", file)
    assert said.exit_code == 2 and "is a file" in said.stderr and file.read_text() == "mine"
