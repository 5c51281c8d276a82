"""Figures of generators: modes of stacks, classes, paths, learning from samples; good and bad."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from games import tiny_run, tiny_trainer
from latentia.abilities import Seeds
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics import occasion, tables
from latentia.metrics.accuracy_score import accuracy_score
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.features import StandardisedVectors, default_extractor
from latentia.metrics.membership import scores_of
from latentia.metrics.mode_count import channel_classes, channel_classifier, stacked_modes
from latentia.metrics.path_length import path_length
from test_metrics_pictures import TEST, TRAIN, UNSEEN, Replays


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(*args: object, **named: object) -> object:
        return default_extractor(*args, **named, examples=9000)  # type: ignore[arg-type]

    monkeypatch.setattr(occasion, "default_extractor", quick)


class Reads:
    """A perfect classifier of flat grey channels: level -1, 0 or 1 is class 0, 1 or 2."""

    def predict_proba(self, x: Tensor) -> Tensor:
        level = (x.mean((1, 2, 3)) + 1).round().long()
        return torch.nn.functional.one_hot(level, 3).float()


def flat(levels: Tensor) -> Tensor:
    """`(N, C)` in {-1, 0, 1} as flat pictures `(N, C, 4, 4)`."""
    return levels.float()[:, :, None, None].expand(-1, -1, 4, 4)


def test_modes_of_stacks_by_hand() -> None:
    every = torch.cartesian_prod(*[torch.tensor([-1, 0, 1])] * 3)
    good = stacked_modes(flat(every.repeat(10, 1)), Reads())
    assert (good.modes_found, good.modes, good.samples) == (27, 27, 270)
    assert good.kl_nats == pytest.approx(0, abs=1e-12) and good.sure_share == 1
    stuck = stacked_modes(flat(every[:1].repeat(50, 1)), Reads())
    assert stuck.modes_found == 1 and stuck.kl_nats == pytest.approx(math.log(27))
    half = stacked_modes(flat(every[[0, 0, 0, 13]]), Reads())
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert half.modes_found == 2 and half.kl_nats == pytest.approx(math.log(27) - entropy)


def test_levels_and_floats_count_alike() -> None:
    levels = torch.tensor([[0, 255, 0], [255, 255, 255]], dtype=torch.uint8)
    bytes_ = levels[:, :, None, None].expand(-1, -1, 4, 4)
    assert stacked_modes(bytes_, Reads()) == stacked_modes(
        flat(levels.long() // 255 * 2 - 1), Reads()
    )


def test_expected_modes_are_those_of_uniform_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    found = [
        stacked_modes(flat(torch.randint(-1, 2, (40, 3), generator=generator)), Reads())
        for _ in range(200)
    ]
    assert found[0].expected_modes == pytest.approx(
        np.mean([one.modes_found for one in found]), abs=0.4
    )
    assert found[0].expected_kl_nats == pytest.approx(
        np.mean([one.kl_nats for one in found]), abs=0.02
    )


def test_stacks_that_are_none_are_refused() -> None:
    with pytest.raises(UserError, match="pictures"):
        stacked_modes(torch.zeros(3, 2), Reads())
    with pytest.raises(UserError, match="not finite"):
        stacked_modes(torch.full((3, 1, 4, 4), math.nan), Reads())


def stacks(source: Dataset, n: int, seed: int, digits: int = 10) -> Dataset:
    """Two digits, one in each channel, named such as "07"."""
    assert source.labels is not None
    known = np.flatnonzero(source.labels < digits)
    rows = known[np.random.default_rng(seed).integers(len(known), size=(n, 2))]
    names = tuple(f"{a}{b}" for a in range(digits) for b in range(digits))
    labels = source.labels[rows] @ np.array([digits, 1])
    spec = DataSpec("stacks", "image", (2, 8, 8), n, "5" * 16, names)
    return Dataset(spec, source.values[rows][:, :, 0], labels)


def test_stacked_digits_are_counted_by_a_trained_classifier(cache: Path) -> None:
    train, test = stacks(TRAIN, 900, 0), stacks(TEST, 500, 1)
    shown = channel_classes(train)
    assert shown is not None and (shown @ np.array([10, 1]) == train.labels).all()
    judge = channel_classifier(train, test, examples=12_000, cache_dir=cache)
    assert judge.accuracy > 0.9
    whole = torch.from_numpy(stacks(UNSEEN, 600, 2).values)
    few = torch.from_numpy(stacks(UNSEEN, 600, 2, digits=3).values)
    good, bad = stacked_modes(whole, judge), stacked_modes(few, judge)
    assert good.modes == 100 and good.modes_found > 0.9 * good.expected_modes
    assert bad.modes_found < 60 and bad.kl_nats > good.kl_nats + 1


def test_only_names_of_one_character_for_each_channel_are_stacks() -> None:
    train = stacks(TRAIN, 60, 0)
    assert METRICS["stacked_modes"].fits(Replays(train), train)
    assert not METRICS["stacked_modes"].fits(Replays(TRAIN), TRAIN)
    facts = {**train.spec.to_json(), "classes": [f"kind {i}" for i in range(100)]}
    named = Dataset(DataSpec.from_json(facts), train.values, train.labels)
    assert channel_classes(named) is None
    with pytest.raises(UserError, match="073"):
        channel_classifier(named, named)


class Obeys:
    """Gives out unseen rows of the class asked for, or of the class `shift` further."""

    classes = 10

    def __init__(self, shift: int = 0, same: bool = False) -> None:
        self.shift, self.same = shift, same

    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        assert condition is not None and UNSEEN.labels is not None
        rows = []
        for seed, number in zip(seeds, condition.tolist(), strict=True):
            mine = np.flatnonzero(UNSEEN.labels == (number + self.shift) % 10)
            rows.append(mine[0 if self.same else seed % len(mine)])
        return UNSEEN.batch(np.array(rows)).x


def test_figures_by_class_of_an_obedient_a_deaf_and_a_dull_model(cache: Path) -> None:
    found = {
        name: evaluate(model, TRAIN, TEST, samples=400, metrics=["per_class"], cache_dir=cache)[
            "per_class"
        ]
        for name, model in (("good", Obeys()), ("deaf", Obeys(1)), ("dull", Obeys(same=True)))
    }
    good, deaf, dull = found["good"], found["deaf"], found["dull"]
    assert good["agreement"]["value"] > 0.85 and deaf["agreement"]["value"] < 0.1
    assert good["agreement"]["low"] < good["agreement"]["value"] < good["agreement"]["high"]
    assert good["frechet"] < 3 * good["real_frechet"] < deaf["frechet"]
    assert good["diversity"] == pytest.approx(good["real_diversity"], rel=0.2)
    assert dull["diversity"] == pytest.approx(0, abs=1e-6)
    assert set(good["classes"]) == set("0123456789")
    assert good["classes"]["3"]["agreement"]["n"] == 40
    json.dumps(good, allow_nan=False)
    assert len(tables.matrix_of("per_class", good)) == 11


def test_learning_from_samples_of_the_truth_and_of_wrong_classes() -> None:
    assert TRAIN.labels is not None
    labels = torch.arange(400) % 10
    good, bad = (Obeys(shift).sample(range(400), condition=labels) for shift in (0, 1))
    told: list[str] = []
    found = accuracy_score(
        good, labels, TRAIN, TEST, examples=6000, tell=lambda what, *_: told.append(what)
    )
    assert found["accuracy"]["value"] > 0.8 and found["ratio"] > 0.85
    assert found["rows"] == 400 and found["test_rows"] == len(TEST)
    assert set(told) == {"classifier on samples", "classifier on real rows"}
    wrong = accuracy_score(bad, labels, TRAIN, TEST, examples=6000)
    assert wrong["accuracy"]["value"] < 0.1 and wrong["real_accuracy"] == found["real_accuracy"]
    assert "trained on samples" in tables.figures_of({"accuracy_score": found})[0].name
    with pytest.raises(UserError, match="at least 20"):
        accuracy_score(good[:9], labels[:9], TRAIN, TEST)


def test_critics_of_pairs_with_a_class_tell_membership_too(tmp_path: Path) -> None:
    _, data = tiny_run("gan", "image", tmp_path, conditional=True)
    trainer = tiny_trainer("gan", "image", tmp_path / "other", conditional=True)
    score = scores_of(trainer.model.eval())["critic"]
    x = data.batch(range(12)).x
    likeliest, critic = score(x), trainer.model.critic
    every = torch.stack([critic(x, torch.full((12,), k)) for k in range(10)])
    assert torch.allclose(likeliest, every.detach().amax(0), atol=1e-5)


def vectors(n: int, seed: int) -> Dataset:
    """Three round groups in the plane."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=n)
    values = np.array([[0, 0], [4, 0], [0, 4]])[labels] + 0.5 * random.normal(size=(n, 2))
    spec = DataSpec("groups", "vector", (2,), n, "6" * 16, ("a", "b", "c"))
    return Dataset(spec, values.astype(np.float32), labels)


