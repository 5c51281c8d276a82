"""Heun's method that forgets on the way: EDM's stochastic sampler."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.samplers.heun import heun_step
from latentia.samplers.levels import Denoise, Noise, Sigmas, falling_levels

MOST = math.sqrt(2) - 1
"""Noise is at most doubled in variance by one step."""


@torch.no_grad()
def churn(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sigmas,
    noise: Noise,
    *,
    s_churn: float = 40.0,
    s_min: float = 0.05,
    s_max: float = 50.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Stochastic Heun (Karras et al. 2022, algorithm 2): `2n - 1` evaluations for `n` steps.

    Before each step noise is added, up to the level sigma (1 + min(s_churn / n, sqrt(2) - 1)),
    from which Heun's method goes down. What the network got wrong on the way is forgotten in part.
    With s_churn = 0 it is `heun` to the last bit.

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, data with noise of level `sigmas[0]`.
        sigmas: `(n + 1,)` falling levels, the last may be 0.
        noise: draw k is used by step k.
        s_churn: how much noise is added in all; the paper takes 30 to 80 with 256 to 1024 steps.
        s_min, s_max: levels between which it is.
        s_noise: deviation of the noise that is added. 1 is right for an exact denoiser; the paper
            takes 1.003 to 1.007 against the detail that its networks lose.

    Returns:
        `(B, ...)`, the state at `sigmas[-1]`.

    Raises:
        UserError: negative settings, or senseless levels.
    """
    if min(s_churn, s_min, s_noise) < 0 or s_max < s_min:
        raise UserError(
            f"churn needs s_churn, s_noise and 0 <= s_min <= s_max of zero or more, not "
            f"{s_churn}, {s_noise}, {s_min} and {s_max}"
        )
    levels = falling_levels(sigmas)
    share = min(s_churn / (len(levels) - 1), MOST)
    for step, (now, then) in enumerate(pairwise(levels)):
        raised = now * (1 + share) if s_min <= now <= s_max else now
        if raised > now:
            x = x + s_noise * math.sqrt(raised**2 - now**2) * noise(step).to(x)
        x = heun_step(denoise, x, raised, then)
    return x
