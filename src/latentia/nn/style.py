"""The style-based generator and its critic: noise bent into styles, styles steering convolutions.

After Karras et al. (2019, "StyleGAN") and Karras et al. (2020, "Analyzing and improving the image
quality of StyleGAN", StyleGAN2), arranged for processors: modulation scales activations around one
shared convolution, which gives the same numbers as a kernel for each example and runs several
times faster; pictures are enlarged by bilinear interpolation, which is their binomial filter
[1, 3, 3, 1]; and the finest pixels may be folded into channels, since a layer of few channels at
full size takes longest and says least.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.adversarial_nets import SLOPE, Shape
from latentia.nn.folding import smoothed

COARSEST = 7  # longest side, in pixels, of the coarsest feature map, at most
GAIN = math.sqrt(2)  # of leaky rectifiers, to keep the scale of what passes
MAPPING_RATE = 0.01  # the mapping learns so many times as fast as the rest (2019, appendix C)
FOLLOWS = 0.005  # share of a batch in the running mean of the styles
TINY = 1e-8


class EqualLinear(nn.Linear):
    """A linear layer at an equalised learning rate (Karras et al. 2018, section 4.1).

    Weights are drawn from N(0, 1) and scaled at use, so that one optimiser step changes every
    layer by the same share.

    Args:
        inputs, outputs: features.
        bias: where the bias starts.
        gain: of the output's scale.
        rate: multiplies the layer's learning rate.

    Shape: `(B, inputs) -> (B, outputs)`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, gain: float = 1.0, rate: float = 1.0
    ) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, bias / rate)
        self.scale, self.rate = gain * rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """The scaled layer."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Conv2d):
    """A convolution that keeps the size, at an equalised learning rate; see `EqualLinear`.

    Shape: `(B, inputs, H, W) -> (B, outputs, H, W)`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, gain: float = GAIN, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """The scaled layer."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Mapping(nn.Module):
    """Noise to styles w: normalised, then bent by an MLP (2019, section 2).

    Args:
        latent: noise dimensions.
        style: dimensions d of w.
        depth: layers.
        classes: how many classes are mapped along; 0 for none.

    Shape: `(B, latent)` (and weights of the classes `(B, classes)`) to `(B, d)`, float32.

    Buffer `center`: the running mean of w, `(d,)`; truncation draws towards it.
    """

    center: Tensor

    def __init__(self, latent: int, style: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        self.embed = EqualLinear(classes, latent) if classes else None
        sizes = [latent * (2 if classes else 1)] + [style] * depth
        self.layers = nn.ModuleList(
            EqualLinear(a, b, gain=GAIN, rate=MAPPING_RATE) for a, b in pairwise(sizes)
        )
        self.register_buffer("center", torch.zeros(style))

    def forward(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """Styles of noise, in full precision whatever the precision around."""
        with torch.autocast(z.device.type, enabled=False):
            x = _normal(z.float())
            if self.embed is not None:
                assert weights is not None, "a mapping of classes needs their weights"
                x = torch.cat([x, _normal(self.embed(weights.float()))], 1)
            for layer in self.layers:
                x = F.leaky_relu(layer(x), SLOPE)
        return x

    @torch.no_grad()
    def follow(self, mean: Tensor) -> None:
        """Let `center` follow the mean style of a batch, `(d,)`; only while training."""
        if self.training:
            self.center.lerp_(mean.float(), FOLLOWS)

    def truncated(self, w: Tensor, psi: float) -> Tensor:
        """center + ψ (w − center): nearer to the middle, more usual (2019, appendix B)."""
        return w if psi == 1 else torch.lerp(self.center, w, psi)


class StyleConv(nn.Module):
    """A 3×3 convolution steered by a style, with noise, bias and rectifier (StyleGAN2, fig. 2).

    The style gives every input channel a scale s, and every output channel is divided by the
    norm of its kernel under those scales (eq. 1 and 3).

    Args:
        inputs, outputs: channels.
        style: dimensions of w.
        up: the output is twice as large.
        noise_rate: multiplies the learning rate of the noise's strength; 0: no noise.

    Shape: x `(B, inputs, H, W)`, w `(B, style)`, noise `(B, 1, H', W')` to
    `(B, outputs, H', W')`.
    """

    def __init__(
        self, inputs: int, outputs: int, style: int, *, up: bool, noise_rate: float = 1.0
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))
        self.up, self.noise_rate = up, noise_rate

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Convolve as the styles say, add the noise, bend."""
        before, after = self.scales(w)
        y = F.conv2d(x * before.to(x.dtype), self.weight, padding=1)
        # the rectifier's gain is taken into the small tensors before it
        bias = (GAIN * self.bias).to(y.dtype).view(1, -1, 1, 1)
        y = torch.addcmul(bias, y, (GAIN * after).to(y.dtype))
        y = doubled(y) if self.up else y
        if self.noise_rate:
            y = y.add_((GAIN * self.noise_rate * self.strength * noise).to(y.dtype))
        return F.leaky_relu_(y, SLOPE)

    def scales(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Scales of the input and of the output channels, float32 `(B, channels, 1, 1)` each.

        The kernels need no scale of their own: the second undoes it.
        """
        with torch.autocast(w.device.type, enabled=False):
            before = self.affine(w)
            power = self.weight.square().sum((2, 3))
            after = (F.linear(before.square(), power) + TINY).rsqrt()
        return before[:, :, None, None], after[:, :, None, None]


class ToPixels(nn.Module):
    """A 1×1 convolution to pixels, steered by a style, without noise or normalisation.

    Args:
        inputs, outputs: channels.
        style: dimensions of w.
        fold: pixels along each side that are folded into channels.

    Shape: x `(B, inputs, H, W)`, w `(B, style)` to `(B, outputs · fold², H, W)`, float32.
    """

    def __init__(self, inputs: int, outputs: int, style: int, fold: int = 1) -> None:
        super().__init__()
        self.affine = EqualLinear(style, inputs, bias=1.0)
        # pixels that are folded together start alike, else a chequered pattern is slow to leave
        # (Aitken et al. 2017)
        alike = torch.randn(outputs, inputs).repeat_interleave(fold**2, 0)
        self.weight = nn.Parameter(alike)
        self.bias = nn.Parameter(torch.zeros(outputs * fold**2))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Pixels of features: a matrix of its own for every example."""
        scale = self.affine(w).float() / math.sqrt(self.weight.shape[1])
        kernels = (self.weight * scale[:, None]).to(x.dtype).mT
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2) @ kernels
        rows = pixels.float() + self.bias
        return rows.mT.unflatten(2, x.shape[2:])


