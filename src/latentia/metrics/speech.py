"""What became of speech: whose voice, which word, how far from the target, at what pitch.

Everything is measured on waveforms, so that the vocoder counts as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch

from latentia.abilities import Classifies
from latentia.data.mel import LogMel, log_mel, to_levels
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics.classifiers import train_classifier

CEPSTRA = 24  # without c0, loudness
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 400.0  # hertz
_WINDOW = re.compile(r"@[\d.]+s$")  # of a long recording, as data.windows calls it
_VOICED = 0.5  # least normalised autocorrelation at the pitch
_QUIET_DB = 30.0  # below the loudest frame: counts as no speech


def name_part(name: str, place: int) -> str:
    """A part of a file's name between underscores.

    >>> name_part("jackson/7_jackson_32.wav", 0)
    '7'

    Raises:
        UserError: the name has too few.
    """
    parts = PurePosixPath(_WINDOW.sub("", name)).stem.split("_")
    if place >= len(parts):
        raise UserError(f"The name {name} has no part {place + 1} between underscores.")
    return parts[place]


def clips_as_data(waves: Sequence[np.ndarray], words: Sequence[str], how: LogMel) -> Dataset:
    """Clips as labelled log-mel pictures of one width, for a classifier.

    Args:
        waves: mono samples at `how.rate`, `(n,)` each; longer ones are cut, shorter ones followed
            by silence.
        words: the class of each.
        how: front end.
    """
    classes = tuple(sorted(set(words)))
    values = np.stack([_levels(wave, how) for wave in waves])
    spec = DataSpec("clips", "image", values.shape[1:], len(values), "", classes)
    labels = np.array([classes.index(word) for word in words], np.int64)
    return Dataset(spec, values, labels)


@dataclass(frozen=True)
class Listener:
    """Names a class of clips: whose voice it is, or which word.

    Attributes:
        classifier: trained on real clips.
        classes: its names.
        how: front end.
    """

    classifier: Classifies
    classes: tuple[str, ...]
    how: LogMel

    @classmethod
    def train(
        cls,
        waves: Sequence[np.ndarray],
        words: Sequence[str],
        how: LogMel,
        *,
        seed: int = 0,
        examples: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Listener:
        """Train on real clips; arguments as in `clips_as_data` and `train_classifier`."""
        data = clips_as_data(waves, words, how)
        found = train_classifier(data, seed=seed, examples=examples, progress=progress)
        return cls(found, data.spec.classes, how)

    def hear(self, waves: Sequence[np.ndarray]) -> list[str]:
        """The class of each clip."""
        return [self.classes[i] for i in self.probabilities(waves).argmax(1)]

    def probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """`(N, classes)`, rows sum to 1."""
        data = clips_as_data(waves, [self.classes[0]] * len(waves), self.how)
        parts = torch.arange(len(data)).split(256)
        return torch.cat([self.classifier.predict_proba(data.batch(p).x) for p in parts]).numpy()


def mel_cepstra(wave: np.ndarray, how: LogMel, count: int = CEPSTRA) -> np.ndarray:
    """Mel-cepstral coefficients of the log amplitude, `(frames, count)`, without c0; no pauses.

    ln|H| at mel pitch ω is Σ c_m cos(m ω): coefficients of a cosine transform of log-mel bands.
    Frames more than 30 dB below the loudest one are left out.
    """
    decibels = log_mel(torch.from_numpy(np.ascontiguousarray(wave, np.float32)), how).flip(-2)
    logs = (decibels.double() * math.log(10) / 20).numpy()  # of amplitude, (mels, frames)
    bands = np.arange(how.mels) + 0.5
    basis = np.cos(np.pi / how.mels * np.arange(1, count + 1)[:, None] * bands)
    loud = decibels.amax(0).numpy()
    return np.asarray((2 / how.mels * basis @ logs).T[loud > loud.max() - _QUIET_DB])


def mel_cepstral_distortion(a: np.ndarray, b: np.ndarray) -> float:
    """dB between two sequences of mel cepstra `(frames, d)`, aligned by dynamic time warping.

    Kubichek (1993): 10 / ln 10 · √(2 Σ (c_m − c'_m)²), the mean along the cheapest path (Sakoe &
    Chiba 1978, steps of one frame in either sequence or both). It is the root mean square
    difference of the smoothed log spectra, loudness left out.
    """
    squares = np.square(a[:, None] - b[None]).sum(-1)
    path = warp(np.sqrt(2 * squares) * 10 / math.log(10))
    return float(path[0] / path[1])


def warp(costs: np.ndarray) -> tuple[float, int]:
    """The cheapest path through a table of costs `(n, m)`, corner to corner: sum and length."""
    n, m = costs.shape
    sums = np.full((n + 1, m + 1), np.inf)
    steps = np.zeros((n + 1, m + 1), np.int64)
    sums[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            before = min(
                (sums[i - 1, j - 1], steps[i - 1, j - 1]),
                (sums[i - 1, j], steps[i - 1, j]),
                (sums[i, j - 1], steps[i, j - 1]),
            )
            sums[i, j] = before[0] + costs[i - 1, j - 1]
            steps[i, j] = before[1] + 1
    return float(sums[n, m]), int(steps[n, m])


def pitches(wave: np.ndarray, rate: int) -> np.ndarray:
    """The fundamental frequency of the voiced frames in order, hertz, `(voiced,)`.

    The largest normalised autocorrelation of windows of 40 ms every 10 ms (Rabiner 1977, as
    normalised by Boersma 1993), of lags of 60 to 400 Hz; voiced where it is above 0.5 and the
    frame is less than 30 dB below the loudest one. Among nearly equal peaks the shortest lag wins,
    so that octaves are not confused.
    """
    size, step = round(0.04 * rate), round(0.01 * rate)
    if len(wave) < size:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::step].astype(np.float64)
    frames = frames - frames.mean(1, keepdims=True)
    power = np.square(frames).mean(1)
    loud = power > max(power.max() * 10 ** (-_QUIET_DB / 10), 1e-10)
    window = np.hanning(size)
    found = _autocorrelation(frames[loud] * window) / _autocorrelation(window[None])
    low, high = math.ceil(rate / HIGHEST_PITCH), math.floor(rate / LOWEST_PITCH)
    high = min(high, size - 2)
    peaks = np.where(_peaks(found), found, 0)[:, low:high]
    best = peaks.max(1, initial=0)
    first = (peaks >= 0.9 * best[:, None]).argmax(1) + low
    voiced = best > _VOICED
    return rate / _refined(found[voiced], first[voiced])


def pitch_facts(waves: Sequence[np.ndarray], rate: int) -> dict[str, float]:
    """Median, lower and upper quartile of the pitch of clips, in hertz, over all voiced frames."""
    every = np.concatenate([pitches(wave, rate) for wave in waves] or [np.zeros(0)])
    if not len(every):
        return {"voiced": 0, "median": math.nan, "lower": math.nan, "upper": math.nan}
    lower, median, upper = np.percentile(every, (25, 50, 75)).tolist()
    return {"voiced": len(every), "median": median, "lower": lower, "upper": upper}


def distortion_to(
    clips: Mapping[str, np.ndarray],
    words: Mapping[str, str],
    targets: Mapping[str, Sequence[np.ndarray]],
    how: LogMel,
) -> dict[str, float]:
    """Mel-cepstral distortion of each clip to the target's clips of the same word, dB.

    The mean over those clips: nobody says a word twice in the same way.

    Args:
        clips: mono samples by name.
        words: the word of each clip.
        targets: the target's own clips by word.
        how: front end.
    """
    known = {word: [mel_cepstra(w, how) for w in waves] for word, waves in targets.items()}
    found = {}
    for name, wave in clips.items():
        cepstra = mel_cepstra(wave, how)
        every = [mel_cepstral_distortion(cepstra, other) for other in known[words[name]]]
        found[name] = float(np.mean(every))
    return found


def _levels(wave: np.ndarray, how: LogMel) -> np.ndarray:
    fitted = np.zeros(how.samples, np.float32)
    part = wave[: how.samples]
    fitted[: len(part)] = part
    return np.asarray(to_levels(log_mel(torch.from_numpy(fitted), how), how)[None].numpy())


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Normalised to 1 at lag 0, `(N, size)`."""
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames, 2 * size)
    found = np.fft.irfft(np.square(np.abs(spectrum)))[:, :size]
    return np.asarray(found / np.maximum(found[:, :1], 1e-12))


def _peaks(found: np.ndarray) -> np.ndarray:
    """Where a value is above both neighbours."""
    higher = np.zeros(found.shape, bool)
    higher[:, 1:-1] = (found[:, 1:-1] > found[:, :-2]) & (found[:, 1:-1] >= found[:, 2:])
    return higher


def _refined(found: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Lags between samples: the top of the parabola through three values."""
    rows = np.arange(len(lags))
    left, here, right = (found[rows, lags + k] for k in (-1, 0, 1))
    bend = left - 2 * here + right
    return np.asarray(lags + np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-12), 0))
