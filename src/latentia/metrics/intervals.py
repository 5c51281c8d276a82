"""Figures with their 95 % intervals: shares, replicates of a bootstrap, means over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
REPLICATES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where something is not known.

    Attributes:
        value: the figure.
        low, high: ends of the interval.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def shown(self, percent: bool = True) -> str:
        """In words, e.g. "62 % (55 to 69 %)"; "not known" where there is no figure."""
        if self.value is None:
            return "not known"
        unit = " %" if percent else ""
        text = f"{figure(self.value, percent)}{unit}"
        if self.low is None and self.high is None:
            return text
        low, high = ("?" if end is None else figure(end, percent) for end in (self.low, self.high))
        return f"{text} ({low} to {high}{unit})"


UNKNOWN = Estimate()


@dataclass(frozen=True)
class Share(Estimate):
    """A share `hits / n` with Wilson's interval; not known for n = 0.

    Attributes:
        hits, n: counts.
    """

    hits: int = 0
    n: int = 0


def figure(value: float, percent: bool = True) -> str:
    """A number for a sentence: whole per cent (one decimal below 10), or three digits."""
    scaled = 100 * value if percent else value
    digits = (0 if abs(scaled) >= 9.95 else 1) if percent else None
    shown = f"{scaled:.3g}" if digits is None else f"{scaled:.{digits}f}"
    return shown.replace("-", "−", 1) if float(shown) < 0 else shown.removeprefix("-")


def wilson(hits: int, n: int) -> Share:
    """Wilson's score interval of a share (Wilson 1927; Brown et al. 2001, eq. 4).

    >>> share = wilson(10, 10)
    >>> share.value, round(share.low, 3), share.high
    (1.0, 0.722, 1.0)
    """
    if n == 0:
        return Share()
    z, p = float(norm.ppf(0.5 + LEVEL / 2)), hits / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low = 0.0 if hits == 0 else middle - half  # exactly, not to rounding
    high = 1.0 if hits == n else middle + half
    return Share(p, low, high, int(hits), int(n))


def between_replicates(value: float | None, replicates: np.ndarray) -> Estimate:
    """Percentile interval of bootstrap replicates; an end that is infinite is not known."""
    if value is None or not math.isfinite(value) or np.isnan(replicates).any():
        return UNKNOWN
    tails = (1 - LEVEL) / 2
    low = float(np.quantile(replicates, tails, method="lower"))
    high = float(np.quantile(replicates, 1 - tails, method="higher"))
    known = [end if math.isfinite(end) else None for end in (low, high)]
    return Estimate(float(value), known[0], known[1])


def over_seeds(values: Sequence[float | None]) -> Estimate:
    """Mean of independent runs with Student's interval; of one run the value alone.

    Not known where any of them is not.

    >>> found = over_seeds([1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (2.0, -0.48, 4.48)
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return UNKNOWN
    mean = float(np.mean(known))
    if len(known) < 2:
        return Estimate(mean)
    half = student(len(known)) * float(np.std(known, ddof=1)) / math.sqrt(len(known))
    return Estimate(mean, mean - half, mean + half)


def student(n: int) -> float:
    """How many standard errors reach to the ends of the interval of a mean of n values."""
    return float(t.ppf(0.5 + LEVEL / 2, n - 1))
