"""Score matching at many noise levels: the game of score-based models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from torch import Tensor

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.schedules import stratified
from latentia.maths.score_matching import denoising_loss, signs, sliced_loss
from latentia.maths.sdes import Sde

Matching = Literal["denoising", "sliced"]


class Scores(Protocol):
    """What the game needs of a model."""

    sde: Sde

    def inner_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The score of standardised data with noise, `(B, …)`, σ `(B,)` -> `(B, …)`."""
        ...

    def standardise(self, x: Tensor) -> Tensor: ...


class ScoreMatching:
    """Minimise σ² ‖s(x + σ ε; σ) − ∇ log p(x + σ ε; σ)‖² / 2 over the levels of an SDE.

    The true score is not known; both ways replace it without changing the minimum: by that of the
    noise, −ε / σ (denoising), or by integrating by parts (sliced).

    Args:
        model: its score network.
        player: owns the model.
        matching: "denoising" (Vincent 2011) or "sliced" (Song et al. 2019).
    """

    def __init__(self, model: Scores, player: Player, matching: Matching) -> None:
        self.model, self.matching = model, matching
        self.players = {"score": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        model = self.model
        clean = model.standardise(batch.x)
        uniform = stratified(now.uniform(len(batch)), now.rank, now.world)
        sigma = model.sde.trained_levels(uniform)
        noise = now.noise(*clean.shape)
        if self.matching == "denoising":
            loss = denoising_loss(model.inner_score, clean, noise, sigma)
        else:
            noisy = clean + sigma.reshape(-1, *[1] * (clean.ndim - 1)) * noise
            probe = signs(now.uniform(*clean.shape))
            loss = sliced_loss(model.inner_score, noisy, probe, sigma)
        yield "score", {self.matching: loss.mean()}
