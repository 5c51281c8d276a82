"""Paired translation: the networks, the game, and what the settings refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.fitting import fit
from latentia.game import Batch, Now
from latentia.nn.translating import LocalUNet, PlainUNet, dropped, padded_to
from latentia.objectives.paired import Paired, PairedGame, Sides, jittered
from latentia.recipes.base import parse_settings
from latentia.recipes.pix2pix import Pix2PixSettings, build_model, build_objective

SMALL = {"width": 8, "levels": 2, "critic_width": 8}


def pairs(n: int = 32, side: int = 16, seed: int = 0) -> Dataset:
    """Grey blocks (A), and the same in two colours (B): one right answer, told by every pixel."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 2, (n, 1, side // 4, side // 4))
    a = np.repeat(np.repeat(coarse, 4, 2), 4, 3) * 200
    b = np.concatenate([a, 255 - a, np.full_like(a, 30)], 1)
    values = np.concatenate([a, b], 1).astype(np.uint8)
    pair = {"names": ["plan", "picture"], "channels": [1, 3], "made": None}
    spec = DataSpec("blocks", "image", (4, side, side), n, "0" * 16, pair=pair)
    return Dataset(spec, values)


def now(step: int = 0, progress: float = 0.0) -> Now:
    return Now(step, progress, torch.Generator().manual_seed(step), torch.device("cpu"))


def batch(n: int = 4) -> Batch:
    return pairs().batch(range(n))


def settled(**chosen: object) -> Pix2PixSettings:
    settings = parse_settings(Pix2PixSettings, {**SMALL, **chosen}, "pix2pix")
    assert isinstance(settings, Pix2PixSettings)
    return settings.resolved(pairs().spec)


def game(**chosen: object) -> Paired:
    torch.manual_seed(0)
    spec = pairs().spec
    if chosen.get("adversarial") == 0:
        chosen = {"critic_width": 32, **chosen}  # as by default
    settings = settled(**chosen)
    return build_objective(build_model(spec, settings), spec, settings)


# networks


def loud(net: nn.Module) -> nn.Module:
    """No layer at zero, so that all that may matter does."""
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net


def test_an_output_pixel_of_the_local_network_depends_on_its_reach_alone() -> None:
    torch.manual_seed(0)
    net = LocalUNet(1, 1, width=(8, 16))
    loud(net)
    assert net.reach is not None and net.multiple == 4
    x = torch.rand(1, 1, 96, 96, requires_grad=True)
    farthest = 0
    for at in range(48, 52):  # every place in a cell
        (slope,) = torch.autograd.grad(net(x)[0, 0, 48, at], x)
        seen = slope[0, 0].nonzero()[:, 1]
        farthest = max(farthest, int((seen - at).abs().max()))
    assert farthest == net.reach


@pytest.mark.parametrize("size", [(32, 48), (16, 16)])
def test_networks_keep_the_size_and_change_the_channels(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    for net in (LocalUNet(3, 1, width=(8, 8)), PlainUNet(3, 1, width=4, downs=4)):
        assert net(x).shape == (2, 1, *size) and net(x).dtype == torch.float32


@pytest.mark.parametrize("kind", ["local", "plain"])
def test_a_picture_does_not_depend_on_its_batch(kind: str) -> None:
    torch.manual_seed(0)
    net = PlainUNet(1, 1, width=4, downs=4) if kind == "plain" else LocalUNet(1, 1, width=(8, 8))
    loud(net)
    x = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["local", "plain"])
def test_values_are_dropped_by_the_noise_that_is_given_and_never_without(kind: str) -> None:
    torch.manual_seed(0)
    plain = PlainUNet(1, 1, width=4, downs=4, dropout=0.5)
    net = plain if kind == "plain" else LocalUNet(1, 1, width=(8, 8), dropout=0.5)
    loud(net)
    x = torch.rand(2, 1, 16, 16)
    assert torch.equal(net(x), net(x))
    assert torch.equal(net(x, now(1).uniform), net(x, now(1).uniform))
    assert not torch.equal(net(x, now(1).uniform), net(x, now(2).uniform))
    assert not torch.equal(net(x, now(1).uniform), net(x))


def test_dropping_keeps_the_mean() -> None:
    kept = dropped(torch.ones(100, 100), 0.25, now().uniform)
    torch.testing.assert_close(kept.unique(), torch.tensor([0, 4 / 3]))
    assert kept.mean().item() == pytest.approx(1, abs=0.03)


