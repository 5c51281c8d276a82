"""Sound from spectrograms: phases, loudness, files of any length and form, hostile ones too."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from latentia.data.audio import read_header, read_samples, resampled
from latentia.data.mel import LogMel, log_mel, power_of, to_picture, to_power
from latentia.data.spec import DataOptions, DataSpec
from latentia.data.wave_file import read_notes, wave_header
from latentia.errors import UserError
from latentia.sound.fit import fit_vocoder, train_net, training_waves, vocoder_losses
from latentia.sound.loudness import CEILING, KNEE, limited, matching_gain
from latentia.sound.neural import FILE, NeuralVocoder, load_vocoder
from latentia.sound.phases import analyse, griffin_lim, magnitudes, synthesise
from latentia.sound.recording import translate_recording
from latentia.sound.stream import measure, resampled_length, resampled_pieces, spectrograms
from latentia.sound.vocoders import GriffinLim
from memory import peak_bytes
from test_audio import RATE, fill, tone, wav

HOW = LogMel.at(RATE, 48)
SPEC = DataSpec("voices", "image", (1, 64, 48), 2, "", ("anna", "ben"), sound=HOW.to_json())


class Same:
    """A translator that changes nothing."""

    domains = targets = ("anna", "ben")
    multiple, reach = 4, 0

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        assert x.shape[2] % 4 == 0 and x.shape[3] % 4 == 0
        if to not in self.targets:
            raise UserError(f"There is no domain {to!r} here.")
        return x


def voiced(rate: int, seconds: float, loud: float = 0.3) -> np.ndarray:
    """Something like a vowel: harmonics of a moving pitch, in syllables, over faint noise."""
    t = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 12))
    wave = wave * (0.6 + 0.4 * np.sin(2 * np.pi * 2.5 * t))
    noise = np.random.default_rng(0).standard_normal(len(t))
    return np.asarray(loud * wave / 2 + 1e-3 * noise)


def as_wave(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.pad(samples, (0, -len(samples) % HOW.hop))).float()[None]


def bands_apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean difference of the bands that are heard, dB."""
    first, second = log_mel(a, HOW), log_mel(b, HOW)
    return float((first - second).abs()[second > -60].mean())


# phases


def test_analysis_and_synthesis_undo_each_other() -> None:
    wave = as_wave(voiced(RATE, 0.6))
    torch.testing.assert_close(synthesise(analyse(wave, HOW), HOW), wave, atol=1e-5, rtol=0)


def test_magnitudes_have_the_powers_they_were_made_of() -> None:
    wave = as_wave(voiced(RATE, 0.6))
    power = HOW.filters @ analyse(wave, HOW).abs().square()
    found = magnitudes(power, HOW)
    assert found.min() >= 0 and found.shape == (1, 257, wave.shape[1] // HOW.hop + 1)
    again = HOW.filters @ found.square()
    error = 10 * torch.log10(again.clamp(min=1e-10) / power.clamp(min=1e-10))
    assert error.abs().mean() < 0.3
    assert torch.isfinite(magnitudes(torch.zeros(1, 64, 5), HOW)).all()


def test_griffin_lim_finds_a_wave_of_nearly_the_bands() -> None:
    wave = as_wave(voiced(RATE, 0.8))
    made = GriffinLim(HOW).wave(to_picture(log_mel(wave, HOW), HOW))
    assert made.shape == wave.shape and bands_apart(made, wave) < 1.5


def test_momentum_comes_closer_in_as_many_rounds() -> None:
    target = analyse(as_wave(voiced(RATE, 0.8)), HOW).abs()

    def left(momentum: float) -> float:
        made = griffin_lim(target, HOW, rounds=32, momentum=momentum)
        return float((analyse(made, HOW).abs() - target).norm() / target.norm())

    assert left(0.99) < 0.85 * left(0.0)


def test_what_is_known_is_kept_and_gone_on_from() -> None:
    wave = as_wave(tone(440, seconds=0.8))
    target = analyse(wave, HOW).abs()
    made = griffin_lim(target, HOW, known=wave[:, :2048])
    torch.testing.assert_close(made[:, :2048], wave[:, :2048])
    rest = torch.cosine_similarity(made[:, 2048:-512], wave[:, 2048:-512])
    assert rest > 0.8, "a steady tone goes on in phase"


def test_powers_and_pictures_are_the_same_scale() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat(64, 1)
    torch.testing.assert_close(power_of(levels.float() / 127.5 - 1, HOW), to_power(levels, HOW))


# loudness


def test_loudness_is_matched_without_clipping() -> None:
    wave = voiced(RATE, 0.5)
    assert matching_gain(0.1, 0.2, 0.3) == pytest.approx(3)
    assert matching_gain(0.0, 0.0, 0.3) == matching_gain(0.1, 0.2, 0.0) == 0
    assert matching_gain(0.1, 1.0, 0.9) == pytest.approx(2), "peaks are not pressed without end"
    pressed = limited((wave * 4).astype(np.float32))
    assert np.abs(pressed).max() <= CEILING
    quiet = np.abs(wave * 4) <= KNEE
    np.testing.assert_allclose(pressed[quiet], (wave * 4)[quiet], rtol=1e-6)


# long recordings


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 8000), (11025, 16000), (8000, 8000)])
def test_pieces_resampled_are_the_whole_resampled(rate: int, wanted: int) -> None:
    wave = voiced(rate, 1.1).astype(np.float32)
    pieces = np.concatenate(list(resampled_pieces(np.array_split(wave, 5), rate, wanted)))
    whole = resampled(wave, rate, wanted)
    assert len(pieces) == len(whole) == resampled_length(len(wave), rate, wanted)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0])
