"""Fixed shift and scale of vector features, kept inside the model that needs them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """x -> (x − center) / scale, per feature; identity when built without numbers.

    Constant features (scale 0) are only shifted.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, center: Sequence[float] = (), scale: Sequence[float] = ()) -> None:
        super().__init__()
        self.register_buffer("center", torch.tensor(list(center) or [0.0]))
        self.register_buffer("scale", torch.tensor([s if s > 0 else 1.0 for s in scale] or [1.0]))
        self.identity = not center

    def forward(self, x: Tensor) -> Tensor:
        return x if self.identity else (x - self.center) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        return x if self.identity else x * self.scale + self.center

    @property
    def log_abs_det(self) -> Tensor:
        """log |d forward / dx|, a scalar in nats: what log-densities gain on the way back."""
        return -self.scale.log().sum()
