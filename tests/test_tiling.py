"""Large pictures in windows: what one pass would give, with bounded windows and no seams."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentia.errors import UserError
from latentia.nn.resnet_generator import QuickGenerator, ResnetGenerator
from latentia.nn.translating import LocalUNet
from latentia.translating.tiling import (
    Window,
    blended_windows,
    exact_windows,
    reflected,
    translated,
    translated_bands,
    window_side,
)
from translators import Local, Whole


def picture(height: int, width: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(1, channels, height, width, generator=generator) * 2 - 1


def in_one(model: Local, x: torch.Tensor, to: str = "B") -> torch.Tensor:
    """One pass over the picture, continued by reflection."""
    height, width = x.shape[2:]
    pads = ((0, 0), (0, 0), (0, -height % model.multiple), (0, -width % model.multiple))
    padded = torch.from_numpy(np.pad(x.numpy(), pads, "reflect"))
    with torch.no_grad():
        return model.translate(padded, to)[:, :, :height, :width]


@pytest.mark.parametrize("size", [(64, 64), (133, 97), (40, 210), (201, 30)])
@pytest.mark.parametrize("side", [24, 48])
def test_windows_give_exactly_what_one_pass_gives(size: tuple[int, int], side: int) -> None:
    model = Local().double()
    x = picture(*size).double()
    wanted = in_one(model, x)
    model.seen.clear()
    found = translated(model, x, "B", side=side)
    assert len(model.seen) > 1
    assert max(max(shape[2:]) for shape in model.seen) <= side + 2 * 12
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-7)
    single = translated(Local(), x.float(), "B", side=side)
    levels = ((single + 1) * 127.5).round() - ((wanted + 1) * 127.5).round()
    assert (levels != 0).float().mean() < 1e-3 and levels.abs().max() <= 1  # rounding alone


class Wrapped(torch.nn.Module):
    """A network as a translator, with weights far from where training begins."""

    domains, targets = ("A", "B"), ("B",)

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net, self.multiple, self.reach = net, net.multiple, net.reach
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                fan = max(1, weight[0].numel()) if weight.ndim > 1 else 4
                weight.copy_(torch.randn(weight.shape, generator=generator) / fan**0.5)

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        return torch.tanh(self.net(x))


@pytest.mark.parametrize(
    "net",
    [
        lambda: LocalUNet(3, 3, width=(8, 8), depth=1),
        lambda: QuickGenerator((3, 3), 8, 1),
        lambda: ResnetGenerator((3, 3), 4, 1, norm="none"),
    ],
    ids=["unet", "quick", "resnet"],
)
def test_our_local_networks_reach_no_further_than_they_say(
    net: Callable[[], torch.nn.Module],
) -> None:
    model: Any = Wrapped(net()).eval()
    assert model.reach is not None
    x = picture(210, 70)
    wanted = in_one(model, x)
    found = translated(model, x, "B", side=2 * model.reach + 16)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5)
    assert len(exact_windows(212, model.multiple, model.reach, 2 * model.reach + 16)) > 1


def test_one_window_is_one_pass_to_the_bit() -> None:
    model, x = Local(), picture(37, 50)
    assert torch.equal(translated(model, x, "B"), in_one(model, x))


def test_too_little_reach_would_be_seen() -> None:
    model, x = Local().double(), picture(133, 97).double()
    model.reach = 0
    assert (translated(model, x, "B", side=24) - in_one(model, x)).abs().max() > 1e-3


def test_bands_come_in_order_and_cover_the_picture() -> None:
    x = picture(130, 61)
    for model in (Local(), Whole()):
        bands = translated_bands(
            model, lambda t, b, le, r: x[:, :, t:b, le:r], 130, 61, "B", channels=3, side=32
        )
        at = 0
        for top, band in bands:
            assert top == at and band.shape[3] == 61
            at += band.shape[2]
        assert at == 130


def test_what_depends_on_the_whole_picture_is_blended_without_seams() -> None:
    model = Whole()
    flat = torch.linspace(-1, 1, 160)[None, None, :, None].expand(1, 3, 160, 160).contiguous()
    found = translated(model, flat, "B", side=48)
    steps = found.diff(dim=2).abs().amax((0, 1, 3))
    within = in_one(model, flat[:, :, 56:104]).diff(dim=2).abs().max()
    assert found.shape == flat.shape and steps.max() < within + 0.05
    small = picture(40, 40)
    assert torch.equal(translated(model, small, "B", side=48), in_one(model, small))


@given(
    cells=st.integers(1, 300),
    multiple=st.sampled_from([1, 2, 8]),
    reach=st.integers(0, 60),
    side=st.integers(8, 200),
)
@settings(max_examples=60, deadline=None)
def test_windows_cover_an_axis_once(cells: int, multiple: int, reach: int, side: int) -> None:
    length = cells * multiple

    def total(windows: list[Window]) -> torch.Tensor:
        out = torch.zeros(length)
        for w in windows:
            assert 0 <= w.start <= w.first < w.last <= w.stop <= length
            assert w.start % multiple == 0 and w.stop % multiple == 0
            out[w.first : w.last] += w.weights
        return out

    exact = exact_windows(length, multiple, reach, side)
    assert torch.equal(total(exact), torch.ones(length))
    for w in exact:
        assert w.start == 0 or w.first - w.start >= reach
        assert w.stop == length or w.stop - w.last >= reach
    blended = blended_windows(length, multiple, side)
    torch.testing.assert_close(total(blended), torch.ones(length))
    assert all(a.last > b.first for a, b in pairwise(blended))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (5, 90)])
def test_pictures_smaller_than_the_multiple_are_continued(size: tuple[int, int]) -> None:
    found = translated(Local(), picture(*size), "B", least=16)
    assert found.shape[2:] == size and found.isfinite().all()


def test_reflection_is_that_of_numpy() -> None:
    for n in (1, 2, 5):
        wanted = np.pad(np.arange(n), (0, 9), "reflect")
        assert np.array_equal(reflected(0, n + 9, n).numpy(), wanted)


def test_windows_fit_the_memory_of_the_network() -> None:
    model = Local()
    small, large = (window_side(model, 3, "B", torch.float32, b) for b in (2 * 10**7, 8 * 10**7))
    assert large == pytest.approx(2 * small, rel=0.02)
    assert not model._forward_hooks and not model.nets["B"]._forward_hooks


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(UserError):
        translated(Local(), picture(8, 8), "C")
