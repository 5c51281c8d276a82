"""Log-mel spectrograms: recordings as pictures of loudness over time and pitch.

Invertible: `LogMel` says rate, window, hop, bands and range, `to_power` and `power_of` undo the
levels, and the room `sound` undoes the filters and finds the phases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from latentia.errors import UserError

MELS = 64
FLOOR_DB = -100.0
WINDOW_SECONDS = 0.046  # the power of two nearest to it is the window: 512 samples at 8 kHz
HOPS_PER_WINDOW = 4
_EPS = 1e-12


@dataclass(frozen=True)
class LogMel:
    """How recordings become pictures, all that is needed to do it again or to undo it.

    Attributes:
        rate: samples per second after resampling.
        frames: width of the pictures; a recording is cut, or followed by silence, to
            `samples` samples.
        fft: window (Hann) and transform, samples.
        hop: samples from frame to frame.
        mels: bands, equally spaced in mel (2595 log10(1 + f/700), O'Shaughnessy 1987) from 0 Hz
            to rate/2, triangular with a peak of 1; height of the pictures, low pitch at the
            bottom.
        floor_db: loudness of black; white is 0 dB, a sine of full scale.
    """

    rate: int
    frames: int
    fft: int
    hop: int
    mels: int = MELS
    floor_db: float = FLOOR_DB

    @classmethod
    def at(cls, rate: int, frames: int) -> Self:
        """The usual constants at a sampling rate."""
        fft = 2 ** round(math.log2(rate * WINDOW_SECONDS))
        return cls(rate, frames, fft, fft // HOPS_PER_WINDOW)

    @property
    def samples(self) -> int:
        """Length of a recording after cutting or padding; `frames` centred windows fit it."""
        return (self.frames - 1) * self.hop

    @property
    def seconds(self) -> float:
        """`samples` as a time."""
        return self.samples / self.rate

    @cached_property
    def filters(self) -> Tensor:
        """float32 `(mels, fft / 2 + 1)`, triangles over frequency, lowest band first."""
        top = _mel(self.rate / 2)
        corners = torch.linspace(0, top, self.mels + 2, dtype=torch.float64)
        hertz = 700 * (torch.pow(10.0, corners / 2595) - 1)
        bins = torch.linspace(0, self.rate / 2, self.fft // 2 + 1, dtype=torch.float64)
        low, peak, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
        rising, falling = (bins - low) / (peak - low), (high - bins) / (high - peak)
        return torch.minimum(rising, falling).clamp(min=0).float()

    @cached_property
    def window(self) -> Tensor:
        """float32 `(fft,)`, Hann, scaled so that a sine of full scale has a peak of 1."""
        hann = torch.hann_window(self.fft)
        return hann * (2 / hann.sum())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """What `to_json` described.

        Raises:
            UserError: facts of another form.
        """
        try:
            return cls(**facts)
        except TypeError as problem:
            raise UserError("This is no description of log-mel spectrograms.") from problem


def log_mel(wave: Tensor, how: LogMel) -> Tensor:
    """Loudness by band and frame.

    Args:
        wave: `(…, samples)` float in [-1, 1] at `how.rate`.

    Returns:
        `(…, mels, 1 + samples // hop)`, dB in [floor_db, 0], lowest band last.
    """
    power = _mel_power(wave, how)
    decibels = 10 * torch.log10(power.clamp(min=_EPS))
    return decibels.clamp(how.floor_db, 0).flip(-2)


def to_levels(decibels: Tensor, how: LogMel) -> Tensor:
    """dB to uint8: floor_db is 0, 0 dB is 255."""
    return (decibels / -how.floor_db + 1).mul(255).round().clamp(0, 255).to(torch.uint8)


def to_power(levels: Tensor, how: LogMel) -> Tensor:
    """uint8 pictures `(…, mels, frames)` to power by band, lowest band first; undoes the above."""
    return power_of(levels.float() / 127.5 - 1, how)


def to_picture(decibels: Tensor, how: LogMel) -> Tensor:
    """dB to [-1, 1], as models see them: floor_db is -1, 0 dB is 1."""
    return decibels / -how.floor_db * 2 + 1


def power_of(pictures: Tensor, how: LogMel) -> Tensor:
    """Pictures `(…, mels, frames)` in [-1, 1] to power by band, lowest band first."""
    decibels = (pictures.float() - 1) / 2 * -how.floor_db
    return torch.pow(10.0, decibels / 10).flip(-2)


def band_of(frequency: float, how: LogMel) -> int:
    """The row of a picture where a pitch in hertz lies; 0 is the highest."""
    place = _mel(frequency) / _mel(how.rate / 2) * (how.mels + 1) - 1
    return how.mels - 1 - min(max(round(place), 0), how.mels - 1)


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def _mel_power(wave: Tensor, how: LogMel) -> Tensor:
    window = how.window.to(wave.dtype)
    flat = wave.reshape(-1, wave.shape[-1])
    spectrum = torch.stft(
        flat, how.fft, how.hop, window=window, pad_mode="constant", return_complex=True
    )
    bands = how.filters.to(wave.dtype) @ spectrum.abs().square()
    return bands.reshape(*wave.shape[:-1], *bands.shape[-2:])
