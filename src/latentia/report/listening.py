"""The listener's section of runs on recordings: source, converted and target voice, to play."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath

from markupsafe import Markup

from latentia.abilities import Translates
from latentia.data.audio import read_samples, resampled
from latentia.data.mel import LogMel
from latentia.data.open import find
from latentia.data.parts import part
from latentia.data.pile import Pile
from latentia.data.wave_file import wave_header
from latentia.data.windows import windowed
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.report.page import Figure, Section
from latentia.report.subject import Subject
from latentia.sound.neural import load_vocoder
from latentia.sound.recording import sound_of, translate_recording
from latentia.sound.vocoders import GriffinLim, Vocoder

CLIPS = 4  # of each direction
MOST_SECONDS = 10.0  # of a clip
_HEADS = ("clip", "source", "converted", "target’s own voice")


def listening(subject: Subject) -> Section | None:
    """Players for held-out recordings, each direction a table; None for pictures."""
    if subject.spec.sound is None or not isinstance(subject.model, Translates):
        return None
    how = sound_of(subject.spec)
    vocoder = load_vocoder(subject.run.folder) or GriffinLim(how)
    section = Section(
        "listening",
        "Listen",
        "Recordings that were not trained on, and not chosen: as spoken, as converted, and one of "
        "the voice that was aimed at, of the most similar name. Converted speech is synthetic: "
        f"its waveform is by {vocoder.words}.",
    )
    clips = _Clips(subject, how)
    for to in subject.model.targets:
        section.figures.append(_table(subject, clips, vocoder, to))
    return section


class _Clips:
    """The recordings behind the pictures of a run, by name."""

    def __init__(self, subject: Subject, how: LogMel) -> None:
        run = subject.run
        if not run.source:
            raise UserError("The run was trained on data from Python: its recordings are unknown.")
        pile = find(run.source, run.options)
        if not isinstance(pile, Pile):
            raise UserError(f"{run.source} holds no recordings any more.")
        if run.options.window is not None:
            pile = windowed(pile, run.options.window, run.options.seed)
        self._pile, self._how = pile, how
        self._places = {picture.name: i for i, picture in enumerate(pile.pictures)}

    def wav(self, name: str) -> bytes:
        """A clip as a mono .wav of 16 bit at the run's rate, 10 s at most.

        Raises:
            UserError: it is gone.
        """
        if name not in self._places:
            raise UserError(f"{name} is not among the run's recordings any more.")
        with self._pile.open(self._places[name]) as stream:
            table, rate = read_samples(stream)
        wave = resampled(table.mean(axis=1), rate, self._how.rate)
        wave = wave[: int(MOST_SECONDS * self._how.rate)]
        levels = (wave.clip(-1, 1) * 32767).round().astype("<i2")
        return wave_header(self._how.rate, len(levels)) + levels.tobytes()


def _table(subject: Subject, clips: _Clips, vocoder: Vocoder, to: str) -> Figure:
    model = subject.model
    origin = next(name for name in model.domains if name != to)
    sources, theirs = (part(subject.test, name).called for name in (origin, to))
    rows = []
    for place in spread_rows(len(sources), CLIPS).tolist():
        name = sources[place]
        spoken, like = clips.wav(name), _most_alike(name, theirs)
        made = _converted(subject, spoken, vocoder, to)
        rows.append((name, spoken, made, clips.wav(like)))
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            PurePosixPath(name).name,
            Markup("").join(
                _player(wav, f"{head}: {name}") for head, wav in zip(_HEADS[1:], waves, strict=True)
            ),
        )
        for name, *waves in rows
    )
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(head) for head in _HEADS)
    html = Markup(
        '<table class="players"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
    ).format(heads, body)
    title = f"From {origin} to {to}"
    return Figure(html, f"{title}: {len(rows)} clips.", "Held-out clips, evenly chosen.", title)


def _converted(subject: Subject, spoken: bytes, vocoder: Vocoder, to: str) -> bytes:
    """The clip in the other voice, a whole .wav."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source.wav", Path(folder) / "converted.wav"
        source.write_bytes(spoken)
        translate_recording(subject.model, subject.spec, source, to, out, vocoder=vocoder)
        return out.read_bytes()


def _player(wav: bytes, label: str) -> Markup:
    data = base64.b64encode(wav).decode("ascii")
    element = (
        '<td><audio controls preload="metadata" aria-label="{}" '
        'src="data:audio/wav;base64,{}"></audio></td>'
    )
    return Markup(element).format(label, data)


def _most_alike(name: str, others: Sequence[str]) -> str:
    """The name that begins most like this one: often the same word by the other speaker."""
    mine = PurePosixPath(name).name

    def shared(other: str) -> int:
        letters = zip(mine, PurePosixPath(other).name, strict=False)
        return sum(1 for _ in takewhile(lambda two: two[0] == two[1], letters))

    return max(others, key=shared)
