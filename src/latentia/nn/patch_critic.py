"""Critics that judge every patch of a picture on its own (Isola et al. 2017, "PatchGAN")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.nn.picture_norm import PictureNorm, picture_norm

SLOPE = 0.2  # of the leaky rectifiers
WIDEST = 8  # times the width of the first layer


class PatchCritic(nn.Module):
    """A map of verdicts, each over a patch of the picture: higher is more real.

    The original layers: `layers` halving convolutions and two that do not halve, kernel 4. Three
    layers look at patches of 70×70 pixels (Isola et al. 2017, section 3.2.2). Fully
    convolutional: any picture whose smaller side is at least `smallest`.

    Args:
        channels: of the pictures; of a pair of pictures, those of both.
        width: channels after the first layer; they double with every layer up to 8 times that.
        layers: how often the picture is halved.
        norm: after all convolutions but the first and the last. "instance" is the CycleGAN's,
            "batch" pix2pix's; "none" and "pixel" judge each patch by itself alone.
        scales: also judge the picture at half the size, a quarter, … with networks of their own
            (Wang et al. 2018, pix2pixHD, section 3.2).

    Shape: `(B, C, H, W) -> (B, scales, h, w)`, float32. Verdicts of the smaller pictures are
        repeated to the size of the first, so that a mean over all weighs the scales alike.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        layers: int = 3,
        norm: PictureNorm = "instance",
        *,
        scales: int = 1,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.nets = nn.ModuleList(_net(channels, width, layers, norm) for _ in range(scales))
        # group normalisation by picture is fastest with the channels first
        last = norm in ("none", "pixel")
        self._layout = torch.channels_last if last else torch.contiguous_format

    @property
    def smallest(self) -> int:
        """Pixels that the smaller side of a picture must have at least."""
        # two kernels of 4 with a border of 1 take a pixel each
        return 3 * 2 ** (self.layers + len(self.nets) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Verdicts over all patches."""
        verdicts: list[Tensor] = []
        for net in self.nets:
            x = F.avg_pool2d(x, 2) if verdicts else x
            seen: Tensor = net(x.contiguous(memory_format=self._layout)).float()
            verdicts.append(seen)
        size = verdicts[0].shape[2:]
        return torch.cat(
            [F.interpolate(v, size) if v.shape[2:] != size else v for v in verdicts], 1
        )


class BandCritic(nn.Module):
    """A critic of spectrograms, that is told which band is which (Liu et al. 2018, CoordConv).

    A pattern means another thing in another band: what a picture's patches do not care about
    tells voices apart.

    Args:
        net: judges pictures of one channel more.

    Shape: `(B, C, bands, T)` to what `net` makes of `(B, C + 1, bands, T)`, the last channel from
        -1 for the first row to 1 for the last.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """The verdicts of `net`."""
        place = torch.linspace(-1, 1, x.shape[2], device=x.device, dtype=x.dtype)
        places = place[:, None].expand(len(x), 1, -1, x.shape[3])
        found: Tensor = self.net(torch.cat([x, places], 1))
        return found


def _net(channels: int, width: int, layers: int, norm: PictureNorm) -> nn.Sequential:
    """One network: halving convolutions, then one that widens, then the verdicts."""
    found: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
    here = width
    for layer in range(1, layers + 1):
        after, stride = width * min(2**layer, WIDEST), 2 if layer < layers else 1
        # a mean taken away over the picture or batch takes a bias with it
        conv = nn.Conv2d(here, after, 4, stride, 1, bias=norm not in ("instance", "batch"))
        found += [conv, picture_norm(norm, after), nn.LeakyReLU(SLOPE)]
        here = after
    found.append(nn.Conv2d(here, 1, 4, 1, 1))
    for part in found:
        if isinstance(part, nn.Conv2d):
            _start(part, norm)
    return nn.Sequential(*found)


def _start(conv: nn.Conv2d, norm: PictureNorm) -> None:
    """N(0, 0.02²) as in the original where layers are normalised, else by He et al. (2015)."""
    inputs = conv.weight[0].numel()
    wide = (2 / (1 + SLOPE**2) / inputs) ** 0.5
    nn.init.normal_(conv.weight, std=wide if norm == "none" else 0.02)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
