"""Residual generators from pictures to pictures: the CycleGAN's own, and a quicker one.

Both are fully convolutional and say of themselves what `models.translator.Translator` asks:
`multiple` and `reach`; and for contrastive training `encode`, the maps on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.folding import depth_to_space, smoothed, space_to_depth
from latentia.nn.picture_norm import PictureNorm, picture_norm

_Conv = (nn.Conv2d, nn.ConvTranspose2d)


class ResnetGenerator(nn.Module):
    """The generator of the CycleGAN (Zhu et al. 2017, appendix 7.2; after Johnson et al. 2016).

    A 7×7 convolution, two that halve, residual blocks at a quarter of the size, two that double,
    and a 7×7 one to tanh; borders are reflected.

    Args:
        channels: of the pictures it takes, and of those it makes.
        width: channels at full size, a quarter of those at a quarter of the size; 64 in the paper.
        blocks: residual ones; 6 for pictures of 128 pixels, 9 for larger ones in the paper.
        norm: "instance" in the paper.

    Shape: `(B, C, H, W) -> (B, C', H, W)`, float32 in [-1, 1], H and W multiples of 4, at least 8.
    """

    multiple: ClassVar[int] = 4

    def __init__(
        self,
        channels: tuple[int, int],
        width: int = 64,
        blocks: int = 6,
        norm: PictureNorm = "instance",
    ) -> None:
        super().__init__()
        bias = norm not in ("instance", "batch")  # a mean taken away takes a bias with it
        layers: list[nn.Module] = [nn.Conv2d(channels[0], width, 7, bias=bias)]
        layers += [nn.Conv2d(w, 2 * w, 3, 2, 1, bias=bias) for w in (width, 2 * width)]
        self.down = nn.ModuleList(_normed(layer, norm) for layer in layers)
        self.core = nn.ModuleList(_ReflectedBlock(4 * width, norm, bias) for _ in range(blocks))
        doubling = [_doubled(w, w // 2, bias) for w in (4 * width, 2 * width)]
        self.up = nn.Sequential(*(_normed(layer, norm) for layer in doubling))
        self.last = nn.Conv2d(width, channels[1], 7)
        # two convolutions a block at a quarter of the size; 16 for all the others
        self.reach = 8 * blocks + 16 if norm in ("none", "pixel") else None
        self._layout = _layout(norm)
        for layer in self.modules():
            if isinstance(layer, _Conv):
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.encoded = (channels[0], 2 * width, 4 * width, *_core_stops(blocks, 4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures of the other domain."""
        h = self._start(x)
        for part in (*self.down[1:], *self.core):
            h = part(h)
        made: Tensor = self.last(F.pad(self.up(h), (3, 3, 3, 3), mode="reflect"))
        return made.float().tanh()

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps at which patches are compared, fine to coarse, with `encoded` channels each.

        The pixels, both halvings, the first residual block and the middle one (Park et al. 2020,
        appendix C.1, has the same of nine blocks).
        """
        keep = (*self.down[1:], *_stops(self.core))
        return [x, *_walk(self._start(x), (*self.down[1:], *self.core), keep)]

    def _start(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (3, 3, 3, 3), mode="reflect").contiguous(memory_format=self._layout)
        return cast(Tensor, self.down[0](padded))


class QuickGenerator(nn.Module):
    """A local residual generator: what is to change is added to the picture itself.

    Pixels are folded into channels twice, so that nothing is computed at full size and all
    convolutions are wide enough for matrix units: one residual block at half the size, `blocks`
    at a quarter, one at half the size again, levels joined by addition. Normalised pixel by
    pixel, if at all: parts of a large picture come out as within the whole. It starts as the
    identity where the numbers of channels agree, so that content is kept from the first step on
    and only what the critic asks for is learned.

    Args:
        channels: of the pictures it takes, and of those it makes.
        width: channels at half size, a quarter of those at a quarter of the size.
        blocks: residual ones at a quarter of the size.
        norm: before every block.

    Shape: `(B, C, H, W) -> (B, C', H, W)`, float32, unbounded, H and W multiples of 4.
    """

    multiple: ClassVar[int] = 4

    def __init__(
        self,
        channels: tuple[int, int],
        width: int = 32,
        blocks: int = 6,
        norm: PictureNorm = "pixel",
    ) -> None:
        super().__init__()
        self.adds = channels[0] == channels[1]
        self.first = nn.Conv2d(4 * channels[0], width, 3, padding=1)
        self.before, self.after = _Block(width, norm), _Block(width, norm)
        self.down = nn.Conv2d(4 * width, 4 * width, 1)
        self.core = nn.ModuleList(_Block(4 * width, norm) for _ in range(blocks))
        self.up_norm, self.up = picture_norm(norm, 4 * width), nn.Conv2d(4 * width, 4 * width, 1)
        self.norm = picture_norm(norm, width)
        self.last = nn.Conv2d(width, 4 * channels[1], 3, padding=1)
        if self.adds:
            nn.init.normal_(self.last.weight, std=1e-3)
            nn.init.zeros_(cast(Tensor, self.last.bias))
        # cells of four and of two pixels on either side, the rest of one's own, and the filter
        self.reach = 8 * blocks + 17 if norm in ("none", "pixel") else None
        self._layout = _layout(norm)
        self.encoded = (4 * channels[0], width, 4 * width, *_core_stops(blocks, 4 * width))
        if self._layout == torch.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Pictures of the other domain."""
        fine = self.before(self._start(x))
        h = self.down(space_to_depth(fine, 2))
        for block in self.core:
            h = block(h)
        h = self.after(fine + depth_to_space(self.up(self.up_norm(h)), 2))
        made = smoothed(depth_to_space(self.last(F.silu(self.norm(h))), 2).float())
        return x + made if self.adds else made

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps at which patches are compared, fine to coarse, with `encoded` channels each."""
        fine = self.before(self._start(x))
        coarse = self.down(space_to_depth(fine, 2))
        return [space_to_depth(x, 2), fine, coarse, *_walk(coarse, self.core, _stops(self.core))]

    def _start(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.first(space_to_depth(x, 2).contiguous(memory_format=self._layout)))


class _Block(nn.Module):
    """`x + conv(silu(conv(norm(x))))`; the second convolution starts small."""

    def __init__(self, channels: int, norm: PictureNorm) -> None:
        super().__init__()
        self.norm = picture_norm(norm, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.second(F.silu(self.first(self.norm(x)))))


class _ReflectedBlock(nn.Module):
    """`x + norm(conv(relu(norm(conv(x)))))` with reflected borders, as in the CycleGAN."""

    def __init__(self, channels: int, norm: PictureNorm, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, bias=bias)
        self.second = nn.Conv2d(channels, channels, 3, bias=bias)
        self.first_norm = picture_norm(norm, channels)
        self.second_norm = picture_norm(norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first_norm(self.first(_reflect(x))), inplace=True)
        return x + cast(Tensor, self.second_norm(self.second(_reflect(h))))


def _normed(layer: nn.Module, norm: PictureNorm) -> nn.Sequential:
    assert isinstance(layer, _Conv)
    return nn.Sequential(layer, picture_norm(norm, layer.out_channels), nn.ReLU(inplace=True))


def _doubled(before: int, after: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=bias)


def _reflect(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")


def _layout(norm: PictureNorm) -> torch.memory_format:
    """Statistics over pictures are quickest with the channels first, all else with them last."""
    return torch.channels_last if norm in ("none", "pixel") else torch.contiguous_format


def _stops(core: nn.ModuleList) -> tuple[nn.Module, ...]:
    """The first block and the middle one."""
    return tuple(core[i] for i in sorted({0, len(core) // 2}))


def _core_stops(blocks: int, channels: int) -> tuple[int, ...]:
    return (channels,) * len({0, blocks // 2})


def _walk(h: Tensor, parts: Iterable[nn.Module], keep: tuple[nn.Module, ...]) -> list[Tensor]:
    """What comes out of the parts to keep, as far as the last of them."""
    found: list[Tensor] = []
    for part in parts:
        h = part(h)
        if part is keep[len(found)]:
            found.append(h)
        if len(found) == len(keep):
            break
    return found
