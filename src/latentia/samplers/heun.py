"""The probability-flow ODE of diffusion, `dx/dsigma = (x - D(x, sigma)) / sigma`, solved.

Source: Karras et al. (2022), "Elucidating the Design Space of Diffusion-Based Generative
Models" (EDM), eq. 1, 3 and algorithm 1; Song et al. (2021), "Score-Based Generative
Modeling through Stochastic Differential Equations", eq. 39 for the density.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.schedules import karras_sigmas
from latentia.samplers.levels import Denoise, Sigmas, checked_levels, slope_at

GEOMETRIC = 100.0
"""A rho of `karras_sigmas` at which its levels have nearly constant ratios."""


@torch.no_grad()
def euler(denoise: Denoise, x: Tensor, sigmas: Sigmas) -> Tensor:
    """Follows the ODE with Euler's method: one evaluation a step, first order.

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, data with noise of level `sigmas[0]`.
        sigmas: `(n + 1,)` levels, falling to generate (0 at the end allowed) or rising to encode.

    Returns:
        `(B, ...)`, the state at `sigmas[-1]`.
    """
    for now, then in pairwise(checked_levels(sigmas)):
        x = x + (then - now) * slope_at(denoise, x, now)
    return x


@torch.no_grad()
def heun(denoise: Denoise, x: Tensor, sigmas: Sigmas) -> Tensor:
    """Follows the ODE with Heun's method (EDM algorithm 1): second order.

    Two evaluations a step, one in a last step to zero, so `2n - 1` for `n` steps of sampling.
    Arguments and result are those of `euler`.
    """
    for now, then in pairwise(checked_levels(sigmas)):
        x = heun_step(denoise, x, now, then)
    return x


def heun_step(denoise: Denoise, x: Tensor, now: float, then: float) -> Tensor:
    """One step of Heun's method from level `now` to `then`; Euler's where `then` is zero."""
    slope = slope_at(denoise, x, now)
    guess = x + (then - now) * slope
    if then > 0:
        guess = x + (then - now) * (slope + slope_at(denoise, guess, then)) / 2
    return guess


def probability_flow(denoise: Denoise, x: Tensor, sigmas: Sigmas) -> Tensor:
    """Carries `x` along the ODE between levels above zero, which can be undone.

    Rising levels encode data into noise, the same levels reversed decode it.

    Args:
        denoise: the denoiser.
        x: `(B, ...)`, the state at `sigmas[0]`.
        sigmas: `(n + 1,)` strictly rising or falling levels; a zero at the end of a sampling
            schedule is left out, since the ODE cannot be started there.

    Returns:
        `(B, ...)`, the state at the last level above zero.
    """
    levels = [level for level in checked_levels(sigmas) if level > 0]
    return heun(denoise, x, levels)


@torch.no_grad()
def ode_log_prob(
    denoise: Denoise,
    x: Tensor,
    sigma_min: float,
    sigma_max: float,
    *,
    steps: int = 64,
    exact: bool = False,
    probes: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log-density of `x` under the ODE, `log p(x; sigma_min)`, `(B,)` in nats.

    The instantaneous change of variables, integrated with Heun's method over geometric levels
    from `sigma_min` to `sigma_max`, where the prior is N(m, sigma_max²), m being the mean of
    the data. The state moves in sigma, in which paths are straight at high noise, and the
    divergence is summed in log sigma, in which it is constant there: both second order.

    Args:
        denoise: the denoiser, differentiable in x.
        x: `(B, ...)`, in the data's units; the result is its density with noise of `sigma_min`.
        sigma_min: lowest level.
        sigma_max: highest level, much greater than the data's standard deviation.
        steps: steps of the solver; two evaluations each.
        exact: the exact divergence, one backward pass per dimension; otherwise
            Hutchinson's unbiased estimate.
        probes: Rademacher vectors of the estimate, the same along the whole path.
        generator: source of the probes; required unless `exact`.

    Raises:
        UserError: no generator for an estimate, or senseless levels.
    """
    dimensions = x[0].numel()
    directions = None if exact else _probes(x, probes, generator)
    levels = karras_sigmas(steps + 1, sigma_min, sigma_max, rho=GEOMETRIC)[:-1].flip(0).tolist()
    change = x.new_zeros(len(x))
    slope, trace = _slope_and_trace(denoise, x, levels[0], directions)
    for now, then in pairwise(levels):
        guess = x + (then - now) * slope
        slope_there = slope_at(denoise, guess, then)
        x = x + (then - now) * (slope + slope_there) / 2
        slope, trace_there = _slope_and_trace(denoise, x, then, directions)
        change = change + math.log(then / now) * (dimensions - (trace + trace_there) / 2)
        trace = trace_there
    # The slope is (x - m) / sigma_max with m the denoiser's guess there, the mean of the data.
    prior = -0.5 * slope.flatten(1).square().sum(1) - dimensions * (
        math.log(sigma_max) + 0.5 * math.log(2 * math.pi)
    )
    return prior + change


def _probes(x: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Rademacher vectors `(count, B, ...)`, the same along the whole path."""
    if generator is None:
        raise UserError(
            "the density is estimated with random probes; "
            "pass a seeded generator, or exact=True for the exact and slow sum"
        )
    bits = torch.randint(
        2, (count, *x.shape), generator=generator, device=generator.device, dtype=torch.int8
    )
    return (2 * bits - 1).to(x)


def _slope_and_trace(
    denoise: Denoise, x: Tensor, sigma: float, directions: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`dx/dsigma (B, ...)` and the trace `(B,)` of the denoiser's Jacobian, exact or estimated."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        clean = denoise(x, x.new_full((len(x),), sigma))
        if directions is None:
            trace = _exact_trace(clean, x)
        else:
            trace = _estimated_trace(clean, x, directions)
    x, clean = x.detach(), clean.detach()
    return (x - clean) / sigma, trace.detach()


def _estimated_trace(clean: Tensor, x: Tensor, directions: Tensor) -> Tensor:
    """Hutchinson's estimate of the trace of `d clean / d x`, `(B,)`, mean over the probes."""
    trace = x.new_zeros(len(x))
    for v in directions:
        (back,) = torch.autograd.grad(clean, x, v, retain_graph=True)
        trace = trace + (back * v).flatten(1).sum(1) / len(directions)
    return trace


def _exact_trace(clean: Tensor, x: Tensor) -> Tensor:
    """Sum of the diagonal of `d clean / d x`, `(B,)`: one backward pass per dimension."""
    flat = clean.flatten(1)
    trace = x.new_zeros(len(x))
    for i in range(flat.shape[1]):
        (back,) = torch.autograd.grad(flat[:, i].sum(), x, retain_graph=True)
        trace = trace + back.flatten(1)[:, i]
    return trace
