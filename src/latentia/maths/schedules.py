"""Noise levels of diffusion: which ones to train on, which to sample at, and how to scale.

Sigma is the standard deviation of the noise added to data, in the data's own units.
Source: Karras, Aittala, Aila, Laine (2022), "Elucidating the Design Space of
Diffusion-Based Generative Models" (EDM).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from latentia.errors import UserError


class Scalings(NamedTuple):
    """EDM's preconditioning, `D(x) = skip · x + out · F(inward · x, noise)`; all like sigma."""

    skip: Tensor
    out: Tensor
    inward: Tensor
    noise: Tensor


def karras_sigmas(n: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Sampling levels, EDM eq. 5: `n` falling from `sigma_max` to `sigma_min`, then 0.

    Args:
        n: steps of the sampler, at least 2.
        sigma_min: last level above zero.
        sigma_max: first level.
        rho: how much finer the steps are near `sigma_min`; 1 is uniform.

    Returns:
        float64 `(n + 1,)`, on the CPU.

    >>> [round(s, 2) for s in karras_sigmas(3, 0.1, 10.0, rho=1.0).tolist()]
    [10.0, 5.05, 0.1, 0.0]
    """
    if n < 2 or not 0 < sigma_min < sigma_max:
        raise UserError(
            f"sampling needs at least 2 steps and 0 < sigma_min < sigma_max, not {n} steps "
            f"from {sigma_max} to {sigma_min}"
        )
    ramp = torch.linspace(0, 1, n, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, ramp.new_zeros(1)])


def lognormal_sigmas(uniform: Tensor, mean: float, std: float) -> Tensor:
    """Training levels, EDM table 1: `log sigma ~ N(mean, std²)`, by inversion.

    Args:
        uniform: draws in [0, 1), any shape; stratified ones give less noisy gradients.
        mean: P_mean, of log sigma.
        std: P_std, of log sigma.
    """
    inside = uniform.clamp(1e-4, 1 - 1e-4)  # keeps sigma finite; cuts 1 draw in 5,000
    return (mean + std * torch.special.ndtri(inside)).exp()


def stratified(uniform: Tensor, part: int = 0, parts: int = 1) -> Tensor:
    """Spreads independent uniform draws over equal strata of [0, 1), one in each.

    Args:
        uniform: `(n,)` draws in [0, 1).
        part, parts: these draws are the `part`-th of `parts` equal shares of a batch.

    Returns:
        `(n,)`; of a whole batch the i-th is uniform in [i/n, (i+1)/n): as a set, far more even.

    >>> stratified(torch.tensor([0.5, 0.0]))
    tensor([0.2500, 0.5000])
    """
    n = len(uniform)
    place = torch.arange(part * n, (part + 1) * n, device=uniform.device)
    return (place + uniform) / (n * parts)


def edm_scalings(sigma: Tensor, sigma_data: float) -> Scalings:
    """Preconditioning of EDM table 1; input and target of the network have unit variance.

    Args:
        sigma: positive, any shape.
        sigma_data: standard deviation of the (centred) data.
    """
    total = sigma.square() + sigma_data**2
    return Scalings(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data * total.rsqrt(),
        inward=total.rsqrt(),
        noise=sigma.log() / 4,
    )


def edm_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """Loss weight lambda of EDM table 1, `1 / out²`: every level starts at a loss of one."""
    return (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()
