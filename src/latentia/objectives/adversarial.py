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

CRITIC_LOSS: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "relativistic": maths.relativistic_critic,
    "non-saturating": maths.minimax_critic,
    "minimax": maths.minimax_critic,
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
    The zero-centred penalties R1 and R2 (Mescheder et al. 2018, eq. 9) are taken on every
    `sparse`-th example of a batch: in the mean the same as the whole, at the cost of lazy
    regularisation (Karras et al. 2020, appendix B) but without its jolts.

    Args:
        generator: the model that is shipped.
        critic: its opponent.
        players: "critic" and "generator".
        loss: "relativistic" (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024, eq. 2),
            "non-saturating" or "minimax" (Goodfellow et al. 2014, section 3).
        gamma: weight of R1 and R2 at the start and at the end of the budget.
        sparse: penalties are taken on every so many-th example.
    """

    def __init__(
        self,
        generator: NoiseToData,
        critic: Critic,
        players: dict[str, Player],
        loss: Loss,
        gamma: tuple[float, float],
        sparse: int,
    ) -> None:
        self.generator, self.critic, self.players = generator, critic, players
        self.loss, self.gamma, self.sparse = loss, gamma, sparse

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        real = self.generator.standardise(batch.x)
        fake = self.generator(now.noise(len(batch), self.generator.latent_dim))
        yield "critic", self._critic_terms(real, fake.detach(), now)
        yield "generator", {"adversarial": self._generator_loss(real, fake)}

    def penalty_weight(self, progress: float) -> float:
        """γ at this share of the budget: a cosine from its first to its last value."""
        first, last = self.gamma
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))

    def _generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        on_fake = self.critic(fake)
        if self.loss == "minimax":
            return maths.minimax_generator(on_fake)
        if self.loss == "non-saturating":
            return maths.non_saturating_generator(on_fake)
        with torch.no_grad():  # data do not depend on the generator
            on_real = self.critic(real)
        return maths.relativistic_generator(on_real, on_fake)

    def _critic_terms(self, real: Tensor, fake: Tensor, now: Now) -> Terms:
        on_real, on_fake = self.critic(real), self.critic(fake)
        now.note("critic_right", ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2)
        terms = {"adversarial": CRITIC_LOSS[self.loss](on_real, on_fake)}
        gamma = self.penalty_weight(now.progress)
        if gamma:
            terms["r1"] = gamma * maths.gradient_penalty(self.critic, real[:: self.sparse])
            terms["r2"] = gamma * maths.gradient_penalty(self.critic, fake[:: self.sparse])
        return terms
