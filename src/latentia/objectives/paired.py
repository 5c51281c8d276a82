"""Paired translation: nearness to the one right answer, and a critic that sees question and answer.

Isola et al. (2017), "Image-to-image translation with conditional adversarial networks".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.game import Batch, Now, Player, Terms, Verdict
from latentia.maths import adversarial as maths
from latentia.nn.translating import Draw, padded_to
from latentia.objectives.adversarial import CRITIC_LOSS, GENERATOR_LOSS, Loss


class Painter(Protocol):
    """A network that paints one side of a pair from the other."""

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be multiples of."""
        ...

    def __call__(self, x: Tensor, draw: Draw | None) -> Tensor:
        """`(B, C, H, W) -> (B, C', H, W)`."""
        ...


@dataclass(frozen=True)
class Sides:
    """Where the two sides of a pair lie in a row, and which is translated.

    Attributes:
        first: channels of side A; the others are side B's.
        backward: B is translated to A.
    """

    first: int
    backward: bool = False

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is given and what is wanted of rows `(B, Ca + Cb, H, W)`."""
        a, b = x[:, : self.first], x[:, self.first :]
        return (b, a) if self.backward else (a, b)


class Paired:
    """Mean absolute error alone: one player, no critic.

    Args:
        painter: the network that is shipped.
        players: "generator", and what a variant adds.
        sides: of a row.
        nearness: weight of the mean absolute error, on the scale of [-1, 1].
        jitter: both sides are moved by up to so many pixels, the same for both; what moves in is
            the picture's reflection.
    """

    def __init__(
        self,
        painter: Painter,
        players: dict[str, Player],
        sides: Sides,
        nearness: float,
        jitter: int,
    ) -> None:
        self.painter, self.players, self.sides = painter, players, sides
        self.nearness, self.jitter = nearness, jitter

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        given, wanted = self.shown(batch, now)
        yield "generator", self.near(self.paint(given, now.uniform), wanted, now)

    def shown(self, batch: Batch, now: Now) -> tuple[Tensor, Tensor]:
        """What is given and what is wanted, moved about together."""
        return self.sides.split(jittered(batch.x, self.jitter, now.uniform))

    def paint(self, given: Tensor, draw: Draw | None) -> Tensor:
        """The painter's answer at the size of what is given."""
        height, width = given.shape[2:]
        return self.painter(padded_to(given, self.painter.multiple), draw)[..., :height, :width]

    def near(self, made: Tensor, wanted: Tensor, now: Now) -> Terms:
        """The weighted error, where it counts; the plain one is noted."""
        error = (made - wanted).abs().mean()
        now.note("mean_error", error)
        return {"near": self.nearness * error} if self.nearness else {}


