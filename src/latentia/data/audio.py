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

from latentia.data.images import MAX_FILE_BYTES, Unreadable
from latentia.data.mel import LogMel, log_mel, to_levels
from latentia.data.spec import DataOptions
from latentia.errors import UserError

WAV = ".wav"
SUFFIXES = frozenset((WAV, ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"))
MOST_RATE = 16_000  # speech and most events lie below 8 kHz
MOST_FRAMES = 512
FRAME_STEP = 16  # networks halve pictures up to four times
LENGTH_SHARE = 95  # per cent of the recordings that are kept whole
SILENT = 1e-4  # -80 dB, the noise of 13 bits
CLIPPED, CLIPS = 0.999, 3
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMS = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}
_MARGIN = 64  # samples beyond the cut that the resampling filter may look at
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what writes to a pipe cannot know


@dataclass(frozen=True)
class Recording:
    """What the first bytes of a recording tell.

    Attributes:
        rate: samples per second.
        channels: of it.
        samples: of each channel.
        form: of a sample, in words.
    """

    rate: int
    channels: int
    samples: int
    form: str

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def words(self) -> str:
        """Form, channels and rate."""
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.form}, {channels}, {self.rate:,} Hz"


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
        wave = _riff(stream)
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


def read_samples(stream: BinaryIO, seconds: float | None = None) -> tuple[np.ndarray, int]:
    """float32 `(samples, channels)` in [-1, 1], and the rate.

    Args:
        seconds: how much of the start is needed (a little more is read); None reads all.

    Raises:
        Unreadable: as `decode`.
    """
    with _translated():
        wave = _riff(stream)
        if wave is not None:
            found, rate = _pcm(stream, wave, seconds), wave.header.rate
        else:
            with _other(stream) as file:
                rate = file.samplerate
                found = file.read(_needed(rate, seconds), dtype="float32", always_2d=True)
        if not np.isfinite(found).all():
            raise Unreadable("damaged", "samples that are no numbers")
        return found, rate


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


@dataclass(frozen=True)
class _Wave:
    """Where the samples of a .wav lie."""

    header: Recording
    start: int
    code: int
    bits: int


def _riff(stream: BinaryIO) -> _Wave | None:
    """The chunks of a .wav (Microsoft RIFF); None where it is no RIFF or of a packed form."""
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    head = stream.read(12)
    if not head:
        raise Unreadable("empty", "no bytes")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    form: tuple[int, int, int, int] | None = None
    while len(mark := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", mark)
        if name == b"fmt ":
            form = _form(stream.read(length + length % 2))
        elif name == b"data":
            return _placed(form, stream.tell(), length, size)
        else:
            stream.seek(length + length % 2, 1)
    raise Unreadable("truncated", "no samples in it")


def _form(chunk: bytes) -> tuple[int, int, int, int]:
    """Code, channels, rate and bits."""
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and len(chunk) >= 26:
        code = struct.unpack_from("<H", chunk, 24)[0]
    return code, channels, rate, bits


def _placed(
    form: tuple[int, int, int, int] | None, start: int, length: int, size: int
) -> _Wave | None:
    if form is None:
        raise Unreadable("damaged", "samples before their description")
    code, channels, rate, bits = form
    if (code, bits) not in _FORMS:
        return None
    if not channels or not rate:
        raise Unreadable("damaged", f"{channels} channels at {rate} Hz")
    if length in _UNKNOWN_SIZES:
        length = size - start
    if length > size - start:
        raise Unreadable("truncated", f"{size - start:,} of {length:,} bytes of samples")
    words = f"{bits} bit {'float' if code == _FLOAT else 'PCM'}"
    samples = length // (channels * bits // 8)
    if not samples:
        raise Unreadable("empty", "no samples")
    return _Wave(Recording(rate, channels, samples, words), start, code, bits)


def _pcm(stream: BinaryIO, wave: _Wave, seconds: float | None) -> np.ndarray:
    head, width = wave.header, wave.bits // 8
    needed = _needed(head.rate, seconds)
    count = head.samples if needed < 0 else min(needed, head.samples)
    if count * head.channels * width > MAX_FILE_BYTES:
        raise Unreadable("too large", f"{head.seconds:.0f} s")
    stream.seek(wave.start)
    raw = np.frombuffer(stream.read(count * head.channels * width), _FORMS[wave.code, wave.bits])
    if wave.bits == 24:
        raw = np.concatenate([np.zeros((len(raw) // 3, 1), "u1"), raw.reshape(-1, 3)], 1)
        raw = raw.view("<i4")[:, 0]
    table = raw.reshape(-1, head.channels)
    if wave.code == _FLOAT:
        return table.astype(np.float32)
    if wave.bits == 8:
        return (table.astype(np.float32) - 128) / 128
    full = 2.0 ** (15 if wave.bits == 16 else 31)
    return (table / full).astype(np.float32)


def _needed(rate: int, seconds: float | None) -> int:
    return -1 if seconds is None else int(np.ceil(seconds * rate)) + _MARGIN


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
        raise Unreadable("not a recording", str(error)) from None


@contextmanager
def _translated() -> Iterator[None]:
    """Turn whatever broken bytes lead to into `Unreadable`."""
    try:
        yield
    except (struct.error, ValueError, OSError, EOFError, RuntimeError) as error:
        raise Unreadable("damaged", str(error)) from None
