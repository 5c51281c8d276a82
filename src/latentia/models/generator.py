"""Implicit generators: noise in, data out (Goodfellow et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds
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
        truncation: scale of the noise that samples start from; below 1 they come from the middle
            of the latent space, better and less varied (Brock et al. 2019, section 3.1).
    """

    def __init__(
        self,
        net: nn.Module,
        latent_dim: int,
        standardise: Standardise,
        bounded: bool,
        truncation: float = 1.0,
    ) -> None:
        super().__init__()
        self.net, self.latent_dim, self.truncation = net, latent_dim, truncation
        self.standardise, self.bounded = standardise, bounded

    def forward(self, z: Tensor) -> Tensor:
        """What the critic sees: unclamped, standardised, `(B, d) -> (B, …)`."""
        return self.net(z).float()

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Data from noise, `(B, d) -> (B, …)`."""
        x = self(z)
        return x.clamp(-1, 1) if self.bounded else self.standardise.inverse(x)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed."""
        noise = seeded_noise(seeds, (self.latent_dim,), device_of(self))
        return in_chunks(self.decode, self.truncation * noise)
