"""How alike two pictures look: structure, features of a small net, sharpness, content alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.maths.chunks import stacked
from latentia.metrics.features import ConvFeatures

_CHUNK = 100
_SIGMA = 1.5  # of the window of SSIM, pixels
_PLACES = 8  # on a side, that the content of a picture is told at
_CONTRAST = 0.5  # deviation of the pictures that content is read from, in [-1, 1]
_CALM = 0.01  # added to deviations: what hardly varies stays small
_GREY = (0.299, 0.587, 0.114)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of every pair (Wang et al. 2004), by torchmetrics; 1 for equal ones.

    A Gaussian window of deviation 1.5 pixels, less in pictures too small for it.

    Args:
        x, y: `(B, C, H, W)` in [-1, 1].

    Returns:
        `(B,)`.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    sigma = min(_SIGMA, min(x.shape[-2:]) / 11)

    def one(a: Tensor, b: Tensor) -> Tensor:
        # in [0, 1]: its comparison of means presumes that black is 0
        a, b = (a + 1) / 2, (b + 1) / 2
        found = measure(a, b, sigma=sigma, data_range=1.0, reduction="none")
        assert isinstance(found, Tensor)
        return found.reshape(-1)

    return _by_chunks(one, x, y)


def perceptual_distance(judge: ConvFeatures, x: Tensor, y: Tensor) -> Tensor:
    """Distance of the kind of LPIPS (Zhang et al. 2018, eq. 1, all weights 1), on a named net.

    At every place of every layer the channels are brought to length 1; squared distances are
    averaged over places and layers. Its unit is its own: compare it with that of two pictures
    that have nothing to do with each other.

    Args:
        judge: whose layers look.
        x, y: `(B, C, H, W)` in [-1, 1].

    Returns:
        `(B,)`, 0 to 2.
    """

    def one(a: Tensor, b: Tensor) -> Tensor:
        layers = zip(_layers(judge, a), _layers(judge, b), strict=True)
        return torch.stack([_apart(p, q) for p, q in layers]).mean(0)

    return _by_chunks(one, x, y)


def _layers(judge: ConvFeatures, x: Tensor) -> list[Tensor]:
    """What every convolutional layer answers."""
    found, x = [], x.float().contiguous(memory_format=torch.channels_last)
    for layer in judge.net.body:
        if not isinstance(layer, nn.Flatten):
            x = layer(x)
            found.append(x)
    return found


def _apart(p: Tensor, q: Tensor) -> Tensor:
    return (F.normalize(p, dim=1) - F.normalize(q, dim=1)).square().sum(1).mean((1, 2))


def sharpness(x: Tensor) -> Tensor:
    """Mean size of the Laplacian of the grey picture: fine detail, edges and noise, `(B,)`.

    Args:
        x: `(B, C, H, W)` in [-1, 1]; sides of 3 or more.
    """
    weights = torch.tensor(_GREY if x.shape[1] == 3 else [1 / x.shape[1]] * x.shape[1])
    grey = torch.einsum("bchw,c->bhw", x.float(), weights.to(x.device))[:, None]
    kernel = grey.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(grey, kernel).abs().mean((1, 2, 3))


@dataclass(frozen=True)
class Content:
    """What is where in a picture, blind to colour, contrast, style, and to one domain or another.

    The picture and then every layer's answer are brought to mean 0 and deviation 1 over the
    places of each channel, which takes out what belongs to the domain (instance normalisation:
    the domain-invariant perceptual distance of Huang et al. 2018, section 5.1); then the
    direction in which the means of the two domains differ.

    Attributes:
        judge: whose layers look.
        away: `(F,)`, that direction, of length 1 (or 0, where the means are equal).
    """

    judge: ConvFeatures
    away: Tensor

    @classmethod
    def between(cls, judge: ConvFeatures, one: Iterable[Tensor], other: Iterable[Tensor]) -> Self:
        """From pictures of both domains, in batches `(B, C, H, W)` in [-1, 1]."""
        first, second = (_mean_of(_places(judge, x) for x in batches) for batches in (one, other))
        return cls(judge, F.normalize(second - first, dim=0))

    def __call__(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> float32 `(B, F)`, whose squared distances are at most 4."""

        def one(part: Tensor) -> Tensor:
            found = _places(self.judge, part)
            return found - torch.outer(found @ self.away, self.away)

        return stacked(one(part) for part in x.split(_CHUNK))


def _places(judge: ConvFeatures, x: Tensor) -> Tensor:
    """Normalised answers of all layers on at most 8 x 8 places, `(B, F)`; squares add up to 1."""
    layers = _layers(judge, _evened(x.float()) * _CONTRAST)
    flat = [_evened(_few_places(m)).flatten(1) for m in layers]
    return torch.cat([m / (m.shape[1] * len(flat)) ** 0.5 for m in flat], 1)


def _few_places(m: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(m, (min(_PLACES, m.shape[-2]), min(_PLACES, m.shape[-1])))


def _evened(x: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over the places of each channel."""
    x = x - x.mean((2, 3), keepdim=True)
    return x / (x.square().mean((2, 3), keepdim=True) + _CALM**2).sqrt()


def _mean_of(batches: Iterable[Tensor]) -> Tensor:
    total, count = torch.zeros(()), 0
    for batch in batches:
        total, count = total + batch.detach().sum(0), count + len(batch)
    return total / count


def _by_chunks(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    pairs = zip(x.split(_CHUNK), y.split(_CHUNK), strict=True)
    return stacked(function(a, b) for a, b in pairs)
