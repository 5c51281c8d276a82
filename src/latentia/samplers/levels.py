"""What every sampler is handed: a denoiser, noise levels, and noise of its own where it adds any.

A denoiser is any function `D(x, sigma)` of noisy data `x (B, ...)` and levels `sigma (B,)`, in the
dtype of `x`, that returns the expected clean data behind x = clean + sigma · noise, like `x`. The
state keeps the dtype of `x`; noise levels are handled as Python floats (float64).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from latentia.errors import UserError

Denoise = Callable[[Tensor, Tensor], Tensor]
"""`(x (B, ...), sigma (B,)) -> (B, ...)`, the expected clean data."""

Noise = Callable[[int], Tensor]
"""Number of a draw, from 0 -> standard normal `(B, ...)` like the state, always the same for the
same number. `maths.randomness.SeededSteps` gives each row a stream of its own."""

Sigmas = Tensor | Sequence[float]
"""`(n + 1,)` noise levels of `n` steps, in the data's units."""


def checked_levels(sigmas: Sigmas) -> list[float]:
    """Levels as Python floats: strictly rising, or falling with a zero only last.

    Raises:
        UserError: they are anything else.
    """
    levels = sigmas.tolist() if isinstance(sigmas, Tensor) else [float(s) for s in sigmas]
    pairs = list(pairwise(levels))
    falling, rising = all(a > b for a, b in pairs), all(a < b for a, b in pairs)
    if not pairs or not (falling or rising) or levels[0] <= 0 or levels[-1] < 0:
        raise UserError(
            "noise levels must strictly fall (the last may be 0) or strictly rise from above 0, "
            f"two or more of them; these {len(levels)} do not"
        )
    return levels


def falling_levels(sigmas: Sigmas) -> list[float]:
    """Levels as Python floats, of a sampler that adds noise and can only go down.

    Raises:
        UserError: they do not strictly fall.
    """
    levels = checked_levels(sigmas)
    if levels[0] < levels[-1]:
        raise UserError(
            f"these noise levels rise from {levels[0]:g} to {levels[-1]:g}: a sampler that adds "
            "noise only goes down; encode with probability_flow"
        )
    return levels


def clean_at(denoise: Denoise, x: Tensor, sigma: float) -> Tensor:
    """`D(x, sigma)` with one level for all rows."""
    return denoise(x, x.new_full((len(x),), sigma))


def slope_at(denoise: Denoise, x: Tensor, sigma: float) -> Tensor:
    """`dx/dsigma = (x - D(x, sigma)) / sigma` at `sigma > 0` (Karras et al. 2022, eq. 3).

    Minus sigma times the score: the noise that the denoiser sees in x.
    """
    return (x - clean_at(denoise, x, sigma)) / sigma
