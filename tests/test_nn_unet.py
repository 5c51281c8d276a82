"""Denoising networks: shapes, gradients, symmetries of the layout."""

from __future__ import annotations

import pytest
import torch

from latentia.errors import UserError
from latentia.nn.folding import depth_to_space, space_to_depth
from latentia.nn.unet import PointDenoiser, UNet


def small(shape: tuple[int, int, int], **settings: object) -> UNet:
    torch.manual_seed(0)
    chosen = {"width": (8, 16), "depth": (2, 1), "embedding": 16} | settings
    return UNet(shape, **chosen)  # type: ignore[arg-type]


def awaken(module: torch.nn.Module) -> None:
    """Fills the layers that start at zero, so that every branch speaks."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.2)


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 45, 61), (1, 64, 80), (3, 128, 128)]
)
def test_unet_keeps_the_shape(shape: tuple[int, int, int]) -> None:
    net = small(shape)
    out = net(torch.randn(2, *shape), torch.zeros(2))
    assert out.shape == (2, *shape)
    assert out.is_contiguous()
    assert bool((out == 0).all())  # starts as EDM's skip connection alone


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attention": True},
        {"width": (8,), "depth": (2,), "patch": 4},
        {"width": (8, 8, 8), "depth": (2, 2, 2)},
        {"width": (8, 16), "depth": (0, 2)},
    ],
)
def test_gradients_reach_every_parameter(settings: dict[str, object]) -> None:
    net = small((1, 28, 28), **settings)
    awaken(net)
    net(torch.randn(3, 1, 28, 28), torch.randn(3)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_examples_do_not_mix_and_the_noise_level_matters() -> None:
    net = small((1, 16, 16), attention=True)
    awaken(net)
    x, noise = torch.randn(4, 1, 16, 16), torch.linspace(-1, 1, 4)
    together = net(x, noise)
    torch.testing.assert_close(together[:1], net(x[:1], noise[:1]), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(together, net(x, noise + 0.5), rtol=1e-2, atol=1e-2)


def test_unet_under_bfloat16_autocast_stays_close() -> None:
    net = small((1, 28, 28), attention=True)
    x, noise = torch.randn(4, 1, 28, 28), torch.linspace(-1, 1, 4)
    torch.nn.init.normal_(net.last.weight, 0, 0.05)
    whole = net(x, noise)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x, noise)
    assert (half.float() - whole).norm() < 0.05 * whole.norm()


@pytest.mark.parametrize("block", [1, 2, 4])
def test_folding_is_undone(block: int) -> None:
    x = torch.randn(2, 3, 8, 16)
    folded = space_to_depth(x, block)
    assert folded.shape == (2, 3 * block**2, 8 // block, 16 // block)
    assert torch.equal(depth_to_space(folded, block), x)
    assert torch.equal(folded[0, :3, 1, 1], x[0, :, block, block])  # first pixel of the tile


def test_unet_refuses_what_it_cannot_build() -> None:
    with pytest.raises(UserError, match="4 to 128"):
        UNet((1, 2, 28))
    with pytest.raises(UserError, match="same number"):
        UNet((1, 28, 28), width=(32,), depth=(1, 2))
    with pytest.raises(UserError, match="power of two"):
        UNet((1, 28, 28), patch=3)


def test_point_denoiser() -> None:
    torch.manual_seed(0)
    net = PointDenoiser(2, width=16, depth=2)
    x = torch.randn(5, 2)
    assert bool((net(x, torch.zeros(5)) == 0).all())
    awaken(net)
    net(x, torch.randn(5)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
