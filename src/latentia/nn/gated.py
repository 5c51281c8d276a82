"""Gated networks for spectrograms: in two dimensions, then over whole spectra, then in two again.

After Kaneko et al. 2019 (CycleGAN-VC2: 2D-1D-2D) and 2021 (MaskCycleGAN-VC: a mask as a further
channel), made several times cheaper and local in time.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.folding import depth_to_space, space_to_depth
from latentia.nn.picture_norm import PictureNorm, picture_norm

FOLDS = 4  # bands and frames are folded in two steps of 2


class GatedGenerator(nn.Module):
    """From log-mel pictures to log-mel pictures, adding to what it is given.

    Bands are folded into channels for the blocks in the middle, which see whole spectra: voices
    differ in where their formants lie, over all bands. By default they look at no other frame, so
    that an output depends on 22 frames to each side at most, and mostly on a few. A network that
    sees whole words can, and will, turn one word into another on the way there and back again on
    the way back, which no cycle forbids. Frames that a mask hides are empty on the way in, and
    filled by what the network makes of their neighbours.

    Args:
        bands: height of the pictures, a multiple of 4.
        width: channels at half size.
        hidden: channels of whole spectra.
        blocks: residual ones over whole spectra.
        span: groups of four frames that each layer of those looks at, an odd number.
        norm: before every block; "instance" is that of the papers, the others are local in time.

    Shape: `(B, 1, bands, T) -> (B, 1, bands, T)`, float32, unbounded, T a multiple of 4. With a
        second channel, the mask: 1 where a frame is shown, 0 where it is hidden.
    """

    multiple: ClassVar[int] = FOLDS
    reach: ClassVar[int | None] = None  # over all bands

    def __init__(
        self,
        bands: int,
        width: int = 32,
        hidden: int = 256,
        blocks: int = 6,
        norm: PictureNorm = "pixel",
        span: int = 1,
    ) -> None:
        super().__init__()
        coarse, rows = 2 * width, bands // FOLDS
        self.rows = rows
        self.first = _Gate(8, width, 5)
        self.fine = _Gate(width, width, 3, norm)
        self.down = _Gate(4 * width, coarse, 3, norm)
        self.fold = nn.Conv2d(coarse * rows, hidden, 1)
        self.core = nn.ModuleList(_SpectrumBlock(hidden, norm, span) for _ in range(blocks))
        self.unfold = nn.Conv2d(hidden, coarse * rows, 1)
        self.up = _Gate(coarse, 4 * width, 3, norm)
        self.after = _Gate(width, width, 3, norm)
        self.last = nn.Conv2d(width, 4, 5, padding=2)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(cast(Tensor, self.last.bias))
        last = norm in ("none", "pixel")
        self._layout = torch.channels_last if last else torch.contiguous_format
        self.to(memory_format=self._layout)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Pictures of the other voice, hidden frames filled in."""
        if x.shape[1] == 1:
            x = torch.cat([x, torch.ones_like(x)], 1)
        shown = x[:, :1] * x[:, 1:]
        whole = space_to_depth(torch.cat([shown, x[:, 1:]], 1), 2)
        fine = self.fine(self.first(whole.contiguous(memory_format=self._layout)))
        coarse = self.down(space_to_depth(fine, 2))
        h = self.fold(coarse.flatten(1, 2)[:, :, None])
        for block in self.core:
            h = block(h)
        coarse = coarse + self.unfold(h)[:, :, 0].unflatten(1, (-1, self.rows))
        h = self.after(fine + depth_to_space(self.up(coarse), 2))
        made: Tensor = depth_to_space(self.last(h), 2).float()
        return shown + made


class _Gate(nn.Module):
    """A convolution whose output is weighed by another one's (Dauphin et al. 2017, GLU)."""

    def __init__(self, before: int, after: int, kernel: int, norm: PictureNorm = "none") -> None:
        super().__init__()
        self.norm = picture_norm(norm, before)
        self.conv = nn.Conv2d(before, 2 * after, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.conv(self.norm(x)), 1)


class _SpectrumBlock(nn.Module):
    """`x + conv(glu(conv(norm(x))))` over frames, `(B, C, 1, T)`; the second one starts small."""

    def __init__(self, channels: int, norm: PictureNorm, span: int) -> None:
        super().__init__()
        self.norm = picture_norm(norm, channels)
        kernel, beside = (1, span), (0, span // 2)
        self.first = nn.Conv2d(channels, 2 * channels, kernel, padding=beside)
        self.second = nn.Conv2d(channels, channels, kernel, padding=beside)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.second(F.glu(self.first(self.norm(x)), 1)))
