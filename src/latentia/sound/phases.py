"""Waveforms from loudness alone: the mel filters undone, phases found by Griffin and Lim."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentia.data.mel import LogMel

MOMENTUM = 0.99  # Perraudin et al. 2013
ROUNDS = 32
UNMIX_ROUNDS = 40
_EPS = 1e-12


def analyse(wave: Tensor, how: LogMel) -> Tensor:
    """Complex spectrogram `(B, bins, frames)` of waves `(B, samples)`, as `log_mel` sees them."""
    window = how.window.to(wave)
    return torch.stft(
        wave, how.fft, how.hop, window=window, pad_mode="constant", return_complex=True
    )


def synthesise(spectrum: Tensor, how: LogMel) -> Tensor:
    """Waves `(B, (frames - 1) · hop)` by overlapping and adding; undoes `analyse`."""
    window = how.window.to(spectrum.real)
    return torch.istft(spectrum, how.fft, how.hop, window=window)


def magnitudes(power: Tensor, how: LogMel, rounds: int = UNMIX_ROUNDS) -> Tensor:
    """Spectral magnitudes whose mel powers are the given ones, as smooth as they can be.

    Non-negative, by the multiplicative updates of Lee & Seung (2001), eq. 5, which minimise the
    generalised Kullback-Leibler divergence: unlike least squares they do not let loud bands
    drown quiet ones.

    Args:
        power: mel power `(…, mels, frames)`, lowest band first (`to_power`).
        how: the filters.
        rounds: updates.

    Returns:
        `(…, fft / 2 + 1, frames)`.
    """
    filters = how.filters.to(power)
    given = filters.sum(0)[:, None].clamp(min=_EPS)
    reached = filters.sum(1)[:, None]
    spread = filters.T @ (power / reached) / given  # each bin the mean of the bands that hear it
    found = spread
    for _ in range(rounds):
        found = found * (filters.T @ (power / (filters @ found).clamp(min=_EPS))) / given
    heard = (filters.sum(0) > 0)[:, None]
    return torch.where(heard, found, 0.0).clamp(min=0).sqrt()


def first_phases(magnitude: Tensor, how: LogMel, seed: int = 0) -> Tensor:
    """Random phases, unit complex numbers of the shape of `magnitude`, the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    # drawn by frame, so that the first frames are the same whatever follows
    turns = torch.rand(magnitude.shape[-1], magnitude.shape[-2], generator=generator)
    angle = (2 * math.pi * turns.T).to(magnitude)
    return torch.polar(torch.ones_like(magnitude), angle.expand_as(magnitude))


def griffin_lim(
    magnitude: Tensor,
    how: LogMel,
    *,
    rounds: int = ROUNDS,
    momentum: float = MOMENTUM,
    phases: Tensor | None = None,
    known: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Waves whose spectrogram has nearly the given magnitudes.

    Griffin & Lim (1984) with the momentum of Perraudin et al. (2013, "fast Griffin-Lim").

    Args:
        magnitude: `(B, bins, frames)`.
        how: window and hop.
        rounds: of analysis and synthesis.
        momentum: 0 is the original algorithm.
        phases: unit complex numbers to begin with; None draws them.
        known: samples `(B, n)` that the waves begin with, such as the end of the piece before:
            kept through all rounds, so that what follows is in phase with them.
        seed: of the drawn phases.

    Returns:
        `(B, (frames - 1) · hop)`.
    """
    angles = first_phases(magnitude, how, seed) if phases is None else phases
    if known is not None:
        wave = _joined(torch.zeros(len(magnitude), _length(magnitude, how)).to(magnitude), known)
        sure = 1 + max(0, known.shape[1] - how.fft // 2) // how.hop  # frames within what is known
        heard = analyse(wave, how)[..., :sure]
        angles = torch.cat([_unit(heard), angles[..., sure:]], -1)
    before = torch.zeros_like(angles)
    for _ in range(rounds):
        wave = _joined(synthesise(magnitude * angles, how), known)
        now = analyse(wave, how)
        angles = _unit(now - momentum / (1 + momentum) * before)
        before = now
    return _joined(synthesise(magnitude * angles, how), known)


def _joined(wave: Tensor, known: Tensor | None) -> Tensor:
    if known is None:
        return wave
    kept = known[:, : wave.shape[1]]
    return torch.cat([kept, wave[:, kept.shape[1] :]], 1)


def _length(magnitude: Tensor, how: LogMel) -> int:
    return int(magnitude.shape[-1] - 1) * how.hop


def _unit(spectrum: Tensor) -> Tensor:
    return spectrum / spectrum.abs().clamp(min=_EPS)
