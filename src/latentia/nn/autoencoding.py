"""Convolutional encoders and decoders of images of any size from 8 to 128 pixels.

Space-to-depth (Shi et al., 2016) instead of strided convolutions: the first convolution already
works at half the resolution, where a pixel costs a quarter. No normalisation: residual branches
start small (as in Zhang et al., 2019, Fixup), which leaves the layout and the rates of the
convolution library undisturbed.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.errors import UserError

BRANCH_SCALE = 0.1  # of the initial weights that end a residual branch
SMALLEST_SIDE = 7  # halving stops before the longer side falls below this
FINE_WIDTH = 32  # channels never fall below this (or below `width`) at fine resolutions


class ResidualBlock(nn.Module):
    """`x + conv(silu(conv(silu(x))))`, near the identity at first. Shape: `(B, C, H, W)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            for parameter in self.second.parameters():
                parameter.mul_(BRANCH_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class ImageEncoder(nn.Module):
    """Images to vectors: space-to-depth and residual blocks at every level, then one linear map.

    Args:
        shape: `(C, H, W)`; sides that do not halve evenly are padded by repeating the edge.
        out_features: length of the output vector.
        width: channels at the coarsest level; half of it a level finer, and so on, but never
            below 32.
        depth: residual blocks at the coarsest level; half of them, rounded up, at finer ones.

    Raises:
        UserError: a size, width or depth that is not positive.

    Shape: `(B, C, H, W)` in [-1, 1] `-> (B, out_features)`.
    """

    def __init__(
        self, shape: tuple[int, int, int], out_features: int, *, width: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        _refuse_empty(*shape, out_features, width, depth)
        self.size = shape[1:]
        self.grid = coarse_grid(*self.size)
        widths, depths = levels_of(self.size, width, depth)
        layers: list[nn.Module] = []
        channels, self.ends = shape[0], []
        for level, (w, d) in enumerate(zip(widths, depths, strict=True)):
            kernel = 1 if level else 3
            layers += [nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, w, kernel, padding="same")]
            layers += [ResidualBlock(w) for _ in range(d)]
            channels = w
            self.ends.append(len(layers))
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(channels * self.grid[0] * self.grid[1], out_features)
        self.scale = 2 ** len(widths)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.silu(self.features(x)).flatten(1))

    def features(self, x: Tensor) -> Tensor:
        """Those of the coarsest level, `(B, width, rows, columns)`."""
        found: Tensor = self.body(self._padded(x))
        return found

    def levels(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and the features `(B, width, H, W)` of every level from coarse to fine."""
        h, found = self._padded(x), []
        for start, end in pairwise([0, *self.ends]):
            h = self.body[start:end](h)
            found.append(h)
        return self.out(F.silu(h).flatten(1)), found[::-1]

    def _padded(self, x: Tensor) -> Tensor:
        (h, w), (rows, columns) = self.size, self.grid
        right, below = columns * self.scale - w, rows * self.scale - h
        return F.pad(x, (0, right, 0, below), mode="replicate") if right or below else x


class ImageDecoder(nn.Module):
    """Vectors to images: the encoder's mirror, with depth-to-space.

    Args:
        latent_dim: length of the input vector.
        shape: `(C, H, W)` of the image; the output has its height and width.
        out_channels: channels of the output, which is linear (no squashing).
        width, depth: as for `ImageEncoder`.

    Raises:
        UserError: a size, width or depth that is not positive.

    Shape: `(B, latent_dim) -> (B, out_channels, H, W)`.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, int, int],
        out_channels: int,
        *,
        width: int = 64,
        depth: int = 2,
    ) -> None:
        super().__init__()
        _refuse_empty(latent_dim, *shape, out_channels, width, depth)
        self.size = shape[1:]
        self.grid = coarse_grid(*self.size)
        widths, depths = levels_of(self.size, width, depth)
        self.width = width
        self.inp = nn.Linear(latent_dim, width * self.grid[0] * self.grid[1])
        layers: list[nn.Module] = []
        channels = width
        for level, (w, d) in enumerate(zip(reversed(widths), reversed(depths), strict=True)):
            if level:
                layers += [nn.Conv2d(channels, 4 * w, 1), nn.PixelShuffle(2)]
            layers += [ResidualBlock(w) for _ in range(d)]
            channels = w
        self.body = nn.Sequential(*layers)
        self.out = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        # Channels vary fastest, so that the view is already laid out as the convolutions like.
        return self.grown(self.inp(z).view(len(z), *self.grid, self.width).permute(0, 3, 1, 2))

    def grown(self, coarse: Tensor) -> Tensor:
        """Images of features of the coarsest level, `(B, width, rows, columns)`."""
        image = F.pixel_shuffle(self.out(F.silu(self.body(coarse))).contiguous(), 2)
        return image[:, :, : self.size[0], : self.size[1]]


def coarse_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the coarsest level.

    >>> coarse_grid(8, 8), coarse_grid(28, 28), coarse_grid(64, 48)
    ((4, 4), (7, 7), (8, 6))
    """
    step = 2 ** _halvings(height, width)
    return -(-height // step), -(-width // step)


def _halvings(height: int, width: int) -> int:
    count = 1
    while max(height, width) >= SMALLEST_SIDE * 2 ** (count + 1):
        count += 1
    return count


def levels_of(size: tuple[int, int], width: int, depth: int) -> tuple[list[int], list[int]]:
    """Channels and residual blocks of every level, from fine to coarse."""
    count = _halvings(*size)
    widths = [max(width >> finer, min(width, FINE_WIDTH)) for finer in reversed(range(count))]
    return widths, [(depth + 1) // 2] * (count - 1) + [depth]


def _refuse_empty(*sizes: int) -> None:
    if min(sizes) < 1:
        raise UserError(f"Image networks need positive sizes, widths and depths, got {sizes}.")
