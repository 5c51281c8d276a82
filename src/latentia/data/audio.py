"""One recording, however stored, to mono samples at a wanted rate and to a log-mel picture."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

import numpy as np
import torch

from latentia.data.images import Unreadable
from latentia.data.mel import LogMel, log_mel, to_levels
from latentia.data.spec import DataOptions
from latentia.data.wave_file import Recording as Recording
from latentia.data.wave_file import find_wave, read_pcm
from latentia.errors import UserError

WAV = ".wav"
SUFFIXES = frozenset((WAV, ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"))
MOST_RATE = 16_000  # speech and most events lie below 8 kHz
MOST_FRAMES = 512
FRAME_STEP = 16  # networks halve pictures up to four times
LENGTH_SHARE = 95  # per cent of the recordings that are kept whole
SILENT = 1e-4  # -80 dB, the noise of 13 bits
CLIPPED, CLIPS = 0.999, 3
BLOCK = 1 << 18  # samples, half a minute at 8 kHz
_MARGIN = 64  # samples beyond the cut that the resampling filter may look at


@dataclass(frozen=True)
class Recordings:
    """How a pile of recordings is read, in place of pictures.

    Attributes:
        like: the facts of a run whose pictures these are to resemble; None looks at the pile.
    """

    like: Mapping[str, Any] | None = None
    noun: Literal["recordings"] = "recordings"

    def header(self, stream: BinaryIO) -> Recording:
        return read_header(stream)

    def target(self, headers: Sequence[Recording], options: DataOptions) -> LogMel:
        if options.size is not None or options.channels == 3:
            raise UserError("size and channels are for pictures; recordings have their own.")
        return choose_log_mel(headers) if self.like is None else LogMel.from_json(self.like)

    def shape(self, target: LogMel) -> tuple[int, int, int]:
        return 1, target.mels, target.frames

    def pixels(self, stream: BinaryIO, target: LogMel) -> np.ndarray:
        return decode(stream, target)

    def facts(self, target: LogMel) -> dict[str, Any]:
        return {"sound": target.to_json()}

    def describe(self, target: LogMel) -> str:
        return f"{target.seconds:.2f} s of {target.mels} bands at {target.rate:,} Hz"


def choose_log_mel(headers: Sequence[Recording]) -> LogMel:
    """The common form of all recordings.

    The rate is the most common one, at most 16 kHz. The length keeps 95 % of them whole, rounded
    up to a multiple of 16 frames and at most 512.
    """
    counted = Counter(header.rate for header in headers)
    rate = min(max(counted, key=lambda r: (counted[r], r), default=MOST_RATE), MOST_RATE)
    trial = LogMel.at(rate, 1)
    longest = float(np.percentile([header.seconds for header in headers] or [1.0], LENGTH_SHARE))
    frames = 1 + int(np.ceil(longest * rate / trial.hop))
    return LogMel.at(rate, min(-(-frames // FRAME_STEP) * FRAME_STEP, MOST_FRAMES))


def require_readers(name: str, files: Sequence[str]) -> None:
    """Refuse a pile that needs a package which is not there.

    Raises:
        UserError: other files than .wav, and no soundfile.
    """
    others = [f for f in files if PurePosixPath(f).suffix.lower() != WAV]
    if others and _soundfile() is None:
        raise UserError(
            f"{name} holds {len(others)} recordings such as {others[0]}, which need the package "
            "soundfile: pip install 'latentia[audio]'. Or save them as .wav."
        )


def read_header(stream: BinaryIO) -> Recording:
    """What a recording is, without reading its samples.

    Raises:
        Unreadable: empty, no recording, of a form unknown here, or damaged.
    """
    with _translated():
        wave = find_wave(stream)
        if wave is not None:
            return wave.header
        with _other(stream) as file:
            return Recording(file.samplerate, file.channels, file.frames, file.subtype)


def decode(stream: BinaryIO, how: LogMel) -> np.ndarray:
    """A log-mel picture, uint8 `(1, mels, frames)`, of the start of a recording.

    Raises:
        Unreadable: as `read_header`, cut short, or not finite.
    """
    samples, rate = read_samples(stream, how.seconds)
    wave = np.zeros(how.samples, np.float32)
    mono = resampled(samples.mean(axis=1), rate, how.rate)[: how.samples]
    wave[: len(mono)] = mono
    return to_levels(log_mel(torch.from_numpy(wave), how), how)[None].numpy()


def read_samples(
    stream: BinaryIO, seconds: float | None = None, start: float = 0.0
) -> tuple[np.ndarray, int]:
    """float32 `(samples, channels)` in [-1, 1], and the rate.

    Args:
        seconds: how much is needed (a little more is read); None reads all.
        start: where to begin, seconds.

    Raises:
        Unreadable: as `decode`.
    """
    with _translated():
        wave = find_wave(stream)
        if wave is not None:
            rate = wave.header.rate
            found = read_pcm(stream, wave, round(start * rate), _needed(rate, seconds))
        else:
            with _other(stream) as file:
                rate = file.samplerate
                file.seek(min(round(start * rate), file.frames))
                count = _needed(rate, seconds)
                found = file.read(-1 if count is None else count, "float32", always_2d=True)
        return _finite(found), rate


def blocks(stream: BinaryIO, samples: int = BLOCK) -> Iterator[np.ndarray]:
    """A recording in pieces of `samples` mono samples, float32; the last one may be shorter.

    Memory is bounded whatever its length.

    Raises:
        Unreadable: as `decode`.
    """
    with _translated():
        wave = find_wave(stream)
        if wave is not None:
            for first in range(0, wave.header.samples, samples):
                yield _finite(read_pcm(stream, wave, first, samples)).mean(axis=1)
        else:
            with _other(stream) as file:
                while len(part := file.read(samples, "float32", always_2d=True)):
                    yield _finite(part).mean(axis=1)


def oddities(samples: np.ndarray) -> list[str]:
    """What is odd about the samples of a recording: "silent", "clipped", or neither."""
    size = np.abs(samples)
    loudest = float(size.max(initial=0))
    odd = ["silent"] if loudest < SILENT else []
    held = (size[1:] >= CLIPPED) & (size[:-1] >= CLIPPED)  # full scale for two samples on end
    return [*odd, "clipped"] if held.sum() >= CLIPS else odd


def resampled(mono: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """`(samples,)` at another rate, band-limited (polyphase filter)."""
    if rate == wanted or not len(mono):
        return mono
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return np.asarray(resample_poly(mono, wanted // common, rate // common), np.float32)


def _needed(rate: int, seconds: float | None) -> int | None:
    return None if seconds is None else int(np.ceil(seconds * rate)) + _MARGIN


def _finite(samples: np.ndarray) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise Unreadable("damaged", "samples that are no numbers")
    return samples


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package without its library
        return None
    return soundfile


def _other(stream: BinaryIO) -> Any:
    """An opened file of a form that soundfile knows."""
    soundfile = _soundfile()
    if soundfile is None:
        raise Unreadable("not a recording", "no plain .wav; soundfile may read it")
    stream.seek(0)
    try:
        return soundfile.SoundFile(stream)
    except RuntimeError as error:  # what libsndfile cannot read
        told = getattr(error, "error_string", str(error))  # its own words, without our stream
        raise Unreadable("not a recording", told.rstrip(".")) from None


@contextmanager
def _translated() -> Iterator[None]:
    """Turn whatever broken bytes lead to into `Unreadable`."""
    try:
        yield
    except (struct.error, ValueError, OSError, EOFError, RuntimeError) as error:
        raise Unreadable("damaged", str(error)) from None
