"""Denoising score matching over a range of noise levels: the game of diffusion models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.schedules import edm_weight, lognormal_sigmas, stratified


class NoiseAware(Protocol):
    """What the game needs of a model."""

    sigma_data: float

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor: ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Denoising:
    """Minimise λ(σ) ‖D(x + σ ε; σ) − x‖², ln σ ~ N(P_mean, P_std²) (EDM, eq. 8 and table 1).

    λ(σ) = (σ² + σ_data²) / (σ σ_data)² makes every noise level weigh the same at the start.

    Args:
        model: a preconditioned denoiser.
        player: owns the model.
        p_mean, p_std: of ln σ: which noise levels are trained most.
    """

    def __init__(self, model: NoiseAware, player: Player, p_mean: float, p_std: float) -> None:
        self.model, self.p_mean, self.p_std = model, p_mean, p_std
        self.players = {"denoiser": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        clean = self.model.standardise(batch.x)
        uniform = stratified(now.uniform(len(batch)))
        sigma = lognormal_sigmas(uniform, self.p_mean, self.p_std)
        wide = sigma.reshape(-1, *[1] * (clean.ndim - 1))
        guess = self.model(clean + wide * now.noise(*clean.shape), sigma)
        error = edm_weight(wide, self.model.sigma_data) * (guess - clean).square()
        yield "denoiser", {"denoising": error.mean()}
