"""Building blocks of autoencoders: shapes, and gradients that reach every parameter."""

from __future__ import annotations

import pytest
import torch

from latentia.errors import UserError
from latentia.nn.mlp import MLP


def starved(module: torch.nn.Module, out: torch.Tensor) -> list[str]:
    """Names of the parameters that `out` does not depend on."""
    torch.manual_seed(0)
    (out * torch.randn_like(out)).sum().backward()
    return [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("hidden", [(), (8,), (16, 16, 8)])
@pytest.mark.parametrize("norm", [False, True])
def test_mlp_shapes_and_gradients(hidden: tuple[int, ...], norm: bool) -> None:
    net = MLP(5, hidden, 3, norm=norm)
    out = net(torch.randn(4, 2, 5))
    assert out.shape == (4, 2, 3)
    assert starved(net, out) == []


def test_mlp_starts_at_zero_when_asked() -> None:
    assert not MLP(5, (8, 8), 3, zero_out=True)(torch.randn(4, 5)).any()


def test_mlp_refuses_an_empty_layer() -> None:
    with pytest.raises(UserError, match="positive"):
        MLP(5, (0,), 3)
