"""Loudness kept, and nothing clipped."""

from __future__ import annotations

import numpy as np

KNEE = 0.8  # of full scale: softer samples pass unchanged
CEILING = 0.98
MOST_PRESSED = 2.0  # peaks beyond this many full scales are turned down, not pressed


def matching_gain(rms: float, peak: float, wanted: float) -> float:
    """The factor that brings samples of an RMS to another one, all from 0 to 1.

    Less where the loudest sample would come to lie beyond `MOST_PRESSED`, what `limited` can take
    in without harm. Silence stays silence.

    >>> matching_gain(0.1, 0.4, 0.05)
    0.5
    """
    if not rms or not wanted:
        return 0.0
    return min(wanted / rms, MOST_PRESSED / max(peak, 1e-12))


def limited(wave: np.ndarray) -> np.ndarray:
    """Samples pressed into ±`CEILING` by a tanh above `KNEE`; smooth, and silent below it."""
    size = np.abs(wave)
    over = size > KNEE
    if not over.any():
        return wave
    room = CEILING - KNEE
    pressed = np.sign(wave) * (KNEE + room * np.tanh((size - KNEE) / room))
    return np.where(over, pressed, wave).astype(np.float32)
