"""Descriptions of pictures that need no training and no labels: what small patches they hold.

After Coates, Ng & Lee (2011), "An analysis of single-layer networks in unsupervised feature
learning": patches are whitened and clustered, each picture is described by how strongly every
cluster is present in each part of it. Two pictures with a near description show alike things, which
distances of pixels do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.maths.chunks import in_chunks

SIDE = 32  # pictures are shrunk to this: details of a few pixels suffice to compare by
_PATCH = 6
_CENTRES = 200
_SAMPLED = 20_000
_ROUNDS = 10
_PARTS = 3  # pooled over 3 x 3 parts of the picture
_CONTRAST = (10 / 127.5) ** 2  # of a patch, below which it counts as flat
_WHITENING = 0.1
_THRESHOLD = 0.25
_CHUNK = 100


@dataclass(frozen=True)
class Patches:
    """A dictionary of patches.

    Attributes:
        centres: `(K, C·6·6)`, of unit length, in the whitened space.
        whiten: `(C·6·6, C·6·6)`.
        mean: `(C·6·6,)`, of normalised patches.
    """

    centres: Tensor
    whiten: Tensor
    mean: Tensor

    def describe(self, x: Tensor) -> Tensor:
        """Pictures `(B, C, H, W)` in [-1, 1] as `(B, 9 K)`, ≥ 0."""
        return in_chunks(self._describe, shrunk(x), size=_CHUNK)

    def _describe(self, x: Tensor) -> Tensor:
        channels, size = x.shape[1], self.whiten.shape[0]
        filters = self.centres @ self.whiten
        offset = filters @ self.mean
        level = filters - filters.mean(1, keepdim=True)  # a filter that ignores brightness
        plain = torch.full((1, channels, _PATCH, _PATCH), 1 / size)
        mean, square = F.conv2d(x, plain), F.conv2d(x.square(), plain)
        scale = ((square - mean.square()).clamp(min=0) + _CONTRAST).sqrt()
        found = F.conv2d(x, level.view(len(level), channels, _PATCH, _PATCH)) / scale
        found = (found - offset.view(1, -1, 1, 1) - _THRESHOLD).clamp(min=0)
        return F.adaptive_avg_pool2d(found, _PARTS).flatten(1).sqrt()


def shrunk(x: Tensor, side: int = SIDE) -> Tensor:
    """Pictures whose longer side is at most `side`, and no side shorter than a patch."""
    height, width = x.shape[-2:]
    share = min(1.0, side / max(height, width))
    size = tuple(max(_PATCH + _PARTS, round(share * s)) for s in (height, width))
    if size == (height, width):
        return x
    return F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)


def learn_patches(x: Tensor, *, centres: int = _CENTRES, seed: int = 0) -> Patches:
    """The dictionary of these pictures, `(N, C, H, W)` in [-1, 1].

    Spherical k-means on normalised, whitened patches.
    """
    generator = torch.Generator().manual_seed(seed)
    patches = _sampled(shrunk(x), generator)
    patches = patches - patches.mean(1, keepdim=True)
    patches = patches / (patches.var(1, correction=0, keepdim=True) + _CONTRAST).sqrt()
    mean = patches.mean(0)
    variances, axes = torch.linalg.eigh(torch.cov(patches.T))
    whiten = (axes / (variances.clamp(min=0) + _WHITENING).sqrt()) @ axes.T
    points = (patches - mean) @ whiten
    found = F.normalize(torch.randn(centres, points.shape[1], generator=generator), dim=1)
    for _ in range(_ROUNDS):
        strength, nearest = (points @ found.T).max(1)
        sums = torch.zeros_like(found).index_add_(0, nearest, points * strength[:, None])
        empty = sums.norm(dim=1) < 1e-6
        sums[empty] = torch.randn(int(empty.sum()), found.shape[1], generator=generator)
        found = F.normalize(sums, dim=1)
    return Patches(found, whiten, mean)


def _sampled(x: Tensor, generator: torch.Generator) -> Tensor:
    """Patches at random places, `(40000, C·6·6)`."""
    n, channels, height, width = x.shape
    picture = torch.randint(n, (_SAMPLED,), generator=generator)
    top = torch.randint(height - _PATCH + 1, (_SAMPLED,), generator=generator)
    left = torch.randint(width - _PATCH + 1, (_SAMPLED,), generator=generator)
    step = torch.arange(_PATCH)
    rows = (top[:, None] + step)[:, None, :, None]
    columns = (left[:, None] + step)[:, None, None, :]
    depth = torch.arange(channels)[None, :, None, None]
    return x[picture[:, None, None, None], depth, rows, columns].flatten(1)
