"""Style-based networks: one shared convolution equals a kernel for each example, and the like."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.errors import UserError
from latentia.models.style_generator import ConditionalStyleGenerator, StyleGenerator
from latentia.nn.style import (
    GAIN,
    SLOPE,
    TINY,
    EqualConv,
    EqualLinear,
    Mapping,
    StyleConv,
    StyleCritic,
    StyleNet,
    Synthesis,
    ToPixels,
    doubled,
)

SHAPES = [(3, 64, 64), (1, 8, 8), (1, 28, 28), (3, 40, 24), (3, 9, 33)]


def generator(shape: tuple[int, int, int] = (3, 16, 16), fold: int = 2) -> StyleGenerator:
    torch.manual_seed(0)
    net = StyleNet(Mapping(5, 8, 2), Synthesis(shape, 8, width=8, widest=16, fold=fold))
    model = StyleGenerator(net, 5)
    for name, parameter in model.named_parameters():
        if name.endswith("strength"):
            parameter.data.fill_(0.5)
    return model.eval()


def per_sample(layer: StyleConv, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    """StyleGAN2's eq. 1 and 3 as they stand: a kernel for every example."""
    rows = []
    for one, style, speck in zip(x, layer.affine(w), noise, strict=True):
        kernel = layer.weight * style[None, :, None, None]
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + TINY).sqrt()
        y = F.conv2d(one[None], kernel, padding=1)
        y = doubled(y) if layer.up else y
        y = y + 0.1 * layer.strength * speck + layer.bias[:, None, None]
        rows.append(GAIN * F.leaky_relu(y, SLOPE))
    return torch.cat(rows)


@pytest.mark.parametrize("up", [False, True])
def test_a_shared_convolution_equals_a_kernel_for_each_example(up: bool) -> None:
    torch.manual_seed(1)
    layer = StyleConv(6, 4, 5, up=up, noise_rate=0.1).double()
    layer.strength.data.fill_(0.7)
    layer.bias.data.normal_()
    layer.affine.double()
    x, w = torch.randn(3, 6, 5, 7).double(), torch.randn(3, 5).double()
    noise = torch.randn(3, 1, 10 if up else 5, 14 if up else 7).double()
    ours, theirs = layer(x, w, noise), per_sample(layer, x, w, noise)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)  # the scales are float32
    for mine, other in zip(
        torch.autograd.grad(ours.square().sum(), list(layer.parameters())),
        torch.autograd.grad(theirs.square().sum(), list(layer.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=1e-3)


def test_pixels_take_a_matrix_of_their_own() -> None:
    torch.manual_seed(2)
    layer = ToPixels(6, 3, 5)
    layer.bias.data.normal_()
    x, w = torch.randn(2, 6, 4, 5), torch.randn(2, 5)
    kernels = layer.weight * layer.affine(w)[:, None] / math.sqrt(6)
    wanted = torch.einsum("bihw,boi->bohw", x, kernels) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w), wanted)


def test_folded_pixels_start_alike() -> None:
    pixels = generator((3, 16, 16)).net.synthesis.pixels[-1]
    assert torch.equal(pixels.weight[0], pixels.weight[3])
    assert not torch.equal(pixels.weight[0], pixels.weight[4])


def test_bilinear_doubling_is_the_binomial_filter() -> None:
    x = torch.randn(1, 1, 6, 6)
    spread = torch.zeros(1, 1, 12, 12)
    spread[:, :, ::2, ::2] = x
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    filtered = F.conv2d(F.pad(spread, (2, 1, 2, 1)), torch.outer(taps, taps)[None, None])
    torch.testing.assert_close(doubled(x)[:, :, 2:-2, 2:-2], filtered[:, :, 2:-2, 2:-2])


