"""Several layers of latents from coarse to fine, in one network (ladder, top-down).

Inference climbs the encoder once and comes down the decoder, which it shares with generation
(Sønderby et al. 2016; Kingma et al. 2016). Lower latents are kept in standard units: a layer adds
`back(scale(h) · ε)` to the trunk h, ε ~ N(0, I) a priori, and the posterior is a Gaussian of ε
given h and the encoder's features: the residual parameterisation of Vahdat & Kautz (2020, eq. 4),
not centred. Every latent below the top has a standard normal prior whatever those above say, so
that walks and interpolations mean the same on every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.maths.divergences import LOG_VAR_RANGE
from latentia.nn.autoencoding import ImageEncoder, ResidualBlock, coarse_grid, levels_of

Join = Callable[[int, int], nn.Module]
"""A learned map of channels, at every place alike: `nn.Linear`, or a convolution."""

Layer = tuple[Tensor, Tensor, Tensor]
"""Latents of one layer with mean and log-variance they were drawn from, all of one shape."""


class Stage(nn.Module):
    """One layer of latents on a trunk of `width` channels that sees features of `width` channels.

    Args:
        width: channels of trunk and features.
        latents: channels of the latents.
        join, wide: maps of one place, and of a place and its surroundings.
    """

    def __init__(self, width: int, latents: int, join: Join, wide: Join) -> None:
        super().__init__()
        self.scale, self.back = join(width, latents), join(latents, width)
        self.of_trunk, self.of_data = wide(width, width), wide(width, width)
        self.moments = join(width, 2 * latents)

    def infer(self, h: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of ε given the trunk and the data, float32."""
        both = self.of_trunk(F.silu(h)) + self.of_data(F.silu(seen))
        mu, log_var = self.moments(F.silu(both)).float().chunk(2, 1)
        return mu, log_var.clamp(*LOG_VAR_RANGE)

    def forward(self, h: Tensor, noise: Tensor) -> Tensor:
        """The trunk with the latents ε worked in."""
        return h + self.back(noise * F.softplus(self.scale(F.silu(h))))