class PairedGame(Paired):
    """The error, and a critic of pairs (Isola et al. 2017, eq. 1 to 4).

    The critic sees the picture that is given beside the one that is painted, or beside the real
    one, and judges every patch. Its slope in real answers is penalised (R1, Mescheder et al.
    2018, eq. 9), in the mean over the patches, so that the weight means the same at all sizes.

    Args:
        painter, sides, nearness, jitter: as in `Paired`.
        critic: `(B, Ca + Cb, H, W)`, what is given first, to a map of verdicts `(B, k, h, w)`.
        players: "critic" and "generator".
        loss: as in `latentia.objectives.adversarial.Adversarial`.
        weight: of the adversarial part of the generator's loss.
        gamma: weight of the penalty at the start and at the end of the budget.
        sparse: it is taken on every so many-th example of a batch.
    """

    def __init__(
        self,
        painter: Painter,
        critic: nn.Module,
        players: dict[str, Player],
        sides: Sides,
        loss: Loss,
        *,
        nearness: float,
        weight: float,
        gamma: tuple[float, float],
        sparse: int,
        jitter: int,
    ) -> None:
        super().__init__(painter, players, sides, nearness, jitter)
        self.critic, self.loss, self.weight = critic, loss, weight
        self.gamma, self.sparse = gamma, sparse

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        given, wanted = self.shown(batch, now)
        made = self.paint(given, now.uniform)
        yield "critic", self.critic_terms(given, wanted, made.detach(), now)
        yield "generator", self.generator_terms(given, wanted, made, now)

    def critic_terms(self, given: Tensor, wanted: Tensor, made: Tensor, now: Now) -> Terms:
        """What the critic descends on; `made` is detached."""
        # one after the other: what a loss of differences says of the last bias cancels to zero
        on_real, on_made = self.judge(given, wanted), self.judge(given, made)
        now.note("critic_right", (on_real > on_made).float().mean())
        terms = {"adversarial": CRITIC_LOSS[self.loss](on_real.flatten(), on_made.flatten())}
        gamma = self.penalty_weight(now.progress)
        if gamma:
            terms["r1"] = gamma * self._slope(given[:: self.sparse], wanted[:: self.sparse])
        return terms

    def generator_terms(self, given: Tensor, wanted: Tensor, made: Tensor, now: Now) -> Terms:
        """What the generator descends on; `made` carries its gradient."""
        on_made = self.judge(given, made)
        on_real = on_made
        if self.loss == "relativistic":
            with torch.no_grad():  # data do not depend on the generator
                on_real = self.judge(given, wanted)
        fooled = self.generator_loss(on_real.flatten(), on_made.flatten())
        return {"adversarial": self.weight * fooled, **self.near(made, wanted, now)}

    def judge(self, given: Tensor, answer: Tensor) -> Tensor:
        """The critic's verdicts on pairs, `(B, k, h, w)`."""
        verdicts: Tensor = self.critic(torch.cat([given, answer], 1))
        return verdicts

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's adversarial loss at the critic's verdicts `(N,)`."""
        if self.loss == "relativistic":
            return maths.relativistic_generator(real, fake)
        return GENERATOR_LOSS[self.loss](fake)

    def penalty_weight(self, progress: float) -> float:
        """γ at this share of the budget: a cosine from its first to its last value."""
        first, last = self.gamma
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))

    # asked outside a step: `latentia.game.Judges`

    @torch.no_grad()
    def verdict(self, batch: Batch, now: Now) -> Verdict:
        """The critic's mean answers on a batch and on what is painted for it."""
        given, wanted = self.sides.split(batch.x)
        made = self.paint(given, None)
        real, fake = (self.judge(given, x).mean((1, 2, 3)) for x in (wanted, made))
        return Verdict(real, fake, wanted, made)

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critic and generator at these verdicts `(B,)`, without the penalty."""
        return CRITIC_LOSS[self.loss](real, fake), self.generator_loss(real, fake)

    def _slope(self, given: Tensor, wanted: Tensor) -> Tensor:
        """½ of the squared slope in the answers, a patch's in the mean."""
        patches = 1

        def critic(answer: Tensor) -> Tensor:
            nonlocal patches
            verdicts = self.judge(given, answer)
            patches = verdicts[0].numel()
            return verdicts.sum((1, 2, 3))

        return maths.gradient_penalty(critic, wanted) / patches


def jittered(x: Tensor, most: int, uniform: Callable[..., Tensor]) -> Tensor:
    """Every picture of `(B, C, H, W)` moved by up to `most` pixels, continued by reflection.

    Whole pixels: label maps keep their colours, and photographs their sharpness.
    """
    height, width = x.shape[2:]
    most = min(most, height - 1, width - 1)
    if not most:
        return x
    chosen = (uniform(len(x), 2) * (2 * most + 1)).long().tolist()
    wide = F.pad(x, (most, most, most, most), mode="reflect")
    parts = [
        one[:, top : top + height, left : left + width]
        for one, (top, left) in zip(wide, chosen, strict=True)
    ]
    return torch.stack(parts)
