"""Unpaired translation: its losses in closed form, its networks, the pool, both games."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Batch, Judges, Now
from latentia.maths.translation import cycle_loss, identity_loss, jittered, patch_nce
from latentia.models.translator import Translator
from latentia.nn.picture_norm import PictureNorm
from latentia.nn.resnet_generator import QuickGenerator, ResnetGenerator
from latentia.objectives.contrastive import PatchHeads
from latentia.objectives.cycle import Critics, CycleGame
from latentia.objectives.pool import ImagePool
from latentia.recipes.base import parse_settings
from latentia.recipes.cyclegan import RECIPE, CycleGANSettings

NETWORKS = [QuickGenerator, ResnetGenerator]


def moment(rank: int = 0, world: int = 1, step: int = 1) -> Now:
    generator = torch.Generator().manual_seed(7 + step)
    return Now(step, 0.5, generator, torch.device("cpu"), rank, world)


def spec(side: int = 16, channels: int = 3) -> DataSpec:
    shape = (channels, side, side)
    return DataSpec("fruit", "image", shape, 40, "0" * 16, classes=("apples", "oranges"))


def game(**chosen: object) -> CycleGame:
    settings = parse_settings(
        CycleGANSettings, {"width": 8, "blocks": 1, "critic_width": 8, **chosen}, "cyclegan"
    ).resolved(spec())
    model = RECIPE.build_model(spec(), settings)
    return RECIPE.build_objective(model, spec(), settings)  # type: ignore[return-value]


def batch(rows: int = 8, side: int = 16) -> Batch:
    x = torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch(x, torch.arange(rows) % 2, torch.arange(rows))


# losses


def test_cycle_and_identity_losses_are_mean_distances() -> None:
    x = torch.randn(3, 2, 4, 4)
    assert cycle_loss(x, x) == 0 and identity_loss(x, x) == 0
    torch.testing.assert_close(cycle_loss(x + 0.25, x), torch.tensor(0.25))
    torch.testing.assert_close(identity_loss(x - 0.5, x), torch.tensor(0.5))


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_patch_nce_of_orthogonal_patches(temperature: float) -> None:
    keys = torch.eye(6).expand(2, 6, 6) * 3.0
    wanted = math.log(1 + 5 * math.exp(-1 / temperature))
    found = patch_nce(keys, keys, temperature)
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-6, rtol=1e-5)


def test_patch_nce_that_says_nothing_is_the_log_of_the_patches() -> None:
    same = torch.ones(2, 9, 4)
    torch.testing.assert_close(patch_nce(same, same), torch.tensor(math.log(9)))


def test_patch_nce_of_two_patches_is_a_logistic_loss() -> None:
    angle = 0.3
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([math.cos(angle), math.sin(angle)])
    both = torch.stack([a, b])[None]
    wanted = math.log(1 + math.exp((math.cos(angle) - 1) / 0.5))
    torch.testing.assert_close(patch_nce(both, both, 0.5), torch.tensor(wanted))


def test_patch_nce_teaches_queries_only_and_rewards_the_right_place() -> None:
    queries, keys = torch.randn(1, 5, 8, requires_grad=True), torch.randn(1, 5, 8).requires_grad_()
    patch_nce(queries, keys).backward()
    assert queries.grad is not None and keys.grad is None
    assert patch_nce(keys, keys) < patch_nce(keys.roll(1, 1), keys)


def test_jitter_shifts_whole_pictures() -> None:
    x = torch.arange(2 * 36.0).view(2, 1, 6, 6)
    assert torch.equal(jittered(x, torch.full((2, 2), 0.5), 2), x)
    moved = jittered(x, torch.tensor([[0.0, 0.5], [0.5, 0.99]]), 2)
    assert torch.equal(moved[0, :, 2:], x[0, :, :-2])
    assert torch.equal(moved[1, :, :, :-2], x[1, :, :, 2:])


# networks


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("norm", ["none", "pixel", "instance", "batch"])
def test_shapes_and_maps(network: type, norm: PictureNorm) -> None:
    net = network((3, 1), 8, 3, norm)
    x = torch.randn(2, 3, 24, 16)
    assert net(x).shape == (2, 1, 24, 16) and net(x).dtype == torch.float32
    maps = net.encode(x)
    assert tuple(m.shape[1] for m in maps) == net.encoded
    assert all(m.shape[2] * 16 == m.shape[3] * 24 for m in maps)


@pytest.mark.parametrize("network", NETWORKS)
def test_reach_is_what_a_pixel_depends_on(network: type) -> None:
    torch.manual_seed(0)
    net = network((1, 1), 8, 1, "pixel")
    side, furthest = 96, 0
    for at in range(44, 48):
        x = torch.randn(1, 1, side, side, requires_grad=True)
        (slope,) = torch.autograd.grad(net(x)[0, 0, at, at], x)
        rows = slope[0, 0].abs().sum(1).nonzero().flatten()
        furthest = max(furthest, at - int(rows.min()), int(rows.max()) - at)
    assert furthest <= net.reach <= furthest + 4
    assert network((1, 1), 8, 1, "instance").reach is None


@pytest.mark.parametrize("network", NETWORKS)
def test_a_part_of_a_large_picture_is_the_whole_s(network: type) -> None:
    net, x = network((3, 3), 8, 1, "pixel").eval(), torch.randn(1, 3, 80, 16)
    reach = -(-net.reach // 4) * 4
    with torch.no_grad():
        part, whole = net(x[:, :, : 40 + reach])[:, :, :40], net(x)[:, :, :40]
    torch.testing.assert_close(part, whole, atol=1e-5, rtol=1e-4)


def test_the_original_has_its_size() -> None:
    """1,965,059 parameters with 32 channels and 6 blocks, unused biases left out."""
    net = ResnetGenerator((3, 3), 32, 6, "instance")
    unused = 32 + 64 + 128 + 12 * 128 + 64 + 32
    assert sum(p.numel() for p in net.parameters()) == 1_965_059 - unused


def test_the_quick_one_begins_near_the_identity() -> None:
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert (QuickGenerator((3, 3))(x) - x).abs().mean() < 0.05


def test_heads_compare_the_patches_asked_for() -> None:
    heads = PatchHeads((2, 3), 4)
    maps = [torch.randn(2, 2, 4, 4), torch.randn(2, 3, 2, 2)]
    places = [torch.tensor([0, 5, 7]), torch.tensor([3])]
    found = heads(maps, places)
    assert [f.shape for f in found] == [(2, 3, 4), (2, 1, 4)]
    torch.testing.assert_close(found[1][:, 0], heads.heads[1](maps[1][:, :, 1, 1]))


# the pool


def test_the_pool_fills_and_then_exchanges() -> None:
    pool = ImagePool(6, (1, 1, 1))
    first = torch.arange(1.0, 7.0).view(6, 1, 1, 1)
    assert torch.equal(pool.exchange(first, moment()), first)
    assert torch.equal(pool.past, first) and pool.filled == 6
    news = torch.arange(101.0, 141.0).view(40, 1, 1, 1)
    shown = pool.exchange(news, moment())
    old = (shown != news).flatten()
    assert 0.2 < old.float().mean() < 0.8
    everything = torch.cat([shown, pool.past]).flatten().sort().values
    assert torch.equal(everything, torch.cat([first, news]).flatten().sort().values)


def test_a_pool_of_none_passes_everything() -> None:
    x = torch.randn(4, 1, 2, 2)
    assert ImagePool(0, (1, 2, 2)).exchange(x, moment()) is x


def test_a_saved_pool_goes_on_as_it_was() -> None:
    fakes = [torch.randn(4, 1, 2, 2) for _ in range(6)]
    whole, cut = ImagePool(5, (1, 2, 2)), ImagePool(5, (1, 2, 2))
    seen = [whole.exchange(x, moment(step=k)) for k, x in enumerate(fakes)]
    for k, x in enumerate(fakes[:3]):
        cut.exchange(x, moment(step=k))
    resumed = ImagePool(5, (1, 2, 2))
    resumed.load_state_dict(cut.state_dict())
    for k, x in enumerate(fakes[3:], 3):
        assert torch.equal(resumed.exchange(x, moment(step=k)), seen[k])


# the games


class Shift(nn.Module):
    """A generator that adds a constant."""

    multiple, reach = 1, 0

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.by


class Mean(nn.Module):
    """A critic that says the mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))