class Groups:
    """The truth about `vectors`."""

    classes, latent_dim = 3, 2

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        assert condition is not None
        return torch.tensor([[0.0, 0], [4, 0], [0, 4]])[condition] + 0.5 * z

    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        generator = torch.Generator().manual_seed(seeds[0])
        if condition is None:
            condition = torch.randint(3, (len(seeds),), generator=generator)
        return self.decode(torch.randn(len(seeds), 2, generator=generator), condition=condition)


def test_vectors_with_classes_have_the_same_figures() -> None:
    train, test = vectors(600, 0), vectors(300, 1)
    assert {"per_class", "path_length"} <= set(evaluate(Groups(), train, test, samples=90))
    found = evaluate(Groups(), train, test, samples=300, metrics=["per_class", "accuracy_score"])
    assert found["per_class"]["agreement"]["value"] > 0.95
    assert found["per_class"]["diversity"] == pytest.approx(1, abs=0.2)
    assert found["accuracy_score"]["ratio"] == pytest.approx(1, abs=0.05)
    json.dumps(found, allow_nan=False)
    with pytest.raises(UserError, match="asked for a class"):
        evaluate(Replays(train), train, test, metrics=["per_class"])


class Maps:
    """x = f(z)."""

    latent_dim = 2

    def __init__(self, jumps: bool = False) -> None:
        self.jumps = jumps

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z.sign() * 3 if self.jumps else 3 * z


