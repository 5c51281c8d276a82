"""Progressive growing: what grows is continuous, cheap when small, and travels with the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from games import tiny_trainer, weights
from latentia.errors import UserError
from latentia.fitting import build_trainer, fit
from latentia.game import Batch
from latentia.maths.adversarial import gradient_penalty
from latentia.nn.adversarial_nets import ImageCritic, ImageGenerator
from latentia.nn.progressive import Growing, ProgressiveCritic, ProgressiveGenerator, doubled
from latentia.objectives.progressive import Progressive, Schedule
from latentia.run import Run, load
from latentia.training.ema import WeightAverage
from latentia.training.trainer import Trainer

SHAPE = (3, 64, 64)


def nets(
    shape: tuple[int, int, int] = SHAPE, doublings: int = 2, growth: float = 0.0
) -> tuple[ProgressiveGenerator, ProgressiveCritic]:
    """Small networks whose residual branches do something."""
    torch.manual_seed(0)
    generator = ProgressiveGenerator(6, shape, doublings=doublings, width=8)
    critic = ProgressiveCritic(shape, doublings=doublings, width=8)
    for net in (generator, critic):
        stir(net)
        net.grow(growth, 0)
    return generator, critic


def stir(net: nn.Module) -> None:
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)


def pictures(n: int, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def noise(n: int) -> Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(2))


def test_the_schedule_doubles_fades_and_stays() -> None:
    schedule = Schedule(2, grow_share=0.6, fade=0.5)
    at = {0.0: 0, 0.15: 0, 0.225: 0.5, 0.3: 1, 0.45: 1, 0.525: 1.5, 0.6: 2, 0.8: 2, 1.0: 2}
    for share, growth in at.items():
        assert schedule.growth(share) == pytest.approx(growth, abs=1e-6)
    every = [schedule.growth(i / 500) for i in range(501)]
    assert every == sorted(every)
    assert max(b - a for a, b in pairwise(every)) < 0.02


@pytest.mark.parametrize("shape", [SHAPE, (1, 28, 28), (1, 50, 30)])
def test_fully_grown_they_are_the_networks_of_the_gan(shape: tuple[int, int, int]) -> None:
    doublings = 1 if shape[1] == 28 else 2
    generator, critic = nets(shape, doublings, growth=doublings)
    plain, judge = ImageGenerator(6, shape, width=8), ImageCritic(shape, width=8)
    plain.stem, judge.head = generator.stem, critic.head
    between = [
        part for pair in zip(generator.ups, generator.blocks[1:], strict=True) for part in pair
    ]
    plain.levels = nn.Sequential(generator.blocks[0], *between, generator.exits[-1])
    assert torch.equal(generator(noise(3)), plain(noise(3)))
    down = [
        p for b, d in zip(critic.blocks, [None, *critic.downs], strict=True) for p in (d, b) if p
    ]
    judge.levels = nn.Sequential(critic.entrances[-1], *down[::-1])
    x = pictures(3, shape)
    whole = shape == SHAPE or shape[1] == 28
    if whole:  # elsewhere edges are repeated instead of blackened
        torch.testing.assert_close(critic(x), judge(x))


@pytest.mark.parametrize("growth", [0.0, 0.25, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("shape", [SHAPE, (1, 50, 30)])
def test_pictures_are_full_at_every_growth(growth: float, shape: tuple[int, int, int]) -> None:
    generator, critic = nets(shape, growth=growth)
    full = generator(noise(4))
    assert full.shape == (4, *shape) and full.isfinite().all()
    side = 2 ** (2 - generator.stage()[0])
    rows, columns = shape[1] // side * side, shape[2] // side * side
    cells = full[:, :, :rows, :columns].unfold(2, side, side).unfold(3, side, side)
    assert torch.equal(cells.amax((4, 5)), cells.amin((4, 5)))  # enlarged, not invented
    if shape == SHAPE:
        torch.testing.assert_close(generator.shrunk(full), generator.small(noise(4)))
    # what comes full is shrunk by the critic itself
    torch.testing.assert_close(critic(full), critic(critic.shrunk(full)))
    assert critic(full).shape == (4,)


@pytest.mark.parametrize("level", [0, 1])
def test_a_new_level_enters_without_a_jolt(level: int) -> None:
    generator, critic = nets(growth=level)
    old, said = generator(noise(3)), critic(critic.faded(pictures(3)))
    for net in (generator, critic):
        net.grow(level + 1e-4, 5)
    torch.testing.assert_close(generator(noise(3)), old, atol=1e-2, rtol=0)
    real = critic.faded(pictures(3))
    assert real.shape[2] == 16 * 2 ** (level + 1)
    torch.testing.assert_close(critic(real), said, atol=1e-2, rtol=1e-2)


def test_real_pictures_fade_as_generated_ones_do() -> None:
    _, critic = nets(growth=0.25)
    half = nn.functional.avg_pool2d(x := pictures(2), 2)
    quarter = doubled(nn.functional.avg_pool2d(x, 4))
    torch.testing.assert_close(critic.faded(x), 0.25 * half + 0.75 * quarter)


def test_a_small_picture_costs_a_fraction() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    costs = []
    for growth in (0.0, 1.0, 2.0):
        generator, critic = nets(growth=growth)
        with FlopCounterMode(display=False) as counter:
            critic(generator.small(noise(2)))
        costs.append(counter.get_total_flops())
    assert costs[0] < 0.5 * costs[2] and costs[1] < 0.85 * costs[2]


def test_penalties_are_those_of_the_full_pictures() -> None:
    """Pooling spreads a slope evenly: on 4^k as many pixels its square is 4^-k as large."""
    _, critic = nets(growth=0.0)
    full = doubled(doubled(critic.shrunk(pictures(4))))
    small = gradient_penalty(critic, critic.shrunk(full)).detach()
    torch.testing.assert_close(gradient_penalty(critic, full).detach(), small / 16)


def test_levels_that_do_not_act_have_no_birthday_and_learn_nothing(tmp_path: Path) -> None:
    trainer = tiny_trainer("progressive-gan", "image", tmp_path, grow_share=1.0, fade=0.1)
    generator = trainer.model.net
    assert isinstance(generator, ProgressiveGenerator)
    before = weights(trainer)
    for _ in range(3):
        trainer._step(0.5)
    changed = {name for name, w in weights(trainer).items() if not torch.equal(w, before[name])}
    assert not [name for name in changed if ".ups." in name or ".downs." in name]
    assert generator.born.tolist() == [0, -1]
    trainer._step(0.95)
    assert generator.born.tolist() == [0, 3]
    assert [
        n for n, w in weights(trainer).items() if ".ups." in n and not torch.equal(w, before[n])
    ]


def test_new_levels_enter_the_average_when_they_start_to_act() -> None:
    live, gamma = nets()[0], 5.0
    average = WeightAverage(live, gamma)
    shadow = average.model
    assert isinstance(shadow, Growing)
    path: list[float] = []
    for step in range(1, 41):
        live.grow(0.0 if step <= 20 else 0.5, step - 1)
        if step > 20:
            nn.init.constant_(live.exits[1].bias, float(step))
            path.append(step)
        nn.init.constant_(live.exits[0].bias, float(step))
        average.update(step)
    shares = [k ** (gamma + 1) - (k - 1) ** (gamma + 1) for k in range(1, 21)]
    expected = sum(s * value for s, value in zip(shares, path, strict=True)) / sum(shares)
    assert float(shadow.exits[1].bias[0]) == pytest.approx(expected, rel=1e-5)
    assert float(shadow.exits[0].bias[0]) < float(shadow.exits[1].bias[0])  # a longer memory
    assert torch.equal(shadow.growth, live.growth) and torch.equal(shadow.born, live.born)


class Stop(BaseException):
    """Stands in for a power cut."""


def cut_after(trainer: Trainer, step: int) -> None:
    """Run until that step, saving after each."""
    batch_at = trainer.batches.batch_at

    def until(at: int, rank: int = 0, world: int = 1) -> Batch:
        if at == step:
            raise Stop
        return batch_at(at, rank, world)

    trainer.course = replace(trainer.course, checkpoint_seconds=0.0)
    trainer.batches.batch_at = until  # type: ignore[method-assign]
    with pytest.raises(Stop):
        trainer.run()


@pytest.mark.parametrize(("step", "growth"), [(2, 0.0), (8, 0.75)])
def test_a_run_that_was_stopped_samples_full_pictures(
    step: int, growth: float, tmp_path: Path
) -> None:
    trainer = tiny_trainer("progressive-gan", "image", tmp_path, examples=160, grow_share=0.8)
    cut_after(trainer, step)
    model = load(tmp_path)
    assert float(model.net.growth) == pytest.approx(growth, abs=1e-5)
    drawn = model.sample(range(3))
    assert drawn.shape == (3, 1, 8, 8)
    cells = drawn.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(cells.amax((4, 5)), cells.amin((4, 5))) == (growth == 0)


@pytest.mark.parametrize(
    "chosen", [{"conditional": True}, {"augment": "adaptive", "augment_p": 0.5}, {"candidates": 1}]
)
def test_cut_in_the_middle_of_a_fade_it_ends_the_same(chosen: dict, tmp_path: Path) -> None:
    start: Callable[[Path], Trainer] = lambda folder: tiny_trainer(  # noqa: E731
        "progressive-gan", "image", folder, examples=160, **chosen
    )
    whole, cut = start(tmp_path / "whole"), start(tmp_path / "cut")
    assert whole.run()
    cut_after(cut, 7)
    run = Run.open(tmp_path / "cut")
    resumed = build_trainer(run, run.data(), torch.device("cpu"))
    resumed.resume()
    growing = resumed.objective
    assert isinstance(growing, Progressive)
    assert 0 < growing.schedule.growth(7 / 10) < 1
    assert resumed.run()
    ends = [weights(trainer) for trainer in (whole, resumed)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert torch.equal(whole.average.model.sample([1]), resumed.average.model.sample([1]))
    if "conditional" in chosen:
        asked = load(tmp_path / "cut").sample([1, 2], condition=torch.tensor([3, 7]))
        assert asked.shape == (2, 1, 8, 8)


def test_the_diary_tells_the_side(tmp_path: Path) -> None:
    tiny_trainer("progressive-gan", "image", tmp_path).run()
    noted = {name for row in Run.open(tmp_path).history() for name in row["notes"]}
    assert {"growth", "side"} <= noted


def test_what_cannot_grow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to grow"):
        tiny_trainer("progressive-gan", "image", tmp_path / "a", start_size=8)
    with pytest.raises(UserError, match="kind vector"):
        fit("two-moons", model="progressive-gan", out=tmp_path / "b", quiet=True)
