"""Langevin chains: samples of p(x) ∝ exp(−E(x)) by walking downhill with noise.

An energy here is any function `E(x)` of states `x (B, …)` to `(B,)`, differentiable, that looks at
every row on its own. Chains start where the caller says and draw their noise from him, once a
step, so that a chain can be a function of a seed. Sources: Welling & Teh (2011), "Bayesian
Learning via Stochastic Gradient Langevin Dynamics", eq. 4; Roberts & Tweedie (1996), "Exponential
convergence of Langevin distributions and their discrete approximations", section 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from latentia.errors import UserError

Energy = Callable[[Tensor], Tensor]
"""`(B, …) -> (B,)`, nats."""

Draw = Callable[[], Tensor]
"""Standard normal noise like the state, `(B, …)`; called once a step."""


@dataclass(frozen=True)
class Walk:
    """How a chain moves: x ← x − step ∇E(x) + noise ε, ε ~ N(0, I).

    Its invariant density is p ∝ exp(−E / T) with T = noise² / (2 step), up to an error that falls
    with `step`. Chains of pictures are commonly run at T far below 1, which finds the valleys of
    the energy in few steps and gives up the density's own spread.

    Attributes:
        step: how far downhill, in squared units of the state per nat.
        noise: standard deviation of each step's noise, in units of the state.
        clip: most that a value moves downhill in one step; None: no limit.
        bounds: least and largest value of a state, at which chains stop; None: none.
    """

    step: float
    noise: float
    clip: float | None = None
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.step <= 0 or self.noise < 0:
            raise UserError(
                f"A Langevin chain needs a step above 0 and no negative noise, not {self.step:g} "
                f"and {self.noise:g}."
            )

    @classmethod
    def exact(cls, noise: float, bounds: tuple[float, float] | None = None) -> Walk:
        """The walk of temperature 1 with this noise: step = noise² / 2."""
        return cls(noise**2 / 2, noise, None, bounds)

    @property
    def temperature(self) -> float:
        """T, of the density that chains are drawn from."""
        return self.noise**2 / (2 * self.step)

    def kept(self, x: Tensor) -> Tensor:
        """The states within the bounds."""
        return x if self.bounds is None else x.clamp(*self.bounds)


def langevin(energy: Energy, x: Tensor, draw: Draw, walk: Walk, steps: int) -> Tensor:
    """Unadjusted Langevin chains (SGLD where step and noise are chosen apart).

    On a Gaussian of variance s² at temperature 1, the variance comes out as s² / (1 − h / 4 s²)
    with h = 2 step: the known bias of the unadjusted chain.

    Args:
        energy: E.
        x: `(B, …)`, where the chains start.
        draw: noise of every step.
        walk: how they move.
        steps: how often.

    Returns:
        `(B, …)`, where they end, without gradient.
    """
    x = x.detach()
    for _ in range(steps):
        down = walk.step * slope(energy, x)[1]
        if walk.clip is not None:
            down = down.clamp(-walk.clip, walk.clip)
        x = walk.kept(x - down + walk.noise * draw())
    return x


def metropolis_langevin(
    energy: Energy, x: Tensor, generator: torch.Generator, *, step: float, steps: int
) -> tuple[Tensor, float]:
    """Metropolis-adjusted Langevin chains (MALA): exact at temperature 1 whatever the step.

    A move of the unadjusted chain is a proposal, taken with probability
    min(1, p(y) q(x | y) / p(x) q(y | x)), q(y | x) = N(y; x − step ∇E(x), 2 step I).

    Args:
        energy: E.
        x: `(B, …)`, where the chains start.
        generator: of noise and of what is taken.
        step: as in `Walk`; 0.5 to 0.7 of the proposals should be taken.
        steps: how often.

    Returns:
        `(B, …)`, where they end, and the share of proposals taken.
    """
    noise, taken = math.sqrt(2 * step), 0.0
    now, push = slope(energy, x.detach())
    for _ in range(steps):
        epsilon = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        y = x - step * push + noise * epsilon
        there, back = slope(energy, y)
        returning = _rows(x - y + step * back) / (4 * step)
        log_ratio = now - there + 0.5 * _rows(epsilon) - returning
        coin = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
        take = coin.log() < log_ratio
        wide = take.view(-1, *[1] * (x.ndim - 1))
        x, push = torch.where(wide, y, x), torch.where(wide, back, push)
        now, taken = torch.where(take, there, now), taken + take.double().mean().item()
    return x.detach(), taken / max(steps, 1)


def slope(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """E(x) `(B,)` and ∇E(x) `(B, …)`, without further gradient; weights receive none."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values = energy(x)
        (down,) = torch.autograd.grad(values.sum(), x)
    return values.detach(), down


def _rows(x: Tensor) -> Tensor:
    """Squared norms of the rows, `(B,)`."""
    return x.flatten(1).square().sum(1)
