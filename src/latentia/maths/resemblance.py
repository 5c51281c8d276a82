"""How a small set of samples resembles a small set of real rows, in milliseconds.

Everything is a ratio to what the real rows show among themselves, so that one threshold serves
points, tables and pictures. Distances are taken in a cheap space: vectors with every feature at
standard deviation 1, pictures shrunk to 8 by 8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 8  # pixels that pictures are shrunk to
NEIGHBOUR = 5  # k of coverage (Naeem et al. 2020)
SAME = 0.05  # of the reals' median nearest distance: nearer than that is a repeat


@dataclass(frozen=True)
class Frame:
    """A space in which the real rows lie around the origin at deviation about 1.

    Attributes:
        center, scale: `(features,)` or scalar.
        axes: `(features, ≤ 2)`, the two directions in which the real rows vary most.
    """

    center: Tensor
    scale: Tensor
    axes: Tensor

    @classmethod
    def of(cls, real: Tensor) -> Frame:
        """The frame of real rows `(N, …)`."""
        rows = _flat(real)
        center, scale = rows.mean(0), rows.std(0, correction=0)
        if real.ndim == 4:  # one scale: a pixel that hardly changes is not worth as much
            scale = scale.square().mean().sqrt()
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        around = (rows - center) / scale
        # eigenvectors of a small symmetric matrix, signs fixed by the largest entry
        axes = torch.linalg.eigh(around.T @ around)[1].flip(1)[:, :2]
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
        return cls(center, scale, axes * largest.sign())

    def __call__(self, x: Tensor) -> Tensor:
        """`(N, …) -> (N, features)`."""
        return (_flat(x) - self.center) / self.scale


def _flat(x: Tensor) -> Tensor:
    x = x.detach().float().cpu()
    if x.ndim == 4:
        x = F.adaptive_avg_pool2d(x, SIDE)
    return x.flatten(1)


def resemblance(made: Tensor, real: Tensor) -> dict[str, float]:
    """How varied samples are beside real rows, and how far from them.

    Args:
        made: samples in a frame, `(n, features)`.
        real: as many real rows in the same frame.

    Returns:
        `spread`: mean distance between samples over that between real rows; 0 where all are
        one, 1 where they vary as the data do. `nearness`: median distance to the nearest other
        sample over that among real rows. `repeats`: share of samples with a twin nearer than a
        twentieth of the real rows' median nearest distance; `real_repeats`: the same among real
        rows. `coverage`: share of real rows with a sample within the distance to their 5th real
        neighbour (Naeem et al. 2020, eq. 9). `precision`: share of samples within that distance
        of some real row (Kynkäänniemi et al. 2019, eq. 2). `distance`: energy distance over the
        mean distance between real rows (Székely and Rizzo 2013); 0 where alike.
    """
    among, between, apart = (
        torch.cdist(a, b) for a, b in ((made, made), (real, real), (made, real))
    )
    usual = _mean_apart(between).clamp(min=1e-12)
    twins, neighbours = _nearest(among), _nearest(between)
    typical = neighbours.median()
    limit = torch.maximum(SAME * typical, 1e-3 * usual)
    k = min(NEIGHBOUR, len(real) - 1)
    radius = between.kthvalue(k + 1, dim=1).values
    energy = 2 * apart.mean() - _mean_apart(among) - _mean_apart(between)  # unbiased
    return {
        "spread": float(_mean_apart(among) / usual),
        "nearness": float(twins.median() / typical.clamp(min=float(1e-3 * usual))),
        "repeats": float((twins < limit).float().mean()),
        "real_repeats": float((neighbours < limit).float().mean()),
        "coverage": float((apart.min(0).values <= radius).float().mean()),
        "precision": float((apart <= radius).any(1).float().mean()),
        "distance": float(energy.clamp(min=0) / usual),
    }


def moved(before: Tensor, after: Tensor, usual: float) -> float:
    """Energy distance between two sets of samples `(n, features)` over a usual distance."""
    among, between, apart = (
        torch.cdist(a, b).mean() for a, b in ((before, before), (after, after), (before, after))
    )
    return float((2 * apart - among - between).clamp(min=0)) / max(usual, 1e-12)


def above(a: Tensor, b: Tensor) -> float:
    """P(a > b) + ½ P(a = b) of two sets of numbers: the area under the ROC curve."""
    signs = torch.sign(a.double()[:, None] - b.double()[None])
    return float(0.5 + 0.5 * signs.mean())


def _mean_apart(distances: Tensor) -> Tensor:
    n = len(distances)
    return distances.sum() / max(1, n * (n - 1))


def _nearest(distances: Tensor) -> Tensor:
    """Distance of each row to the nearest other, `(n,)`."""
    own = torch.eye(len(distances), dtype=torch.bool)
    return distances.masked_fill(own, torch.inf).min(1).values
