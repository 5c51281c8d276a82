"""Generator against critic: the two-player game, with the losses that can be played in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.abilities import CountsClasses, TakesClasses
from latentia.game import Batch, Now, Player, Terms, Verdict
from latentia.maths import adversarial as maths

Loss = Literal["relativistic", "non-saturating", "minimax", "least-squares", "hinge", "wasserstein"]
Penalty = Literal["r1+r2", "r1", "wgan-gp", "none"]

CRITIC_LOSS: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "relativistic": maths.relativistic_critic,
    "non-saturating": maths.minimax_critic,
    "minimax": maths.minimax_critic,
    "least-squares": maths.least_squares_critic,
    "hinge": maths.hinge_critic,
    "wasserstein": maths.wasserstein_critic,
}
GENERATOR_LOSS: dict[Loss, Callable[[Tensor], Tensor]] = {
    "non-saturating": maths.non_saturating_generator,
    "minimax": maths.minimax_generator,
    "least-squares": maths.least_squares_generator,
    "hinge": maths.linear_generator,
    "wasserstein": maths.linear_generator,
}
UNDECIDED: dict[Loss, float] = {
    "non-saturating": 0.0,
    "minimax": 0.0,
    "least-squares": 0.5,
    "hinge": 0.0,
}
"""The output of a critic that cannot tell; the others' outputs have no such point of their own."""