def test_padding_continues_by_reflection() -> None:
    x = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 5, 5)
    assert padded_to(x, 4).shape == (1, 1, 8, 8)
    assert padded_to(x, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert padded_to(x, 5) is x


# what is shown


def test_both_sides_are_moved_alike_and_by_whole_pixels() -> None:
    x = batch(16).x
    moved = jittered(x, 3, now().uniform)
    a, b = Sides(1).split(moved)
    assert torch.equal(a, b[:, :1]) and not torch.equal(moved, x)
    assert set(moved.unique().tolist()) <= set(x.unique().tolist())
    middle = x[:, :, 3:-3, 3:-3]  # somewhere in what is shown
    for one, wanted in zip(moved, middle, strict=True):
        size = wanted.shape[1]
        at = [(i, j) for i in range(7) for j in range(7)]
        assert any(torch.equal(one[:, i : i + size, j : j + size], wanted) for i, j in at)
    assert jittered(x, 0, now().uniform) is x


def test_the_direction_says_what_is_given() -> None:
    x = batch().x
    given, wanted = Sides(1, backward=True).split(x)
    assert given.shape[1] == 3 and wanted.shape[1] == 1
    model = build_model(pairs().spec, settled(direction="B-to-A"))
    assert model.targets == ("plan",) and model.domains == ("plan", "picture")
    assert model.translate(torch.zeros(1, 3, 16, 16), "plan").shape == (1, 1, 16, 16)


# the game


def test_the_critic_sees_what_is_given_beside_the_answer() -> None:
    play = game()
    assert isinstance(play, PairedGame)
    seen: list[Tensor] = []
    judge = play.critic
    play.critic = lambda x: (seen.append(x.detach()), judge(x))[1]  # type: ignore[assignment]
    shown = batch()
    moment = now()
    given, wanted = play.shown(shown, now())
    for _ in play.play(shown, moment):
        pass
    on_real, on_made = seen[:2]
    assert torch.equal(on_real, torch.cat([given, wanted], 1))
    assert torch.equal(on_made[:, :1], given) and not torch.equal(on_made[:, 1:], wanted)


def test_a_loss_of_differences_leaves_the_last_bias_alone() -> None:
    play = game(scales=1)
    assert isinstance(play, PairedGame)
    _, terms = next(play.play(batch(), now()))
    last = play.critic.nets[0][-1].bias
    (slope,) = torch.autograd.grad(terms["adversarial"], last)
    assert not slope.any()  # Adam would make steps of what rounding leaves


def test_without_a_critic_there_is_one_player_and_one_term() -> None:
    play = game(adversarial=0)
    assert not isinstance(play, PairedGame) and list(play.players) == ["generator"]
    turns = list(play.play(batch(), now()))
    assert [(who, list(terms)) for who, terms in turns] == [("generator", ["near"])]


def test_the_penalty_means_the_same_at_every_size() -> None:
    torch.manual_seed(0)
    play = game(critic_layers=1)
    assert isinstance(play, PairedGame)
    small = torch.rand(8, 4, 64, 64)
    large = torch.rand(8, 4, 128, 128)
    parts = [play._slope(x[:, :1], x[:, 1:]).item() for x in (small, large)]
    assert parts[0] == pytest.approx(parts[1], rel=0.15) and parts[0] > 0


def test_the_penalty_fades_and_may_be_left_out() -> None:
    play = game(gamma=4, gamma_end=1)
    assert isinstance(play, PairedGame)
    assert [play.penalty_weight(p) for p in (0, 0.5, 1)] == pytest.approx([4, 2.5, 1])
    turns = dict(game(gamma=0, gamma_end=0).play(batch(), now()))
    assert list(turns["critic"]) == ["adversarial"]


@pytest.mark.parametrize("scales", [1, 2])
def test_a_verdict_is_one_number_a_row(scales: int) -> None:
    play = game(scales=scales)
    assert isinstance(play, PairedGame)
    said = play.verdict(batch(), now())
    assert said.real.shape == said.fake.shape == (4,)
    assert said.seen.shape == said.made.shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"adversarial": 0, "nearness": 0}, "leave nothing to learn"),
        ({"adversarial": 0, "scales": 2}, "scales=2 would change nothing"),
        ({"network": "pix2pix", "depth": 2}, "depth=2 would change nothing"),
        ({"gamma": 0, "gamma_end": 0, "sparse": 2}, "sparse=2 would change nothing"),
        ({"levels": 5}, "levels=5 needs pictures of 32 pixels"),
        ({"critic_layers": 3}, "needs pictures of 24 pixels a side"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    chosen: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        game(**chosen)


@pytest.mark.parametrize("direction", ["A-to-B", "B-to-A"])
def test_it_learns_the_answer(direction: str, tmp_path: Path) -> None:
    settings = {**SMALL, "direction": direction, "batch_size": 8, "lr": 3e-3, "jitter": 0}
    data = pairs(32)
    run = fit(
        data, model="pix2pix", examples=640, out=tmp_path / "run", settings=settings, quiet=True
    )
    model, unseen = run.model(), pairs(8, seed=1).batch(range(8)).x
    given, wanted = Sides(1, direction == "B-to-A").split(unseen)
    with torch.no_grad():
        error = (model.translate(given, model.targets[0]) - wanted).abs().mean()
    assert error < 0.1


def test_pictures_need_not_be_multiples_of_the_network_s_steps(tmp_path: Path) -> None:
    settings = {**SMALL, "levels": 3, "batch_size": 8}
    data = pairs(16, side=20)
    run = fit(data, model="pix2pix", examples=16, out=tmp_path, settings=settings, quiet=True)
    assert run.model().multiple == 8 and run.previews()
