"""Networks of an energy: one number for an example, or one for each class, smooth in the example.

A Langevin chain asks for the gradient at every step, so that the network's forward and backward
pass is the price of everything. Hence: pixels folded into channels first, halved at once to few
pixels of many channels, where a processor's matrix unit runs nearest to its peak; no normalisation
over a batch, since the chains of a batch have nothing to do with one another; and SiLU, whose slope
is continuous, so that the force on a chain does not jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.errors import UserError
from latentia.nn.adversarial_nets import ResidualBlock, Shape, _he
from latentia.nn.folding import space_to_depth
from latentia.nn.unet import default_patch


class ImageEnergy(nn.Module):
    """Pictures to one number or one for each class; every picture on its own.

    Args:
        shape: `(C, H, W)`.
        width: channels by level, fine to coarse; each level has half the pixels a side.
        depth: residual blocks by level.
        outputs: K, numbers per picture.

    Shape: `(B, C, H, W) -> (B, K)`, float32.

    Raises:
        UserError: width and depth name different numbers of levels, or too many for the pictures.
    """

    def __init__(
        self, shape: Shape, *, width: Sequence[int], depth: Sequence[int], outputs: int = 1
    ) -> None:
        super().__init__()
        self.patch = default_patch(max(shape[1:]))
        sides = [-(-side // self.patch) for side in shape[1:]]
        check_levels(shape, width, depth, min(sides))
        first = nn.Conv2d(shape[0] * self.patch**2, width[0], 3, padding=1)
        levels: list[nn.Module] = [_he(first), *_blocks(width[0], depth[0])]
        for (here, after), blocks in zip(pairwise(width), depth[1:], strict=True):
            levels += [nn.SiLU(), _he(nn.Conv2d(here, after, 4, 2, 1)), *_blocks(after, blocks)]
            sides = [side // 2 for side in sides]
        self.levels = nn.Sequential(*levels, nn.SiLU())
        self.head = nn.Linear(width[-1] * sides[0] * sides[1], outputs)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer says of a batch of pictures."""
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % self.patch, 0, -height % self.patch))
        out: Tensor = self.head(self.levels(space_to_depth(padded, self.patch)).flatten(1))
        return out.float()


def check_levels(shape: Shape, width: Sequence[int], depth: Sequence[int], side: int) -> None:
    """Refuse levels that do not fit together, or pictures of `side` cells a side.

    Raises:
        UserError: they do not.
    """
    if len(width) != len(depth) or not width:
        raise UserError(
            f"width {tuple(width)} and depth {tuple(depth)} must name the same number of levels, "
            "one or more."
        )
    if side < 2 ** (len(width) - 1):
        raise UserError(
            f"{len(width)} levels are too many for pictures of {shape[1]} x {shape[2]}: give "
            "fewer numbers for width and depth, or a larger size."
        )


def _blocks(channels: int, depth: int) -> list[nn.Module]:
    return [ResidualBlock(channels, F.silu) for _ in range(depth)]
