"""Folders of recordings, each said in another voice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from latentia.abilities import Translates
from latentia.data.images import Unreadable, as_unreadable
from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.run import Run
from latentia.sound.neural import load_vocoder
from latentia.sound.recording import Spoken, translate_recording
from latentia.sound.vocoders import Vocoder
from latentia.translating.files import Found, Item
from latentia.translating.job import chosen_target, start_of, way_back
from latentia.translating.many import Done, Existing, Heard, Outcome, Told, translate_all

_WAV = ".wav"


@dataclass(frozen=True)
class VoiceJob:
    """How recordings are to be translated.

    Attributes:
        model: what translates.
        spec: of its run.
        to: the target domain.
        start: the domain that recordings are taken to be of.
        back: the domain of the round trip; None makes none.
        vocoder: makes the waveforms; None takes Griffin-Lim.
    """

    model: Translates
    spec: DataSpec
    to: str
    start: str
    back: str | None = None
    vocoder: Vocoder | None = None


def voice_job_of(
    run: Run, model: Any, to: str | None = None, *, round_trip: bool = False
) -> VoiceJob:
    """How recordings are translated with a run.

    Args:
        run: the run.
        model: its model.
        to: the target domain; None takes the last that there is.
        round_trip: also translate back.

    Raises:
        UserError: no such domain, or no way back.
    """
    target = chosen_target(model, to)
    start = start_of(model, target)
    back = way_back(model, start) if round_trip else None
    return VoiceJob(model, run.spec, target, start, back, load_vocoder(run.folder))


def translate_recordings(
    found: Found,
    job: VoiceJob,
    out: Path,
    *,
    existing: Existing = "refuse",
    told: Heard = lambda name, share: None,
) -> Outcome:
    """Translate recordings into a folder, under their names, as .wav.

    Args:
        found: the recordings.
        job: how.
        out: the folder to write.
        existing, told: as for `many.translate_all`.

    Raises:
        UserError: as `many.translate_all`.
    """
    back = job.back is not None
    return translate_all(found, _Work(job).one, out, existing=existing, round_trip=back, told=told)


@dataclass(frozen=True)
class _Work:
    job: VoiceJob

    def one(self, item: Item, target: Path, returned: Path | None, told: Told) -> Done:
        target, away = _as_wav(target), None
        try:
            with _on_disk(item) as source:
                spoken = self._say(source, self.job.to, target)
            if returned is not None and self.job.back is not None:
                away = _as_wav(returned)
                self._say(target, self.job.back, away)
        except UserError as problem:
            raise _as_unreadable(problem) from None
        words = f"{spoken.seconds:.1f} s, {spoken.rate:,} Hz, by {spoken.vocoder}"
        return Done(item.name, target, away, words, facts=spoken.to_json())

    def _say(self, source: Path, to: str, out: Path) -> Spoken:
        job = self.job
        return translate_recording(job.model, job.spec, source, to, out, vocoder=job.vocoder)


def _as_unreadable(problem: UserError) -> Unreadable:
    """What the reader said, which is said once."""
    cause = problem.__cause__
    return cause if isinstance(cause, Unreadable) else Unreadable("not a recording", str(problem))


@contextmanager
def _on_disk(item: Item) -> Iterator[Path]:
    """The file itself, or a copy of what lies in a zip, under its own name."""
    if item.path is not None:
        yield item.path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PurePosixPath(item.name).name
        with as_unreadable(), item.open() as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file)
        yield copy


def _as_wav(path: Path) -> Path:
    """Recordings are written as .wav; another ending stays in the name, so that none collide."""
    return path if path.suffix.lower() == _WAV else path.with_name(path.name + _WAV)
