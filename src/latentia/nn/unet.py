"""Denoising networks: a U-Net for images and a residual perceptron for vectors.

Built for quality per second rather than by habit. Pixels are folded into channels before the
first convolution, so that all work happens on a small grid with channel counts that matrix
units like; levels are joined by addition (an hourglass), and each block normalises once.
Both networks are the raw `F(x, noise)` of EDM; preconditioning belongs to the model around them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.nn.conditioning import ClassEmbedding
from latentia.nn.folding import depth_to_space, space_to_depth


def channel_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance over the channels of each pixel, `(B, C, H, W)`.

    Layer normalisation of the channels_last view: one fused kernel, several times
    faster on CPUs in bfloat16 than group normalisation.
    """
    return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],)).permute(0, 3, 1, 2)


class NoiseEmbedding(nn.Module):
    """Noise level `(B,)`, log(sigma)/4, to an embedding `(B, width)`, with a class where asked.

    Args:
        width: of the embedding.
        features: cosines and sines of the level.
        classes: how many there are to ask for; 0: none. Rows of weights `(B, classes)` that are
            zero ask for no class.
    """

    frequencies: Tensor

    def __init__(self, width: int, features: int = 64, classes: int = 0) -> None:
        super().__init__()
        # Periods from 1/5 to 12 in log(sigma)/4: the whole range of sigma down to a factor of 2.
        geometric = torch.logspace(math.log10(0.5), math.log10(32.0), features // 2)
        self.register_buffer("frequencies", geometric, persistent=False)
        self.net = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.label = ClassEmbedding(classes, width) if classes else None

    def forward(self, noise: Tensor, weights: Tensor | None = None) -> Tensor:
        angle = noise.float()[:, None] * self.frequencies
        out: Tensor = self.net(torch.cat([angle.cos(), angle.sin()], 1))
        if self.label is not None and weights is not None:
            out = out + self.label(weights)
        return F.silu(out)


class ResidualBlock(nn.Module):
    """`x + conv(silu(conv(modulate(norm(x)))))`, modulated by the noise embedding.

    Starts as the identity: the second convolution is zero.
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        shift, scale = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = torch.addcmul(shift, channel_norm(x), 1 + scale)
        return x + self.second(F.silu(self.first(h)))


class AttentionBlock(nn.Module):
    """Self-attention over the pixels of a small grid, `(B, C, H, W) -> (B, C, H, W)`.

    Written as two matrix products: on CPUs the fused kernel's backward in bfloat16 is
    several times slower.
    """

    def __init__(self, channels: int, head: int = 64) -> None:
        super().__init__()
        self.heads = max(1, channels // head)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = F.layer_norm(x.permute(0, 2, 3, 1).reshape(b, h * w, c), (c,))
        qkv = self.qkv(tokens).view(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * (c // self.heads) ** -0.5 @ k.transpose(-1, -2)).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(b, h * w, c)
        return x + self.out(mixed).view(b, h, w, c).permute(0, 3, 1, 2)


class Level(nn.Module):
    """One resolution of the hourglass: blocks, the coarser levels as a residual, blocks."""

    def __init__(
        self, widths: Sequence[int], depths: Sequence[int], embedding: int, attention: bool
    ) -> None:
        super().__init__()
        width, depth = widths[0], depths[0]
        blocks: list[nn.Module] = [ResidualBlock(width, embedding) for _ in range(depth)]
        self.inner: Level | None = None
        if len(widths) > 1:
            self.before = nn.ModuleList(blocks[: depth // 2])
            self.down = nn.Conv2d(4 * width, widths[1], 1)
            self.inner = Level(widths[1:], depths[1:], embedding, attention)
            self.up = zeroed(nn.Conv2d(widths[1], 4 * width, 1))
            self.after = nn.ModuleList(blocks[depth // 2 :])
        else:
            if attention:
                blocks.insert((depth + 1) // 2, AttentionBlock(width))
            self.before, self.after = nn.ModuleList(blocks), nn.ModuleList()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for block in self.before:
            x = block(x, embedding)
        if self.inner is not None:
            coarse = self.inner(self.down(space_to_depth(x, 2)), embedding)
            x = x + depth_to_space(self.up(channel_norm(coarse)), 2)
        for block in self.after:
            x = block(x, embedding)
        return x


class UNet(nn.Module):
    """Denoising network for images, `F(x, noise)` of EDM (Karras et al. 2022, eq. 7).

    Args:
        shape: `(C, H, W)` of one image, H and W from 4 to 128 pixels.
        width: channels of each resolution from fine to coarse, multiples of 32 run fastest.
        depth: residual blocks at each resolution.
        patch: side of the pixel tiles folded into channels, a power of two; 0 picks the one
            that brings the finest grid near 16 x 16.
        attention: one self-attention block in the middle of the coarsest resolution.
        embedding: width of the noise embedding.
        classes: how many it can be asked for.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        width: Sequence[int] = (64, 128),
        depth: Sequence[int] = (4, 6),
        patch: int = 0,
        attention: bool = False,
        embedding: int = 256,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, height, breadth = shape
        check_unet(shape, width, depth, patch)
        self.shape = shape
        self.patch = patch or default_patch(max(height, breadth))
        self.multiple = self.patch * 2 ** (len(width) - 1)
        self.noise = NoiseEmbedding(embedding, classes=classes)
        self.first = nn.Conv2d(channels * self.patch**2, width[0], 3, padding=1)
        self.levels = Level(tuple(width), tuple(depth), embedding, attention)
        self.last = zeroed(nn.Conv2d(width[0], channels * self.patch**2, 3, padding=1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, noise: Tensor, weights: Tensor | None = None) -> Tensor:
        """`x (B, C, H, W)` scaled to unit variance, `noise (B,)` = log(sigma)/4, to like `x`.

        With classes, `weights (B, classes)` ask for them; rows of zeros, or None, for none.
        """
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple))
        h = self.first(space_to_depth(padded, self.patch))
        h = self.levels(h, self.noise(noise, weights))
        out = depth_to_space(self.last(F.silu(channel_norm(h))), self.patch)
        return out[..., :height, :width].contiguous()


