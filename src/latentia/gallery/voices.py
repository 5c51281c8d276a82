"""Two made-up speakers who say vowels, for the family that turns one voice into another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentia.data.wave_file import wave_bytes
from latentia.files import write_aside

RATE = 8000  # samples per second
PITCHES = {"low": 110.0, "high": 220.0}  # Hz, about those of a man and a woman
SENTENCES, VOWELS = 24, 5
VOWEL_SECONDS = 0.22
FORMANTS = ((270, 2290), (530, 1840), (730, 1090), (570, 840), (300, 870))
"""First two resonances of i, e, a, o and u, Hz (Peterson & Barney 1952, men)."""
_WIDTH = 160.0  # Hz, of a resonance
_PARTED = {"low": 1.0, "high": 1.18}  # a shorter throat resonates higher


def write_voices(folder: Path) -> Path:
    """Write `low/` and `high/` below `folder`, different sentences in each, once and for all.

    Returns:
        The folder: 24 recordings of 1.1 s for each speaker, always the same ones.
    """
    for number, speaker in enumerate(PITCHES):
        random = np.random.default_rng(number)
        for k in range(SENTENCES):
            path = folder / speaker / f"{k:02d}.wav"
            wave = sentence(speaker, random)
            if not path.is_file():
                _write(path, wave)
    return folder


def sentence(speaker: str, random: np.random.Generator) -> np.ndarray:
    """Five vowels at random, one after the other, float32 `(n,)` in [-1, 1]."""
    said = random.integers(0, len(FORMANTS), VOWELS)
    lilt = random.uniform(0.9, 1.1, VOWELS)
    parts = [_vowel(speaker, int(v), float(by)) for v, by in zip(said, lilt, strict=True)]
    hiss = 1e-3 * random.standard_normal(sum(map(len, parts)))
    return (np.concatenate(parts) + hiss).astype(np.float32)


def _vowel(speaker: str, number: int, lilt: float) -> np.ndarray:
    """Harmonics of the speaker's pitch under the resonances of a vowel, faded in and out."""
    t = np.arange(round(RATE * VOWEL_SECONDS)) / RATE
    pitch = PITCHES[speaker] * lilt
    tones = pitch * np.arange(1, int(0.45 * RATE / pitch) + 1)
    centres = np.array(FORMANTS[number]) * _PARTED[speaker]
    loud = np.exp(-(((tones[:, None] - centres) / _WIDTH) ** 2)) @ np.array([1.0, 0.5]) + 0.01
    wave = (loud[:, None] * np.sin(2 * np.pi * tones[:, None] * t)).sum(0)
    return np.asarray(0.3 * np.hanning(len(t)) ** 0.5 * wave / np.abs(wave).max())


def _write(path: Path, wave: np.ndarray) -> None:
    write_aside(path, lambda aside: aside.write_bytes(wave_bytes(wave, RATE)))