class Synthesis(nn.Module):
    """Styles to images: a learned coarse map, doubled again and again, pixels added up on the way.

    Args:
        shape: `(C, H, W)` of the images, H and W from 8.
        style: dimensions d of w.
        width: channels at half the image's size; twice as many at each coarser one.
        widest: channels at most.
        fold: 2 ends at half the image's size, with four pixels in one; 1 at full size.
        noise_rate: as of `StyleConv`.

    Shape: styles `(B, style_layers, d)` and noise `(B, noise_size)` to `(B, C, H, W)`, float32,
    unbounded.

    Buffer `still`: one draw of the noise, for pictures that are to depend on styles alone.
    """

    still: Tensor

    def __init__(
        self,
        shape: Shape,
        style: int,
        *,
        width: int,
        widest: int,
        fold: int,
        noise_rate: float = 1.0,
    ) -> None:
        super().__init__()
        self.shape, self.fold = shape, fold
        sizes, channels = sizes_of(shape, fold), channels_of(shape, width, widest, fold)
        self.start = nn.Parameter(torch.randn(1, channels[0], *sizes[0]))
        plan = [(channels[0], channels[0], False)]
        for a, b in pairwise(channels):
            plan += [(a, b, True), (b, b, False)]
        self.convs = nn.ModuleList(
            StyleConv(a, b, style, up=up, noise_rate=noise_rate) for a, b, up in plan
        )
        folds = [1] * (len(sizes) - 1) + [fold]
        self.pixels = nn.ModuleList(
            ToPixels(c, shape[0], style, k) for c, k in zip(channels, folds, strict=True)
        )
        self.grids = [sizes[(i + 1) // 2] for i in range(len(plan))]
        self.noise_size = sum(h * w for h, w in self.grids)
        self.style_layers = len(plan) + 1
        still = torch.randn(1, self.noise_size, generator=torch.Generator().manual_seed(0))
        self.register_buffer("still", still, persistent=False)

    def forward(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images of styles; with the noise `still` where none is given."""
        maps = self.noise_maps(self.still if noise is None else noise)
        x = self.start.expand(len(styles), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for i, conv in enumerate(self.convs):
            x = conv(x, styles[:, i], maps[i])
            if i % 2 == 0:  # the last convolution of a size
                fresh = self.pixels[i // 2](x, styles[:, i + 1])
                image = fresh if image is None else self._added(image, fresh)
        assert image is not None
        if image.shape[1] > self.shape[0]:  # one size only
            image = smoothed(F.pixel_shuffle(image, self.fold))
        return image[:, :, : self.shape[1], : self.shape[2]]

    def noise_maps(self, noise: Tensor) -> list[Tensor]:
        """A map for every convolution, `(B, 1, H, W)` each."""
        parts = noise.split([h * w for h, w in self.grids], 1)
        return [part.view(-1, 1, *grid) for part, grid in zip(parts, self.grids, strict=True)]

    def _added(self, image: Tensor, fresh: Tensor) -> Tensor:
        image = doubled(image)
        if fresh.shape[1] == image.shape[1]:
            return image + fresh
        return doubled(image) + smoothed(F.pixel_shuffle(fresh, self.fold))


class StyleNet(nn.Module):
    """Mapping and synthesis: `(B, latent) -> (B, C, H, W)`, one style for all layers."""

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__()
        self.mapping, self.synthesis = mapping, synthesis

    def forward(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """Images of noise vectors."""
        return self.synthesis(self.spread(self.mapping(z, weights)))

    def spread(self, w: Tensor) -> Tensor:
        """The same style for every layer, `(B, d) -> (B, style_layers, d)`."""
        return w[:, None].expand(-1, self.synthesis.style_layers, -1)


class StyleCritic(nn.Module):
    """Images to logits of the probability of being real: a residual network (StyleGAN2, fig. 7).

    Every example is judged on its own: no statistics over the batch, so that gradient penalties
    stay exact and several processes give what one gives.

    Args:
        shape: `(C, H, W)` of the images, H and W from 8.
        width, widest, fold: as of `Synthesis`.

    Shape: `(B, C, H, W) -> (B,)`, float32.
    """

    def __init__(self, shape: Shape, *, width: int, widest: int, fold: int) -> None:
        super().__init__()
        sizes = sizes_of(shape, fold)
        channels = channels_of(shape, width, widest, fold)[::-1]
        self.fold, self.whole = fold, (sizes[-1][0] * fold, sizes[-1][1] * fold)
        self.first = EqualConv(shape[0] * fold**2, channels[0], 1 if fold == 1 else 3)
        self.blocks = nn.Sequential(*(CriticBlock(a, b) for a, b in pairwise(channels)))
        last = channels[-1]
        self.last = EqualConv(last, last)
        self.dense = EqualLinear(last * sizes[0][0] * sizes[0][1], last, gain=GAIN)
        self.head: nn.Linear = EqualLinear(last, 1)

    def features(self, x: Tensor) -> Tensor:
        """What the head sees of a batch of images, `(B, F)`."""
        below, right = self.whole[0] - x.shape[2], self.whole[1] - x.shape[3]
        if below or right:
            x = F.pad(x, (0, right, 0, below))
        x = F.pixel_unshuffle(x, self.fold) if self.fold > 1 else x
        x = leaky_(self.first(x.contiguous(memory_format=torch.channels_last)))
        x = leaky_(self.last(self.blocks(x)))
        return leaky_(self.dense(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        return self.head(self.features(x)).float().squeeze(1)


class CriticBlock(nn.Module):
    """Two convolutions and a short cut, at half the size; `(B, C, H, W) -> (B, C', H/2, W/2)`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.here = EqualConv(inputs, inputs)
        self.down = EqualConv(inputs, outputs, gain=1.0)  # √2 of the rectifier, √½ of the sum
        self.short = EqualConv(inputs, outputs, 1, gain=math.sqrt(0.5), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size."""
        y = leaky_(self.here(x))
        return leaky_(self.down(F.avg_pool2d(y, 2))) + self.short(F.avg_pool2d(x, 2))


def sizes_of(shape: Shape, fold: int) -> list[tuple[int, int]]:
    """Heights and widths of the feature maps, the coarsest first; odd sides round up.

    >>> sizes_of((3, 64, 64), 1)
    [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)]
    >>> sizes_of((1, 28, 20), 2)
    [(7, 5), (14, 10)]
    """
    n = max(1, math.ceil(math.log2(max(shape[1:]) / COARSEST)))
    grid = math.ceil(shape[1] / 2**n), math.ceil(shape[2] / 2**n)
    finest = n - (fold - 1)
    return [(grid[0] * 2**k, grid[1] * 2**k) for k in range(finest + 1)]


def channels_of(shape: Shape, width: int, widest: int, fold: int) -> list[int]:
    """Channels of the feature maps, the coarsest first.

    >>> channels_of((3, 64, 64), 32, 128, 2), channels_of((3, 64, 64), 512, 512, 1)
    ([128, 128, 64, 32], [512, 512, 512, 512, 256])
    """
    n = len(sizes_of(shape, fold))
    finest = width if fold == 2 else max(1, width // 2)
    return [min(widest, finest * 2**k) for k in reversed(range(n))]


def doubled(x: Tensor) -> Tensor:
    """Twice as large by bilinear interpolation, the binomial filter [1, 3, 3, 1] / 4 each way."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def leaky_(x: Tensor) -> Tensor:
    """max(x, 0.2 x), in place."""
    return F.leaky_relu_(x, SLOPE)


def _normal(x: Tensor) -> Tensor:
    """Rows of mean square 1."""
    return x * (x.square().mean(1, keepdim=True) + TINY).rsqrt()
