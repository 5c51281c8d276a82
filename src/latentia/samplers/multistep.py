"""DPM-Solver++ (2M): second order at one evaluation a step, from the clean guess before.

Lu, Zhou, Bao, Chen, Li, Zhu (2022), "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
Probabilistic Models".
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from latentia.samplers.levels import Denoise, Sigmas, checked_levels, clean_at


@torch.no_grad()
def dpm_solver_2m(denoise: Denoise, x: Tensor, sigmas: Sigmas) -> Tensor:
    """Follows the ODE with DPM-Solver++ (2M) (Lu et al. 2022, algorithm 2): second order.

    In half the log-SNR, lambda = -ln sigma, the ODE is linear in x but for D, so that
    x' = (sigma' / sigma) x + (1 - sigma' / sigma) D~ is exact for a constant D~. D~ continues the
    two last guesses by half the step, D + (h / 2 h_before) (D - D_before). The first step has no
    guess before it, and one to zero is endless in lambda; both take D~ = D. The error of the first
    is of second order in its own length, the last leaves x = D.

    Arguments and result are those of `euler`; `n` evaluations for `n` steps.
    """
    before: Tensor | None = None
    length_before = 1.0
    for now, then in pairwise(checked_levels(sigmas)):
        clean = clean_at(denoise, x, now)
        length = math.log(now / then) if then > 0 else math.inf
        ahead = clean
        if before is not None and then > 0:
            ahead = clean + length / (2 * length_before) * (clean - before)
        x = then / now * x + (1 - then / now) * ahead
        before, length_before = clean, length
    return x
