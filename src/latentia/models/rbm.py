"""Restricted Boltzmann machines: pixels and hidden causes, tied by an energy."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.boltzmann import Couplings
from latentia.maths.chunks import device_of, stacked
from latentia.maths.randomness import Streams

START_WEIGHT = 0.01  # standard deviation (Hinton 2010, section 8)
HIDDEN_OFFSET = 0.5  # a hidden unit's mean before it has learned anything
CHAINS_AT_ONCE = 256


class RBM(nn.Module):
    """E(v, h) = −v·a − h·b − vWh over 0/1 pixels v and 0/1 hidden units h.

    Pictures in [-1, 1] are v = (x + 1) / 2. The parameters that learn are those of the same
    energy about the pixels' means μ and ½, −(v−μ)·A − (h−½)·B − (v−μ)W(h−½): a descent that does
    not care whether black is 0 or 1 (Cho et al. 2011; Montavon & Müller 2012). With W
    near 0, A is then the log-odds of the pixels' means.

    It has no `log_prob`: what it knows of a picture is an energy, up to an unknown log Z.
    `latentia.metrics.partition` finds that, with its error.

    Args:
        shape: `(C, H, W)` of a picture.
        hidden: number of hidden units.
        steps: default number of Gibbs sweeps behind a sample.
    """

    means: Tensor

    def __init__(self, shape: tuple[int, ...], hidden: int, steps: int) -> None:
        super().__init__()
        self.shape, self.latent_dim, self.steps = shape, hidden, steps
        pixels = math.prod(shape)
        self.weight = nn.Parameter(START_WEIGHT * torch.randn(pixels, hidden))
        self.visible = nn.Parameter(torch.zeros(pixels))
        self.hidden = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("means", torch.full((pixels,), 0.5))

    def couplings(self) -> Couplings:
        """W, a and b of the plain energy; gradients flow to the centred parameters."""
        return Couplings(
            self.weight,
            self.visible - HIDDEN_OFFSET * self.weight.sum(1),
            self.hidden - self.means @ self.weight,
        )

    @torch.no_grad()
    def begin(self, means: Tensor) -> None:
        """Learn from here on about pixels of these means, `(V,)` in (0, 1), without ties yet."""
        self.means.copy_(means)
        self.visible.copy_(means.logit())

    def units(self, x: Tensor) -> Tensor:
        """Pictures in [-1, 1] as pixels in [0, 1], `(B, C, H, W) -> (B, V)`."""
        return (x.flatten(1) + 1) / 2

    def pictures(self, v: Tensor) -> Tensor:
        """And back, `(B, V) -> (B, C, H, W)`, float32."""
        return (2 * v - 1).float().view(-1, *self.shape)

    def energy(self, x: Tensor) -> Tensor:
        """Free energy F(v) = −log Σ_h exp(−E(v, h)), `(B,)`, nats: −log p(v) up to log Z.

        Grey pixels count as the share of white that they are; only black and white ones have a
        probability.
        """
        return self.couplings().free_energy(self.units(x))

    def encode(self, x: Tensor) -> Tensor:
        """The probability of every hidden unit to be on, `(B, …) -> (B, H)`."""
        return self.couplings().hidden_logits(self.units(x)).sigmoid()

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Expected pictures given hidden units, `(B, H) -> (B, …)` in [-1, 1]."""
        refuse_condition(self, condition)
        return self.pictures(self.couplings().visible_logits(z).sigmoid())

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """Black and white pictures: one Gibbs chain per seed, `steps` sweeps from random pixels.

        The pixels a chain starts from have the data's means. More sweeps come closer to the
        model's distribution, and between well separated modes may need very many.
        """
        refuse_condition(self, condition)
        sweeps = self.steps if steps is None else steps
        parts = [seeds[i : i + CHAINS_AT_ONCE] for i in range(0, len(seeds), CHAINS_AT_ONCE)]
        return stacked(self.pictures(self._chains(part, sweeps)) for part in parts)

    def _chains(self, seeds: Seeds, sweeps: int) -> Tensor:
        """Where the chains of some seeds end, `(B, V)`.

        In double precision: rounding that differs between batch sizes then turns no coin.
        """
        coins, couplings = Streams(seeds, device_of(self)), self.couplings().double()
        pixels, hidden = couplings.weight.shape
        v = (coins.uniform(pixels) < self.means).double()
        for _ in range(sweeps):
            v = couplings.sweep(v, coins.uniform(pixels + hidden))
        return v
