"""Disentanglement scores where theory gives their value, good and bad."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia.data.open import open_data
from latentia.data.spec import DataOptions, Dataset, DataSpec
from latentia.data.sprites import draw_factors, render
from latentia.errors import UserError
from latentia.metrics.disentanglement import disentanglement, entropies, mutual_information, scores
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.factors import factor_table
from latentia.metrics.intervention import beta_vae_score, factor_vae_score
from latentia.metrics.tables import conditions_of, figures_of, matrix_of

SIZES = {"shape": 3, "x": 8, "y": 8, "hue": 4}
VOTES = (2000, 1000)
SCORES = ("mig", "dci_disentanglement", "dci_completeness", "sap", "modularity")


def drawn(n: int = 4000, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.integers(0, k, n) for name, k in SIZES.items()}


def stacked(factors: dict[str, np.ndarray]) -> np.ndarray:
    """Factors as codes of unit range."""
    return np.stack([v / v.max() * 2 - 1 for v in factors.values()], 1)


def noise(n: int, d: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def judged(codes: np.ndarray, factors: dict[str, np.ndarray], **named: Any) -> dict[str, Any]:
    return scores(codes, factors, votes=VOTES, **named)


@pytest.fixture(scope="module")
def perfect() -> dict[str, Any]:
    return judged(stacked(drawn()), drawn())


def test_the_factors_themselves_score_one(perfect: dict[str, Any]) -> None:
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert perfect[name] == pytest.approx(1, abs=1e-6)
    assert perfect["factor_vae"] == perfect["beta_vae"] == 1
    # the rivals' information is the bias of counting: (20 − 1)(k − 1) / 2N, from few used bins
    assert perfect["mig"] == pytest.approx(1, abs=0.005)
    assert perfect["modularity"] == pytest.approx(1, abs=1e-3)
    chance = np.mean([1 / k for k in SIZES.values()])
    assert perfect["sap"] == pytest.approx(1 - chance, abs=0.04)  # the rival guesses
    assert [facts["best_latent"] for facts in perfect["factors"].values()] == [0, 1, 2, 3]
    assert perfect["vote_chance"] == 1 / 4


def test_twenty_bins_hold_twenty_classes_of_forty() -> None:
    factor = np.arange(4000) % 40
    found = judged(factor[:, None].astype(float), {"turn": factor})
    assert found["mig"] == pytest.approx(math.log(20) / math.log(40), abs=1e-6)


def test_the_order_of_latents_does_not_matter(perfect: dict[str, Any]) -> None:
    factors = drawn()
    turned = judged(-3 * stacked(factors)[:, [2, 0, 3, 1]] + 5, factors)
    for name in (*SCORES, "factor_vae", "beta_vae", "dci_informativeness"):
        assert turned[name] == pytest.approx(perfect[name], abs=0.02), name
    assert [facts["best_latent"] for facts in turned["factors"].values()] == [1, 3, 0, 2]


def test_redundant_codes_are_disentangled_but_not_complete() -> None:
    factors = drawn()
    found = judged(np.repeat(stacked(factors), 2, axis=1), factors)
    assert found["mig"] == found["sap"] == 0
    assert found["dci_disentanglement"] == pytest.approx(1, abs=1e-6)
    # two copies that matter alike: 1 − ln 2 / ln 8 = 2/3
    assert 0.66 < found["dci_completeness"] < 0.85
    assert found["dci_informativeness"] == pytest.approx(1, abs=1e-6)
    assert found["modularity"] == pytest.approx(1, abs=1e-3)
    assert found["factor_vae"] == 1


def test_a_rotated_pair_scores_low() -> None:
    factors = {name: drawn()[name] for name in ("x", "y")}
    straight = stacked(factors)
    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)
    found, best = judged(straight @ turn, factors), judged(straight, factors)
    assert best["mig"] > 0.99 and found["mig"] < 0.1
    assert best["dci_disentanglement"] > 0.99 and found["dci_disentanglement"] < 0.1
    assert found["dci_completeness"] < 0.1 and found["sap"] < 0.1 and found["modularity"] < 0.2
    assert found["factor_vae"] == pytest.approx(0.5, abs=0.1)  # both latents hold equally still
    assert found["dci_informativeness"] > 0.85  # nothing is lost by a rotation


def test_random_codes_score_as_chance_does() -> None:
    factors = drawn()
    found = judged(noise(4000, 8), factors)
    for name in ("mig", "dci_disentanglement", "dci_completeness", "sap"):
        assert abs(found[name]) < 0.03, name
    assert found["factor_vae"] == pytest.approx(1 / 4, abs=0.06)
    assert found["beta_vae"] == pytest.approx(1 / 4, abs=0.06)
    assert found["dci_informativeness"] == pytest.approx(found["chance"], abs=0.04)


def test_shuffled_rows_score_as_random_codes_do() -> None:
    factors = drawn()
    found = judged(np.random.default_rng(5).permutation(stacked(factors)), factors)
    assert found["mig"] < 0.02 and found["dci_disentanglement"] < 0.06 and abs(found["sap"]) < 0.03
    assert found["factor_vae"] == pytest.approx(1 / 4, abs=0.06)


def test_constant_codes_are_worth_nothing_and_break_nothing() -> None:
    found = judged(np.ones((4000, 3)), drawn())
    assert [found[name] for name in SCORES] == [0, 0, 0, 0, 0]
    assert found["active_latents"] == 0
    assert found["factor_vae"] == pytest.approx(1 / 4, abs=0.05)
    assert found["beta_vae"] == pytest.approx(1 / 4, abs=0.05)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("size", [0.0, 0.02])
def test_dead_latents_do_no_harm(perfect: dict[str, Any], size: float) -> None:
    factors = drawn()
    found = judged(np.c_[size * noise(4000, 2), stacked(factors)], factors)
    assert (found["active_latents"], found["latent_dim"]) == (4, 6)
    for name in (*SCORES, "factor_vae", "beta_vae"):
        assert found[name] == pytest.approx(perfect[name], abs=0.03), name


def test_small_codes_are_not_taken_for_dead(perfect: dict[str, Any]) -> None:
    found = judged(1e-4 * stacked(drawn()), drawn())
    assert found["active_latents"] == 4 and found["factor_vae"] == 1


def test_one_latent_and_one_factor() -> None:
    factors = drawn()
    single = judged(stacked(factors)[:, :1], factors)
    assert single["factors"]["shape"]["second_latent"] is None
    assert single["modularity"] == pytest.approx(1, abs=1e-3)
    assert single["mig"] == pytest.approx(1 / 4, abs=0.01)
    alone = judged(stacked(factors), {"x": factors["x"]})
    assert alone["mig"] == pytest.approx(1, abs=0.01)
    for name in ("dci_disentanglement", "modularity", "factor_vae", "beta_vae", "vote_chance"):
        assert alone[name] is None
    json.dumps([single, alone], allow_nan=False)


def test_a_seed_settles_everything() -> None:
    codes, factors = noise(1000, 4), drawn(1000)
    one, two, other = (judged(codes, factors, seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert one["factor_vae"] != other["factor_vae"]


def test_information_agrees_with_its_formula() -> None:
    factors = {"a": np.repeat([0, 1], 500), "b": np.tile([0, 1, 2, 3], 250)}
    table = factor_table(np.c_[factors["a"], factors["b"] // 2], factors)
    np.testing.assert_allclose(entropies(table), [math.log(2), math.log(4)])
    np.testing.assert_allclose(
        mutual_information(table), [[math.log(2), 0], [0, math.log(2)]], atol=1e-12
    )


def test_factors_are_words_reals_or_constant() -> None:
    random = np.random.default_rng(0)
    factors = {
        "kind": random.choice(["cat", "dog"], 1000),
        "size": random.random(1000),
        "place": np.full(1000, 7),
    }
    found = judged(np.c_[factors["kind"] == "cat", factors["size"]], factors)
    assert found["constant_factors"] == ["place"] and found["cut_factors"] == ["size"]
    assert {name: facts["classes"] for name, facts in found["factors"].items()} == {
        "kind": 2,
        "size": 20,
    }
    assert found["mig"] > 0.9


def test_groups_share_a_value() -> None:
    """With a code that names the value, no row of a group may differ from the others."""
    values = np.repeat(np.arange(30), np.arange(1, 31))  # values of fewer than 10 rows stay out
    other = np.random.default_rng(0).integers(0, 2, len(values))
    table = factor_table(np.c_[values, other], {"value": values, "other": other})
    assert factor_vae_score(table, votes=VOTES) == 1
    assert beta_vae_score(table, votes=VOTES) == 1


def test_errors_say_what_is_wrong() -> None:
    good, factors = noise(200, 3), drawn(200)
    for codes, given, words in (
        (good, {}, "no known factors"),
        (good, {"x": np.zeros(200)}, "single value"),
        (noise(50, 3), drawn(50), "too few"),
        (good, drawn(300), "shape"),
        (np.where(good > 2, np.nan, good), factors, "finite"),
        (good[:, 0], factors, "table"),
        (good, {"x": np.where(good[:, 0] > 1, np.inf, 0.0)}, "'x'"),
        (good, {"x": np.array([f"w{i}" for i in range(200)])}, "words"),
        (good, {"x": np.arange(200) // 4 % 50, "y": factors["y"]}, "'x' has 10 rows"),
    ):
        with pytest.raises(UserError, match=words):
            scores(codes, given, votes=VOTES)
    with pytest.raises(UserError, match="bins"):
        scores(good, factors, bins=1)


class ReadsCorners:
    """An encoder of sprites that knows nothing but brightness here and there."""

    latent_dim = 4

    def encode(self, x: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), 2).flatten(1)


def sprites(n: int, seed: int) -> Dataset:
    factors = draw_factors(n, seed)
    spec = DataSpec("sprites", "image", (3, 16, 16), n, "0" * 16)
    return Dataset(spec, render(factors, 16), labels=factors["shape"], factors=factors)


def test_a_model_is_judged_on_test_rows_where_there_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latentia.metrics.disentanglement.ENOUGH", 500)
    train, enough, few = sprites(800, 0), sprites(600, 1), sprites(300, 2)
    seen: list[tuple[int, int]] = []
    found = disentanglement(
        ReadsCorners(), train, enough, points=400, progress=lambda *at: seen.append(at)
    )
    assert (found["split"], found["points"], seen[-1]) == ("test", 400, (400, 400))
    assert disentanglement(ReadsCorners(), train, few)["split"] == "train"
    assert found["codes"] == "deterministic"
    # brightness by quarter tells of places, not of hue alone
    assert found["factors"]["x"]["best"] > 0.15
    with pytest.raises(UserError, match="does not encode"):
        disentanglement(object(), train, few)


def test_evaluate_shows_scores_and_table() -> None:
    train, test = sprites(600, 0), sprites(200, 1)
    metric = METRICS["disentanglement"]
    assert metric.by_default and metric.fits(ReadsCorners(), train)
    assert not metric.fits(ReadsCorners(), open_data("digits"))
    assert not metric.fits(object(), train)
    facts = evaluate(ReadsCorners(), train, test, metrics=["disentanglement"])["disentanglement"]
    json.dumps(facts, allow_nan=False)
    lines = {line.name: line for line in figures_of({"disentanglement": facts})}
    assert any("MIG" in name for name in lines) and any("FactorVAE" in name for name in lines)
    words = conditions_of("disentanglement", facts)
    assert "600 training rows" in words and "20 bins" in words and "hue (8)" in words
    head, *rows = matrix_of("disentanglement", facts)
    assert head[1:] == tuple(facts["factors"]) and len(rows) == 4
    assert all(len(row) == len(head) for row in rows)
    assert matrix_of("likelihood", {}) == []


def test_sprites_come_with_factors() -> None:
    data = open_data("sprites:200@16", options=DataOptions(channels=1))
    assert METRICS["disentanglement"].fits(ReadsCorners(), data)
