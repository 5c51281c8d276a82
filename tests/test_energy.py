"""Energy-based models: the likelihood's gradient, energies that stay, chains that find data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

import latentia
from games import TINY, tiny_run, tiny_trainer, weights
from latentia.abilities import TakesClasses, abilities_of
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.detection.scorer import OutlierScorer
from latentia.detection.scores import SCORES, chosen_scores
from latentia.errors import UserError
from latentia.fitting import build_trainer, plan
from latentia.game import Batch, Now, Player
from latentia.models.energy import EnergyModel, JointEnergyModel
from latentia.objectives.contrastive_divergence import ContrastiveDivergence, ReplayBuffer
from latentia.samplers.langevin import Draw, Walk, langevin
from latentia.training.budget import Budget

MOONS, DIGITS = "two-moons:2000", "digits"


def now(step: int = 0, rank: int = 0, world: int = 1) -> Now:
    return Now(step, 0.5, torch.Generator().manual_seed(step), torch.device("cpu"), rank, world)


def batch_of(x: Tensor, labels: Tensor | None = None) -> Batch:
    return Batch(x, labels, torch.arange(len(x)))


# the objective, on models of a few numbers


class Parabola(nn.Module):
    """E(x) = k (x − m)² / 2, whose likelihood is known; its chains converge."""

    walk = Walk.exact(0.4)

    def __init__(self, k: float, m: float) -> None:
        super().__init__()
        self.k, self.m = (nn.Parameter(torch.tensor(v)) for v in (k, m))

    def standardise(self, x: Tensor) -> Tensor:
        return x

    def kept(self, x: Tensor) -> Tensor:
        return x

    def logits(self, x: Tensor) -> Tensor:
        return -0.5 * self.k * (x - self.m) ** 2

    def start(self, draw: Draw, strange: float) -> Tensor:
        return draw()

    def roam(self, x: Tensor, draw: Draw, steps: int) -> Tensor:
        return langevin(lambda x: -self.logits(x).squeeze(1), x, draw, self.walk, steps)


class Two(nn.Module):
    """Energies of two places; data are at the one, chains end at the other."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(2))

    def standardise(self, x: Tensor) -> Tensor:
        return x

    def kept(self, x: Tensor) -> Tensor:
        return x

    def logits(self, x: Tensor) -> Tensor:
        return -self.places[x.long()]

    def start(self, draw: Draw, strange: float) -> Tensor:
        return torch.ones_like(draw())

    def roam(self, x: Tensor, draw: Draw, steps: int) -> Tensor:
        return x


def game(model: nn.Module, alpha: float = 0.0, steps: int = 100) -> ContrastiveDivergence:
    return ContrastiveDivergence(model, Player(model, 1e-3), steps, None, alpha, 0.0)  # type: ignore[arg-type]


def test_the_contrast_is_the_likelihoods_gradient() -> None:
    k, m = 2.0, 0.5
    model = Parabola(k, m)
    x = torch.randn(40_000, 1, generator=torch.Generator().manual_seed(1)) * 0.8 - 0.3
    (_, terms), *_ = game(model).play(batch_of(x), now())
    found = torch.autograd.grad(torch.stack(list(terms.values())).sum(), [model.k, model.m])
    # −log p = k (x − m)² / 2 + log Z, whose slope in k is half the mean square of the chains
    spread = 1 / (k * (1 - model.walk.step * k / 2))  # of chains of this step
    exact = (0.5 * (x - m).square().mean().item() - 0.5 * spread, -k * (x.mean().item() - m))
    assert found[0].item() == pytest.approx(exact[0], abs=0.01)
    assert found[1].item() == pytest.approx(exact[1], abs=0.03)


