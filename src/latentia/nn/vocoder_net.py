"""A network from log-mel frames to spectra with phases (Siuzdak 2024, Vocos)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MOST_LOG = 5.0  # beyond full scale, in nats of amplitude


class VocoderNet(nn.Module):
    """ConvNeXt blocks over time (Liu et al. 2022), then magnitude and phase of every bin.

    It works frame by frame at one rate; the inverse Fourier transform does the upsampling.

    Args:
        mels: bands of the pictures.
        bins: of the spectra, fft / 2 + 1.
        width: channels.
        blocks: how many; each looks three frames further to either side.

    Shape: `(B, mels, T)` in [-1, 1] to log magnitudes (nats of amplitude) and phases (radians),
        both `(B, bins, T)`.
    """

    def __init__(self, mels: int, bins: int, width: int = 192, blocks: int = 6) -> None:
        super().__init__()
        self.bins = bins
        self.first = nn.Conv1d(mels, width, 7, padding=3)
        self.blocks = nn.ModuleList(_Block(width, 1 / blocks) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, 2 * bins)
        self.skip = nn.Conv1d(mels, bins, 1)  # magnitudes follow the bands, to begin with

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log magnitudes and phases."""
        h = cast(Tensor, self.first(x)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        logs, phases = self.last(self.norm(h)).float().transpose(1, 2).split(self.bins, 1)
        return (logs + self.skip(x).float()).clamp(max=_MOST_LOG), phases


class _Block(nn.Module):
    """`x + scale · linear(gelu(linear(norm(depthwise(x)))))`, `(B, T, C)`."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        h = self.over_time(x.transpose(1, 2)).transpose(1, 2)
        h = self.narrow(F.gelu(self.wide(self.norm(h))))
        return x + self.scale * cast(Tensor, h)
