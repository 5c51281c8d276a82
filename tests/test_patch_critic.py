"""Patch critics: what one verdict sees, several scales, the original's size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latentia.nn.patch_critic import BandCritic, PatchCritic
from latentia.nn.picture_norm import InstanceNorm, PictureNorm, PixelNorm, picture_norm


def test_it_has_the_size_of_the_original() -> None:
    """Parameters of the original 70×70 critic, one unused bias a normalised layer fewer."""
    assert sum(p.numel() for p in PatchCritic(3, 64, 3, "batch").parameters()) == 2_765_633
    biases = 64 + 128 + 256  # which the original keeps beside instance normalisation
    instance = PatchCritic(3, 32, 3, "instance")
    assert sum(p.numel() for p in instance.parameters()) == 694_241 - biases


@pytest.mark.parametrize("norm", ["none", "pixel", "instance", "batch"])
def test_shapes(norm: PictureNorm) -> None:
    assert PatchCritic(3, 8, 3, norm)(torch.zeros(2, 3, 64, 48)).shape == (2, 1, 6, 4)
    assert PatchCritic(6, 8, 2, norm, scales=2)(torch.zeros(2, 6, 32, 32)).shape == (2, 2, 6, 6)


@pytest.mark.parametrize(("layers", "scales"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)])
def test_the_smallest_picture_is_judged(layers: int, scales: int) -> None:
    critic = PatchCritic(1, 8, layers, "none", scales=scales)
    side = critic.smallest
    assert critic(torch.zeros(1, 1, side, side)).isfinite().all()


def test_a_verdict_looks_at_a_patch_of_70_pixels() -> None:
    critic = PatchCritic(1, 8, 3, "none")
    x = torch.randn(1, 1, 256, 256, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x)[0, 0, 15, 15], x)
    rows = slope[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_scales_weigh_alike() -> None:
    critic = PatchCritic(1, 8, 2, "none", scales=2)
    x = torch.randn(2, 1, 32, 32)
    coarse = critic.nets[1](nn.functional.avg_pool2d(x, 2)).mean()
    torch.testing.assert_close(critic(x)[:, 1].mean(), coarse)


def test_pictures_do_not_see_each_other() -> None:
    critic, x = PatchCritic(3, 8, 2, "instance"), torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(critic(x)[1:2], critic(x[1:2]))


def test_norms_are_what_they_say() -> None:
    x = torch.randn(2, 8, 5, 5) * 3 + 1
    instance, pixel = InstanceNorm()(x), PixelNorm()(x)
    torch.testing.assert_close(instance, nn.InstanceNorm2d(8)(x))
    torch.testing.assert_close(pixel.mean(1), torch.zeros(2, 5, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(pixel.var(1, correction=0), torch.ones(2, 5, 5), atol=1e-3, rtol=0)
    assert picture_norm("none", 8)(x) is x


def test_a_critic_of_bands_tells_one_from_another() -> None:
    net = nn.Conv2d(2, 1, 1, bias=False)
    nn.init.ones_(net.weight)
    x = torch.zeros(2, 1, 5, 3)
    rows = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    assert torch.equal(BandCritic(net)(x), rows[:, None].expand(2, 1, 5, 3))
    torch.testing.assert_close(BandCritic(net)(x + 2), BandCritic(net)(x) + 2)