def test_layers_keep_the_scale_of_what_passes() -> None:
    torch.manual_seed(3)
    x = torch.randn(64, 32, 8, 8)
    y = F.leaky_relu(EqualConv(32, 32)(x), SLOPE)
    inner = y[:, :, 1:-1, 1:-1]  # the padding's zeros aside
    assert 0.9 < inner.square().mean().sqrt() < 1.15
    flat = EqualLinear(512, 512, gain=GAIN, rate=0.01)(torch.randn(64, 512))
    assert 1.3 < flat.std() < 1.5  # √2, before the rectifier
    layer, w = StyleConv(32, 32, 8, up=False), torch.randn(64, 8)
    assert 0.85 < layer(x, w, torch.zeros(1, 1, 8, 8)).square().mean().sqrt() < 1.15


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fold", [1, 2])
def test_pictures_of_any_size(shape: tuple[int, int, int], fold: int) -> None:
    model = generator(shape, fold)
    critic = StyleCritic(shape, width=8, widest=16, fold=fold)
    x = model.sample([1, 2])
    assert x.shape == (2, *shape) and x.isfinite().all()
    assert critic(x).shape == (2,)
    alone = torch.cat([critic(x[:1]), critic(x[1:])])
    torch.testing.assert_close(critic(x), alone, atol=1e-5, rtol=1e-4)


def test_networks_as_large_as_in_the_paper_can_be_built() -> None:
    """Karras et al. (2020, ADA): 16384 / size channels, 512 at most."""
    synthesis = Synthesis((3, 64, 64), 512, width=512, widest=512, fold=1)
    critic = StyleCritic((3, 64, 64), width=512, widest=512, fold=1)
    assert synthesis.style_layers == 10
    ours = [sum(p.numel() for p in net.parameters()) for net in (synthesis, critic)]
    assert ours[0] == pytest.approx(21.7e6, rel=0.02)
    assert ours[1] == pytest.approx(23.4e6, rel=0.02)


def test_a_picture_depends_on_its_seed_alone() -> None:
    model = generator()
    together = model.sample(range(70))
    torch.testing.assert_close(together[65:67], model.sample([65, 66]), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1])


def test_decoding_has_no_noise_of_its_own_and_samples_have() -> None:
    model, z = generator(), torch.randn(1, 5)
    assert torch.equal(model.decode(z), model.decode(z))
    torch.testing.assert_close(model.decode(z.repeat(2, 1))[0], model.decode(z)[0])
    size = model.net.synthesis.noise_size
    other = model.from_styles(model.styles(z), noise=torch.randn(1, size))
    assert not torch.allclose(other, model.decode(z), atol=1e-3)


def test_truncation_draws_towards_the_mean_style() -> None:
    model = generator()
    model.net.mapping.center.normal_()
    z = torch.randn(3, 5)
    full, half = model.styles(z), model.styles(z, truncation=0.5)
    center = model.net.mapping.center
    torch.testing.assert_close(half, center + 0.5 * (full - center))
    torch.testing.assert_close(model.styles(z, truncation=0)[0, 0], center)
    model.truncation = 0.5
    torch.testing.assert_close(model.styles(z), half)
    with pytest.raises(UserError, match="truncation"):
        model.styles(z, truncation=-1)


def test_the_mean_style_follows_in_training_alone() -> None:
    mapping = Mapping(5, 8, 2)
    mapping.eval().follow(torch.ones(8))
    assert not mapping.center.any()
    mapping.train().follow(torch.ones(8))
    torch.testing.assert_close(mapping.center, torch.full((8,), 0.005))


def test_classes_take_part_in_the_styles() -> None:
    torch.manual_seed(4)
    net = StyleNet(Mapping(5, 8, 2, 3), Synthesis((1, 8, 8), 8, width=8, widest=16, fold=2))
    model = ConditionalStyleGenerator(net, 5, 3).eval()
    assert model.latent_dim == 6 and model.classes == 3
    z = torch.randn(2, 6)
    one, two = (model.decode(z, condition=torch.tensor(c)) for c in (0, 1))
    assert not torch.allclose(one, two)
    seen = model.sample([1, 2], condition=torch.tensor([0, 1]))
    torch.testing.assert_close(seen[1:], model.sample([2], condition=torch.tensor(1)))
    assert model.sample([1, 2]).shape == (2, 1, 8, 8)
    with pytest.raises(UserError, match="class number from 0 to 2"):
        model.decode(z, condition=torch.tensor(7))
