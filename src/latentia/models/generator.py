"""Implicit generators: noise in, data out (Goodfellow et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.randomness import seeded_noise
from latentia.nn.standardise import Standardise


class Generator(nn.Module):
    """x = G(z), z ~ N(0, I). It samples and decodes; it has no likelihood and no encoder.

    Args:
        net: `(B, d) -> (B, …)`.
        latent_dim: d.
        standardise: shift and scale of vector data.
        bounded: clamp what is decoded for use into [-1, 1] (images).
        critic: logits of being real; shipped where it helps to sample.
        candidates: every sample is the one of so many that the critic finds most real (selection
            by the critic, after discriminator rejection sampling, Azadi et al. 2019): fewer
            misfits, a little less varied.
    """

    def __init__(
        self,
        net: nn.Module,
        latent_dim: int,
        standardise: Standardise,
        bounded: bool,
        critic: nn.Module | None = None,
        candidates: int = 1,
    ) -> None:
        super().__init__()
        self.net, self.latent_dim = net, latent_dim
        self.critic, self.candidates = critic, candidates
        self.standardise, self.bounded = standardise, bounded

    def forward(self, z: Tensor) -> Tensor:
        """What the critic sees: unclamped, standardised, `(B, d) -> (B, …)`."""
        return self.net(z).float()

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Data from noise, `(B, d) -> (B, …)`."""
        refuse_condition(self, condition)
        return self._outside(self(z))

    def _outside(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1) if self.bounded else self.standardise.inverse(x)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed."""
        refuse_condition(self, condition)
        if self.critic is None:
            return in_chunks(self.decode, seeded_noise(seeds, (self.latent_dim,), device_of(self)))
        shape = (self.candidates, self.latent_dim)
        return in_chunks(self._most_real, seeded_noise(seeds, shape, device_of(self)))

    def _most_real(self, z: Tensor) -> Tensor:
        """Of each row of candidates `(B, k, d)` the one the critic prefers, `(B, …)`."""
        assert self.critic is not None
        x = self(z.flatten(0, 1))
        best = self.critic(x).view(len(z), -1).argmax(1)
        chosen = x.unflatten(0, z.shape[:2])[torch.arange(len(z), device=z.device), best]
        return self._outside(chosen)
