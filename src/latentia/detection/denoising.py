"""How badly a denoiser takes noise off an example: strange parts are denoised to usual ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from latentia.models.denoiser import Denoiser

LEVELS = (0.2, 0.5, 1.0, 2.0)
"""Noise added, in units of the data's own deviation."""


@torch.no_grad()
def denoising_error(model: Denoiser, x: Tensor, *, seed: int = 0) -> np.ndarray:
    """Squared error of D(x + σ ε; σ) beside x, `(B, …) -> (B,)` float64, ≥ 0.

    Averaged over values and `LEVELS` of σ, each in units of the error of the best denoiser of a
    Gaussian, σ² σ_d² / (σ² + σ_d²); one ε per level for all rows. After Graham et al. 2023.
    """
    clean = model.standardise(x)
    generator = torch.Generator().manual_seed(seed)
    total = np.zeros(len(x))
    for level in LEVELS:
        sigma = level * model.sigma_data
        noise = torch.randn(1, *x.shape[1:], generator=generator).to(x.device)
        found = model(clean + sigma * noise, torch.full((len(x),), sigma, device=x.device))
        error = (found - clean).square().flatten(1).mean(1).double().cpu().numpy()
        total += error * (1 / sigma**2 + 1 / model.sigma_data**2) / len(LEVELS)
    return total
