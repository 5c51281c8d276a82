"""Normalisation of feature maps, by name: per pixel, per picture, per batch, or none."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.unet import channel_norm

PictureNorm = Literal["none", "pixel", "instance", "batch"]
EPSILON = 1e-5


class PixelNorm(nn.Module):
    """Zero mean and unit variance over the channels of every pixel; `(B, C, H, W)` to the same.

    Local: a pixel's value depends on no other, so that a large picture can be worked on in parts.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Each pixel on its own."""
        return channel_norm(x)


class InstanceNorm(nn.Module):
    """Zero mean and unit variance of every channel of every picture (Ulyanov et al. 2016).

    Without learnt scales, as the original CycleGAN has it. It is written as a group normalisation
    of one channel a group, whose native kernel takes half the time of `nn.InstanceNorm2d`'s.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to the same shape."""
        return F.group_norm(x, x.shape[1], eps=EPSILON)


def picture_norm(name: PictureNorm, channels: int) -> nn.Module:
    """The layer called `name`, for maps of so many channels."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    return {"none": nn.Identity, "pixel": PixelNorm, "instance": InstanceNorm}[name]()
