"""Paths as rows of points: how long their steps are, and how evenly a walk changes."""

from __future__ import annotations

import torch
from torch import Tensor


def step_lengths(points: Tensor) -> Tensor:
    """Euclidean length of every step, `(…, n, F) -> (…, n - 1)`."""
    return points.diff(dim=-2).norm(dim=-1)


def evenness(lengths: Tensor) -> Tensor:
    """How evenly a walk changes, `(…, m) -> (…)`: 1 where all m steps are equal, 0 where one step
    makes the whole change.

    (n_eff − 1) / (m − 1) with the effective number of steps n_eff = (Σ l)² / Σ l², the inverse
    Simpson index of the steps' shares. A walk that stands still is even, and so is one step.

    >>> evenness(torch.tensor([[1.0, 1.0, 1.0], [0.0, 5.0, 0.0]]))
    tensor([1., 0.])
    """
    m = lengths.shape[-1]
    squares = lengths.square().sum(-1)
    effective = lengths.sum(-1).square() / squares.clamp(min=torch.finfo(lengths.dtype).tiny)
    moving = (squares > 0) & (m > 1)
    return torch.where(moving, (effective - 1) / max(m - 1, 1), torch.ones_like(effective))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The point t of the way from a to b along the arc between their directions, `(…, d)`.

    White 2016, "Sampling generative networks", with lengths interpolated linearly. Where a and b
    are parallel, opposite or zero there is no one arc: linear.

    Args:
        a, b: `(…, d)`.
        t: 0 to 1, `(…, 1)`; all three are broadcast against each other.
    """
    tiny = torch.finfo(a.dtype).tiny
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    u, v = a / length_a.clamp(min=tiny), b / length_b.clamp(min=tiny)
    angle = torch.acos((u * v).sum(-1, keepdim=True).clamp(-1, 1))
    arc = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    round_ = arc * torch.lerp(length_a, length_b, t)
    arched = (torch.sin(angle) > 1e-4) & (length_a > 0) & (length_b > 0)
    return torch.where(arched, round_, torch.lerp(a, b, t))


def resampled(points: Tensor, n: int) -> Tensor:
    """n points evenly apart along a polyline, both ends included; `(m, d) -> (n, d)`.

    A polyline of no length gives its first point n times.
    """
    lengths = step_lengths(points)
    reached = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    at = torch.linspace(0, 1, n, dtype=points.dtype) * reached[-1]
    right = torch.searchsorted(reached, at).clamp(1, max(len(points) - 1, 1))
    if len(points) < 2 or reached[-1] == 0:
        return points[:1].expand(n, -1).clone()
    share = (at - reached[right - 1]) / lengths[right - 1].clamp(min=torch.finfo(points.dtype).tiny)
    return torch.lerp(points[right - 1], points[right], share.clamp(0, 1)[:, None])
