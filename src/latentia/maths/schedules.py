"""Noise levels of diffusion: which ones to train on, which to sample at, and how to scale.

Sigma is the standard deviation of the noise added to data, in the data's own units. What other
ways of writing diffusion down mix, α x + β ε, is α times clean data with noise of σ = β / α: one
coordinate for all of them.
Source: Karras, Aittala, Aila, Laine (2022), "Elucidating the Design Space of
Diffusion-Based Generative Models" (EDM).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

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
        n: steps of the sampler; one goes from `sigma_max` to 0 at once.
        sigma_min: last level above zero, of two steps or more.
        sigma_max: first level.
        rho: how much finer the steps are near `sigma_min`; 1 is uniform.

    Returns:
        float64 `(n + 1,)`, on the CPU.

    >>> [round(s, 2) for s in karras_sigmas(3, 0.1, 10.0, rho=1.0).tolist()]
    [10.0, 5.05, 0.1, 0.0]
    """
    if n < 1 or not 0 < sigma_min < sigma_max:
        raise UserError(
            f"sampling needs at least 1 step and 0 < sigma_min < sigma_max, not {n} steps "
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


def epsilon_scalings(sigma: Tensor, sigma_data: float) -> Scalings:
    """The network says which noise was added (Ho et al. 2020, DDPM, eq. 11): D = x − σ F.

    It is shown √ᾱ x₀ + √(1 − ᾱ) ε, that is x / √(1 + σ²), whatever `sigma_data`.
    """
    return Scalings(
        skip=torch.ones_like(sigma),
        out=-sigma,
        inward=(sigma.square() + 1).rsqrt(),
        noise=sigma.log() / 4,
    )


def v_scalings(sigma: Tensor, sigma_data: float) -> Scalings:
    """The network says v = α ε − β x₀ (Salimans & Ho 2022, section 4), α² + β² = 1, β / α = σ.

    EDM's but for the sign where data have unit variance; `sigma_data` plays no part.
    """
    plain = edm_scalings(sigma, 1.0)
    return plain._replace(out=-plain.out)


def flow_scalings(sigma: Tensor, sigma_data: float) -> Scalings:
    """The network says the velocity ε − x₀ of the straight way from data to noise.

    On that way x_t = (1 − t) x₀ + t ε with t = σ / (1 + σ) (Liu et al. 2023, rectified flow; Lipman
    et al. 2023, flow matching), so D = x_t − t F; `sigma_data` plays no part.
    """
    whole = 1 / (1 + sigma)
    return Scalings(skip=whole, out=-sigma * whole, inward=whole, noise=sigma.log() / 4)


Prediction = Literal["edm", "epsilon", "v", "flow"]

SCALINGS: dict[Prediction, Callable[[Tensor, float], Scalings]] = {
    "edm": edm_scalings,
    "epsilon": epsilon_scalings,
    "v": v_scalings,
    "flow": flow_scalings,
}
"""What the network says, by name: how D is made of it."""


def linear_sigmas(time: Tensor, low: float = 0.1, high: float = 20.0) -> Tensor:
    """σ of the variance-preserving process with β(t) from `low` to `high`, t in [0, 1].

    σ² = exp(∫β) − 1 (Song et al. 2021, eq. 33); 1,000 equal steps of t are the linear schedule of
    DDPM (Ho et al. 2020).

    >>> [round(s, 3) for s in linear_sigmas(torch.tensor([0.001, 0.5, 1.0])).tolist()]
    [0.01, 3.413, 152.167]
    """
    return (low * time + (high - low) * time.square() / 2).expm1().sqrt()


def cosine_sigmas(time: Tensor) -> Tensor:
    """σ = tan(π t / 2), the cosine schedule of Nichol & Dhariwal (2021) without its offset."""
    return torch.tan(time * (torch.pi / 2))


def flow_sigmas(time: Tensor) -> Tensor:
    """σ = t / (1 − t), of the straight way from data to noise."""
    return time / (1 - time)


Levels = Literal["lognormal", "linear", "cosine", "uniform"]

BY_TIME: dict[Levels, Callable[[Tensor], Tensor]] = {
    "linear": linear_sigmas,
    "cosine": cosine_sigmas,
    "uniform": flow_sigmas,
}
"""Levels of noise by time in (0, 1)."""

ENDS = 1e-3  # of time, that are left out: DDPM's first step of a thousand, and its mirror image


def training_sigmas(levels: Levels, uniform: Tensor, mean: float, std: float) -> Tensor:
    """The levels to train at, of draws in [0, 1); `mean` and `std` are those of lognormal ones."""
    if levels == "lognormal":
        return lognormal_sigmas(uniform, mean, std)
    return BY_TIME[levels](ENDS + (1 - 2 * ENDS) * uniform)
