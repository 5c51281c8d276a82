"""Generator and critic that grow while they are trained (Karras et al. 2018).

"Progressive growing of GANs for improved quality, stability, and variation": both begin with
small pictures, and each doubling of the side adds a level to either. A new level is faded in
(section 2, figure 2): for a while a picture is a mixture of the old level's, enlarged, and the new
one's, and the critic looks through both its entrances alike.

How far a network has grown is one number, its *growth*: 0 is the smallest picture, 1 the first
doubling, and 0.3 is 30 % of the way from the one to the other. It is a buffer, so it travels with
the weights: a network that was stopped early gives its pictures enlarged to full size.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.adversarial_nets import COARSEST, Shape, _blocks, _he, channel_plan
from latentia.nn.conditioning import EMBEDDING, ClassEmbedding, Modulation

UNBORN = -1


class Growing(nn.Module):
    """What both networks share: levels that begin to act one after the other.

    Args:
        shape: `(C, H, W)` of the full pictures.
        doublings: K, from the smallest pictures to the full ones; at least 1.

    Attributes:
        growth: scalar buffer from 0 to K.
        born: int64 buffer `(K + 1,)`, the step at which each level began to learn, or −1.
    """

    growth: Tensor
    born: Tensor

    def __init__(self, shape: Shape, doublings: int) -> None:
        super().__init__()
        self.shape, self.doublings = shape, doublings
        self.grid = grid_of(shape, doublings)
        self.register_buffer("growth", torch.tensor(0.0))
        self.register_buffer("born", torch.tensor([0] + doublings * [UNBORN]))

    def grow(self, growth: float, step: int) -> None:
        """Act at this growth from now on; a level that did not act before is born at `step`."""
        self.growth.fill_(growth)
        acting = torch.arange(len(self.born), device=self.born.device) <= math.ceil(growth)
        self.born.copy_(torch.where(acting & (self.born == UNBORN), step, self.born))

    def later(self, level: int) -> list[nn.Module]:
        """What a level from 1 to K adds to the network."""
        raise NotImplementedError

    def births(self) -> list[tuple[int, list[nn.Parameter]]]:
        """The step at which each later level began to learn, −1 before, and its parameters."""
        return [
            (step, [p for module in self.later(level) for p in module.parameters()])
            for level, step in enumerate(self.born.tolist())
            if level
        ]

    def stage(self) -> tuple[int, float]:
        """The largest level that acts, and how far it is faded in, above 0 and up to 1."""
        growth = float(self.growth)
        top = math.ceil(growth)
        return top, growth - top + 1

    def side_of(self, level: int) -> tuple[int, int]:
        """Height and width of a level's pictures, edges included."""
        return self.grid[0] * 2 ** (level + 1), self.grid[1] * 2 ** (level + 1)

    def shrunk(self, x: Tensor) -> Tensor:
        """Full pictures `(B, C, H, W)` at the side of the largest level that acts."""
        top, (height, width) = self.stage()[0], self.side_of(self.doublings)
        right, below = width - x.shape[3], height - x.shape[2]
        if right or below:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        factor = 2 ** (self.doublings - top)
        return F.avg_pool2d(x, factor) if factor > 1 else x

    def faded(self, x: Tensor) -> Tensor:
        """Full pictures as the present mixture of two levels, `(B, C, h, w)`."""
        share, x = self.stage()[1], self.shrunk(x)
        return x if share == 1 else torch.lerp(doubled(F.avg_pool2d(x, 2)), x, share)