def test_pictures_of_pieces_are_those_of_the_whole(seconds: float) -> None:
    wave = voiced(RATE, seconds).astype(np.float32)
    whole = to_picture(log_mel(as_wave(wave)[0], HOW), HOW)
    at = 0
    for picture in spectrograms(np.array_split(wave, 7), HOW, 64, 16):
        torch.testing.assert_close(picture, whole[:, at : at + picture.shape[1]])
        last, at = at + picture.shape[1], at + picture.shape[1] - 16
    assert last == whole.shape[1]


def spoken(tmp_path: Path, raw: bytes, to: str = "ben", **more: object) -> tuple[object, Path]:
    source, out = tmp_path / "in.wav", tmp_path / "out" / "in.wav"
    source.write_bytes(raw)
    return translate_recording(Same(), SPEC, source, to, out, **more), out  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "bits", "channels", "seconds"),
    [(96000, 24, 2, 1.3), (8000, 16, 1, 0.01), (44100, 8, 1, 0.2), (8000, 16, 1, 9.0)],
)
def test_any_form_goes_in_and_the_same_speech_comes_out(
    rate: int, bits: int, channels: int, seconds: float, tmp_path: Path
) -> None:
    wave = voiced(rate, seconds)
    found, out = spoken(tmp_path, wav(np.stack([wave] * channels, 1), rate, bits))
    with out.open("rb") as stream:
        header = read_header(stream)
        made = read_samples(stream)[0][:, 0]
    expected = resampled(wave.astype(np.float32), rate, RATE)
    assert header.words == "16 bit PCM, mono, 8,000 Hz" and len(made) == len(expected)
    assert found.rms_out == pytest.approx(found.rms_in, abs=0.3)  # type: ignore[attr-defined]
    assert np.abs(made).max() <= CEILING + 1e-3
    if seconds > 1:
        assert bands_apart(as_wave(made), as_wave(expected)) < 3
    assert not list(out.parent.glob(".*")), "drafts left behind"


def test_seams_of_a_long_recording_cannot_be_heard(tmp_path: Path) -> None:
    wave = tone(440, seconds=12.0)
    _, out = spoken(tmp_path, wav(wave))
    made = read_samples(out.open("rb"))[0][:, 0]
    powers = np.square(made[4000:-4000]).reshape(-1, 400).mean(axis=1)
    assert powers.min() > 0.7 * np.median(powers) and powers.max() < 1.3 * np.median(powers)


