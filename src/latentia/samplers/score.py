"""Samplers of score-based models: reverse diffusion corrected by Langevin steps.

Song & Ermon (2019), "Generative Modeling by Estimating Gradients of the Data Distribution" (NCSN);
Song et al. (2021b), "Score-Based Generative Modeling through Stochastic Differential Equations".
The score is (D - x) / sigma². Steps of Langevin dynamics are in units of the noise level, since a
state with noise of level sigma moves within sigma: one size then does for every level.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.samplers.levels import Denoise, Noise, Sigmas, clean_at, falling_levels


@torch.no_grad()
def predictor_corrector(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sigmas,
    noise: Noise,
    *,
    snr: float = 0.16,
    corrector_steps: int = 1,
) -> Tensor:
    """Reverse diffusion with Langevin correction on the VE SDE (Song et al. 2021b, algorithm 2).

    The predictor, x + (sigma² - sigma'²) score + sqrt(sigma² - sigma'²) z, goes to the next level;
    there `corrector_steps` Langevin steps x + e · score + sqrt(2e) z put the state back where the
    data with that noise lies. A step to zero is the predictor's mean, D, and is not corrected.

    The paper's step e = 2 (snr |z| / |score|)² takes the norms of a batch, on which a sample would
    depend; those of a row alone vanish between modes. Here they are what they are for noise,
    E|z|² = d and E|score|² = d / sigma², so that e = 2 (snr · sigma)².

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, data with noise of level `sigmas[0]`.
        sigmas: `(n + 1,)` falling levels, the last may be 0.
        noise: `1 + corrector_steps` draws a step.
        snr: signal-to-noise ratio r of the correction; a Langevin step widens the noise by r² at
            most.
        corrector_steps: Langevin steps a level, M of the paper.

    Returns:
        `(B, ...)`, the state at `sigmas[-1]`; `n + corrector_steps · (n - 1)` evaluations for `n`
        steps that end at zero.

    Raises:
        UserError: an snr outside (0, 1), a negative number of steps, or senseless levels.
    """
    _check(snr, corrector_steps, 0)
    draws = 1 + corrector_steps
    for step, (now, then) in enumerate(pairwise(falling_levels(sigmas))):
        fall = now**2 - then**2
        x = x + fall / now**2 * (clean_at(denoise, x, now) - x)
        if then > 0:
            x = x + math.sqrt(fall) * noise(step * draws).to(x)
            for k in range(1, draws):
                x = _langevin(denoise, x, then, snr, noise(step * draws + k))
    return x


@torch.no_grad()
def annealed_langevin(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sigmas,
    noise: Noise,
    *,
    snr: float = 0.35,
    langevin_steps: int = 5,
) -> Tensor:
    """Langevin dynamics at ever lower noise (Song & Ermon 2019, algorithm 1).

    At each level `langevin_steps` steps x + e · score + sqrt(2e) z with e = 2 (snr · sigma)², which
    is their a / 2 = epsilon sigma² / (2 sigma_L²) with epsilon = (2 snr · sigma_L)². Where the
    levels end at zero the result is D of the state at the last one (the denoising step of
    Jolicoeur-Martineau et al. 2021).

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, anything about as wide as noise of level `sigmas[0]`.
        sigmas: `(n + 1,)` falling levels, the last may be 0.
        noise: `langevin_steps` draws a level.
        snr: signal-to-noise ratio, as of `predictor_corrector`. Epsilon 2e-5 of the paper is 0.22.
        langevin_steps: at each level, T of the paper: 100 at 10 levels; Song & Ermon (2020) take
            few at hundreds of levels.

    Returns:
        `(B, ...)`, the state at `sigmas[-1]`; `n · langevin_steps + 1` evaluations for `n` steps
        that end at zero.

    Raises:
        UserError: an snr outside (0, 1), fewer than one step, or senseless levels.
    """
    _check(snr, langevin_steps, 1)
    levels = falling_levels(sigmas)
    above = [level for level in levels if level > 0]
    for number, level in enumerate(above):
        for k in range(langevin_steps):
            x = _langevin(denoise, x, level, snr, noise(number * langevin_steps + k))
    return x if levels[-1] > 0 else clean_at(denoise, x, above[-1])


def _langevin(denoise: Denoise, x: Tensor, sigma: float, snr: float, noise: Tensor) -> Tensor:
    """One step x + e · score + sqrt(2e) z with e = 2 (snr · sigma)²."""
    moved = x + 2 * snr**2 * (clean_at(denoise, x, sigma) - x)
    return moved + 2 * snr * sigma * noise.to(x)


def _check(snr: float, steps: int, least: int) -> None:
    if not 0 < snr < 1 or steps < least:
        raise UserError(
            f"Langevin dynamics needs a signal-to-noise ratio between 0 and 1 and {least} or more "
            f"steps at each level, not {snr} and {steps}"
        )
