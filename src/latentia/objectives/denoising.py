"""Denoising score matching over a range of noise levels: the game of diffusion models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from latentia.abilities import CountsClasses, TakesClasses
from latentia.game import Batch, Now, Player, Terms
from latentia.maths.schedules import Levels, Scalings, stratified, training_sigmas
from latentia.nn.conditioning import class_weights


class NoiseAware(Protocol):
    """What the game needs of a model; of one that takes classes, those too (`TakesClasses`)."""

    def __call__(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor: ...

    def scalings(self, sigma: Tensor) -> Scalings:
        """How a denoised picture is made of what the network says."""
        ...

    def follow(self, step: int) -> None:
        """Average the network's weights into the guide's."""
        ...

    def standardise(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class NoiseLevels:
    """Which noise levels are trained most.

    Attributes:
        kind: "lognormal", ln σ ~ N(mean, std²) (EDM, table 1), or by uniform time: "linear" (DDPM),
            "cosine", or "uniform" (rectified flow).
        mean, std: P_mean and P_std of the lognormal ones.
    """

    kind: Levels = "lognormal"
    mean: float = 0.2
    std: float = 1.2

    def draw(self, now: Now, n: int) -> Tensor:
        """σ `(n,)`, evenly spread over the whole batch of all processes."""
        uniform = stratified(now.uniform(n), now.rank, now.world)
        return training_sigmas(self.kind, uniform, self.mean, self.std)


class Denoising:
    """Minimise λ(σ) ‖D(x + σ ε; σ) − x‖² over noise levels (EDM, eq. 8 and table 1).

    λ(σ) = 1 / c_out², with which the squared error is that of what the network itself says, be it
    noise, velocity or EDM's mixture: every noise level weighs the same.

    Args:
        model: a preconditioned denoiser.
        player: owns the model.
        levels: which noise levels are trained most.
        guide_until: share of the budget at which the model's guide stops learning.
        forget: share of the examples shown without their class, for a model that takes classes.
    """

    def __init__(
        self,
        model: NoiseAware,
        player: Player,
        levels: NoiseLevels,
        guide_until: float,
        forget: float = 0.0,
    ) -> None:
        self.model, self.levels = model, levels
        self.guide_until, self.forget = guide_until, forget
        self.players = {"denoiser": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        if now.progress < self.guide_until:
            self.model.follow(now.step + 1)
        clean = self.model.standardise(batch.x)
        sigma = self.levels.draw(now, len(batch))
        wide = sigma.reshape(-1, *[1] * (clean.ndim - 1))
        noisy = clean + wide * now.noise(*clean.shape)
        guess = self.model(noisy, sigma, self._classes(batch, now))
        error = (guess - clean).square() / self.model.scalings(wide).out.square()
        yield "denoiser", {"denoising": error.mean()}

    def _classes(self, batch: Batch, now: Now) -> Tensor | None:
        """Weights `(B, classes)` of what each example is, where the model takes classes."""
        if not isinstance(self.model, TakesClasses):
            return None
        return told_classes(self.model, batch, now, self.forget)


def told_classes(model: TakesClasses, batch: Batch, now: Now, forget: float) -> Tensor:
    """What each example is, `(B, classes)`, counted by the model; a share of them is not told.

    Args:
        model: takes classes.
        batch: with labels.
        now: whose chance it is.
        forget: the share, whose weights are zero.
    """
    assert batch.labels is not None, "refused by the recipe"
    if isinstance(model, CountsClasses):
        model.count_classes(batch.labels, now.mean)
    known = now.uniform(len(batch)) >= forget
    return class_weights(batch.labels, model.classes) * known[:, None]
