"""Pictures as small maps of numbers, and back: the worlds in which latent diffusion works."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.nn.autoencoding import ImageDecoder, ImageEncoder, coarse_grid

MEMORY = 0.99  # of the running mean and spread of codes, per step


class CodeMaps(nn.Module):
    """An encoder to maps of numbers of mean 0 and deviation 1, and a decoder (Rombach et al. 2022).

    The networks are those of `ImageEncoder` and `ImageDecoder` without their last and first linear
    maps, so that a code keeps where things are.

    Args:
        shape: `(C, H, W)` of a picture.
        channels: of a code.
        width, depth: as for `ImageEncoder`.

    Attributes:
        code_shape: `(channels, h, w)`.
    """

    center: Tensor
    spread: Tensor

    def __init__(
        self, shape: tuple[int, int, int], channels: int, *, width: int = 128, depth: int = 2
    ) -> None:
        super().__init__()
        self.code_shape = (channels, *coarse_grid(*shape[1:]))
        self.encoder = ImageEncoder(shape, 1, width=width, depth=depth)
        self.decoder = ImageDecoder(1, shape, shape[0], width=width, depth=depth)
        self.encoder.out = nn.Conv2d(width, channels, 1)  # type: ignore[assignment]
        self.decoder.inp = nn.Conv2d(channels, width, 1)  # type: ignore[assignment]
        self.register_buffer("center", torch.zeros(channels, 1, 1))
        self.register_buffer("spread", torch.ones(channels, 1, 1))

    def raw(self, x: Tensor) -> Tensor:
        """Codes before they are brought to unit deviation, `(B, C, H, W) -> (B, c, h, w)`."""
        found: Tensor = self.encoder.out(F.silu(self.encoder.features(x)))
        return found.float()

    def encode(self, x: Tensor) -> Tensor:
        """Codes of mean 0 and deviation 1, `(B, C, H, W) -> (B, c, h, w)`."""
        return self.standardised(self.raw(x))

    def standardised(self, raw: Tensor) -> Tensor:
        """Raw codes brought to mean 0 and deviation 1."""
        return (raw - self.center) / self.spread

    def decode(self, code: Tensor) -> Tensor:
        """Pictures of codes, `(B, c, h, w) -> (B, C, H, W)`, unbounded."""
        found: Tensor = self.decoder.grown(self.decoder.inp(code * self.spread + self.center))
        return found.float()

    @torch.no_grad()
    def follow(self, mean: Tensor, square: Tensor) -> None:
        """Move towards a batch's mean and mean square of raw codes, `(c, 1, 1)` each."""
        self.center.lerp_(mean, 1 - MEMORY)
        variance = (square - mean.square()).clamp(min=1e-6)
        self.spread.copy_(self.spread.square().lerp(variance, 1 - MEMORY).sqrt())
