"""Generators and critics without normalisation layers, for adversarial training.

After R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!", section 4): residual
blocks without normalisation whose last convolution starts at zero, so that a network begins
shallow. Where R3GAN puts grouped 3×3 convolutions between 1×1 ones, two dense 3×3 ones stand
here, which run nearer to a processor's peak; and the critic folds 2×2 pixels into channels
before its first convolution, the cheapest early downsampling.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.conditioning import EMBEDDING, ClassEmbedding, Modulation
from latentia.nn.mlp import MLP, Activation

SLOPE = 0.2  # of the leaky rectifiers, as in R3GAN
COARSEST = 8  # longest side, in pixels, of the coarsest feature map
Shape = tuple[int, int, int]
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class ImageGenerator(nn.Module):
    """Noise to images: an MLP, a coarse map, and a transposed convolution per doubling.

    Args:
        latent_dim: noise dimensions d.
        shape: `(C, H, W)` of the images, H and W from 8 to 128.
        width: channels at half the image's size; the coarsest map has 4 times as many.
        depth: residual blocks per resolution.
        classes: how many it can be asked for; 0 for a net without. The class is laid beside the
            noise, and scales and shifts the channels at every resolution.

    Shape: `(B, d) -> (B, C, H, W)`, float32, not bounded; with classes, also labels `(B,)` or
        weights `(B, classes)`. What lies beyond black can be pushed back, where a saturated tanh
        would pass no gradient: colour pictures were seen to die of it.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Shape,
        *,
        width: int = 32,
        depth: int = 1,
        classes: int = 0,
    ) -> None:
        super().__init__()
        latent_dim += EMBEDDING if classes else 0
        self.shape, self.grid = shape, coarse_grid(shape)
        channels = channel_plan(shape, width)[::-1]
        cells = self.grid[0] * self.grid[1]
        self.stem = _he(nn.Linear(latent_dim, channels[0] * cells))
        levels: list[nn.Module] = []
        for here, after in pairwise(channels):
            levels += [_blocks(here, depth), _he(nn.ConvTranspose2d(here, after, 4, 2, 1))]
        # half the gain: pictures that start within the range of levels
        last = _he(nn.ConvTranspose2d(channels[-1], shape[0], 4, 2, 1), gain=0.5)
        self.levels = nn.Sequential(*levels, _blocks(channels[-1], depth), last)
        if classes:
            self.embed = ClassEmbedding(classes)
            self.modulations = nn.ModuleList(Modulation(c) for c in channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of a batch of noise vectors, of these classes."""
        e = None if labels is None else self.embed(labels)
        z = z if e is None else torch.cat([z, e], 1)
        coarse = self.stem(z).unflatten(1, (-1, *self.grid))
        x = coarse.contiguous(memory_format=torch.channels_last)
        for i, part in enumerate(self.levels):
            # blocks and convolutions take turns
            x = part(x if e is None or i % 2 else self.modulations[i // 2](x, e))
        return x[:, :, : self.shape[1], : self.shape[2]].float()


class ImageCritic(nn.Module):
    """Images to logits of the probability of being real; every example on its own.

    Args:
        shape: `(C, H, W)` of the images, H and W from 8 to 128.
        width: channels at half the image's size; the coarsest map has 4 times as many.
        depth: residual blocks per resolution.

    Shape: `(B, C, H, W) -> (B,)`, float32.
    """

    def __init__(self, shape: Shape, *, width: int = 32, depth: int = 1) -> None:
        super().__init__()
        self.grid, self.halvings = coarse_grid(shape), halvings(shape)
        channels = channel_plan(shape, width)
        levels: list[nn.Module] = [_he(nn.Conv2d(4 * shape[0], channels[0], 3, padding=1))]
        for here, after in pairwise(channels):
            levels += [_blocks(here, depth), _he(nn.Conv2d(here, after, 4, 2, 1))]
        self.levels = nn.Sequential(*levels, _blocks(channels[-1], depth))
        self.head = _he(nn.Linear(channels[-1] * self.grid[0] * self.grid[1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        return self.head(self.features(x)).float().squeeze(1)

    def features(self, x: Tensor) -> Tensor:
        """What the logit is a linear map of, `(B, C, H, W) -> (B, F)`."""
        factor = 2**self.halvings
        right, below = self.grid[1] * factor - x.shape[3], self.grid[0] * factor - x.shape[2]
        folded = F.pixel_unshuffle(F.pad(x, (0, right, 0, below)), 2)
        return self.levels(folded.contiguous(memory_format=torch.channels_last)).flatten(1)


class VectorGenerator(nn.Module):
    """Noise to points: a residual MLP.

    Args:
        latent_dim: noise dimensions d.
        features: of a point.
        width: of the hidden layers.
        depth: number of hidden layers.
        classes: how many it can be asked for; 0 for a net without.

    Shape: `(B, d) -> (B, features)`, unbounded; with classes, also labels `(B,)` or weights
        `(B, classes)`.
    """

    def __init__(
        self, latent_dim: int, features: int, *, width: int = 128, depth: int = 3, classes: int = 0
    ) -> None:
        super().__init__()
        latent_dim += EMBEDDING if classes else 0
        self.net = MLP(latent_dim, [width] * depth, features, activation=leaky)
        if classes:
            self.embed = ClassEmbedding(classes)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Points of a batch of noise vectors, of these classes."""
        return self.net(z if labels is None else torch.cat([z, self.embed(labels)], 1)).float()


class VectorCritic(nn.Module):
    """Points to logits of the probability of being real; every example on its own.

    Args:
        features: of a point.
        width: of the hidden layers.
        depth: number of hidden layers.

    Shape: `(B, features) -> (B,)`, float32.
    """

    def __init__(self, features: int, *, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.net = MLP(features, [width] * depth, 1, activation=leaky)

    @property
    def head(self) -> nn.Linear:
        """The last layer."""
        return self.net.out

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of points."""
        return self.head(self.features(x)).float().squeeze(1)

    def features(self, x: Tensor) -> Tensor:
        """What the logit is a linear map of, `(B, features) -> (B, F)`."""
        return self.net.features(x)


class ResidualBlock(nn.Module):
    """`x + conv(act(conv(act(x))))` with 3×3 convolutions; `(B, C, H, W)` to the same shape.

    The second convolution starts at zero, so that the block starts as the identity.

    Args:
        channels: C.
        activation: act.
    """

    def __init__(self, channels: int, activation: Activation | None = None) -> None:
        super().__init__()
        self.activation = activation or leaky
        self.first = _he(nn.Conv2d(channels, channels, 3, padding=1))
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        _zero_bias(self.last)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the two convolutions make of x."""
        return x + self.last(self.activation(self.first(self.activation(x))))


def leaky(x: Tensor) -> Tensor:
    """max(x, 0.2 x)."""
    return F.leaky_relu(x, SLOPE)


def halvings(shape: Shape) -> int:
    """How often a `(C, H, W)` image is halved until no side is above 8; at least once.

    >>> halvings((1, 28, 28)), halvings((3, 128, 96)), halvings((1, 8, 8))
    (2, 4, 1)
    """
    return max(1, math.ceil(math.log2(max(shape[1:]) / COARSEST)))


def coarse_grid(shape: Shape) -> tuple[int, int]:
    """Height and width of the coarsest feature map of a `(C, H, W)` image; odd sides round up.

    >>> coarse_grid((1, 28, 28)), coarse_grid((3, 128, 90))
    ((7, 7), (8, 6))
    """
    factor = 2 ** halvings(shape)
    return math.ceil(shape[1] / factor), math.ceil(shape[2] / factor)


def channel_plan(shape: Shape, width: int) -> list[int]:
    """Channels at half the image's size, a quarter, …: from `width` to 4·`width`, geometrically.

    Middle ones are multiples of 16 where `width` is, since convolutions run fastest on those.

    >>> channel_plan((1, 28, 28), 32), channel_plan((3, 128, 128), 32)
    ([32, 128], [32, 48, 80, 128])
    """
    steps = halvings(shape) - 1
    unit = math.gcd(width, 16)
    middle = [width * 4 ** (k / steps) for k in range(steps)]
    return [unit * round(channels / unit) for channels in middle] + [4 * width]


def _blocks(channels: int, depth: int) -> nn.Sequential:
    """Residual blocks and the rectifier that their open end needs."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(depth)), nn.LeakyReLU(SLOPE))


def _he(layer: Layer, gain: float = 1.0) -> Layer:
    """He et al. (2015) for leaky rectifiers: outputs of scale `gain`; biases at zero."""
    inputs = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # each output pixel meets kernel / stride² taps
        inputs = layer.in_channels * layer.weight[0, 0].numel() // math.prod(layer.stride)
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / (1 + SLOPE**2) / inputs))
    _zero_bias(layer)
    return layer


def _zero_bias(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> None:
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
