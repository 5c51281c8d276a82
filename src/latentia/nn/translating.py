"""Networks from pictures to pictures of the same size, for paired translation.

`LocalUNet` is our own and made for quality per second: pixels are folded into channels before
the first convolution, levels are joined by addition, and the only normalisation is over the
channels of each pixel. No statistics are taken over the picture, so that an output pixel depends
on its surroundings alone, and a large picture may be translated in overlapping tiles.
`PlainUNet` is the network of pix2pix (Isola et al. 2017, appendix 6.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.folding import depth_to_space, smoothed, space_to_depth
from latentia.nn.unet import channel_norm, zeroed

Draw = Callable[..., Tensor]
"""Uniform noise in [0, 1) of a shape `(B, …)`; None where nothing is to be dropped."""

FOLD = 2  # pixels a side folded into channels before the first convolution
SMOOTH = 0.75  # of the result: label maps need their edges


class LocalUNet(nn.Module):
    """A residual U-Net without statistics over the picture.

    Args:
        here, there: channels of its input and of its output.
        width: channels at half size, a quarter, …; multiples of 32 run fastest.
        depth: residual blocks on each way, down and up, at each of them; at the coarsest twice.
        dropout: share of the values that are dropped in the coarsest blocks, in training.

    Shape: `(B, here, H, W) -> (B, there, H, W)`, float32, not bounded; H and W multiples of
        `multiple`.
    """

    def __init__(
        self,
        here: int,
        there: int,
        *,
        width: Sequence[int] = (64, 128, 256, 256),
        depth: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.multiple = FOLD * 2 ** (len(width) - 1)
        self.first = nn.Conv2d(here * FOLD**2, width[0], 3, padding=1)
        self.levels = _Level(tuple(width), depth, dropout)
        self.last = nn.Conv2d(width[0], there * FOLD**2, 3, padding=1)
        nn.init.normal_(self.last.weight, std=0.02)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        sizes = [FOLD * 2**level for level in range(len(width))]  # of the cells, in pixels
        self.reach: int | None = 4 * depth * sum(sizes) + 2 * FOLD + sizes[-1]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Pictures of the other domain; `draw` is what decides what is dropped."""
        h = self.first(space_to_depth(x, FOLD))
        h = self.levels(h, draw)
        out = self.last(F.silu(channel_norm(h)))
        return smoothed(depth_to_space(out, FOLD).float(), SMOOTH).contiguous()


class _Level(nn.Module):
    """One resolution: blocks, the coarser levels as a residual, blocks."""

    def __init__(self, width: tuple[int, ...], depth: int, dropout: float) -> None:
        super().__init__()
        here = width[0]
        self.inner: _Level | None = None
        if len(width) > 1:
            self.before = nn.ModuleList(_Block(here) for _ in range(depth))
            self.down = nn.Conv2d(4 * here, width[1], 1)
            self.inner = _Level(width[1:], depth, dropout)
            self.up = zeroed(nn.Conv2d(width[1], 4 * here, 1))
            self.after = nn.ModuleList(_Block(here) for _ in range(depth))
        else:
            self.before = nn.ModuleList(_Block(here, dropout) for _ in range(2 * depth))
            self.after = nn.ModuleList()

    def forward(self, x: Tensor, draw: Draw | None) -> Tensor:
        for block in self.before:
            x = block(x, draw)
        if self.inner is not None:
            coarse = self.inner(self.down(space_to_depth(x, 2)), draw)
            x = x + depth_to_space(self.up(channel_norm(coarse)), 2)
        for block in self.after:
            x = block(x, draw)
        return x


class _Block(nn.Module):
    """`x + conv(drop(silu(conv(norm(x)))))`; starts as the identity."""

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, draw: Draw | None) -> Tensor:
        h = F.silu(self.first(channel_norm(x)))
        out: Tensor = x + self.second(dropped(h, self.dropout, draw))
        return out


class PlainUNet(nn.Module):
    """The U-Net of pix2pix: halving down to one pixel, and every map laid beside its mirror.

    Normalised by picture where the original normalises by batch, with learnt scales and shifts as
    there: the same at its batches of one, and pictures of a batch stay independent of one another.

    Args:
        here, there: channels of its input and of its output.
        width: channels after the first layer; they double with every layer up to 8 times that.
        downs: how often the picture is halved; 7 for 128 pixels, 8 for 256.
        dropout: share of the values that are dropped in the inner layers, in training: the only
            noise of the original.

    Shape: `(B, here, H, W) -> (B, there, H, W)`, float32 in [-1, 1]; H and W multiples of
        `multiple`.
    """

    def __init__(
        self, here: int, there: int, *, width: int = 64, downs: int = 7, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.multiple, self.dropout = 2**downs, dropout
        self.reach: int | None = None
        wide = [width * min(2**i, 8) for i in range(downs)]
        inner, outer = downs - 1, [there, *wide]
        self.downs = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1)
            for before, after in zip([here, *wide], wide, strict=False)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(wide[i] * (1 if i == inner else 2), outer[i], 4, 2, 1)
            for i in range(downs)
        )
        self.down_norms = nn.ModuleList(nn.GroupNorm(c, c) for c in wide[1:-1])
        self.up_norms = nn.ModuleList(nn.GroupNorm(c, c) for c in wide[:-1])
        self.noisy = range(max(1, min(4, inner - 1)), max(2, inner))
        for part in (*self.downs, *self.ups):
            assert isinstance(part, nn.Conv2d | nn.ConvTranspose2d) and part.bias is not None
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)

    def forward(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """Pictures of the other domain; `draw` is what decides what is dropped."""
        kept: list[Tensor] = []
        for i, down in enumerate(self.downs):
            x = down(F.leaky_relu(x, 0.2) if i else x)
            x = self.down_norms[i - 1](x) if 0 < i < len(self.downs) - 1 else x
            kept.append(x)
        for i in reversed(range(len(self.ups))):
            x = x if i == len(kept) - 1 else torch.cat([kept[i], x], 1)
            x = self.ups[i](F.relu(x))
            x = self.up_norms[i - 1](x) if i else x
            x = dropped(x, self.dropout, draw) if i in self.noisy else x
        return x.float().tanh()


def halvings_of(side: int, most: int = 8) -> int:
    """How often a picture of so many pixels is halved by `PlainUNet` without padding it much.

    >>> [halvings_of(side) for side in (28, 64, 72, 128, 1024)]
    [5, 6, 4, 7, 8]
    """
    fits = [d for d in range(2, most + 1) if -(-side // 2**d) * 2**d <= 1.25 * side]
    return max(fits, default=2)


def dropped(x: Tensor, share: float, draw: Draw | None) -> Tensor:
    """`x` with a share of its values at zero and the others scaled up; whole without `draw`."""
    if draw is None or not share:
        return x
    return x * (draw(*x.shape) >= share) / (1 - share)


def padded_to(x: Tensor, multiple: int) -> Tensor:
    """`(B, C, H, W)`, continued by reflection to the right and below to multiples of a number."""
    right, below = -x.shape[3] % multiple, -x.shape[2] % multiple
    return F.pad(x, (0, right, 0, below), mode="reflect") if right or below else x
