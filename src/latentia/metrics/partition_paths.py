"""Ways from a known Z to a model's energy: by Gibbs sweeps of two layers, by Hamiltonian moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.maths.boltzmann import Couplings
from latentia.metrics.hamiltonian import Walk, sizes_by_weight

PILOTS = 64  # chains that only find the sizes of the moves
SETTLING = 40  # moves of theirs at the model itself
LEAPFROG = 3
_LEAST_SPREAD = 1e-2  # of the start in a direction in which the data do not vary
_FULL = 64  # dimensions at most that the start has a full covariance in


@runtime_checkable
class TwoLayers(Protocol):
    """An energy over two layers of 0/1 units (restricted Boltzmann machine)."""

    def couplings(self) -> Couplings: ...

    def units(self, x: Tensor) -> Tensor:
        """Rows of data as visible units in [0, 1], `(B, …) -> (B, V)`."""
        ...


@dataclass(frozen=True)
class LayeredWay:
    """f_β(v) = exp(((1 − β) a_0 + β a)·v) Π_j (1 + exp(β (b_j + v W_j))).

    From independent pixels at the data's rates to the machine (Salakhutdinov & Murray 2008);
    every f_β is a machine of its own, and block Gibbs leaves it as it is.

    Args:
        couplings: of the model.
        base: a_0, log-odds of the pixels at β = 0, `(V,)`.
    """

    couplings: Couplings
    base: Tensor

    @property
    def log_z_start(self) -> float:
        """H log 2 + Σ_i log(1 + exp a_0i)."""
        hidden = self.couplings.weight.shape[1]
        return hidden * math.log(2) + float(F.softplus(self.base.double()).sum())

    def prepare(self, betas: Sequence[float], generator: torch.Generator) -> None:
        """Gibbs sweeps have nothing to settle."""

    def started(self, n: int, generator: torch.Generator) -> GibbsChains:
        coins = torch.rand(n, len(self.base), generator=generator, device=self.base.device)
        return self.at(coins < self.base.sigmoid(), generator)

    def at(self, states: Tensor, generator: torch.Generator) -> GibbsChains:
        return GibbsChains(self.couplings, self.base, states.to(self.base.dtype), generator)


class GibbsChains:
    """States of the visible layer on a `LayeredWay`, `v` `(M, V)`."""

    def __init__(
        self, couplings: Couplings, base: Tensor, v: Tensor, generator: torch.Generator
    ) -> None:
        self.couplings, self.base, self.generator = couplings, base, generator
        self._tilt = couplings.visible - base
        self._place(v)

    def _place(self, v: Tensor) -> None:
        self.v, self._logits = v, self.couplings.hidden_logits(v)

    def log_change(self, before: float, after: float) -> Tensor:
        pull = self._logits.double()
        freed = F.softplus(after * pull) - F.softplus(before * pull)  # subtracted unit by unit
        return (after - before) * (self.v @ self._tilt).double() + freed.sum(1)

    def move(self, beta: float) -> None:
        h = (self._coins(self._logits) < (beta * self._logits).sigmoid()).to(self.v.dtype)
        logits = (1 - beta) * self.base + beta * self.couplings.visible_logits(h)
        self._place((self._coins(logits) < logits.sigmoid()).to(self.v.dtype))

    def _coins(self, like: Tensor) -> Tensor:
        return torch.rand(like.shape, generator=self.generator, device=like.device)


def base_rates(means: Tensor, rows: int) -> Tensor:
    """Log-odds of pixels by their means `(V,)` over so many rows, one black and one white added."""
    return ((means * rows + 1) / (rows + 2)).logit()


def gibbs_from(couplings: Couplings, v: Tensor, sweeps: int, generator: torch.Generator) -> Tensor:
    """Where chains are after so many sweeps from v, `(M, V)`."""
    chains = GibbsChains(couplings, couplings.visible, v.to(couplings.weight.dtype), generator)
    for _ in range(sweeps):
        chains.move(1.0)
    return chains.v


class Gaussian:
    """A normal distribution with the moments of some rows, where Hamiltonian chains start.

    Args:
        rows: `(N, d)`; with the full covariance up to 64 dimensions, else pixel by pixel.
    """

    def __init__(self, rows: Tensor) -> None:
        self.mean = rows.mean(0)
        apart = rows - self.mean
        floor = _LEAST_SPREAD * float(rows.std().clamp(min=1e-6))
        if rows.shape[1] <= _FULL < len(rows):
            covariance = apart.T @ apart / len(rows)
            covariance.diagonal().add_(floor**2)
            self.root = torch.linalg.cholesky(covariance)
        else:
            self.root = (apart.square().mean(0) + floor**2).sqrt().diag()

    def draw_n(self, n: int, generator: torch.Generator) -> Tensor:
        """`(n, d)`."""
        shape, device = (n, len(self.mean)), self.mean.device
        return self.mean + torch.randn(shape, generator=generator, device=device) @ self.root.T

    def log_prob(self, z: Tensor) -> Tensor:
        """`(M, d) -> (M,)`, nats."""
        noise = torch.linalg.solve_triangular(self.root, (z - self.mean).T, upper=False)
        constant = self.root.diagonal().log().sum() + len(self.mean) / 2 * math.log(2 * math.pi)
        return -0.5 * noise.square().sum(0) - constant


@dataclass(frozen=True)
class _Begun:
    """A density whose chains are where they are told to be."""

    density: Gaussian
    states: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        return self.states

    def log_prob(self, z: Tensor) -> Tensor:
        return self.density.log_prob(z)


class HamiltonianWay:
    """f_β = q^(1 − β) exp(−β E) over vectors, from a normal distribution q.

    Between two β every chain makes one Hamiltonian move, whose size pilot chains have settled
    for each β beforehand.

    Args:
        energy: `(M, d) -> (M,)`, nats.
        start: q.
        leapfrog: gradient steps per move.
    """

    log_z_start = 0.0

    def __init__(
        self, energy: Callable[[Tensor], Tensor], start: Gaussian, leapfrog: int = LEAPFROG
    ) -> None:
        self.energy, self.start, self.leapfrog = energy, start, leapfrog
        self.sizes: dict[float, Tensor] = {}

    def prepare(self, betas: Sequence[float], generator: torch.Generator) -> None:
        at = [*betas[1:], *[1.0] * SETTLING]
        pilots = self._walk(self.start.draw_n(PILOTS, generator), generator)
        for beta, size in zip(at, sizes_by_weight(pilots, at), strict=True):
            self.sizes[beta] = size

    def started(self, n: int, generator: torch.Generator) -> HamiltonianChains:
        return self.at(self.start.draw_n(n, generator), generator)

    def at(self, states: Tensor, generator: torch.Generator) -> HamiltonianChains:
        return HamiltonianChains(self._walk(states, generator), self.sizes)

    def _walk(self, states: Tensor, generator: torch.Generator) -> Walk:
        begun = _Begun(self.start, states)
        return Walk(begun, lambda z: -self.energy(z), self.leapfrog, generator)

    def from_rows(self, rows: Tensor, moves: int, generator: torch.Generator) -> Tensor:
        """Where chains of the model are after so many moves from rows `(M, d)`; once prepared."""
        chains = self.at(rows, generator)
        for _ in range(moves):
            chains.move(1.0)
        return chains.walk.place.z


class HamiltonianChains:
    """States on a `HamiltonianWay`."""

    def __init__(self, walk: Walk, sizes: dict[float, Tensor]) -> None:
        self.walk, self.sizes = walk, sizes

    def log_change(self, before: float, after: float) -> Tensor:
        return (after - before) * self.walk.place.log_ratio.double()

    def move(self, beta: float) -> None:
        self.walk.move(beta, self.sizes[beta])
