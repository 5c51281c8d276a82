"""Encoders and decoders that work over coordinates: where a thing is becomes a latent of its own.

The spatial broadcast decoder of Watters et al. (2019) gives every place of a grid the same latents
and its own coordinates, and lets convolutions of one place and its surroundings draw. Here a place
is a patch of pixels, at most 16 to a side, which costs a sixteenth at 64 by 64 pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.nn.autoencoding import ResidualBlock

MOST_PLACES = 16  # to a side of the grid


def patch_side(height: int, width: int) -> int:
    """Pixels to a side of a patch, a power of two.

    >>> patch_side(8, 8), patch_side(28, 28), patch_side(64, 48)
    (1, 2, 4)
    """
    patch = 1
    while max(height, width) > MOST_PLACES * patch:
        patch *= 2
    return patch


class PatchEncoder(nn.Module):
    """Images to vectors: patches, residual blocks at two resolutions, one linear map.

    Args:
        shape: `(C, H, W)`; sides that are no whole number of patches repeat their edge.
        out_features: length of the output vector.
        width: channels of the finer grid; twice as many at half the resolution.
        depth: residual blocks at each resolution.

    Shape: `(B, C, H, W)` in [-1, 1] `-> (B, out_features)`.
    """

    def __init__(
        self, shape: tuple[int, int, int], out_features: int, *, width: int, depth: int
    ) -> None:
        super().__init__()
        c, h, w = shape
        patch = patch_side(h, w)
        rows, columns = (-(-side // (2 * patch)) for side in (h, w))  # of the coarser grid
        self.padding = (0, 2 * patch * columns - w, 0, 2 * patch * rows - h)
        self.body = nn.Sequential(
            nn.PixelUnshuffle(patch),
            nn.Conv2d(c * patch**2, width, 3, padding=1),
            *(ResidualBlock(width) for _ in range(depth)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * width, 2 * width, 1),
            *(ResidualBlock(2 * width) for _ in range(depth)),
        )
        self.out = nn.Linear(2 * width * rows * columns, out_features)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.padding, mode="replicate") if any(self.padding) else x
        return self.out(F.silu(self.body(x)).flatten(1))


class BroadcastDecoder(nn.Module):
    """Vectors to images over a grid of coordinates.

    Args:
        latent_dim: length of the input vector.
        shape: `(C, H, W)` of the image; the output has its height and width.
        out_channels: channels of the output, which is linear (no squashing).
        width: channels.
        depth: residual blocks.

    Shape: `(B, latent_dim) -> (B, out_channels, H, W)`.
    """

    coordinates: Tensor

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, int, int],
        out_channels: int,
        *,
        width: int,
        depth: int,
    ) -> None:
        super().__init__()
        self.size = shape[1:]
        self.patch = patch_side(*self.size)
        rows, columns = (torch.linspace(-1, 1, -(-side // self.patch)) for side in self.size)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        self.register_buffer("coordinates", grid[None], persistent=False)
        self.inp, self.at = nn.Linear(latent_dim, 2 * width), nn.Conv2d(2, 2 * width, 1)
        self.body = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(2 * width, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, width, 1),
            *(ResidualBlock(width) for _ in range(depth)),
            nn.SiLU(),
        )
        self.out = nn.Conv2d(width, out_channels * self.patch**2, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        places = self.inp(z)[:, :, None, None] + self.at(self.coordinates)
        h = self.body(places.contiguous(memory_format=torch.channels_last))
        image = F.pixel_shuffle(self.out(h).contiguous(), self.patch)
        return image[:, :, : self.size[0], : self.size[1]]