_MEMORY = """
import sys
from pathlib import Path
from latentia.sound.recording import translate_recording
from latentia.sound.vocoders import GriffinLim
from latentia.training.device import tune_process
from test_vocoder import HOW, SPEC, Same
tune_process()
source, out = map(Path, sys.argv[1:])
translate_recording(Same(), SPEC, source, "ben", out, vocoder=GriffinLim(HOW, rounds=1))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_hours_take_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    minute = (voiced(RATE, 60.0) * 32767).astype("<i2").tobytes()
    peaks = []
    for minutes in (1, 8 * 60):
        source, out = tmp_path / f"{minutes}.wav", tmp_path / "out" / f"{minutes}.wav"
        with source.open("wb") as file:
            file.write(wave_header(RATE, minutes * 60 * RATE))
            for _ in range(minutes):
                file.write(minute)
        peaks.append(peak_bytes(_MEMORY, source, out))
        with out.open("rb") as stream:
            assert read_header(stream).seconds == minutes * 60
    assert peaks[1] < peaks[0] + 64e6


def test_the_file_says_that_it_is_synthetic(tmp_path: Path) -> None:
    _, out = spoken(tmp_path, wav(voiced(RATE, 0.3)))
    notes = read_notes(out.open("rb"))
    assert "Synthetic speech" in notes["ICMT"] and "not spoken by ben" in notes["ICMT"]
    assert notes["ISFT"].startswith("latentia")


def test_silence_stays_silent(tmp_path: Path) -> None:
    found, out = spoken(tmp_path, wav(np.zeros(3000)))
    assert not read_samples(out.open("rb"))[0].any()
    assert math.isinf(found.rms_out)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (wav(np.zeros((0, 1))), "empty: no samples"),
        (wav(np.full(900, np.nan), bits=32, real=True), "samples that are no numbers"),
        (wav(voiced(RATE, 0.2))[:-999], "truncated"),
        (b"hello there, this is text", "not a recording"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(
    raw: bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said) as told:
        spoken(tmp_path, raw)
    assert "<_io" not in str(told.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_unknown_voices_and_other_front_ends_are_refused(tmp_path: Path) -> None:
    raw = wav(voiced(RATE, 0.2))
    with pytest.raises(UserError, match="no domain 'carl'"):
        spoken(tmp_path, raw, "carl")
    with pytest.raises(UserError, match="at 16,000 Hz, but this run has"):
        spoken(tmp_path, raw, vocoder=GriffinLim(LogMel.at(16000, 48)))
    pictures = DataSpec("photos", "image", (1, 64, 48), 2, "", ("a", "b"))
    with pytest.raises(UserError, match="holds no recordings"):
        translate_recording(Same(), pictures, tmp_path / "in.wav", "b", tmp_path / "o.wav")
    with pytest.raises(UserError, match="cannot be read"):
        measure(tmp_path / "nothing.wav")


# the neural vocoder


def test_a_fresh_network_begins_with_the_bands_it_is_given() -> None:
    waves = [as_wave(voiced(RATE, 0.8))[0]]
    net = train_net(waves, HOW, steps=1, width=16, blocks=1)
    logs, _ = net(to_picture(log_mel(waves[0][None], HOW), HOW))
    power = HOW.filters @ (2 * logs).exp()
    true = HOW.filters @ analyse(waves[0][None], HOW).abs().square()
    loud = true > true.max() * 1e-4
    assert (10 * torch.log10(power / true)).abs()[loud].mean() < 6


def test_training_a_vocoder_lowers_its_losses() -> None:
    waves = [as_wave(voiced(RATE, 0.8))[0], as_wave(0.3 * voiced(RATE, 0.5))[0]]
    seen: list[float] = []
    train_net(
        waves,
        HOW,
        steps=12,
        width=16,
        blocks=1,
        progress=lambda _, losses: seen.append(sum(losses.values())),
    )
    assert np.mean(seen[-3:]) < 0.9 * np.mean(seen[:3])


def test_losses_are_zero_where_nothing_differs() -> None:
    from latentia.sound.fit import stft_loss

    wave = as_wave(voiced(RATE, 0.5))
    assert stft_loss(wave, wave, 512) == 0
    net = train_net([wave[0]], HOW, steps=1, width=16, blocks=1)
    assert all(v > 0 for v in vocoder_losses(net, wave, HOW).values())


def test_a_vocoder_is_fitted_kept_and_found_again(tmp_path: Path) -> None:
    folder = fill(tmp_path / "voices", 12)
    options = DataOptions(window=0.4)
    assert len(training_waves(str(folder), options, HOW)) > 8
    run = tmp_path / "run"
    assert load_vocoder(run) is None
    made = fit_vocoder(run, str(folder), options, HOW, steps=2)
    found = load_vocoder(run)
    assert isinstance(found, NeuralVocoder) and found.how == HOW
    picture = to_picture(log_mel(as_wave(voiced(RATE, 0.4)), HOW), HOW)
    assert torch.equal(found.wave(picture), made.wave(picture))
    result, out = spoken(tmp_path, wav(voiced(RATE, 5.0)), vocoder=found)
    assert read_header(out.open("rb")).samples == 5 * RATE
    assert "neural vocoder" in result.vocoder  # type: ignore[attr-defined]
    (run / FILE).write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged; remove it"):
        load_vocoder(run)
