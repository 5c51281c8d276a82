"""A whole recording in another voice, of any length, rate and form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.abilities import Translates
from latentia.data.mel import LogMel
from latentia.data.spec import DataSpec
from latentia.data.wave_file import wave_header
from latentia.data.windows import gain_to
from latentia.errors import UserError
from latentia.files import write_aside
from latentia.maths.chunks import device_of
from latentia.sound.loudness import limited, matching_gain
from latentia.sound.stream import measure, resampled_length, spectrograms, wave_at
from latentia.sound.vocoders import GriffinLim, Vocoder

PICTURE_FRAMES = 512  # translated at once
OVERLAP_FRAMES = 64  # over which neighbouring pictures are cross-faded
PIECE_FRAMES = 256  # made to sound at once
KNOWN_FRAMES = 12  # of the piece before, which the next one goes on from
EDGE_FRAMES = 6  # at the end of a piece, which look at frames to come
_CHUNK = 1 << 18  # samples scaled at once
_FULL = 32767


@dataclass(frozen=True)
class Spoken:
    """What became of a recording.

    Attributes:
        source, out: the two files.
        to: whose voice.
        seconds: length of both.
        read: form, channels and rate of the source.
        rate: of the result, mono 16 bit.
        rms_in, rms_out: loudness, dB of full scale; -inf for silence.
        vocoder: what made the waveform, in words.
        notes: what the file says of itself, by the four letters of its INFO chunk.
    """

    source: str
    out: str
    to: str
    seconds: float
    read: str
    rate: int
    rms_in: float
    rms_out: float
    vocoder: str
    notes: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sound_of(spec: DataSpec) -> LogMel:
    """The front end that a run was trained with.

    Raises:
        UserError: it was trained on something else than recordings.
    """
    if spec.sound is None:
        raise UserError(f"{spec.name} holds no recordings: this run cannot translate sound.")
    return LogMel.from_json(spec.sound)


@torch.no_grad()
def translate_recording(
    model: Translates,
    spec: DataSpec,
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    vocoder: Vocoder | None = None,
) -> Spoken:
    """Say a recording in another voice, and write it as a .wav marked as synthetic.

    Any rate, depth and number of channels goes in; mono 16 bit at the run's rate comes out, as
    long and as loud (RMS) as the source, never clipped. The source is read piece by piece, so
    that memory does not grow with its length.

    Args:
        model: of a run on recordings, in evaluation mode.
        spec: of that run; it says rate and front end.
        source: a recording.
        to: the domain that is wanted.
        out: the .wav to write.
        vocoder: None takes Griffin-Lim.

    Raises:
        UserError: a recording that cannot be read, an unknown domain, a vocoder of another rate
            or front end, or a result that does not fit into a .wav.
    """
    how = sound_of(spec)
    source, out = Path(source), Path(out)
    vocoder = vocoder or GriffinLim(how)
    _require_fit(vocoder, how)
    found = measure(source)
    samples = resampled_length(found.samples, found.header.rate, how.rate)
    notes = synthetic_notes(to, source.name)
    header = wave_header(how.rate, samples, notes=notes)  # refuses before the work
    pieces = wave_at(source, how.rate, gain_to(found.level))
    pictures = spectrograms(pieces, how, PICTURE_FRAMES, OVERLAP_FRAMES)
    waves = _waves(_translated(pictures, model, to, how), vocoder)
    rms = _write(out, header, waves, samples, found.rms)
    return Spoken(
        source=str(source),
        out=str(out),
        to=to,
        seconds=samples / how.rate,
        read=found.header.words,
        rate=how.rate,
        rms_in=_decibels(found.rms),
        rms_out=_decibels(rms),
        vocoder=vocoder.words,
        notes=notes,
    )


def synthetic_notes(to: str, source: str) -> dict[str, str]:
    """What a file says of itself in its LIST/INFO chunk (Microsoft RIFF, 1991)."""
    from latentia import __version__

    return {
        "INAM": f"{source} in the voice of {to} (synthetic)",
        "ICMT": f"Synthetic speech: made by a computer from {source}, not spoken by {to}.",
        "ISFT": f"latentia {__version__}",
        "IKEY": "synthetic; voice conversion; AI-generated",
    }


def translated_picture(model: Translates, picture: Tensor, to: str, how: LogMel) -> Tensor:
    """One picture `(mels, frames)` in another voice; short ones are repeated for it."""
    frames = picture.shape[-1]
    width = max(frames, how.frames)
    width += -width % model.multiple
    whole = picture[:, torch.arange(width) % frames]
    made = model.translate(whole[None, None].to(device_of(model)), to)[0, 0].cpu()
    return made[:, :frames]


def _require_fit(vocoder: Vocoder, how: LogMel) -> None:
    mine = (how.rate, how.fft, how.hop, how.mels, how.floor_db)
    theirs = vocoder.how
    if (theirs.rate, theirs.fft, theirs.hop, theirs.mels, theirs.floor_db) != mine:
        raise UserError(
            f"The vocoder is for {theirs.mels} bands at {theirs.rate:,} Hz, but this run has "
            f"{how.mels} at {how.rate:,} Hz; fit one to this run."
        )


def _translated(
    pictures: Iterable[Tensor], model: Translates, to: str, how: LogMel
) -> Iterator[Tensor]:
    """Consecutive frames `(mels, n)` in the other voice; overlaps are cross-faded."""
    tail: Tensor | None = None
    for picture in pictures:
        made = translated_picture(model, picture, to, how)
        if tail is not None:
            rising = (torch.arange(tail.shape[1]) + 0.5) / tail.shape[1]
            made[:, : tail.shape[1]] = tail.lerp(made[:, : tail.shape[1]], rising)
        last = picture.shape[1] < PICTURE_FRAMES
        cut = made.shape[1] if last else made.shape[1] - OVERLAP_FRAMES
        yield made[:, :cut]
        tail = None if last else made[:, cut:]
    if tail is not None:
        yield tail


def _waves(blocks: Iterable[Tensor], vocoder: Vocoder) -> Iterator[np.ndarray]:
    """Consecutive samples of consecutive frames; each piece goes on from the one before."""
    hop, held, known = vocoder.how.hop, torch.zeros(vocoder.how.mels, 0), None
    for block in blocks:
        held = torch.cat([held, block], 1)
        while held.shape[1] > PIECE_FRAMES:
            wave = _continued(vocoder, held[:, :PIECE_FRAMES], known)
            done = PIECE_FRAMES - EDGE_FRAMES - KNOWN_FRAMES
            sure = wave[: (PIECE_FRAMES - EDGE_FRAMES) * hop]
            fresh = sure if known is None else sure[len(known) :]
            yield fresh.numpy()
            known, held = sure[done * hop :], held[:, done:]
    wave = _continued(vocoder, held, known)
    yield (wave if known is None else wave[len(known) :]).numpy()


def _continued(vocoder: Vocoder, frames: Tensor, known: Tensor | None) -> Tensor:
    if frames.shape[1] < 2:  # a single frame has no length of its own
        frames = F.pad(frames, (0, 2 - frames.shape[1]), value=-1.0)
    return vocoder.wave(frames[None], None if known is None else known[None])[0]


def _write(
    out: Path, header: bytes, waves: Iterable[np.ndarray], samples: int, wanted: float
) -> float:
    """Keep the waves beside `out`, then write them as loud as wanted; the RMS that came out."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            rms, peak = _keep(file, waves, samples)
        gain, squares = matching_gain(rms, peak, wanted), 0.0

        def finish(aside: Path) -> None:
            nonlocal squares
            with draft.open("rb") as kept, aside.open("wb") as file:
                file.write(header)
                while raw := kept.read(4 * _CHUNK):
                    wave = limited(np.frombuffer(raw, "<f4") * np.float32(gain))
                    squares += float(np.square(wave, dtype=np.float64).sum())
                    file.write(np.rint(wave * _FULL).astype("<i2").tobytes())

        write_aside(out, finish)
    except OSError as problem:
        raise UserError(f"{out} cannot be written ({problem.strerror or problem}).") from problem
    finally:
        draft.unlink(missing_ok=True)
    return float(np.sqrt(squares / samples))


def _keep(file: BinaryIO, waves: Iterable[np.ndarray], samples: int) -> tuple[float, float]:
    """Write exactly so many samples as float32; their RMS and the size of the largest."""
    squares = peak = 0.0
    left = samples
    for wave in waves:
        part = np.ascontiguousarray(wave[:left], "<f4")
        left -= len(part)
        squares += float(np.square(part, dtype=np.float64).sum())
        peak = max(peak, float(np.abs(part).max(initial=0)))
        file.write(part.tobytes())
    file.write(np.zeros(left, "<f4").tobytes())
    return float(np.sqrt(squares / samples)), peak


def _decibels(rms: float) -> float:
    return float(20 * np.log10(rms)) if rms else -float("inf")
