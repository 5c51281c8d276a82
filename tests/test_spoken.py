"""The figures of converted speech, on vowels of two voices: good, bad and idle converters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia.data.mel import LogMel
from latentia.data.spec import Dataset, DataSpec
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.speech import clips_as_data
from latentia.metrics.spoken import word_place
from latentia.metrics.tables import conditions_of, figures_of
from test_audio import RATE
from test_voice import vowel

HOW = LogMel.at(RATE, 32)
VOICES = {"high": 210.0, "low": 110.0}
WORDS = {"a": 700.0, "i": 2100.0}


def recordings(first: int, takes: int) -> Dataset:
    """Names like `high/i_high_3.wav`; takes differ in pitch."""
    waves, names, labels = [], [], []
    for number, (who, pitch) in enumerate(VOICES.items()):
        for word, formant in WORDS.items():
            for take in range(first, first + takes):
                waves.append(vowel(pitch * (1 + 0.01 * (take % 7)), 0.3, formant))
                names.append(f"{who}/{word}_{who}_{take}.wav")
                labels.append(number)
    data = clips_as_data(waves, names, HOW)
    spec = DataSpec(
        "vowels", "image", data.spec.shape, len(names), "v", tuple(VOICES), sound=HOW.to_json()
    )
    return Dataset(spec, data.values, np.array(labels, np.int64), names)


class Speaks:
    """Idle: what it is given. Good: the same word in the other voice. Bad: another. Mute: none."""

    domains = targets = tuple(VOICES)
    multiple, reach = 1, 0

    def __init__(self, how: str, data: Dataset) -> None:
        self.how, self.data = how, data

    def translate(self, x: Tensor, to: str) -> Tensor:
        return torch.stack([self.one(each, to) for each in x])

    def one(self, x: Tensor, to: str) -> Tensor:
        if self.how == "idle":
            return x
        if self.how == "mute":
            return torch.full_like(x, -1.0)
        every = self.data.batch(range(len(self.data))).x
        place = int((every - x).abs().flatten(1).mean(1).argmin())
        voice, name = self.data.called[place].split("/")
        if voice == to:
            return x
        word = name[0] if self.how == "good" else {"a": "i", "i": "a"}[name[0]]
        return every[self.data.called.index(f"{to}/{word}_{to}_{name[-5]}.wav")]


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    train, test = recordings(0, 12), recordings(0, 3)
    assert METRICS["speech"].fits(Speaks("idle", train), train)
    return {
        how: evaluate(Speaks(how, test), train, test, metrics=["speech"])["speech"]
        for how in ("good", "bad", "idle", "mute")
    }


def test_the_voice_is_heard(figures: dict[str, Any]) -> None:
    for to in VOICES:
        share = {how: found["targets"][to]["converted"]["voice"] for how, found in figures.items()}
        assert share["good"]["value"] == share["bad"]["value"] == 1
        assert share["idle"]["value"] == 0
        assert share["good"]["n"] == 6


def test_the_word_is_understood(figures: dict[str, Any]) -> None:
    for to in VOICES:
        found = {how: each["targets"][to]["converted"] for how, each in figures.items()}
        assert found["good"]["understood"]["value"] == found["idle"]["understood"]["value"] == 1
        assert found["bad"]["understood"]["value"] == 0
        assert found["good"]["distortion"] < found["bad"]["distortion"] / 2
        source = figures["good"]["targets"][to]["source"]["distortion"]
        assert found["idle"]["distortion"] == pytest.approx(source)
        assert found["good"]["distortion"] < 0.7 * source


def test_the_pitch_is_measured(figures: dict[str, Any]) -> None:
    for to, pitch in VOICES.items():
        found = figures["good"]["targets"][to]
        for who in ("converted", "real"):
            assert found[who]["pitch"]["median"] == pytest.approx(1.01 * pitch, rel=0.03)
    mute = figures["mute"]["targets"]["high"]["converted"]
    assert mute["pitch"] == {"voiced": 0, "median": None, "lower": None, "upper": None}
    assert "nan" not in str(figures_of({"speech": figures["mute"]}))
    idle = figures["idle"]["targets"]["high"]["converted"]
    assert idle["pitch"]["median"] == pytest.approx(1.01 * VOICES["low"], rel=0.03)


def test_the_figures_are_told(figures: dict[str, Any]) -> None:
    facts = figures["good"]
    said = "; ".join(line.name for line in figures_of({"speech": facts}))
    for words in ("a classifier hears high", "word understood", "mel-cepstral", "median pitch"):
        assert words in said
    assert "Griffin-Lim" in conditions_of("speech", facts)


def test_no_word_is_made_up() -> None:
    both = [(who, f"{who}/{k}.wav") for who in VOICES for k in range(9)]
    assert word_place(both, []) is None, "numbers of takes, each said once"
    unlike = [(who, f"{who}_{k}.wav") for who in VOICES for k in range(9)]
    assert word_place(unlike, []) is None, "whose voice it is is no word"
    named = [(who, f"{who}/{k}_{w}.wav") for who in VOICES for k in range(9) for w in "xyz"]
    assert word_place(named, [("high", "high/12_y.wav")]) == 1
    assert word_place(named, [("high", "high/12_new.wav")]) is None
