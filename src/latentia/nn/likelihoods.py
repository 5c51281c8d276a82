"""What a decoder's output says about data: p(x | parameters), in nats.

Images live in [-1, 1] and are 256 grey levels (or two, when binarised), so every image
likelihood gives the probability *of the levels*: bits per dimension compare across them.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.maths.divergences import normal_log_prob

LEVEL = 2 / 255  # distance of two grey levels in [-1, 1]
START_SIGMA = 0.3  # starting at the data's own scale would collapse the posterior first
SCALE_SPEED = 4.0  # the scale must keep up with the networks; Adam steps all parameters alike


class Likelihood(Protocol):
    """p(x | parameters): `parameters` are `params_per_value` stacked along the channel axis."""

    params_per_value: int

    @property
    def levels(self) -> int | None:
        """How many levels per value have the probability that is given; None: a density."""
        ...

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """`(B, C, …)`, `(B, C · params_per_value, …)` -> `(B,)`, nats."""
        ...

    def mean(self, parameters: Tensor) -> Tensor:
        """The expected data, `(B, C, …)`, in the range of the data."""
        ...


class Bernoulli(nn.Module):
    """Every pixel is white with probability sigmoid(parameter); grey targets count as weights.

    On binary images this is a likelihood; on grey ones it is the usual cross-entropy, and no
    longer a probability.
    """

    params_per_value = 1
    levels = 2

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """`(B,)`, nats; x in [-1, 1]."""
        target = (x + 1) / 2
        loss = F.binary_cross_entropy_with_logits(parameters, target, reduction="none")
        return -loss.flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """In [-1, 1]."""
        return 2 * torch.sigmoid(parameters) - 1


class Gaussian(nn.Module):
    """Normal around the decoder's output with one learned scale (Rybkin et al. 2021).

    Learning the scale balances reconstruction against the KL term by maximum likelihood; one
    scale for all values keeps easy pixels from drowning the rest.

    Args:
        level: width of a quantisation level: density times width is the probability of the
            level. 1.0 leaves a density, as vectors need it.
        floor: smallest standard deviation; without one, exact reconstruction has no bound.
    """

    params_per_value = 1

    def __init__(self, level: float = 1.0, floor: float = 1e-3) -> None:
        super().__init__()
        self.level, self.floor = level, floor
        self._scale = nn.Parameter(torch.tensor(math.log(START_SIGMA) / SCALE_SPEED))

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """`(B,)`, nats."""
        log_var = 2 * self.log_sigma
        levels = x[0].numel() * math.log(self.level)
        return normal_log_prob(x, parameters, log_var).flatten(1).sum(1) + levels

    @property
    def levels(self) -> int | None:
        """256 where the density is multiplied by a level's width, else None."""
        return None if self.level == 1.0 else 256

    @property
    def log_sigma(self) -> Tensor:
        """Logarithm of the scale, a scalar."""
        return (SCALE_SPEED * self._scale).clamp(min=math.log(self.floor))

    def mean(self, parameters: Tensor) -> Tensor:
        """The parameters themselves."""
        return parameters


class DiscretisedLogistic(nn.Module):
    """Logistic mass between the half-levels around x (Salimans et al. 2017, eq. 2).

    The lowest and highest level take the open tails, so that the 256 levels sum to one.
    """

    params_per_value = 2
    levels = 256

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """`(B,)`, nats; x in [-1, 1]."""
        mu, raw = parameters.chunk(2, 1)
        inverse = torch.exp(-raw.clamp(min=-7))
        upper, lower = (x + LEVEL / 2 - mu) * inverse, (x - LEVEL / 2 - mu) * inverse
        log_below, log_above = F.logsigmoid(upper), F.logsigmoid(-lower)
        # log(σ(b) − σ(a)) = log σ(b) + log σ(−a) + log(1 − e^{a−b}): no cancellation in the tails
        middle = log_below + log_above + torch.log(-torch.expm1(lower - upper))
        edge = 1 - LEVEL / 2
        mass = torch.where(x < -edge, log_below, torch.where(x > edge, log_above, middle))
        return mass.flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """In [-1, 1]."""
        return parameters.chunk(2, 1)[0].clamp(-1, 1)