class ProgressiveGenerator(Growing):
    """Noise to images, at the present growth.

    Fully grown it is `ImageGenerator` of the same width and depth, where K is as many doublings
    as that makes of its coarsest map.

    Args:
        latent_dim: noise dimensions d.
        shape: `(C, H, W)` of the full images.
        doublings: K.
        width: channels at half the full image's side; the coarsest map has 4 times as many.
        depth: residual blocks per level.
        classes: how many it can be asked for; 0 for a net without.

    Shape: `(B, d) -> (B, C, H, W)`, float32, not bounded, enlarged while it is not grown; with
        classes, also labels `(B,)` or weights `(B, classes)`.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Shape,
        *,
        doublings: int,
        width: int = 32,
        depth: int = 1,
        classes: int = 0,
    ) -> None:
        super().__init__(shape, doublings)
        latent_dim += EMBEDDING if classes else 0
        channels = level_channels(width, doublings)
        self.stem = _he(nn.Linear(latent_dim, channels[0] * math.prod(self.grid)))
        self.blocks = nn.ModuleList(_blocks(c, depth) for c in channels)
        self.ups = nn.ModuleList(
            _he(nn.ConvTranspose2d(a, b, 4, 2, 1)) for a, b in pairwise(channels)
        )
        # half the gain: pictures that start within the range of levels
        self.exits = nn.ModuleList(
            _he(nn.ConvTranspose2d(c, shape[0], 4, 2, 1), gain=0.5) for c in channels
        )
        if classes:
            self.embed = ClassEmbedding(classes)
            self.modulations = nn.ModuleList(Modulation(c) for c in channels)

    def later(self, level: int) -> list[nn.Module]:
        found = [self.ups[level - 1], self.blocks[level], self.exits[level]]
        return [*found, self.modulations[level]] if hasattr(self, "modulations") else found

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Full-size images of a batch of noise vectors, of these classes."""
        x = self.small(z, labels)
        factor = self.side_of(self.doublings)[0] // x.shape[2]
        x = F.interpolate(x, scale_factor=factor, mode="nearest") if factor > 1 else x
        return x[:, :, : self.shape[1], : self.shape[2]]

    def small(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images at the side of the largest level that acts, `(B, C, h, w)`, edges included."""
        top, share = self.stage()
        e = None if labels is None else self.embed(labels)
        h = self.stem(z if e is None else torch.cat([z, e], 1))
        h = h.unflatten(1, (-1, *self.grid)).contiguous(memory_format=torch.channels_last)
        h = below = self._level(h, 0, e)
        for level in range(1, top + 1):
            h, below = self._level(self.ups[level - 1](h), level, e), h
        x = self.exits[top](h).float()
        if share < 1:
            return torch.lerp(doubled(self.exits[top - 1](below).float()), x, share)
        return x

    def _level(self, h: Tensor, level: int, e: Tensor | None) -> Tensor:
        features: Tensor = self.blocks[level](h if e is None else self.modulations[level](h, e))
        return features


class ProgressiveCritic(Growing):
    """Images to logits of the probability of being real, at the present growth.

    Every example on its own. Fully grown it is `ImageCritic` of the same width and depth.

    Args:
        shape: `(C, H, W)` of the full images.
        doublings: K.
        width: channels at half the full image's side; the coarsest map has 4 times as many.
        depth: residual blocks per level.

    Shape: `(B, C, H, W) -> (B,)`, float32. Full images are shrunk first; images of the side of
    the largest level that acts are taken as they are.
    """

    def __init__(self, shape: Shape, *, doublings: int, width: int = 32, depth: int = 1) -> None:
        super().__init__(shape, doublings)
        channels = level_channels(width, doublings)
        self.entrances = nn.ModuleList(
            _he(nn.Conv2d(4 * shape[0], c, 3, padding=1)) for c in channels
        )
        self.blocks = nn.ModuleList(_blocks(c, depth) for c in channels)
        self.downs = nn.ModuleList(_he(nn.Conv2d(b, a, 4, 2, 1)) for a, b in pairwise(channels))
        self.head = _he(nn.Linear(channels[0] * math.prod(self.grid), 1))

    def later(self, level: int) -> list[nn.Module]:
        return [self.entrances[level], self.blocks[level], self.downs[level - 1]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        return self.head(self.features(x)).float().squeeze(1)

    def features(self, x: Tensor) -> Tensor:
        """What the logit is a linear map of, `(B, C, H, W) -> (B, F)`."""
        top, share = self.stage()
        if x.shape[2:] != self.side_of(top):
            x = self.shrunk(x)
        h = self._enter(x, top)
        for level in range(top, 0, -1):
            h = self.downs[level - 1](self.blocks[level](h))
            if level == top and share < 1:
                h = torch.lerp(self._enter(F.avg_pool2d(x, 2), level - 1), h, share)
        flat: Tensor = self.blocks[0](h).flatten(1)
        return flat

    def _enter(self, x: Tensor, level: int) -> Tensor:
        folded = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.entrances[level](folded)
        return features


def doubled(x: Tensor) -> Tensor:
    """Every pixel as a square of four, `(B, C, h, w) -> (B, C, 2h, 2w)`."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def grid_of(shape: Shape, doublings: int) -> tuple[int, int]:
    """Height and width of the coarsest map; odd sides round up.

    >>> grid_of((3, 64, 64), 2), grid_of((1, 28, 28), 1)
    ((8, 8), (7, 7))
    """
    factor = 2 ** (doublings + 1)
    return math.ceil(shape[1] / factor), math.ceil(shape[2] / factor)


def level_channels(width: int, doublings: int) -> list[int]:
    """Channels of each level, smallest pictures first: from 4 · width to width, geometrically.

    >>> level_channels(32, 2)
    [128, 64, 32]
    """
    side = 2 * COARSEST * 2**doublings
    return channel_plan((1, side, side), width)[::-1]
