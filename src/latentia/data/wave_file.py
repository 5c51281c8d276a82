"""The .wav file (Microsoft RIFF, and RF64 of EBU Tech 3306 for more than 4 GB): read and written.

Samples are read from any place on, so that recordings of any length need little memory.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from latentia.data.images import MAX_FILE_BYTES, Unreadable
from latentia.errors import UserError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMS = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what writes to a pipe cannot know, and what RF64 says elsewhere
_MOST_BYTES = 0xFFFFFFFF - 4096  # sizes have 32 bits


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
class Wave:
    """Where the samples of a .wav lie."""

    header: Recording
    start: int
    code: int
    bits: int


def find_wave(stream: BinaryIO) -> Wave | None:
    """The chunks of a .wav; None where it is none, or of a packed form.

    Raises:
        Unreadable: no bytes, no samples, or chunks that contradict each other.
    """
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    head = stream.read(12)
    if not head:
        raise Unreadable("empty", "no bytes")
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    form: tuple[int, int, int, int] | None = None
    long = 0
    while len(mark := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", mark)
        if name == b"fmt ":
            form = _form(stream.read(length + length % 2))
        elif name == b"ds64":
            long = struct.unpack_from("<QQ", stream.read(length + length % 2))[1]
        elif name == b"data":
            length = long if long and length in _UNKNOWN_SIZES else length
            return _placed(form, stream.tell(), length, size)
        else:
            stream.seek(length + length % 2, 1)
    raise Unreadable("truncated", "no samples in it")


def read_pcm(stream: BinaryIO, wave: Wave, first: int = 0, count: int | None = None) -> np.ndarray:
    """float32 `(samples, channels)` in [-1, 1], of at most `count` samples from `first` on.

    Raises:
        Unreadable: more than a file in memory may take.
    """
    head, width = wave.header, wave.bits // 8
    first = min(first, head.samples)
    count = head.samples - first if count is None else min(count, head.samples - first)
    if count * head.channels * width > MAX_FILE_BYTES:
        raise Unreadable("too large", f"{head.seconds:.0f} s")
    stream.seek(wave.start + first * head.channels * width)
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


def wave_header(
    rate: int, samples: int, *, real: bool = False, notes: Mapping[str, str] | None = None
) -> bytes:
    """The bytes before the samples of a mono .wav.

    Args:
        rate: samples per second.
        samples: how many follow.
        real: they are float32, else 16 bit PCM.
        notes: texts of the LIST/INFO chunk by their four letters, such as ICMT, a comment.

    Raises:
        UserError: more than 4 GB.
    """
    code, width = (_FLOAT, 4) if real else (_PCM, 2)
    if samples * width > _MOST_BYTES:
        raise UserError(f"{samples / rate / 3600:.1f} h at {rate:,} Hz do not fit into one .wav.")
    form = struct.pack("<HHIIHH", code, 1, rate, rate * width, width, 8 * width)
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + _information(notes or {})
    size = 4 + len(chunks) + 8 + samples * width
    return (
        struct.pack("<4sI4s", b"RIFF", size, b"WAVE")
        + chunks
        + struct.pack("<4sI", b"data", samples * width)
    )


def wave_bytes(samples: np.ndarray, rate: int) -> bytes:
    """A whole mono .wav of float32 samples `(n,)`, which may exceed full scale."""
    values = np.ascontiguousarray(samples, "<f4")
    return wave_header(rate, len(values), real=True) + values.tobytes()


def read_notes(stream: BinaryIO) -> dict[str, str]:
    """The texts of a .wav's LIST/INFO chunk by their four letters; empty where it has none."""
    stream.seek(12)
    while len(mark := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", mark)
        if name == b"LIST":
            return _texts(stream.read(length))
        stream.seek(length + length % 2, 1)
    return {}


def _information(notes: Mapping[str, str]) -> bytes:
    """A LIST/INFO chunk; texts end in a zero byte, and everything has an even length."""
    if not notes:
        return b""
    body = b"INFO"
    for name, text in notes.items():
        raw = text.encode() + b"\0"
        body += struct.pack("<4sI", name.encode("ascii"), len(raw)) + raw + b"\0" * (len(raw) % 2)
    return struct.pack("<4sI", b"LIST", len(body)) + body


def _texts(chunk: bytes) -> dict[str, str]:
    found, at = {}, 4
    while chunk[:4] == b"INFO" and at + 8 <= len(chunk):
        name, length = struct.unpack_from("<4sI", chunk, at)
        raw = chunk[at + 8 : at + 8 + length]
        found[name.decode("ascii", "replace")] = raw.rstrip(b"\0").decode("utf-8", "replace")
        at += 8 + length + length % 2
    return found


def _form(chunk: bytes) -> tuple[int, int, int, int]:
    """Code, channels, rate and bits."""
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and len(chunk) >= 26:
        code = struct.unpack_from("<H", chunk, 24)[0]
    return code, channels, rate, bits


def _placed(
    form: tuple[int, int, int, int] | None, start: int, length: int, size: int
) -> Wave | None:
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
    return Wave(Recording(rate, channels, samples, words), start, code, bits)
