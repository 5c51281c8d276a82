"""Voices: recordings brought to one loudness and length.

Long ones are cut into several overlapping windows, short ones repeated: silence after them would
tell speakers apart by how long their words are, which no translation of spectra can change.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

import numpy as np

from latentia.data.audio import LENGTH_SHARE, blocks, read_header, read_samples
from latentia.data.images import Unreadable
from latentia.data.pile import Pile
from latentia.data.source import HELD_OUT
from latentia.data.wave_file import wave_bytes
from latentia.errors import UserError

LEVEL_DB = -26.0  # the usual active level of speech (ITU-T P.56 tests), far from clipping
OVERLAP = 0.5  # share of a window that the next one repeats
MOST_WINDOWS = 20_000  # of one recording
_PIECE_SECONDS = 0.02
_GATE_DB = 10.0  # below the mean of what is no silence (as ITU-R BS.1770 gates)
_SILENCE_DB = -80.0


def windowed(pile: Pile, seconds: float, seed: int = 0, fill: float | None = None) -> Pile:
    """The same recordings at one loudness, those longer than a window as several pictures.

    A recording of up to `seconds` is one picture, as before; a longer one gives windows that
    overlap by half, the last of which ends where it ends, called `name@start`. Where the pile
    has no splits and some recording has several windows, a tenth of the *recordings* is held out,
    so that no recording is in both.

    Args:
        pile: recordings.
        seconds: length of a window.
        seed: of the held-out recordings.
        fill: up to how many seconds short recordings are repeated; None takes the length that
            95 % of them stay below, at most that of a window.

    Returns:
        Pictures whose bytes are a .wav of mono float32 at the speech level of `LEVEL_DB`.

    Raises:
        UserError: no recordings, or no length.
    """
    if not pile.sound:
        raise UserError(f"{pile.name} holds no recordings, which window={seconds:g} is for.")
    if seconds <= 0:
        raise UserError(f"window={seconds:g} leaves no sound; use more than 0 seconds.")
    lengths = [_length(pile, i) for i in range(len(pile.pictures))]
    starts = [_starts(length, seconds) for length in lengths]
    if fill is None:
        usual = float(np.percentile([n for n in lengths if n] or [seconds], LENGTH_SHARE))
        fill = min(seconds, usual)
    parts = _parts(pile, any(len(s) > 1 for s in starts), seed)
    pictures, places = [], []
    for i, (picture, found) in enumerate(zip(pile.pictures, starts, strict=True)):
        for start in found:
            name = picture.name if len(found) == 1 else f"{picture.name}@{start:.2f}s"
            stamp = f"{picture.stamp}:{start:.4f}+{seconds:g}@{LEVEL_DB:g}~{fill:.4f}"
            pictures.append(replace(picture, name=name, stamp=stamp, part=parts[i]))
            places.append((i, start))
    return replace(pile, pictures=tuple(pictures), open=_Opener(pile, places, seconds, fill))


def speech_level(pieces: Iterable[np.ndarray], rate: int) -> float:
    """Loudness of what is no pause, dB of full scale (RMS); `-inf` for silence.

    Powers of 20 ms; those more than 10 dB below the mean of what is louder than -80 dB do not
    count, as in the gating of ITU-R BS.1770.

    Args:
        pieces: consecutive mono samples, `(n,)` each.
        rate: samples per second.
    """
    step = max(1, round(rate * _PIECE_SECONDS))
    powers = [_powers(piece, step) for piece in pieces]
    every = np.concatenate(powers) if powers else np.zeros(0)
    loud = every[every > 10 ** (_SILENCE_DB / 10)]
    if not len(loud):
        return -np.inf
    gated = loud[loud >= loud.mean() * 10 ** (-_GATE_DB / 10)]
    return float(10 * np.log10(gated.mean()))


def gain_to(level: float, wanted: float = LEVEL_DB) -> float:
    """The factor that brings a level to another, both in dB; 1 for silence."""
    return 1.0 if np.isinf(level) else float(10 ** ((wanted - level) / 20))


@dataclass
class _Opener:
    """Opens window i; remembers the loudness of each recording."""

    pile: Pile
    places: list[tuple[int, float]]
    seconds: float
    fill: float

    def __post_init__(self) -> None:
        self._gains: dict[int, float] = {}
        self._lock = threading.Lock()

    def __call__(self, i: int) -> BinaryIO:
        number, start = self.places[i]
        with self.pile.open(number) as stream:
            gain = self._gain(number, stream)
            table, rate = read_samples(stream, self.seconds, start)
        mono = table[: math.ceil(self.seconds * rate)].mean(axis=1)
        mono = np.resize(mono, max(len(mono), round(self.fill * rate)))  # repeats
        return BytesIO(wave_bytes(mono * gain, rate))

    def _gain(self, number: int, stream: BinaryIO) -> float:
        with self._lock:
            known = self._gains.get(number)
        if known is None:
            known = gain_to(speech_level(blocks(stream), read_header(stream).rate))
            with self._lock:
                self._gains[number] = known
        return known


def _length(pile: Pile, i: int) -> float:
    """Of recording i, seconds; 0 for unreadable ones, which are left to the reader."""
    try:
        with pile.open(i) as stream:
            return read_header(stream).seconds
    except (Unreadable, OSError, RuntimeError):
        return 0.0


def _starts(length: float, seconds: float) -> list[float]:
    """Where the windows of a recording begin, seconds."""
    if length <= seconds:
        return [0.0]
    count = 1 + int(np.ceil((length - seconds) / (seconds * (1 - OVERLAP)) - 1e-9))
    return np.linspace(0, length - seconds, min(count, MOST_WINDOWS)).tolist()


def _parts(pile: Pile, several: bool, seed: int) -> list[str]:
    """The split of each recording."""
    known = [picture.part for picture in pile.pictures]
    if any(known) or not several or len(known) < 2:
        return known
    order = np.random.default_rng(seed).permutation(len(known))
    held = set(order[: max(1, round(len(known) * HELD_OUT))].tolist())
    return ["test" if i in held else "train" for i in range(len(known))]


def _powers(piece: np.ndarray, step: int) -> np.ndarray:
    """Mean squares of consecutive `step` samples; a rest counts as a piece of its own."""
    whole = len(piece) // step * step
    means = np.square(piece[:whole], dtype=np.float64).reshape(-1, step).mean(axis=1)
    rest = piece[whole:]
    return np.append(means, np.square(rest, dtype=np.float64).mean()) if len(rest) else means
