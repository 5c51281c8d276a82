"""Hamiltonian moves of many chains side by side between two densities.

Neal (2011), "MCMC using Hamiltonian dynamics". Parameters of a model stay as they are: slopes are
taken of the place alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ACCEPTANCE = 0.65  # best for Hamiltonian moves in many dimensions (section 4.4)
_FIRST_STEP, _LARGEST_STEP, _SMALLEST_STEP = 0.2, 2.0, 1e-4
_RATE = 0.1  # of the step size: 40 steps of refusals shrink it tenfold
_LEAST_SLOPE = 1e-2  # mean square; a latent spreads ten times a standard normal's at most
_MEMORY = 0.9  # of the slopes' mean square, from one weight to the next
_JITTER = 0.2  # share by which sizes vary from move to move: no resonance with an orbit


class Density(Protocol):
    """q(z): where the M chains start."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """`(M, d)`."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """`(M, d) -> (M,)`, nats; row i of chain i."""
        ...


@dataclass(frozen=True)
class Place:
    """Where all chains are, `z` `(M, d)`, with the log-densities there, `(M,)`, and their slopes.

    `start` is log q(z), `joint` the log-density at the other end.
    """

    z: Tensor
    start: Tensor
    joint: Tensor
    start_slope: Tensor
    joint_slope: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """log joint − log q, `(M,)`."""
        return self.joint - self.start

    def log_density(self, beta: float) -> Tensor:
        """(1 − β) log q + β log joint, `(M,)`."""
        return (1 - beta) * self.start + beta * self.joint

    def slope(self, beta: float) -> Tensor:
        """Its gradient, `(M, d)`."""
        return (1 - beta) * self.start_slope + beta * self.joint_slope

    def where(self, accepted: Tensor, other: Place) -> Place:
        """The other place for chains that accepted it."""

        def pick(mine: Tensor, theirs: Tensor) -> Tensor:
            return torch.where(accepted.view(-1, *(1 for _ in mine.shape[1:])), theirs, mine)

        return Place(
            pick(self.z, other.z),
            pick(self.start, other.start),
            pick(self.joint, other.joint),
            pick(self.start_slope, other.start_slope),
            pick(self.joint_slope, other.joint_slope),
        )


class Walk:
    """M chains and where they are.

    Args:
        start: where they begin.
        joint: log-density at the other end, `(M, d) -> (M,)`, unnormalised.
        leapfrog: gradient steps per move.
        generator: of starts, momenta and acceptance, on the chains' device.
    """

    def __init__(
        self,
        start: Density,
        joint: Callable[[Tensor], Tensor],
        leapfrog: int,
        generator: torch.Generator,
    ) -> None:
        self.start, self.joint = start, joint
        self.leapfrog, self.generator = leapfrog, generator
        with torch.no_grad():
            z = start.draw(generator)
        self.place = self._at(z)
        self.accepted = torch.zeros(len(z), device=z.device)

    def move(self, beta: float, size: Tensor) -> Tensor:
        """One move that leaves q^(1 − β) joint^β as it is.

        Args:
            beta: of the target.
            size: of the leapfrog steps, by latent, `(d,)`.

        Returns:
            The probability of acceptance of every chain, `(M,)`.
        """
        z = self.place.z
        momentum = torch.randn(z.shape, generator=self.generator, device=z.device)
        jitter = 1 + _JITTER * (2 * self._coin() - 1)
        before = self.place.log_density(beta) - 0.5 * momentum.square().sum(1)
        there, momentum = self._glide(beta, momentum, size * jitter[:, None])
        after = there.log_density(beta) - 0.5 * momentum.square().sum(1)
        chance = (after - before).clamp(max=0).exp().nan_to_num(0.0)  # diverged: refused
        accepted = self._coin() < chance
        self.place = self.place.where(accepted, there)
        self.accepted += accepted
        return chance

    def _glide(self, beta: float, momentum: Tensor, size: Tensor) -> tuple[Place, Tensor]:
        place = self.place
        momentum = momentum + 0.5 * size * place.slope(beta)
        for step in range(self.leapfrog):
            place = self._at(place.z + size * momentum)
            share = 1.0 if step < self.leapfrog - 1 else 0.5
            momentum = momentum + share * size * place.slope(beta)
        return place, momentum

    def _at(self, z: Tensor) -> Place:
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            start, joint = self.start.log_prob(z), self.joint(z)
            (start_slope,) = torch.autograd.grad(start.sum(), z)
            (joint_slope,) = torch.autograd.grad(joint.sum(), z)
        return Place(z.detach(), start.detach(), joint.detach(), start_slope, joint_slope)

    def _coin(self) -> Tensor:
        z = self.place.z
        return torch.rand(len(z), generator=self.generator, device=z.device)


def sizes_by_weight(pilots: Walk, betas: list[float]) -> Iterator[Tensor]:
    """Leapfrog steps by latent for every β, `(d,)`, learned while the pilots walk from q.

    A scale per latent from the mean square of the slopes (the inverse variance of a Gaussian
    target), times a step for 65 % acceptance.
    """
    step, squares = _FIRST_STEP, pilots.place.slope(0.0).square().mean(0)
    for beta in betas:
        now = pilots.place.slope(beta).square().mean(0)
        squares = _MEMORY * squares + (1 - _MEMORY) * now.nan_to_num(1.0)
        size = step * squares.clamp(min=_LEAST_SLOPE).rsqrt()
        yield size
        chance = float(pilots.move(beta, size).mean())
        step *= math.exp(_RATE * (chance - ACCEPTANCE))
        step = min(_LARGEST_STEP, max(_SMALLEST_STEP, step))
