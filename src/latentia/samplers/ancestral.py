"""DDIM and ancestral sampling in the coordinate sigma.

Song, Meng, Ermon (2021a), "Denoising Diffusion Implicit Models"; Ho, Jain, Abbeel (2020),
"Denoising Diffusion Probabilistic Models". Their state is sqrt(a) · x with a = 1 / (1 + sigma²).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.samplers.levels import (
    Denoise,
    Noise,
    Sigmas,
    checked_levels,
    clean_at,
    falling_levels,
)


@torch.no_grad()
def ddim(
    denoise: Denoise, x: Tensor, sigmas: Sigmas, noise: Noise | None = None, *, eta: float = 0.0
) -> Tensor:
    """DDIM (Song et al. 2021a, eq. 12 and 16): one evaluation a step.

    A step keeps the clean guess and renews a part of the noise,
    x' = D + sqrt(sigma'² - s²) · (x - D) / sigma + s · z with
    s = eta · sigma' · sqrt(1 - sigma'² / sigma²), which is their eq. 16 in this coordinate. With
    eta = 0 nothing is renewed: Euler's method on the ODE. With eta = 1 the step draws from
    q(x' | x, clean = D): DDPM.

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, data with noise of level `sigmas[0]`.
        sigmas: `(n + 1,)` falling levels, the last may be 0; rising ones too where eta is 0.
        noise: draw k is used by step k; needed unless eta is 0.
        eta: share of the noise that is renewed, 0 to 1.

    Returns:
        `(B, ...)`, the state at `sigmas[-1]`.

    Raises:
        UserError: eta outside [0, 1], no noise where some is needed, or senseless levels.
    """
    if not 0 <= eta <= 1:
        raise UserError(f"eta of DDIM is a share of the noise, from 0 to 1, not {eta}")
    if eta > 0 and noise is None:
        raise UserError(
            "DDIM with eta above 0 draws noise: pass one, such as SeededSteps(seeds, …)"
        )
    levels = falling_levels(sigmas) if eta else checked_levels(sigmas)
    for step, (now, then) in enumerate(pairwise(levels)):
        clean = clean_at(denoise, x, now)
        renewed = eta * then * math.sqrt(max(0.0, 1 - (then / now) ** 2))
        kept = math.sqrt(then**2 - renewed**2)
        x = clean + kept / now * (x - clean)
        if noise is not None and renewed > 0:
            x = x + renewed * noise(step).to(x)
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Sigmas, noise: Noise) -> Tensor:
    """DDPM's ancestral sampling (Ho et al. 2020, eq. 6 and 7): `ddim` with eta = 1.

    Of DDPM's two variances the smaller, that of q(x' | x, clean). One evaluation a step.
    """
    return ddim(denoise, x, sigmas, noise, eta=1.0)