def test_the_terms_of_a_game_in_closed_form() -> None:
    """Domains of constant pictures −½ and ½, generators that add 0.8 and −0.6."""
    model = Translator(("a", "b"), (1, 1), {"a": Shift(-0.6), "b": Shift(0.8)})
    critics = Critics({"a": Mean(), "b": Mean()}, (1, 4, 4), pool=0, other=2.0)
    x = torch.tensor([-0.5, 0.5]).repeat(3).view(6, 1, 1, 1).expand(6, 1, 4, 4)
    played = CycleGame(model, critics, {}, cycle=3.0, identity=5.0)
    turns = played.play(Batch(x, torch.arange(6) % 2, torch.arange(6)), moment())
    who, terms = next(turns)
    assert who == "generator"
    fake_a, fake_b = -0.1, 0.3
    wanted = {
        "adversarial": 0.5 * ((fake_a - 1) ** 2 + (fake_b - 1) ** 2),
        "cycle": 3.0 * (0.2 + 0.2),
        "identity": 5.0 * (0.6 + 0.8),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(wanted, rel=1e-5)
    who, terms = next(turns)
    assert who == "critic"
    real = 0.5 * ((-0.5 - 1) ** 2 + (0.5 - 1) ** 2)
    wanted = {
        "adversarial": real + 0.5 * (fake_a**2 + fake_b**2),
        "other": 2.0 * (real + 0.5 * (0.5**2 + 0.5**2)),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(wanted, rel=1e-5)


def test_the_doctor_may_ask_about_rows_in_any_order() -> None:
    """Domains of constant pictures −½ and ½: who is who is told by the labels alone."""
    model = Translator(("a", "b"), (1, 1), {"a": Shift(-0.6), "b": Shift(0.8)})
    critics = Critics({"a": Mean(), "b": Mean()}, (1, 4, 4))
    played = CycleGame(model, critics, {})
    assert isinstance(played, Judges)
    labels = torch.tensor([1, 1, 0, 1, 0])
    x = (labels - 0.5).view(5, 1, 1, 1).expand(5, 1, 4, 4)
    said = played.verdict(Batch(x, labels, torch.arange(5)), moment())
    assert said.real.tolist() == [-0.5, -0.5, 0.5, 0.5], "as many of each"
    assert said.fake.tolist() == pytest.approx([-0.1, -0.1, 0.3, 0.3])
    assert torch.equal(said.seen.mean((1, 2, 3)), said.real)
    assert torch.equal(said.made.mean((1, 2, 3)), said.fake)
    critic, generator = played.stakes(said.real, said.fake)
    assert critic.item() == pytest.approx(0.5 * (1.25 + 0.05)), "½ E(D − 1)² + ½ E D²"
    assert generator.item() == pytest.approx(0.5 * (1.1**2 + 0.7**2) / 2)
    alone = played.verdict(Batch(x[:2], labels[:2], torch.arange(2)), moment())
    assert len(alone.real) == len(alone.made) == 0


@pytest.mark.parametrize("loss", ["least-squares", "relativistic", "non-saturating", "hinge"])
@pytest.mark.parametrize("mode", ["cycle", "contrastive"])
def test_every_loss_can_be_played(loss: str, mode: str) -> None:
    chosen = game(loss=loss, mode=mode, gamma=1.0)
    turns = dict(chosen.play(batch(), moment()))
    assert tuple(turns) == ("generator", "critic")
    for who, terms in turns.items():
        assert all(t.isfinite() for t in terms.values()), who


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_all_that_plays_learns(precision: torch.dtype) -> None:
    for mode in ("cycle", "contrastive"):
        chosen = game(mode=mode, loss="relativistic")
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            for who, terms in chosen.play(batch(), moment()):
                parameters = chosen.players[who].parameters
                total = torch.stack([t.float() for t in terms.values()]).sum()
                slopes = torch.autograd.grad(total, parameters, retain_graph=True)
                # an empty slope would be an error already
                assert all(slope.isfinite().all() for slope in slopes)
                assert sum(bool(slope.any()) for slope in slopes) > 0.8 * len(slopes), who


def test_one_direction_has_one_network() -> None:
    model = game(mode="contrastive", to="apples").model
    assert isinstance(model, Translator) and model.targets == ("apples",)
    assert game(mode="contrastive").model.targets == ("oranges",)
    assert game().model.targets == ("apples", "oranges")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"mode": "contrastive", "to": "orange"}, "did you mean 'oranges'"),
        ({"to": "oranges"}, "mode=contrastive"),
        ({"mode": "contrastive", "cycle": 9.0}, "mode=cycle"),
        ({"nce": 2.0}, "mode=contrastive"),
        ({"critic_layers": 5}, "lower critic_layers"),
        ({"jitter": 20}, "out of sight"),
        ({"augment": "fixed"}, "augment_p above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(chosen: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        game(**chosen)


def test_sides_that_do_not_fit_are_refused() -> None:
    settings = parse_settings(CycleGANSettings, {}, "cyclegan").resolved(spec(18))
    with pytest.raises(UserError, match="multiples of 4"):
        RECIPE.build_model(spec(18), settings)


class Level(nn.Module):
    """A critic that looks at the mean only."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.mean((1, 2, 3), keepdim=False)[:, None])


def test_dark_pictures_learn_to_be_bright_and_back() -> None:
    torch.manual_seed(0)
    model = Translator(("dark", "bright"), (1, 1), {"dark": Shift(0.0), "bright": Shift(0.0)})
    critics = Critics({"dark": Level(), "bright": Level()}, (1, 4, 4), pool=20, other=0.5)
    played = CycleGame(model, critics, {}, cycle=0.5, identity=0.0)
    generators = torch.optim.Adam(model.parameters(), 0.02, (0.5, 0.99))
    judges = torch.optim.Adam(critics.parameters(), 0.01, (0.5, 0.99))
    random = torch.Generator().manual_seed(1)
    for step in range(250):
        x = torch.rand(16, 1, 4, 4, generator=random) * 0.4 - 0.2
        x[0::2] -= 0.5
        x[1::2] += 0.5
        rows = Batch(x, torch.arange(16) % 2, torch.arange(16))
        for who, terms in played.play(rows, moment(step=step)):
            optimizer = generators if who == "generator" else judges
            optimizer.zero_grad()
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.stack(list(terms.values())).sum().backward(inputs=parameters)
            optimizer.step()
    shifts = [net.by.item() for net in model.nets.values()]  # type: ignore[operator, union-attr]
    assert shifts == pytest.approx([-1.0, 1.0], abs=0.35)