def test_following_it_finds_the_density_of_the_data() -> None:
    model = Parabola(2.5, 0.5)
    objective = game(model, steps=15)
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(2)) * 0.5 + 1.5
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        for _, terms in objective.play(batch_of(x), now(step)):
            optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()
    k = model.k.item()
    reached = 1 / (k * (1 - model.walk.step * k / 2))  # by chains of this step at this k
    assert model.m.item() == pytest.approx(x.mean().item(), abs=0.05)
    assert reached == pytest.approx(x.var().item(), rel=0.12)


def test_alpha_keeps_energies_within_its_bounds() -> None:
    alpha, model = 0.25, Two()
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for step in range(200):
        for _, terms in game(model, alpha).play(batch_of(torch.zeros(4, 1)), now(step)):
            optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()
    bound = 1 / (2 * alpha)
    torch.testing.assert_close(model.places.data, torch.tensor([-bound, bound]), atol=1e-2, rtol=0)


def test_chains_are_kept_and_some_start_afresh() -> None:
    replay, size, share = ReplayBuffer(400, (2,), 0.25), 400, 0.25
    for step in range(4):
        fresh = torch.full((100, 2), float(step))
        starts, places = replay.take(fresh, now(step))
        assert torch.equal(starts, fresh)  # it fills first
        replay.put(starts, places, now(step))
    assert int(replay.filled) == size and len(replay.states.unique()) == 4
    afresh = []
    for step in range(20):
        starts, places = replay.take(torch.full((100, 2), -1.0), now(step))
        assert len(set(places.tolist())) == 100
        anew = starts[:, 0] == -1
        assert torch.equal(starts[~anew], replay.states[places][~anew])
        afresh.append(anew.float().mean().item())
    assert np.mean(afresh) == pytest.approx(share, abs=0.03)


# the family


def fitted(tmp: Path, data: str, examples: int, **settings: object) -> EnergyModel:
    """The averaged model of a run without previews, which cost as much as a short training."""
    run, dataset = plan(data, "energy", Budget(examples=examples), tmp, 0, settings)
    trainer = build_trainer(run, dataset, torch.device("cpu"))
    trainer.preview = trainer.checkups = None
    assert trainer.run()
    model = trainer.average.model
    assert isinstance(model, EnergyModel)
    return model


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> EnergyModel:
    return fitted(tmp_path_factory.mktemp("moons"), MOONS, 80_000, width=(64,), steps=100)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> JointEnergyModel:
    model = fitted(
        tmp_path_factory.mktemp("digits"),
        DIGITS,
        12_000,
        labels="joint",
        contrast_weight=1.0,
        width=(16, 32),
        depth=(0, 1),
        chain_steps=5,
        steps=60,
        precision="float32",
    )
    assert isinstance(model, JointEnergyModel)
    return model