class PointDenoiser(nn.Module):
    """Denoising network for vectors: a residual perceptron modulated by the noise level.

    Args:
        features: length of a vector.
        width: hidden units.
        depth: residual blocks.
        classes: how many it can be asked for.
    """

    def __init__(
        self, features: int, *, width: int = 128, depth: int = 3, classes: int = 0
    ) -> None:
        super().__init__()
        self.noise = NoiseEmbedding(width, classes=classes)
        self.first = nn.Linear(features, width)
        self.blocks = nn.ModuleList(PointBlock(width) for _ in range(depth))
        self.last = zeroed(nn.Linear(width, features))

    def forward(self, x: Tensor, noise: Tensor, weights: Tensor | None = None) -> Tensor:
        """`x (B, features)` scaled to unit variance, `noise (B,)` = log(sigma)/4, to like `x`.

        With classes, `weights (B, classes)` ask for them; rows of zeros, or None, for none.
        """
        embedding = self.noise(noise, weights)
        h = self.first(x)
        for block in self.blocks:
            h = block(h, embedding)
        out: Tensor = self.last(F.silu(h))
        return out


class PointBlock(nn.Module):
    """`x + linear(silu(modulate(linear(silu(x)))))`, `(B, width) -> (B, width)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        shift, scale = self.modulation(embedding).chunk(2, 1)
        h = torch.addcmul(shift, self.first(F.silu(x)), 1 + scale)
        return x + self.second(F.silu(h))


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The same layer with weights and bias zero, so that a residual branch starts silent."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def default_patch(side: int) -> int:
    """The power of two that brings a grid of `side` pixels nearest to 16.

    >>> [default_patch(side) for side in (8, 28, 32, 64, 128)]
    [1, 2, 2, 4, 8]
    """
    return int(max(1, 2 ** round(math.log2(side / 16))))


def check_unet(
    shape: tuple[int, int, int], width: Sequence[int], depth: Sequence[int], patch: int
) -> None:
    """Raises `UserError` for a U-Net that cannot be built."""
    _, height, breadth = shape
    if not (4 <= height <= 128 and 4 <= breadth <= 128):
        raise UserError(
            f"the U-Net takes images of 4 to 128 pixels a side, not {height} x {breadth}; "
            "choose another size for the images"
        )
    if len(width) != len(depth) or not width:
        raise UserError(
            f"width {tuple(width)} and depth {tuple(depth)} must name the same number of "
            "resolutions, one or more"
        )
    if patch & (patch - 1) or patch < 0:
        raise UserError(f"patch must be a power of two, or 0 for automatic, not {patch}")
