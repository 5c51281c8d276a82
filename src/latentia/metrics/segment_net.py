"""A small net that reads a label from every pixel of a picture, and its short training."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WIDTHS = (24, 48, 64, 64)
_BATCH = 16
_RATE = 3e-3
_TONE = 0.2  # how far training changes brightness and contrast, at most


class SegmentNet(nn.Module):
    """Halves the picture four times and comes back to half its size, with skips; then enlarges.

    Args:
        channels: of the pictures.
        classes: labels.

    Shape: `(B, channels, H, W)` in [-1, 1] -> logits `(B, classes, H, W)`.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        inputs = (channels, *_WIDTHS[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_block(a, b, 2), _block(b, b, 1))
            for a, b in zip(inputs, _WIDTHS, strict=True)
        )
        ups = zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True)
        self.up = nn.ModuleList(_block(a + b, b, 1) for a, b in ups)
        self.head = nn.Conv2d(_WIDTHS[0], classes, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the label of every pixel."""
        size, ways = x.shape[-2:], []
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.down:
            x = layer(x)
            ways.append(x)
        for layer, way in zip(self.up, ways[-2::-1], strict=True):
            larger = F.interpolate(x, way.shape[-2:], mode="nearest")
            x = layer(torch.cat([larger, way], 1))
        return F.interpolate(self.head(x), size, mode="bilinear", align_corners=False)


def train_segment_net(
    pictures: Callable[[Tensor], Tensor],
    labels: Tensor,
    channels: int,
    classes: int,
    *,
    seed: int = 0,
    examples: int = 8000,
    progress: Callable[[int, int], None] | None = None,
) -> SegmentNet:
    """Fit a `SegmentNet`; deterministic for a seed on one number of threads.

    Half of the batches are mirrored, and brightness and contrast vary.

    Args:
        pictures: rows (int64) -> `(B, channels, H, W)` in [-1, 1].
        labels: int64 or uint8 `(N, H, W)`; 255 is no label.
        channels, classes: of pictures and labels.
        seed: of weights, order and changes.
        examples: pictures seen in all.
        progress: called with (examples seen, of how many).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SegmentNet(channels, classes)
    generator = torch.Generator().manual_seed(seed)
    batch = min(_BATCH, len(labels))
    steps = max(1, examples // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.01, fused=True)
    rows = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(rows) < batch:
            rows = torch.randperm(len(labels), generator=generator)
        now, rows = rows[:batch], rows[batch:]
        x, y = _varied(pictures(now), labels[now].long(), generator)
        share = (step + 0.5) / steps
        optimiser.param_groups[0]["lr"] = _RATE * min(share / 0.1, (1 - share) / 0.9)
        optimiser.zero_grad()
        F.cross_entropy(net(x), y, ignore_index=255).backward()
        optimiser.step()
        if progress is not None:
            progress((step + 1) * batch, steps * batch)
    return net.eval().requires_grad_(False)


def _varied(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirrored or not; a little brighter or darker, of more or less contrast."""
    mirror, tone = torch.rand((), generator=generator), torch.rand(2, len(x), generator=generator)
    gain, shift = ((2 * tone - 1) * _TONE)[:, :, None, None, None]
    x = x * (1 + gain) + shift
    return (x.flip(-1), y.flip(-1)) if mirror < 0.5 else (x, y)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