def uniform_like(x: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low, high = x.amin(0) - 1, x.amax(0) + 1
    return low + (high - low) * torch.rand(x.shape, generator=generator)


@torch.no_grad()
def test_data_have_less_energy_than_noise(moons: EnergyModel) -> None:
    x = open_data(MOONS, split="test").batch(range(200)).x
    found = torch.cat([moons.energy(x), moons.energy(uniform_like(x))]).numpy()
    assert moons.temperature == pytest.approx(1)
    assert roc_auc_score(np.arange(400) >= 200, found) > 0.9


def test_samples_lie_near_data(moons: EnergyModel) -> None:
    x = open_data(MOONS).batch(range(1800)).x
    made = moons.sample(range(200))
    near, far = (torch.cdist(rows, x).amin(1) for rows in (made, uniform_like(x[:200])))
    assert near.quantile(0.9) < 0.35 and near.mean() < 0.5 * far.mean()
    wide = made.std(0) / x.std(0)
    assert wide.min() > 0.7 and wide.max() < 1.3


def test_longer_chains_stay(moons: EnergyModel) -> None:
    short, long = moons.sample(range(100), steps=100), moons.sample(range(100), steps=600)
    assert long.std(0).max() < 1.3 * short.std(0).max()


def test_an_untrained_energy_tells_nothing_apart() -> None:
    x = open_data(DIGITS, split="test").batch(range(150)).x
    found = []
    for seed in range(12):
        run, _ = plan(DIGITS, "energy", Budget(examples=1), None, seed, {})
        with torch.no_grad():
            values = run.build().energy(torch.cat([x, x.flip(3)])).numpy()
        found.append(roc_auc_score(np.arange(300) >= 150, values))
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_it_has_an_energy_and_no_likelihood(moons: EnergyModel, digits: JointEnergyModel) -> None:
    assert abilities_of(moons) == ("sample", "energy")
    assert abilities_of(digits) == ("sample", "energy", "predict_proba")
    assert isinstance(digits, TakesClasses) and not isinstance(moons, TakesClasses)


@torch.no_grad()
def test_a_joint_energy_is_that_of_its_classes_together(digits: JointEnergyModel) -> None:
    test = open_data(DIGITS, split="test").batch(range(170))
    logits = digits.logits(test.x)
    torch.testing.assert_close(digits.energy(test.x), -logits.exp().sum(1).log())
    found = digits.predict_proba(test.x)
    torch.testing.assert_close(found.sum(1), torch.ones(170))
    assert (found.argmax(1) == test.labels).float().mean() > 0.9


def test_chains_find_the_class_they_are_asked_for(digits: JointEnergyModel) -> None:
    asked = torch.arange(10).repeat(4)
    made = digits.sample(range(40), condition=asked)
    with torch.no_grad():
        found = digits.predict_proba(made)
    assert (found.argmax(1) == asked).float().mean() > 0.8
    even = digits.sample(range(3), condition=torch.full((10,), 0.1), steps=5)
    torch.testing.assert_close(even, digits.sample(range(3), steps=5), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("image", {"width": (8, 24)}),
        ("image", {"depth": (1, 1)}),
        ("image", {"labels": "joint"}),
        ("image", {"chain_steps": 4}),
        ("image", {"buffer": 48}),
        ("image", {"refresh": 0.9}),
        ("image", {"noise": 0.05}),
        ("image", {"step": 1.0}),
        ("image", {"clip": 0.001}),
        ("image", {"data_noise": 0.1}),
        ("image", {"alpha": 0.5}),
        *(("image", {key: 0.0}) for key in ("strange", "broken")),
        ("image", {"lr": 1e-4}),
        ("image", {"beta1": 0.5}),
        ("vector", {"depth": (3,)}),
        ("vector", {"step": 0.1}),
        ("vector", {"chains": "short-run"}),
    ],
)
def test_every_setting_changes_the_outcome(
    kind: str, change: dict[str, object], tmp_path: Path
) -> None:
    if "chains" in change:
        change = {**change, "buffer": 2048}
    trainers = [
        tiny_trainer("energy", kind, tmp_path / str(i), examples=96, **changed)
        for i, changed in enumerate(({}, change))
    ]
    for trainer in trainers:
        trainer.preview = trainer.checkups = None
        trainer.run()
    usual, other = (trainer.model.state_dict() for trainer in trainers)
    same = usual.keys() == other.keys() and all(
        usual[k].shape == other[k].shape and torch.equal(usual[k], other[k]) for k in usual
    )
    assert not same


def test_a_sample_takes_as_many_steps_as_it_is_told(moons: EnergyModel) -> None:
    assert not torch.equal(moons.sample([1], steps=3), moons.sample([1], steps=4))
    assert torch.equal(moons.sample([1]), moons.sample([1], steps=moons.steps))


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({}, 60), ({"steps": 7}, 7), ({"chains": "short-run", "buffer": 2048}, 3)],
)
def test_chains_of_samples_are_as_old_as_those_of_training(
    settings: dict[str, object], steps: int, tmp_path: Path
) -> None:
    run, _ = tiny_run("energy", "vector", tmp_path, **settings)
    assert run.build().steps == steps  # 3 steps, one chain in twenty afresh


