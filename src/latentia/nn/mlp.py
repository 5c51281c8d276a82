"""Multilayer perceptrons for vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from latentia.errors import UserError

Activation = Callable[[Tensor], Tensor]


class MLP(nn.Module):
    """Fully connected layers, with a skip connection wherever two widths agree.

    A hidden layer whose input and output have the same width computes
    `h + W act(h) + b` (He et al., 2016, pre-activation); one that changes the width computes
    `W act(h) + b`, the first of them without the activation. The output is linear.

    Args:
        in_features: width of the input.
        hidden: widths of the hidden layers; empty for one linear map.
        out_features: width of the output.
        activation: between the layers, a function of a tensor.
        norm: LayerNorm before every activation; steadies deep stacks and critics.
        zero_out: start with an output of exactly 0, as residual branches like it.

    Raises:
        UserError: a width that is not positive.

    Shape: `(*, in_features) -> (*, out_features)`.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        activation: Activation = F.silu,
        norm: bool = False,
        zero_out: bool = False,
    ) -> None:
        super().__init__()
        widths = (in_features, *hidden)
        if min(*widths, out_features) < 1:
            raise UserError(f"MLP widths must be positive, got {(*widths, out_features)}.")
        self.activation = activation
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(w) if norm else nn.Identity() for w in hidden)
        self.out = nn.Linear(widths[-1], out_features)
        if zero_out:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the output is a linear map of, `(*, in_features) -> (*, hidden[-1])`."""
        for i, layer in enumerate(self.layers):
            update = layer(x if i == 0 else self._ready(i - 1, x))
            x = x + update if i > 0 and update.shape == x.shape else update
        return self._ready(len(self.layers) - 1, x) if len(self.layers) else x

    def _ready(self, i: int, h: Tensor) -> Tensor:
        return self.activation(self.norms[i](h))
