"""Generator against critic: the two-player game, with the losses that can be played in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import torch
from torch import Tensor

from latentia.game import Batch, Now, Player, Terms
from latentia.maths import adversarial as maths

Loss = Literal["relativistic", "non-saturating", "minimax"]
PairLoss = Callable[[Tensor, Tensor], Tensor]

CRITIC_LOSS: dict[Loss, PairLoss] = {
    "relativistic": maths.relativistic_critic,
    "non-saturating": maths.logistic_critic,
    "minimax": maths.logistic_critic,
}
GENERATOR_LOSS: dict[Loss, PairLoss] = {
    "relativistic": maths.relativistic_generator,
    "non-saturating": lambda real, fake: maths.non_saturating_generator(fake),
    "minimax": lambda real, fake: maths.minimax_generator(fake),
}


class NoiseToData(Protocol):
    """What the game needs of a generator."""

    latent_dim: int

    def __call__(self, z: Tensor) -> Tensor: ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Critic(Protocol):
    """Logits of the probability that an example is *real*."""

    def __call__(self, x: Tensor) -> Tensor:
        """`(B, …) -> (B,)`."""
        ...


class Adversarial:
    """min_G max_D, D giving the probability of *real* as in Goodfellow et al. 2014.

    Some lectures let D give the probability of *fake*; signs here follow the paper.
    The zero-centred penalties R1 and R2 (Mescheder et al. 2018, eq. 9) act on critic turns,
    every `lazy` steps at `lazy` times the weight (Karras et al. 2020, appendix B).

    Args:
        generator: the model that is shipped.
        critic: its opponent.
        players: "critic" and "generator".
        loss: "relativistic" (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024, eq. 2),
            "non-saturating" or "minimax" (Goodfellow et al. 2014, section 3).
        gamma: weight of R1 and R2 at the start and at the end of the budget.
        lazy: penalties are taken every so many steps.
    """

    def __init__(
        self,
        generator: NoiseToData,
        critic: Critic,
        players: dict[str, Player],
        loss: Loss,
        gamma: tuple[float, float],
        lazy: int,
    ) -> None:
        self.generator, self.critic, self.players = generator, critic, players
        self.loss, self.gamma, self.lazy = loss, gamma, lazy

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        real = self.generator.standardise(batch.x)
        fake = self.generator(now.noise(len(batch), self.generator.latent_dim))
        yield "critic", self._critic_terms(real, fake.detach(), now)
        with torch.no_grad():  # data do not depend on the generator
            logits = self.critic(real)
        yield "generator", {"adversarial": GENERATOR_LOSS[self.loss](logits, self.critic(fake))}

    def penalty_weight(self, progress: float) -> float:
        """γ at this share of the budget: a cosine from its first to its last value."""
        first, last = self.gamma
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))

    def _critic_terms(self, real: Tensor, fake: Tensor, now: Now) -> Terms:
        on_real, on_fake = self.critic(real), self.critic(fake)
        now.note("critic_right", ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2)
        terms = {"adversarial": CRITIC_LOSS[self.loss](on_real, on_fake)}
        if now.due(self.lazy):
            weight = self.lazy * self.penalty_weight(now.progress)
            terms["r1"] = weight * maths.gradient_penalty(self.critic, real)
            terms["r2"] = weight * maths.gradient_penalty(self.critic, fake)
        return terms
