"""Translated recordings judged by ear: whose voice, which word, how far off, at what pitch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.mel import LogMel
from latentia.data.parts import pictures
from latentia.data.spec import Dataset
from latentia.maths.chunks import spread_rows
from latentia.metrics.classifiers import train_classifier
from latentia.metrics.intervals import wilson
from latentia.metrics.paired import finite
from latentia.metrics.speech import Listener, distortion_to, name_part, pitch_facts
from latentia.metrics.translated import Translated
from latentia.sound.vocoders import GriffinLim, Vocoder

MOST_WORDS = 100
_CLIPS = 100  # of each direction that are made to sound
_TARGETS = 3  # clips of the target beside which each is put, of the same word
_CHUNK = 20
Waves = dict[str, np.ndarray]


@dataclass(frozen=True)
class Ears:
    """What judges clips.

    Attributes:
        voices: tells the domains apart.
        words: names the word; None where the names of the files tell none.
        place: of the word among the parts of a name.
        vocoder: makes waves of pictures.
    """

    voices: Listener
    words: Listener | None
    place: int | None
    vocoder: Vocoder


def spoken(
    found: Mapping[str, Translated],
    train: Dataset,
    test: Dataset,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Figures of translated recordings, measured on waveforms by Griffin-Lim.

    Sources and real clips of the target go through the same vocoder, and stand beside.

    Words are known where a part of all file names, between underscores, is the same few words in
    both domains (`word_place`); then a recogniser trained on real clips says how often the word is
    still understood, and the mel-cepstral distortion to the target's own clips of it is measured.

    Args:
        found: translations of held-out recordings, by the name of the target.
        train: real ones, labelled by domain.
        test: held-out ones, of which `found` are.
        seed: of the classifiers.
        progress: called with (directions judged, of how many).

    Returns:
        `targets`: name -> `_one`; `words`: how many different ones, or None; `vocoder`.

    Raises:
        UserError: translations that are not finite numbers.
    """
    assert train.spec.sound is not None
    how = LogMel.from_json(train.spec.sound)
    ears = _ears(train, test, how, seed)
    targets = {}
    for number, (to, one) in enumerate(found.items()):
        targets[to] = _one(one, ears)
        if progress is not None:
            progress(number + 1, len(found))
    return {
        "targets": targets,
        "words": None if ears.words is None else len(ears.words.classes),
        "vocoder": ears.vocoder.words,
    }


def word_place(names: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> int | None:
    """Which part of file names, between underscores, is the word; None where none can be.

    Of 2 to 100 words all are said in both domains, and nothing else is said in held-out files; of
    several such parts the one of the fewest words is taken.

    Args:
        names: domain and name of each file that is trained on; two domains.
        held_out: the same of others.

    >>> files = [(who, f"{d}_{who}_{k}.wav") for who in ("ann", "bo") for d in "01" for k in (3, 4)]
    >>> word_place(files, [("ann", "1_ann_9.wav")])
    0
    >>> word_place([("ann", "hello.wav"), ("bo", "good day.wav")], []) is None
    True
    """
    names, held_out = list(names), list(held_out)
    lengths = {len(PurePosixPath(name).stem.split("_")) for _, name in names + held_out}
    found: list[tuple[int, int]] = []
    for place in range(min(lengths, default=0)):
        said: dict[str, set[str]] = {}
        for domain, name in names:
            said.setdefault(domain, set()).add(name_part(name, place))
        words = set.union(*said.values())
        others = {name_part(name, place) for _, name in held_out}
        alike = len(said) == 2 and all(each == words for each in said.values())
        if alike and others <= words and 2 <= len(words) <= min(MOST_WORDS, len(names) // 4):
            found.append((len(words), place))
    return min(found, default=(0, None))[1]


def _ears(train: Dataset, test: Dataset, how: LogMel, seed: int) -> Ears:
    place = word_place(_files(train), _files(test))
    words = None
    if place is not None:
        called = [name_part(name, place) for name in train.called]
        classes = tuple(sorted(set(called)))
        labels = np.array([classes.index(word) for word in called], np.int64)
        named = replace(train, spec=replace(train.spec, classes=classes), labels=labels)
        words = Listener(train_classifier(named, seed=seed + 1), classes, how)
    voices = Listener(train_classifier(train, seed=seed), train.spec.classes, how)
    return Ears(voices, words, place, GriffinLim(how))


def _files(data: Dataset) -> list[tuple[str, str]]:
    assert data.labels is not None
    domains = [data.spec.classes[i] for i in data.labels]
    return list(zip(domains, data.called, strict=True))


def _one(found: Translated, ears: Ears) -> dict[str, Any]:
    """Figures of one direction.

    Returns:
        `origin`, `examples`; for each of `converted`, `source` and `real`: `voice` (share that is
        heard as the target's, with its interval), `understood` (share whose word is recognised),
        `distortion` (dB, not of `real`), `pitch` (hertz); None where words are not known.
    """
    rows, real = (spread_rows(len(data), _CLIPS) for data in (found.source, found.real))
    names = [found.source.called[i] for i in rows.tolist()]
    theirs = [found.real.called[i] for i in real.tolist()]
    clips = {
        "converted": (names, finite(found.made)[rows]),
        "source": (names, pictures(found.source)[rows]),
        "real": (theirs, pictures(found.real)[real]),
    }
    waves = {who: _sound(called, x, ears.vocoder) for who, (called, x) in clips.items()}
    return {
        "origin": found.origin,
        "examples": len(names),
        **{who: _judged(who, each, waves["real"], found.to, ears) for who, each in waves.items()},
    }


def _judged(who: str, clips: Waves, theirs: Waves, to: str, ears: Ears) -> dict[str, Any]:
    heard = ears.voices.hear(list(clips.values()))
    pitch = pitch_facts(list(clips.values()), ears.vocoder.how.rate)
    facts: dict[str, Any] = {
        "voice": asdict(wilson(sum(each == to for each in heard), len(heard))),
        "understood": None,
        "distortion": None,
        "pitch": {name: None if math.isnan(hertz) else hertz for name, hertz in pitch.items()},
    }
    if ears.words is None or ears.place is None:
        return facts
    words = {name: name_part(name, ears.place) for name in clips}
    right = [
        a == b for a, b in zip(ears.words.hear(list(clips.values())), words.values(), strict=True)
    ]
    facts["understood"] = asdict(wilson(sum(right), len(right)))
    if who != "real":
        facts["distortion"] = _distortion(clips, words, theirs, ears)
    return facts


def _distortion(clips: Waves, words: Mapping[str, str], theirs: Waves, ears: Ears) -> float | None:
    """dB, in the mean over the clips whose word the target says as well."""
    assert ears.place is not None
    said: dict[str, list[np.ndarray]] = {}
    for name, wave in theirs.items():
        said.setdefault(name_part(name, ears.place), []).append(wave)
    said = {word: waves[:_TARGETS] for word, waves in said.items()}
    shared = {name: wave for name, wave in clips.items() if words[name] in said}
    if not shared:
        return None
    return float(np.mean(list(distortion_to(shared, words, said, ears.vocoder.how).values())))


def _sound(names: Sequence[str], x: Tensor, vocoder: Vocoder) -> Waves:
    """Waves of pictures `(N, 1, mels, frames)`, by name."""
    made = torch.cat([vocoder.wave(part[:, 0]) for part in x.split(_CHUNK)])
    return dict(zip(names, made.numpy(), strict=True))