def test_the_weight_of_the_contrast_acts(tmp_path: Path) -> None:
    found = []
    for weight in (1.0, 0.1):
        trainer = tiny_trainer(
            "energy", "image", tmp_path / str(weight), labels="joint", contrast_weight=weight
        )
        batch = trainer.batches.batch_at(0)
        found.append(next(iter(trainer.objective.play(batch, now())))[1])
    for name, weight in (("contrast", 0.1), ("bound", 0.1), ("labels", 1.0)):
        torch.testing.assert_close(found[1][name], weight * found[0][name])


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("vector", {"labels": "joint"}, None),
        ("vector", {"buffer": 8}, "fewer chains than a step takes"),
        ("vector", {"chains": "short-run"}, "buffer=32 would change nothing"),
        ("vector", {"contrast_weight": 2.0}, "for labels=joint"),
        ("vector", {"width": (8, 8)}, "one level"),
        ("vector", {"strange": 0.5}, "strange=0.5 would change nothing"),
        ("vector", {"broken": 0.5}, "broken=0.5 would change nothing"),
        ("vector", {"noise": 0.0}, "stands still"),
        ("image", {"width": (8,)}, "same number of levels"),
        ("image", {"width": (8, 8, 8, 8, 8), "depth": (0, 0, 0, 0, 0)}, "too many"),
    ],
)
def test_what_does_not_go_together_is_refused(
    kind: str, settings: dict[str, object], words: str | None, tmp_path: Path
) -> None:
    run, _ = tiny_run("energy", kind, tmp_path, **settings)
    if words is None:  # the moons have classes
        assert isinstance(run.build(), JointEnergyModel)
        return
    with pytest.raises(UserError, match=words):
        run.build()


def test_classes_need_labels(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(50, 2))
    joint = {**TINY["energy", "vector"], "batch_size": 16, "labels": "joint"}
    with pytest.raises(UserError, match="has no labels, and labels=joint"):
        latentia.fit(points, model="energy", examples=32, out=tmp_path, quiet=True, settings=joint)


def test_the_history_tells_the_energies(tmp_path: Path) -> None:
    run, _ = tiny_run("energy", "image", tmp_path)
    trainer = build_trainer(run, run.data(), torch.device("cpu"))
    trainer.run()
    notes = run.history()[-1]["notes"]
    assert notes["energy_gap"] == pytest.approx(notes["energy_chains"] - notes["energy_data"])
    assert notes["energy_largest"] >= abs(notes["energy_data"])
    assert any("states" in name for name in weights(trainer))  # the chains are saved


# outliers


def test_energy_is_a_score_of_whatever_has_one(moons: EnergyModel) -> None:
    assert list(chosen_scores(None, moons, (2,))) == ["energy"]

    class Weighs:
        """Any model with an energy, such as the free energy of another family."""

        def energy(self, x: Tensor) -> Tensor:
            return x.flatten(1).square().sum(1)

    assert SCORES["energy"].fits(Weighs(), (2,)) and not SCORES["energy"].fits(object(), (2,))
    assert list(chosen_scores(None, Weighs(), (1, 4, 4))) == ["energy"]


def test_outliers_stand_out_by_their_energy(moons: EnergyModel) -> None:
    train, test = open_data(MOONS), open_data(MOONS, split="test")
    scorer = OutlierScorer.fit(moons, train, test.subset(slice(0, None, 2)))
    normal = scorer.score(test.subset(slice(1, None, 2)))
    strange: Dataset = open_data(uniform_like(test.batch(range(100)).x, 1).numpy() * 2, split="all")
    odd = scorer.score(strange)
    truth = np.r_[np.zeros(len(normal)), np.ones(len(odd))]
    assert roc_auc_score(truth, np.r_[normal.total, odd.total]) > 0.9
    assert np.median(odd.p_value) < 0.05 < np.median(normal.p_value)
    assert math.isclose(float(np.mean(normal.p_value)), 0.5, abs_tol=0.15)
    assert "higher energy" in odd.words(0)
