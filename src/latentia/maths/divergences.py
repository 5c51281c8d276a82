"""Divergences between distributions, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_VAR_RANGE = (-12.0, 6.0)
"""What log-variances of latents are held to: narrower or wider says nothing more."""


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL( N(μ, σ²) ‖ N(0, 1) ) of every component, same shape as `mu`, ≥ 0.

    ½ (σ² + μ² − 1 − log σ²): the divergence that is *minimised* (Kingma & Welling 2014,
    appendix B, with the sign that makes it a divergence). Some slides write it with a leading
    minus and with log σ where log σ² belongs; this is the form that is zero at μ = 0, σ = 1.

    >>> float(kl_to_standard_normal(torch.zeros(()), torch.zeros(())))
    0.0
    """
    return 0.5 * (log_var.exp() + mu.square() - 1 - log_var)


def normal_log_prob(x: Tensor, mu: Tensor | float, log_var: Tensor | float) -> Tensor:
    """log N(x; μ, σ²) of every component."""
    log_var = torch.as_tensor(log_var, dtype=x.dtype, device=x.device)
    return -0.5 * ((x - mu).square() * (-log_var).exp() + log_var + math.log(2 * math.pi))


def importance_bound(log_weights: Tensor, dim: int = 0) -> Tensor:
    """IWAE bound log (1/k) Σ w over the k log-weights along `dim` (Burda et al. 2016, eq. 8)."""
    return torch.logsumexp(log_weights, dim) - math.log(log_weights.shape[dim])
