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

    def follow(self, step: int) -> None:
        """Average the network's weights into the guide's."""
        ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Denoising:
    """Minimise λ(σ) ‖D(x + σ ε; σ) − x‖², ln σ ~ N(P_mean, P_std²) (EDM, eq. 8 and table 1).

    λ(σ) = (σ² + σ_data²) / (σ σ_data)² makes every noise level weigh the same at the start.

    Args:
        model: a preconditioned denoiser.
        player: owns the model.
        p_mean, p_std: of ln σ: which noise levels are trained most.
        guide_until: share of the budget at which the model's guide stops learning.
    """

    def __init__(
        self, model: NoiseAware, player: Player, p_mean: float, p_std: float, guide_until: float
    ) -> None:
        self.model, self.p_mean, self.p_std = model, p_mean, p_std
        self.guide_until = guide_until
        self.players = {"denoiser": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        if now.progress < self.guide_until:
            self.model.follow(now.step + 1)
        clean = self.model.standardise(batch.x)
        uniform = stratified(now.uniform(len(batch)), now.rank, now.world)
        sigma = lognormal_sigmas(uniform, self.p_mean, self.p_std)
        wide = sigma.reshape(-1, *[1] * (clean.ndim - 1))
        guess = self.model(clean + wide * now.noise(*clean.shape), sigma)
        error = edm_weight(wide, self.model.sigma_data) * (guess - clean).square()
        yield "denoiser", {"denoising": error.mean()}
