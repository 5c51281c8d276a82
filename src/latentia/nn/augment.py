"""Adaptive augmentation: what a critic sees is changed at random, the more the more it overfits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.maths.augmentation import KINDS, NUMBERS, Kind, augmented

HIGHEST = 0.8  # changes made oftener than this leak into what is generated
SETTLES = 1000.0  # examples over which the measure is averaged


class Moment(Protocol):
    """What is needed of the present moment of a run: `latentia.game.Now`."""

    def uniform(self, *shape: int) -> Tensor: ...

    def mean(self, value: Tensor) -> Tensor: ...


class Augment(nn.Module):
    """Shows a critic changed pictures, real and generated alike (Karras et al. 2020, "ADA").

    With little data a critic learns the real pictures by heart. The sign of that is that it is
    sure of them: r = E sign(C(x)) (their eq. 1, r_t) rises towards 1. Above the target every
    change is made a little oftener, below it more seldom. The critic's output is taken from the
    middle between what it says of real and of generated pictures, since the relativistic and the
    Wasserstein losses leave its zero open; where the loss sets the zero, that is nearly the same.

    Buffers, saved with the weights: `p`, the probability of each change, and `signal`, the
    running mean of r.

    Args:
        shape: of an example; only pictures `(C, H, W)` can be changed.
        mode: "adaptive", or "fixed" at the starting probability.
        p: probability at the start, 0 to 1.
        target: of r, for the adaptive one; 0.6 as in the paper.
        speed: examples over which p goes from 0 to 1 when r stays on one side (the paper has
            500,000, for runs of 25 million).
        kinds: changes that are made, of `latentia.maths.augmentation.KINDS`.

    Raises:
        UserError: examples that are not pictures, or an unknown kind of change.
    """

    p: Tensor
    signal: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        mode: Literal["adaptive", "fixed"] = "adaptive",
        p: float = 0.0,
        target: float = 0.6,
        speed: float = 50_000,
        kinds: Collection[Kind] = KINDS,
    ) -> None:
        super().__init__()
        if len(shape) != 3:
            raise UserError(
                "Augmentation mirrors, shifts and recolours pictures; this data is a table of "
                "numbers. Leave it out with --set augment=none."
            )
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise UserError(f"There is no change {unknown[0]!r}: there are {', '.join(KINDS)}.")
        self.mode, self.target, self.speed, self.kinds = mode, target, speed, tuple(kinds)
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signal", torch.tensor(0.0))

    def forward(self, x: Tensor, now: Moment) -> Tensor:
        """`(B, C, H, W)` with random changes; x itself while p is 0. Differentiable in x."""
        if not self.p:
            return x
        return augmented(x, now.uniform(len(x), NUMBERS), self.p, self.kinds)

    @torch.no_grad()
    def update(self, on_real: Tensor, on_fake: Tensor, examples: int, now: Moment) -> None:
        """Adapt p to how sure the critic is of real examples.

        Args:
            on_real, on_fake: its outputs on this process's examples, as it saw them, `(B,)`.
            examples: shown in this step, over all processes.
            now: agrees with the other processes.
        """
        middle = now.mean((on_real.float().mean() + on_fake.float().mean()) / 2)
        sure = now.mean((on_real.float() - middle).sign().mean())
        self.signal.lerp_(sure, min(1.0, examples / SETTLES))
        if self.mode == "adaptive":
            step = (self.signal - self.target).sign() * (examples / self.speed)
            self.p.add_(step).clamp_(0, HIGHEST)