class Ladder(nn.Module):
    """The decoder's trunk with its stages; subclasses give the ends.

    Args:
        top: latents of the top layer.
        stages: the other layers, from the top down.
        shapes: of the latents of every stage, without the batch.
        trunk: what lies after the entry and after each stage, one more than there are stages.
    """

    def __init__(
        self,
        top: int,
        stages: Sequence[Stage],
        shapes: Sequence[tuple[int, ...]],
        trunk: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        self.top, self.shapes = top, list(shapes)
        self.sizes = [int(torch.Size(shape).numel()) for shape in shapes]
        self.stages, self.trunk = nn.ModuleList(stages), nn.ModuleList(trunk)

    @property
    def latent_dim(self) -> int:
        """Numbers of all layers together."""
        return self.top + sum(self.sizes)

    def enter(self, z: Tensor) -> Tensor:
        """`(B, top)` to the trunk."""
        raise NotImplementedError

    def leave(self, h: Tensor) -> Tensor:
        """The trunk to the likelihood's parameters."""
        raise NotImplementedError

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        """Top moments `(B, 2 top)`, then features for every stage."""
        raise NotImplementedError

    def forward(self, z: Tensor) -> Tensor:
        """All latents `(B, latent_dim)` to the likelihood's parameters."""
        top, *lower = z.split([self.top, *self.sizes], 1)
        h = self.trunk[0](self.enter(top))
        for stage, shape, part, after in self._levels(lower):
            h = after(stage(h, part.reshape(-1, *shape)))
        return self.leave(h)

    def draw(
        self, seen: tuple[Tensor, ...], noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents with their moments, `(B, latent_dim)` each, and the likelihood's parameters."""
        moments, *features = seen
        top_noise, *lower = noise.split([self.top, *self.sizes], 1)
        mu, log_var = moments.chunk(2, 1)
        layers = [_drawn(mu, log_var, top_noise)]
        h = self.trunk[0](self.enter(layers[0][0]))
        for i, (stage, shape, part, after) in enumerate(self._levels(lower)):
            layer = _drawn(*stage.infer(h, features[i]), part.reshape(-1, *shape))
            layers.append(layer)
            h = after(stage(h, layer[0]))
        z, mu, log_var = (torch.cat([layer[i].flatten(1) for layer in layers], 1) for i in range(3))
        return z, mu, log_var, self.leave(h)

    def _levels(
        self, parts: Sequence[Tensor]
    ) -> list[tuple[Stage, tuple[int, ...], Tensor, nn.Module]]:
        return list(zip(self.stages, self.shapes, parts, self.trunk[1:], strict=True))  # type: ignore[arg-type]


def _drawn(mu: Tensor, log_var: Tensor, noise: Tensor) -> Layer:
    return mu + (0.5 * log_var).exp() * noise, mu, log_var


class ImageLadder(Ladder):
    """Images: a vector on top, then maps of `channels` latents a place, coarse to fine.

    Args:
        shape: `(C, H, W)`.
        out_channels: of the likelihood's parameters.
        top: latents of the vector.
        layers: of latents, 2 or more; those below the top are spread over the resolutions, the
            finest of which is half the image's.
        channels: latents at every place of a map.
        width, depth: as in `ImageEncoder`.

    Shape: `(B, latent_dim) -> (B, out_channels, H, W)`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        out_channels: int,
        *,
        top: int,
        layers: int,
        channels: int,
        width: int,
        depth: int,
    ) -> None:
        widths, depths = levels_of(shape[1:], width, depth)
        grid = coarse_grid(*shape[1:])
        at = [i * len(widths) // (layers - 1) for i in range(layers - 1)]  # 0: coarsest
        shapes = [(channels, grid[0] << level, grid[1] << level) for level in at]
        stages = [Stage(widths[-1 - level], channels, _point, _patch) for level in at]
        trunk = _trunk([0, *at, len(widths) - 1], widths[::-1], depths[::-1])
        super().__init__(top, stages, shapes, trunk)
        self.encoder = ImageEncoder(shape, 2 * top, width=width, depth=depth)
        self.at, self.size, self.grid, self.width = at, shape[1:], grid, widths[-1]
        self.inp = nn.Linear(top, self.width * grid[0] * grid[1])
        self.out = nn.Conv2d(widths[0], 4 * out_channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def enter(self, z: Tensor) -> Tensor:
        return self.inp(z).view(len(z), *self.grid, self.width).permute(0, 3, 1, 2)

    def leave(self, h: Tensor) -> Tensor:
        image = F.pixel_shuffle(self.out(F.silu(h)).contiguous(), 2)
        return image[:, :, : self.size[0], : self.size[1]]

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        moments, features = self.encoder.levels(x)
        return (_bounded(moments), *(features[level] for level in self.at))


class VectorLadder(Ladder):
    """Vectors: `top` latents on every layer, residual layers of `width` units between them.

    Args:
        features: numbers of an example.
        out_features: of the likelihood's parameters.
        top, layers, width, depth: latents of a layer, layers, units, hidden layers between two.

    Shape: `(B, latent_dim) -> (B, out_features)`.
    """

    def __init__(
        self, features: int, out_features: int, *, top: int, layers: int, width: int, depth: int
    ) -> None:
        stages = [Stage(width, top, nn.Linear, nn.Linear) for _ in range(layers - 1)]
        trunk = [_residual_layers(width, depth) for _ in range(layers)]
        super().__init__(top, stages, [(top,)] * (layers - 1), trunk)
        self.encoder = nn.Sequential(nn.Linear(features, width), _residual_layers(width, depth))
        self.moments, self.inp = nn.Linear(width, 2 * top), nn.Linear(top, width)
        self.out = nn.Linear(width, out_features)

    def enter(self, z: Tensor) -> Tensor:
        return self.inp(z)

    def leave(self, h: Tensor) -> Tensor:
        return self.out(F.silu(h))

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        h = self.encoder(x)
        return (_bounded(self.moments(F.silu(h))), *([h] * len(self.stages)))


class _ResidualLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.map(F.silu(x))


def _residual_layers(width: int, depth: int) -> nn.Module:
    return nn.Sequential(*(_ResidualLayer(width) for _ in range(depth)))


def _trunk(levels: Sequence[int], widths: Sequence[int], depths: Sequence[int]) -> list[nn.Module]:
    """Residual blocks for every visit to a level (0 is the coarsest), upsampling between two."""
    parts: list[nn.Module] = []
    for here, following in pairwise(levels):
        blocks: list[nn.Module] = [ResidualBlock(widths[here]) for _ in range(depths[here])]
        for level in range(here, following):
            blocks += [nn.Conv2d(widths[level], 4 * widths[level + 1], 1), nn.PixelShuffle(2)]
            blocks += [ResidualBlock(widths[level + 1])]
        parts.append(nn.Sequential(*blocks))
    return parts


def _bounded(moments: Tensor) -> Tensor:
    mu, log_var = moments.float().chunk(2, 1)
    return torch.cat([mu, log_var.clamp(*LOG_VAR_RANGE)], 1)


def _point(channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(channels, out_channels, 1)


def _patch(channels: int, out_channels: int) -> nn.Module:
    return nn.Conv2d(channels, out_channels, 3, padding=1)
