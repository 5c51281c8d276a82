"""Voices: networks that fill in hidden frames, and what is measured of converted speech."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentia.data.mel import LogMel
from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Now
from latentia.metrics.speech import (
    Listener,
    distortion_to,
    mel_cepstra,
    mel_cepstral_distortion,
    name_part,
    pitch_facts,
    pitches,
    warp,
)
from latentia.nn.gated import GatedGenerator
from latentia.objectives.masked_cycle import frame_mask, retimed
from latentia.recipes.base import parse_settings
from latentia.recipes.voice_cyclegan import RECIPE, VoiceSettings
from test_audio import RATE, tone

HOW = LogMel.at(RATE, 32)


def vowel(pitch: float, seconds: float = 0.4, formant: float = 700.0) -> np.ndarray:
    """Harmonics under one formant."""
    t = np.arange(round(RATE * seconds)) / RATE
    every = [k * pitch for k in range(1, int(3600 / pitch))]
    wave = sum(np.exp(-(((f - formant) / 400) ** 2)) * np.sin(2 * np.pi * f * t) for f in every)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(t))
    return np.asarray(0.2 * wave / np.abs(wave).max() + noise, np.float32)


# the network and the game


def test_a_generator_begins_near_what_it_is_given() -> None:
    torch.manual_seed(0)
    net, x = GatedGenerator(64, 8, 16, 1), torch.rand(2, 1, 64, 12) * 2 - 1
    made = net(x)
    assert made.shape == x.shape and made.dtype == torch.float32
    assert (made - x).abs().mean() < 0.05
    shown = torch.cat([x, torch.ones_like(x)], 1)
    torch.testing.assert_close(net(shown), made)


def test_hidden_frames_do_not_reach_the_network() -> None:
    torch.manual_seed(0)
    net, x = GatedGenerator(64, 8, 16, 1), torch.rand(1, 1, 64, 16)
    mask = torch.ones_like(x)
    mask[..., 4:9] = 0
    other = torch.where(mask.bool(), x, torch.rand_like(x))
    a, b = (net(torch.cat([each, mask], 1)) for each in (x, other))
    torch.testing.assert_close(a, b)


def test_masks_hide_one_stretch_of_up_to_the_share() -> None:
    now = Now(0, 0.0, torch.Generator().manual_seed(0), torch.device("cpu"))
    x = torch.zeros(200, 1, 4, 20)
    mask = frame_mask(x, now.uniform(200, 2), 0.5)
    assert mask.shape == (200, 1, 4, 20) and set(mask.unique().tolist()) == {0.0, 1.0}
    rows = mask[:, 0, 0]
    hidden = (1 - rows).sum(1)
    assert hidden.min() == 0 and hidden.max() == 10
    assert ((rows[:, 1:] - rows[:, :-1]).abs().sum(1) <= 2).all(), "more than one stretch"
    assert (frame_mask(x, now.uniform(200, 2), 0.0) == 1).all()


def test_another_tempo_keeps_spectra_and_goes_around() -> None:
    x = torch.arange(12.0).expand(3, 1, 4, 12)
    middle = torch.full((3, 1), 0.5)
    begun = torch.tensor([[0.0], [0.25], [0.99]])
    moved = retimed(x, torch.cat([middle, begun], 1), 0.5)
    for clip, first in zip(moved, (0, 3, 11), strict=True):
        assert torch.equal(clip, x[0].roll(-first, 2))
    fast = retimed(x, torch.tensor([[1.0, 0.0]] * 3), 0.5)[0, 0, 0]
    torch.testing.assert_close(fast[:8], 1.5 * torch.arange(8.0))
    slow = retimed(x, torch.tensor([[0.0, 0.0]] * 3), 0.5)[0, 0, 0]
    torch.testing.assert_close(slow, torch.arange(12.0) / 1.5)
    steady = torch.randn(3, 1, 4, 1).expand(3, 1, 4, 12)
    torch.testing.assert_close(retimed(steady, torch.rand(3, 2), 1.0), steady)


def test_pictures_are_refused() -> None:
    spec = DataSpec("photos", "image", (3, 64, 64), 8, "", ("a", "b"))
    settings = parse_settings(VoiceSettings, {}, "voice-cyclegan").resolved(spec)
    with pytest.raises(UserError, match="voice-cyclegan is for recordings"):
        RECIPE.build_model(spec, settings)


# what is measured


def test_names_tell_digit_and_speaker() -> None:
    assert name_part("train/jackson/7_jackson_32.wav", 0) == "7"
    assert name_part("7_jackson_32.wav@1.50s", 2) == "32"
    with pytest.raises(UserError, match="no part 3"):
        name_part("a_b.wav", 2)


@pytest.mark.parametrize("pitch", [80.0, 123.0, 210.0, 350.0])
def test_pitch_is_found_to_a_hertz_or_two(pitch: float) -> None:
    found = pitches(vowel(pitch), RATE)
    assert len(found) > 20 and np.abs(np.median(found) - pitch) < 0.02 * pitch
    facts = pitch_facts([vowel(pitch), np.zeros(10)], RATE)
    assert facts["lower"] <= facts["median"] <= facts["upper"]


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert len(pitches(noise, RATE)) < 5 and len(pitches(np.zeros(RATE), RATE)) == 0
    assert np.isnan(pitch_facts([], RATE)["median"])


def test_distortion_is_the_difference_of_log_spectra() -> None:
    a = np.random.default_rng(0).standard_normal((9, 3))
    assert mel_cepstral_distortion(a, a) == 0
    apart = mel_cepstral_distortion(a[:1], a[:1] + np.array([0.5, 0, 0]))
    assert apart == pytest.approx(10 / np.log(10) * np.sqrt(2 * 0.25))  # Kubichek 1993


def test_distortion_does_not_mind_tempo_or_loudness() -> None:
    word = np.concatenate([vowel(120, 0.3, 500), vowel(120, 0.3, 1500)])
    slow = np.concatenate([vowel(120, 0.6, 500), vowel(120, 0.3, 1500)])
    other = np.concatenate([vowel(120, 0.3, 1500), vowel(120, 0.3, 500)])
    here, there = mel_cepstra(word, HOW), mel_cepstra(other, HOW)
    assert mel_cepstral_distortion(here, mel_cepstra(0.3 * word, HOW)) < 0.5
    tempo = mel_cepstral_distortion(here, mel_cepstra(slow, HOW))
    assert tempo < 0.3 * mel_cepstral_distortion(here, there)
    found = distortion_to({"x": word}, {"x": "w"}, {"w": [word, other]}, HOW)
    assert found["x"] == pytest.approx(mel_cepstral_distortion(here, there) / 2)


def test_warping_takes_the_cheapest_way() -> None:
    costs = np.array([[0.0, 9, 9], [9, 1, 9], [9, 1, 0]])
    assert warp(costs) == (1.0, 3)
    assert warp(np.array([[2.0]])) == (2.0, 1)


def test_a_listener_tells_words_apart() -> None:
    random = np.random.default_rng(1)
    waves, words = [], []
    for i in range(60):
        formant = (500, 1800)[i % 2]
        waves.append(vowel(random.uniform(90, 200), random.uniform(0.2, 0.5), formant))
        words.append(("oh", "ee")[i % 2])
    listener = Listener.train(waves[:40], words[:40], HOW, examples=1500)
    assert listener.hear(waves[40:]) == words[40:]
    assert listener.probabilities([tone(300)]).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("span", "reach"), [(1, 22), (3, 70)])
def test_generators_look_no_further_than_they_say(span: int, reach: int) -> None:
    """Those that see words turn one into another; a span of 3 sees most of a word."""
    torch.manual_seed(0)
    net = GatedGenerator(16, 8, 16, 6, "pixel", span)
    torch.nn.init.normal_(net.last.weight)
    x = torch.randn(1, 1, 16, 192, requires_grad=True)
    net(x)[0, 0, :, 96].sum().backward()
    assert x.grad is not None
    far = (x.grad.abs().sum((0, 1, 2)).nonzero().flatten() - 96).abs().max()
    assert reach - 4 <= int(far) <= reach + 2
