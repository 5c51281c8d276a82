"""Building blocks of autoencoders: shapes, and gradients that reach every parameter."""

from __future__ import annotations

import pytest
import torch

from latentia.errors import UserError
from latentia.nn.autoencoding import ImageDecoder, ImageEncoder, coarse_grid
from latentia.nn.mlp import MLP
from latentia.nn.priors import CouplingFlowPrior, standard_normal_log_prob


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


def trained_looking_flow(latent_dim: int) -> CouplingFlowPrior:
    """A flow whose couplings all do something,."""
    torch.manual_seed(0)
    flow = CouplingFlowPrior(latent_dim, layers=4, hidden=16)
    for name, p in flow.named_parameters():
        if ".out." in name:
            torch.nn.init.normal_(p, std=0.3)
    return flow


@pytest.mark.parametrize("latent_dim", [2, 5, 8])
def test_flow_density_is_the_change_of_variables_of_its_sampler(latent_dim: int) -> None:
    flow = trained_looking_flow(latent_dim)
    noise = torch.randn(6, latent_dim)
    jacobian = torch.stack(
        [torch.func.jacrev(lambda n: flow.sample(n[None])[0])(one) for one in noise]
    )
    expected = standard_normal_log_prob(noise) - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(flow.log_prob(flow.sample(noise)), expected, atol=1e-4, rtol=1e-4)


def test_flow_starts_as_the_standard_normal_and_every_parameter_learns() -> None:
    z = torch.randn(6, 8)
    fresh = CouplingFlowPrior(8)
    torch.testing.assert_close(fresh.log_prob(z), standard_normal_log_prob(z))
    flow = trained_looking_flow(8)
    assert starved(flow, flow.log_prob(z)) == []


def test_flow_needs_two_latent_dimensions() -> None:
    with pytest.raises(UserError, match="at least 2"):
        CouplingFlowPrior(1)


SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 13, 50), (1, 128, 40)]


@pytest.mark.parametrize("shape", SHAPES)
def test_image_nets_shapes_and_gradients(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(shape, 10, width=16, depth=2)
    codes = encoder(torch.rand(2, *shape) * 2 - 1)
    assert codes.shape == (2, 10)
    assert starved(encoder, codes) == []
    decoder = ImageDecoder(5, shape, 2 * shape[0], width=16, depth=2)
    images = decoder(torch.randn(2, 5))
    assert images.shape == (2, 2 * shape[0], *shape[1:])
    assert starved(decoder, images) == []


def test_image_nets_end_on_a_small_grid() -> None:
    sides = {8: 4, 12: 6, 16: 8, 28: 7, 32: 8, 64: 8, 96: 12, 128: 8}
    assert {side: coarse_grid(side, side)[0] for side in sides} == sides


def test_image_nets_treat_every_image_alone() -> None:
    torch.manual_seed(0)
    encoder, x = ImageEncoder((1, 28, 28), 4), torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]), atol=1e-5, rtol=1e-5)


def test_image_nets_refuse_an_empty_shape() -> None:
    with pytest.raises(UserError, match="positive"):
        ImageEncoder((1, 0, 8), 4)
    with pytest.raises(UserError, match="positive"):
        ImageDecoder(0, (1, 8, 8), 4)
