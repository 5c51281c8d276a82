"""Several small networks of one shape, side by side in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.errors import UserError


class ParallelMLP(nn.Module):
    """K perceptrons of the shape of `latentia.nn.mlp.MLP`, each on its own part of the input.

    No weight is shared, and no output of one depends on the input of another: a model of K
    independent models, trained at nearly the cost of one, since small networks spend their time
    on starting operations and not on arithmetic.

    Args:
        members: K.
        in_features: of each member.
        hidden: widths of the hidden layers of each.
        out_features: of each.
        parts: groups that the outputs of a member fall into; the output lists the first group of
            every member, then the second (means of all, then variances of all).
        generator: of the starting weights.

    Shape: `(B, K · in_features) -> (B, K · out_features)`, the input member by member.

    Raises:
        UserError: a size that is not positive, or outputs that do not fall into the parts.
    """

    def __init__(
        self,
        members: int,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        parts: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = (in_features, *hidden, out_features)
        if min(members, parts, *widths) < 1 or out_features % parts:
            raise UserError(f"ParallelMLP cannot be {members} × {widths} in {parts} parts.")
        self.members, self.parts = members, parts
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for wide, out in pairwise(widths):
            bound = 1 / math.sqrt(wide)
            for held, shape in ((self.weights, (wide, out)), (self.biases, (1, out))):
                start = torch.rand(members, *shape, generator=generator)
                held.append(nn.Parameter(bound * (2 * start - 1)))

    def forward(self, x: Tensor) -> Tensor:
        h = x.view(len(x), self.members, -1).transpose(0, 1)  # (K, B, features)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            update = torch.baddbmm(bias, F.silu(h) if i else h, weight)
            inner = 0 < i < len(self.weights) - 1
            h = h + update if inner and update.shape == h.shape else update
        split = h.unflatten(2, (self.parts, -1))  # (K, B, parts, out / parts)
        return split.permute(1, 2, 0, 3).flatten(1)
