"""Recordings that a model has made up, written as .wav files that say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentia.data.wave_file import wave_header
from latentia.files import write_aside
from latentia.sound.loudness import limited
from latentia.sound.vocoders import Vocoder

_FULL, _TOGETHER = 32767, 16


def save_recordings(pictures: Tensor, vocoder: Vocoder, folder: Path, said: str) -> list[Path]:
    """Write each log-mel picture as `000000.wav`, `000001.wav`, …

    Args:
        pictures: `(N, 1, mels, frames)` in [-1, 1], of the form the vocoder takes.
        vocoder: makes waves of them.
        folder: made where it is not there.
        said: what the files say of where they come from, such as "a diffusion model of clips".
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:06d}.wav" for i in range(len(pictures))]
    for at in range(0, len(pictures), _TOGETHER):
        with torch.no_grad():
            waves = vocoder.wave(pictures[at : at + _TOGETHER, 0].float().cpu())
        for path, wave in zip(paths[at:], waves.numpy(), strict=False):
            _write(path, wave, vocoder.how.rate, said)
    return paths


def _write(path: Path, wave: np.ndarray, rate: int, said: str) -> None:
    samples = np.rint(limited(wave.astype(np.float32)) * _FULL).astype("<i2")
    header = wave_header(rate, len(samples), notes=_notes(said))
    write_aside(path, lambda aside: aside.write_bytes(header + samples.tobytes()))


def _notes(said: str) -> dict[str, str]:
    from latentia import __version__

    return {
        "INAM": "synthetic recording",
        "ICMT": f"Synthetic sound: made up by {said}; nobody has said or played it.",
        "ISFT": f"latentia {__version__}",
        "IKEY": "synthetic; AI-generated",
    }
