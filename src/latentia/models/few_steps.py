"""Consistency models: from any noise level to clean data in one call of the network."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds
from latentia.maths.chunks import device_of, stacked
from latentia.maths.randomness import SeededSteps, seeded_noise
from latentia.models.denoiser import CHUNK, ConditionalDenoiser, Denoiser
from latentia.precision import autocast, resolve_precision


class FewSteps(nn.Module):
    """f(x; σ), where the ODE through x at level σ ends (Song et al. 2023, consistency models).

    f(x; σ) = x + (1 − σ_min / σ) (D(x; σ) − x): the identity at σ_min, whatever the network says,
    and at the start of training one Euler step of the denoiser it comes from. It samples and
    decodes; it knows no density, and no way back.

    Args:
        denoiser: D with its standardisation, ends of the ODE and default steps.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.latent_dim = denoiser.latent_dim

    @property
    def sigma_min(self) -> float:
        return self.denoiser.sampling.sigma_min

    def forward(self, x: Tensor, sigma: Tensor, weights: Tensor | None = None) -> Tensor:
        """Clean data in standardised units, `(B, …)`, σ `(B,)` -> `(B, …)`."""
        share = 1 - self.sigma_min / sigma.reshape(-1, *[1] * (x.ndim - 1))
        return x + share * (self.denoiser(x, sigma, weights) - x)

    def standardise(self, x: Tensor) -> Tensor:
        return self.denoiser.standardise(x)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """From noise `(B, d)` to data `(B, …)` in one step."""
        return self._made(z, self.denoiser.asked(condition, len(z)), 1, None)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed; steps after the first add noise again and take it off."""
        device, weights = device_of(self), self.denoiser.wanted(condition, seeds)
        parts = []
        for at in range(0, len(seeds), CHUNK):
            some = seeds[at : at + CHUNK]
            asked = None if weights is None else weights[at : at + CHUNK]
            z = seeded_noise(some, (self.latent_dim,), device)
            again = SeededSteps(some, self.denoiser.shape, device)
            parts.append(self._made(z, asked, steps or self.denoiser.sampling.steps, again))
        return stacked(parts)

    def _made(
        self, z: Tensor, weights: Tensor | None, steps: int, again: SeededSteps | None
    ) -> Tensor:
        """Multistep consistency sampling (Song et al. 2023, algorithm 1)."""
        how, shape = self.denoiser.sampling, self.denoiser.shape
        levels = how.sigmas(steps + 1)[:-2].tolist()  # so many, the last well above the end
        x = levels[0] * z.view(-1, *shape)
        with autocast(z.device, resolve_precision(how.precision, z.device)):
            for step, level in enumerate(levels):
                if step and again is not None:
                    x = x + math.sqrt(level**2 - self.sigma_min**2) * again(step)
                x = self(x, x.new_full((len(x),), level), weights)
        return self.denoiser.outside(x)


class ConditionalFewSteps(FewSteps):
    """Few steps to the class that is asked for; without one, to any, as frequent as in the data."""

    def __init__(self, denoiser: ConditionalDenoiser) -> None:
        super().__init__(denoiser)
        self.classes = denoiser.classes

    def count_classes(self, labels: Tensor, share: Callable[[Tensor], Tensor]) -> None:
        """Count the labels of a batch; `share` is their mean over all processes."""
        assert isinstance(self.denoiser, ConditionalDenoiser)
        self.denoiser.count_classes(labels, share)
