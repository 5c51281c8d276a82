"""Stochastic differential equations that turn data into noise, and their noise level sigma.

dx = f(t) x dt + g(t) dw for t from 0 to 1 gives x_t = alpha(t) · clean + deviation(t) · noise.
Divided by alpha(t) that is clean + sigma(t) · noise with sigma = deviation / alpha: whatever the
equation, its probability-flow ODE is dx/dsigma = (x - D(x, sigma)) / sigma in this coordinate, and
samplers need no other. What differs is which levels are trained how often, and where steps are.
Source: Song et al. (2021), "Score-Based Generative Modeling through Stochastic Differential
Equations", eq. 29 to 33, appendices B and C.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from latentia.errors import UserError


@dataclass(frozen=True)
class Sde(ABC):
    """An equation, used from the time at which its noise level is `sigma_min`.

    Times are tensors in [0, 1]; results are like them.

    Attributes:
        sigma_min: lowest noise level that is trained and sampled.
    """

    sigma_min: float

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """What is left of the data."""

    @abstractmethod
    def deviation(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise in x_t."""

    @abstractmethod
    def drift(self, t: Tensor) -> Tensor:
        """f(t), the factor of x."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """g(t)."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Noise level deviation / alpha, rising in t."""

    @abstractmethod
    def time(self, sigma: Tensor) -> Tensor:
        """The time of a noise level, the inverse of `sigma`."""

    @property
    def start(self) -> float:
        """The time of `sigma_min`."""
        return float(self.time(torch.tensor(self.sigma_min, dtype=torch.float64)))

    @property
    def sigma_max(self) -> float:
        """The level at t = 1."""
        return float(self.sigma(torch.ones((), dtype=torch.float64)))

    def trained_levels(self, uniform: Tensor) -> Tensor:
        """Levels to train at, of draws in [0, 1): those of times uniform from `start` to 1."""
        return self.sigma(self.start + (1 - self.start) * uniform)

    def steps(self, n: int) -> Tensor:
        """Levels of a sampler, float64 `(n + 1,)`: of even times from 1 to `start`, then 0.

        Raises:
            UserError: fewer than 2 steps.
        """
        if n < 2:
            raise UserError(f"sampling needs at least 2 steps, not {n}")
        times = torch.linspace(1, self.start, n, dtype=torch.float64)
        return torch.cat([self.sigma(times), times.new_zeros(1)])


@dataclass(frozen=True)
class VarianceExploding(Sde):
    """The VE SDE: sigma(t) = sigma_min (highest / sigma_min)^t, data stays as it is (eq. 30).

    Begun at data with noise of `sigma_min`, so that x_t is the data with noise of sigma(t).

    Attributes:
        highest: the noise level at t = 1.
    """

    highest: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.highest:
            raise UserError(
                "noise levels need 0 < sigma_min < sigma_max, "
                f"not {self.sigma_min} and {self.highest}"
            )

    @property
    def _rate(self) -> float:
        return math.log(self.highest / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def deviation(self, t: Tensor) -> Tensor:
        return self.sigma_min * (self._rate * t).exp()

    def drift(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        return self.sigma(t) * math.sqrt(2 * self._rate)

    def sigma(self, t: Tensor) -> Tensor:
        return self.deviation(t)

    def time(self, sigma: Tensor) -> Tensor:
        return (sigma / self.sigma_min).log() / self._rate


@dataclass(frozen=True)
class Geometric(VarianceExploding):
    """NCSN: the VE SDE in a finite number of levels of one ratio (Song & Ermon 2019, section 4).

    Attributes:
        levels: how many, 2 or more.
    """

    levels: int

    def trained_levels(self, uniform: Tensor) -> Tensor:
        """One of the levels, each as often."""
        number = (uniform * self.levels).floor().clamp(max=self.levels - 1)
        return self.sigma(number / (self.levels - 1))


@dataclass(frozen=True)
class Linear(Sde):
    """An SDE under which data fade, f = -beta(t) / 2 with beta(t) rising linearly.

    Attributes:
        beta_min, beta_max: beta at t = 0 and t = 1; 0.1 and 20 in the paper.
    """

    beta_min: float
    beta_max: float

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise UserError(
                f"beta needs 0 < beta_min <= beta_max, not {self.beta_min} and {self.beta_max}"
            )
        if not 0 < self.sigma_min < self.sigma_max:
            raise UserError(
                f"this noise ends at sigma {self.sigma_max:.3g}, below sigma_min {self.sigma_min}: "
                "choose a larger beta_max or a smaller sigma_min"
            )

    def beta(self, t: Tensor) -> Tensor:
        """Rate of the forgetting."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def forgotten(self, t: Tensor) -> Tensor:
        """B(t), the integral of beta from 0 to t."""
        return self.beta_min * t + (self.beta_max - self.beta_min) / 2 * t.square()

    def alpha(self, t: Tensor) -> Tensor:
        return (-self.forgotten(t) / 2).exp()

    def drift(self, t: Tensor) -> Tensor:
        return -self.beta(t) / 2

    def time(self, sigma: Tensor) -> Tensor:
        total, slope = self.forgetting(sigma), self.beta_max - self.beta_min
        # the root of B(t) = total, in the form that does not cancel
        return 2 * total / (self.beta_min + (self.beta_min**2 + 2 * slope * total).sqrt())

    @abstractmethod
    def forgetting(self, sigma: Tensor) -> Tensor:
        """B at a noise level."""


@dataclass(frozen=True)
class VariancePreserving(Linear):
    """The VP SDE, DDPM in continuous time: deviation² = 1 - alpha², sigma² = e^B - 1 (eq. 32)."""

    def deviation(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self.forgotten(t))).sqrt()

    def diffusion(self, t: Tensor) -> Tensor:
        return self.beta(t).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return torch.expm1(self.forgotten(t)).sqrt()

    def forgetting(self, sigma: Tensor) -> Tensor:
        return torch.log1p(sigma.square())


@dataclass(frozen=True)
class SubVariancePreserving(Linear):
    """The sub-VP SDE: deviation = 1 - alpha², less than VP's, sigma = 2 sinh(B / 2) (eq. 33)."""

    def deviation(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.forgotten(t))

    def diffusion(self, t: Tensor) -> Tensor:
        return (self.beta(t) * -torch.expm1(-2 * self.forgotten(t))).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return 2 * torch.sinh(self.forgotten(t) / 2)

    def forgetting(self, sigma: Tensor) -> Tensor:
        return 2 * torch.asinh(sigma / 2)
