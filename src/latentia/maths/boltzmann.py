"""Two layers of 0/1 units: conditionals, free energies, and sums over every state.

E(v, h) = −v·a − h·b − vWh, in nats; p(v, h) = exp(−E(v, h)) / Z (Smolensky 1986; Hinton 2002).
Given one layer the units of the other are independent, so that one layer is always summed in
closed form, and a sum over all states of both takes 2^min(V, H) terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.errors import UserError

ENUMERABLE = 20
"""Units at most of the smaller layer: a million states, seconds for a layer of 784 beside it."""
_CHUNK = 1 << 20  # numbers at once: 8 MiB in double precision
_FACTORS = 1000  # each between 1 and 2: their product fits in a double


@dataclass(frozen=True)
class Couplings:
    """What two layers of V visible and H hidden units pull towards.

    Attributes:
        weight: W, `(V, H)`, nats.
        visible: a, `(V,)`.
        hidden: b, `(H,)`.
    """

    weight: Tensor
    visible: Tensor
    hidden: Tensor

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Log-odds of h = 1 given v, `(…, V) -> (…, H)`."""
        return self.hidden + v @ self.weight

    def visible_logits(self, h: Tensor) -> Tensor:
        """Log-odds of v = 1 given h, `(…, H) -> (…, V)`."""
        return self.visible + h @ self.weight.T

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h), `(…, V), (…, H) -> (…)`, nats."""
        return -(v @ self.visible) - (h * self.hidden_logits(v)).sum(-1)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = −log Σ_h exp(−E(v, h)), `(…, V) -> (…)`, nats (Hinton 2010, section 16.1)."""
        return -(v @ self.visible) - F.softplus(self.hidden_logits(v)).sum(-1)

    def sweep(self, v: Tensor, coins: Tensor) -> Tensor:
        """One sweep of block Gibbs, all hidden and then all visible units, `(B, V) -> (B, V)`.

        Args:
            v: 0s and 1s.
            coins: uniform in [0, 1), `(B, V + H)`.
        """
        for_v, for_h = coins.split(self.weight.shape, -1)
        h = (for_h < self.hidden_logits(v).sigmoid()).to(v.dtype)
        return (for_v < self.visible_logits(h).sigmoid()).to(v.dtype)

    def turned(self) -> Couplings:
        """The same distribution with the layers called the other way round."""
        return Couplings(self.weight.T, self.hidden, self.visible)

    def double(self) -> Couplings:
        """In double precision, without gradient."""
        parts = (self.weight, self.visible, self.hidden)
        return Couplings(*(part.detach().double() for part in parts))

    @property
    def enumerable(self) -> bool:
        """Whether the smaller layer has at most 20 units."""
        return min(self.weight.shape) <= ENUMERABLE


def log_masses(couplings: Couplings) -> Tensor:
    """log Σ_v exp(−E(v, h)) of every hidden state, `(2^H,)`, nats, float64.

    Chunk by chunk: beside the answer no more than some 30 MiB are held.

    Raises:
        UserError: more than 20 hidden units.
    """
    exact = couplings.double().turned()
    hidden, visible = exact.weight.shape
    if hidden > ENUMERABLE:
        raise UserError(
            f"A sum over all states of {hidden} units has 2^{hidden} terms; up to {ENUMERABLE} "
            "units are summed, more are annealed (latentia.metrics.partition)."
        )
    rows = max(1, _CHUNK // max(visible, hidden))
    parts = []
    for h in _states(hidden, rows, exact.weight.device):
        parts.append(h @ exact.visible + sum_softplus(exact.hidden_logits(h)))
    return torch.cat(parts)


def log_partition(couplings: Couplings) -> float:
    """log Z by a sum over every state of the smaller layer, nats."""
    visible, hidden = couplings.weight.shape
    smaller = couplings if hidden <= visible else couplings.turned()
    return float(log_masses(smaller).logsumexp(0))


def exact_draws(couplings: Couplings, n: int, generator: torch.Generator) -> Tensor:
    """`(n, V)` independent draws of v, 0s and 1s in float64; the smaller layer is drawn first."""
    visible, hidden = couplings.weight.shape
    exact = couplings.double()
    smaller = exact if hidden <= visible else exact.turned()
    masses = log_masses(smaller)
    number = torch.multinomial(masses.softmax(0), n, replacement=True, generator=generator)
    drawn = _bits(number, min(visible, hidden))
    if hidden > visible:
        return drawn
    shape, device = (n, visible), drawn.device
    coins = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
    return (coins < exact.visible_logits(drawn).sigmoid()).double()


def sum_softplus(x: Tensor) -> Tensor:
    """Σ log(1 + e^x) along the last axis, `(…, n) -> (…)`, float64 nats; x is overwritten.

    log(1 + e^x) = (x + |x|) / 2 + log(1 + e^−|x|), and a thousand factors 1 + e^−|x| multiply
    without overflow: one logarithm for all of them.
    """
    x = x.double()
    total = x.sum(-1)
    x.abs_()
    total = (total + x.sum(-1)) / 2
    for part in x.neg_().exp_().add_(1).split(_FACTORS, -1):
        total = total + part.prod(-1).log()
    return total


def _states(n: int, rows: int, device: torch.device) -> Iterator[Tensor]:
    """All 2^n states of n units, `(rows, n)` at a time, float64."""
    for start in range(0, 1 << n, rows):
        yield _bits(torch.arange(start, min(start + rows, 1 << n), device=device), n)


def _bits(numbers: Tensor, n: int) -> Tensor:
    """The lowest n binary digits of whole numbers, `(B,) -> (B, n)`, float64."""
    places = torch.arange(n, device=numbers.device)
    return (numbers[:, None] >> places & 1).double()