def test_path_length_of_a_linear_map_is_that_of_its_arcs() -> None:
    values = 3 * np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    data = Dataset(DataSpec("plane", "vector", (2,), 2000, "7" * 16), values)
    same = StandardisedVectors(torch.zeros(2), torch.ones(2))
    found = path_length(Maps(), data, same, paths=5000)
    # an arc between draws at angle a and lengths r, s has E speed² = E [a² r_t² + (s − r)²]
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 40_000, 2))
    r, s = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    angle = np.arccos(np.clip((a * b).sum(1) / r / s, -1, 1))
    t = random.random(40_000)
    speeds = np.sort(angle**2 * (r + t * (s - r)) ** 2 + (s - r) ** 2)[400:-400]
    assert found["z"]["length"] == pytest.approx(speeds.mean() / 4, rel=0.06)
    assert found["crossfade"]["length"] == pytest.approx(1, rel=0.06)
    assert found["crossfade"]["smoothness"] == pytest.approx(1, abs=1e-4)
    few, again, other, finer = (
        path_length(Maps(), data, same, paths=400, seed=seed, epsilon=epsilon)
        for seed, epsilon in ((0, 1e-4), (0, 1e-4), (1, 1e-4), (0, 1e-3))
    )
    assert few == again and few["z"]["length"] != other["z"]["length"]
    assert few["z"]["length"] == pytest.approx(finer["z"]["length"], rel=0.01)
    json.dumps(found, allow_nan=False)
    shown = tables.figures_of({"path_length": found})
    assert [line.reference_name for line in shown] == ["fading one real row into another"] * 2
    # jumps: a path is still almost everywhere, but what little moves moves at once
    assert path_length(Maps(jumps=True), data, same, paths=50)["z"]["smoothness"] < 0.5


class Styled(Maps):
    """Straight ways through its styles are straight and even."""

    style_layers = 1

    def styles(
        self, z: Tensor, *, condition: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        return z[:, None] * (0.5 if truncation is None else truncation)

    def from_styles(self, styles: Tensor, *, noise: Tensor | None = None) -> Tensor:
        return 3 * styles[:, 0]


def test_path_length_in_styles_is_that_of_straight_ways() -> None:
    values = 3 * np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    data = Dataset(DataSpec("plane", "vector", (2,), 2000, "7" * 16), values)
    same = StandardisedVectors(torch.zeros(2), torch.ones(2))
    found = path_length(Styled(), data, same, paths=3000)
    assert found["w"]["length"] == pytest.approx(1, rel=0.06)
    assert found["w"]["smoothness"] == pytest.approx(1, abs=1e-4)
    assert found["z"]["length"] > 1.3 * found["w"]["length"]


def test_paths_of_models_with_classes_stay_in_one() -> None:
    train = vectors(600, 0)
    same = StandardisedVectors(torch.zeros(2), torch.ones(2))
    found = path_length(Groups(), train, same, paths=300)
    assert found["within_class"] and found["z"]["length"] < 0.3  # not from group to group
    assert found["crossfade"]["length"] < 0.3
    assert "within a class" in tables.conditions_of("path_length", found)


def test_path_length_refuses_what_has_no_paths() -> None:
    data = vectors(50, 0)
    same = StandardisedVectors(torch.zeros(2), torch.ones(2))
    with pytest.raises(UserError, match="does not decode"):
        path_length(object(), data, same)
    with pytest.raises(UserError, match="epsilon"):
        path_length(Maps(), data, same, epsilon=0.5)
    with pytest.raises(UserError, match="10 or more paths"):
        path_length(Maps(), data, same, paths=3)
