"""Recordings of any length piece by piece: measured, resampled, seen as spectrograms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentia.data.audio import blocks, read_header, resampled
from latentia.data.images import Unreadable
from latentia.data.mel import LogMel, log_mel, to_picture
from latentia.data.wave_file import Recording
from latentia.data.windows import speech_level
from latentia.errors import UserError

_FILTER_TAPS = 10  # on each side, in periods of the slower rate, as scipy's resample_poly has them


@dataclass(frozen=True)
class Measured:
    """What a first reading of a recording tells.

    Attributes:
        header: rate, channels, length and form.
        samples: mono samples that there are.
        level: of speech, dB of full scale; -inf for silence.
        rms: of everything, 0 to 1.
    """

    header: Recording
    samples: int
    level: float
    rms: float


def measure(path: Path) -> Measured:
    """Read a recording once, from its first sample to its last.

    Raises:
        UserError: nothing that can be read as a recording, or samples that are no numbers.
    """
    squares, count = 0.0, 0

    def counted(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal squares, count
        for piece in pieces:
            squares += float(np.square(piece, dtype=np.float64).sum())
            count += len(piece)
            yield piece

    try:
        with path.open("rb") as stream:
            header = read_header(stream)
            level = speech_level(counted(blocks(stream)), header.rate)
        if not count:
            raise Unreadable("empty", "no samples")
    except (Unreadable, OSError) as problem:
        raise UserError(f"{path} cannot be read as a recording ({problem}).") from problem
    return Measured(header, count, level, float(np.sqrt(squares / count)))


def wave_at(path: Path, rate: int, gain: float = 1.0) -> Iterator[np.ndarray]:
    """Mono float32 pieces of a recording at another rate, times a gain."""
    with path.open("rb") as stream:
        own = read_header(stream).rate
        for piece in resampled_pieces(blocks(stream), own, rate):
            yield piece * np.float32(gain)


def resampled_pieces(pieces: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """Consecutive pieces at another rate: together the same as `resampled` of the whole."""
    if rate == wanted:
        yield from pieces
        return
    up, down = wanted // gcd(rate, wanted), rate // gcd(rate, wanted)
    # whole periods of the two rates, so that every piece begins on a sample of both
    margin = down * (1 + -(-_FILTER_TAPS * max(up, down) // (up * down)))
    held, lead = np.zeros(0, np.float32), 0
    for piece in pieces:
        held = np.concatenate([held, piece])
        ready = (len(held) - lead - margin) // down * down
        if ready > 0:
            part = resampled(held[: lead + ready + margin], rate, wanted)
            yield part[lead // down * up : (lead + ready) // down * up]
            cut = max(0, lead + ready - margin)
            held, lead = held[cut:], lead + ready - cut
    yield resampled(held, rate, wanted)[lead // down * up :]


def resampled_length(samples: int, rate: int, wanted: int) -> int:
    """How many samples `resampled` makes."""
    common = gcd(rate, wanted)
    return -(-samples * (wanted // common) // (rate // common))


def spectrograms(
    pieces: Iterable[np.ndarray], how: LogMel, length: int, overlap: int
) -> Iterator[Tensor]:
    """Pictures `(mels, frames)` in [-1, 1] of a wave, each of `length` frames but the last.

    Every picture begins `overlap` frames before the end of the one before; frames are the same
    as in `log_mel` of the whole wave, whose end is followed by silence up to a whole hop.

    Args:
        pieces: consecutive mono samples at `how.rate`.
        how: the form of the pictures.
        length, overlap: frames.
    """
    edge = -(-how.fft // (2 * how.hop))  # frames that look beyond the samples at hand
    held, first = np.zeros(0, np.float32), True  # held begins `edge` frames before the picture
    for piece in pieces:
        held = np.concatenate([held, piece])
        while len(held) > (need := (length + edge + (0 if first else edge)) * how.hop):
            lead = 0 if first else edge
            yield _seen(held[:need], how)[:, lead : lead + length]
            held = held[(lead + length - overlap - edge) * how.hop :]
            first = False
    held = np.pad(held, (0, -len(held) % how.hop))
    yield _seen(held, how)[:, 0 if first else edge :]


def _seen(wave: np.ndarray, how: LogMel) -> Tensor:
    return to_picture(log_mel(torch.from_numpy(np.ascontiguousarray(wave)), how), how)