class NoiseToData(Protocol):
    """What the game needs of a generator.

    One that takes classes (`TakesClasses`) is called with the labels as well, and may keep count
    of them (`CountsClasses`).
    """

    latent_dim: int

    def __call__(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """`(B, d) -> (B, …)` in the critic's space."""
        ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Critic(Protocol):
    """Logits of the probability that an example is *real*; of one class, where labels are given."""

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """`(B, …) -> (B,)`, float32."""
        ...


@runtime_checkable
class NamesClasses(Protocol):
    """A critic that also says which class it sees (Odena et al. 2017, AC-GAN)."""

    names: bool

    def judge(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of being real `(B,)` and of every class `(B, classes)`."""
        ...


class Augments(Protocol):
    """Changes what the critic sees, of real and fake examples alike, with probability `p`."""

    p: Tensor
    signal: Tensor  # how sure the critic is of real examples, −1 to 1

    def __call__(self, x: Tensor, now: Any) -> Tensor:
        """`(B, …)` to the same shape, differentiable; randomness from `now.noise`/`uniform`."""
        ...

    def update(self, on_real: Tensor, on_fake: Tensor, examples: int, now: Any) -> None:
        """Adapt to how sure the critic is of real examples (Karras et al. 2020, ADA, eq. 1).

        Args:
            on_real, on_fake: its outputs on this process's examples, as it saw them, `(B,)`.
            examples: shown in this step, over all processes.
            now: agrees with the other processes.
        """
        ...


class Adversarial:
    """min_G max_D, D giving the probability of *real* as in Goodfellow et al. 2014.

    Some lectures let D give the probability of *fake*; signs here follow the paper.
    Penalties are taken on every `sparse`-th example of a batch, and at every `every`-th step with
    so many times the weight: either way in the mean the same as the whole, the first without the
    jolts of lazy regularisation (Karras et al. 2020, appendix B).

    With a generator that takes classes, a fake is made for the label of each real example beside
    it: so the labels of fakes come as often as in the data, and the pairs of the relativistic
    game are of one class.

    Args:
        generator: the model that is shipped.
        critic: its opponent.
        players: "critic" and "generator".
        loss: "relativistic" (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024, eq. 2),
            "non-saturating" or "minimax" (Goodfellow et al. 2014, section 3), "least-squares"
            (Mao et al. 2017), "hinge" (Lim & Ye 2017), "wasserstein" (Arjovsky et al. 2017).
        gamma: weight of the penalties at the start and at the end of the budget.
        sparse: penalties are taken on every so many-th example.
        every: and at every so many-th step.
        penalty: "r1+r2", "r1" (Mescheder et al. 2018, eq. 9), "wgan-gp" (Gulrajani et al. 2017)
            or "none".
        augment: applied to real and fake examples before the critic sees them.
        class_weight: of the cross-entropy of a critic that names classes: on data in its own
            turn, on fakes in the generator's.
    """

    def __init__(
        self,
        generator: NoiseToData,
        critic: Critic,
        players: dict[str, Player],
        loss: Loss,
        gamma: tuple[float, float],
        sparse: int,
        *,
        every: int = 1,
        penalty: Penalty = "r1+r2",
        augment: Augments | None = None,
        class_weight: float = 1.0,
    ) -> None:
        self.generator, self.critic, self.players = generator, critic, players
        self.loss, self.gamma, self.sparse = loss, gamma, sparse
        self.every, self.penalty, self.augment = every, penalty, augment
        self.class_weight = class_weight

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        self.count(batch, now)
        real = self.generator.standardise(batch.x)
        fake = self.draw(batch, now)
        yield "critic", self.critic_terms(batch, real, fake.detach(), now)
        yield "generator", self.generator_terms(batch, real, fake, now)

    # what a variant of the game overrides

    def draw(self, batch: Batch, now: Now) -> Tensor:
        """As many fakes as the batch has examples, for the same labels, `(B, …)`."""
        z, labels = now.noise(len(batch), self.generator.latent_dim), self.labels(batch)
        return self.generator(z) if labels is None else self.generator(z, labels)

    def critic_terms(self, batch: Batch, real: Tensor, fake: Tensor, now: Now) -> Terms:
        """What the critic descends on; `fake` is detached."""
        labels = self.labels(batch)
        real, fake = self.seen(real, now), self.seen(fake, now)
        on_real, names = self.judge(real, labels)
        on_fake = self.judge(fake, labels)[0]
        self._look(on_real, on_fake, now)
        terms = {"adversarial": CRITIC_LOSS[self.loss](on_real, on_fake)}
        if names is not None:
            assert labels is not None
            now.note("class_right", (names.argmax(1) == labels).float().mean())
            terms["classes"] = self._cross_entropy(names, labels)
        if now.step % self.every == 0:
            terms |= self._penalties(real, fake, labels, now)
        return terms

    def generator_terms(self, batch: Batch, real: Tensor, fake: Tensor, now: Now) -> Terms:
        """What the generator descends on; `fake` carries its gradient."""
        labels = self.labels(batch)
        on_fake, names = self.judge(self.seen(fake, now), labels)
        on_real = on_fake
        if self.loss == "relativistic":
            with torch.no_grad():  # data do not depend on the generator
                on_real = self.judge(self.seen(real, now), labels)[0]
        terms = {"adversarial": self.generator_loss(on_real, on_fake)}
        if names is not None:
            assert labels is not None
            terms["classes"] = self._cross_entropy(names, labels)
        return terms

    # asked outside a step: `latentia.game.Judges`

    @torch.no_grad()
    def verdict(self, batch: Batch, now: Now) -> Verdict:
        """The critic's answers on a batch and on as many fakes; nothing changes by it."""
        modules = [player.modules for player in self.players.values()]
        training = [m for each in modules for m in each.modules() if m.training]
        for module in modules:
            module.eval()
        labels = self.labels(batch)
        real, fake = self.generator.standardise(batch.x), self.draw(batch, now)
        on_real, on_fake = (self.judge(self.seen(x, now), labels)[0] for x in (real, fake))
        said = Verdict(on_real, on_fake, real, fake)  # unaugmented, so that repeats show
        for module in training:
            module.training = True
        return said

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critic and generator at these logits `(B,)`, without penalties."""
        return CRITIC_LOSS[self.loss](real, fake), self.generator_loss(real, fake)

    # what variants use

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's loss at the critic's outputs `(B,)`; few losses look at the real ones."""
        if self.loss == "relativistic":
            return maths.relativistic_generator(real, fake)
        return GENERATOR_LOSS[self.loss](fake)

    def labels(self, batch: Batch) -> Tensor | None:
        """The batch's labels `(B,)` where generator and critic take classes, else None."""
        return batch.labels if isinstance(self.generator, TakesClasses) else None

    def seen(self, x: Tensor, now: Now) -> Tensor:
        """What the critic gets to see of examples `(B, …)`: augmented, where there is that."""
        return x if self.augment is None else self.augment(x, now)

    def judge(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The critic's outputs `(B,)`, and its logits of every class where it names them."""
        if isinstance(self.critic, NamesClasses) and self.critic.names:
            return self.critic.judge(x, labels)
        return (self.critic(x) if labels is None else self.critic(x, labels)), None

    def penalty_weight(self, progress: float) -> float:
        """γ at this share of the budget: a cosine from its first to its last value."""
        first, last = self.gamma
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))

    def count(self, batch: Batch, now: Now) -> None:
        """Let a generator that takes classes know how frequent they are."""
        labels, generator = self.labels(batch), self.generator
        if labels is not None and isinstance(generator, CountsClasses):
            generator.count_classes(labels, now.mean)

    def _penalties(self, real: Tensor, fake: Tensor, labels: Tensor | None, now: Now) -> Terms:
        weight = self.every * self.penalty_weight(now.progress)
        if not weight or self.penalty == "none":
            return {}
        some = slice(None, None, self.sparse)
        chosen = None if labels is None else labels[some]

        def critic(x: Tensor) -> Tensor:
            return self.critic(x) if chosen is None else self.critic(x, chosen)

        if self.penalty == "wgan-gp":
            points = maths.between(real, fake, now.uniform(len(real)))[some]
            return {"slope": weight * maths.slope_penalty(critic, points)}
        terms = {"r1": weight * maths.gradient_penalty(critic, real[some])}
        if self.penalty == "r1+r2":
            terms["r2"] = weight * maths.gradient_penalty(critic, fake[some])
        return terms

    def _cross_entropy(self, names: Tensor, labels: Tensor) -> Tensor:
        """Of classes in nats, weighted; labels below 0 are unknown and do not count."""
        every = F.cross_entropy(names, labels.clamp(min=0), reduction="none")
        return self.class_weight * (every * (labels >= 0)).mean()

    def _look(self, on_real: Tensor, on_fake: Tensor, now: Now) -> None:
        """Note how often the critic is right, and let the augmentation adapt to it."""
        real, fake = on_real.detach(), on_fake.detach()
        middle = UNDECIDED.get(self.loss)
        if middle is None:  # only differences count: between the two means
            real, fake = real - (m := (real.mean() + fake.mean()) / 2), fake - m
        else:
            real, fake = real - middle, fake - middle
        right = (real > 0).float().mean(), (fake < 0).float().mean()
        now.note("critic_real", right[0])
        now.note("critic_fake", right[1])
        now.note("critic_right", (right[0] + right[1]) / 2)
        if self.augment is not None:
            self.augment.update(on_real.detach(), on_fake.detach(), len(real) * now.world, now)
            now.note("augment_p", self.augment.p)
            now.note("augment_signal", self.augment.signal)
