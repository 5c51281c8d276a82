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
from latentia.sound.recording import Spoken, translate_recording
from latentia.sound.vocoders import Vocoder
from latentia.translating.files import Found, Item
from latentia.translating.many import Done, Existing, Heard, Outcome, Told, translate_all

_WAV = ".wav"


def translate_recordings(
    found: Found,
    model: Translates,
    spec: DataSpec,
    to: str,
    out: Path,
    *,
    back: str | None = None,
    vocoder: Vocoder | None = None,
    existing: Existing = "refuse",
    told: Heard = lambda name, share: None,
) -> Outcome:
    """Translate recordings into a folder, under their names, as .wav.

    Args:
        found: the recordings.
        model: what translates.
        spec: of the run.
        to: the target domain.
        out: the folder to write.
        back: the domain to translate back to, for a round trip; None makes none.
        vocoder: makes the waveforms; None takes Griffin-Lim.
        existing, told: as for `many.translate_all`.

    Raises:
        UserError: as `many.translate_all`.
    """
    one = _Work(model, spec, to, back, vocoder).one
    return translate_all(found, one, out, existing=existing, round_trip=back is not None, told=told)


@dataclass(frozen=True)
class _Work:
    model: Any
    spec: DataSpec
    to: str
    back: str | None
    vocoder: Vocoder | None

    def one(self, item: Item, target: Path, returned: Path | None, told: Told) -> Done:
        target, away = _as_wav(target), None
        try:
            with _on_disk(item) as source:
                spoken = self._say(source, self.to, target)
            if returned is not None and self.back is not None:
                away = _as_wav(returned)
                self._say(target, self.back, away)
        except UserError as problem:
            raise Unreadable("not a recording", str(problem)) from None
        words = f"{spoken.seconds:.1f} s, {spoken.rate:,} Hz, by {spoken.vocoder}"
        return Done(item.name, target, away, words, facts=spoken.to_json())

    def _say(self, source: Path, to: str, out: Path) -> Spoken:
        return translate_recording(self.model, self.spec, source, to, out, vocoder=self.vocoder)


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
