"""Calibrated scores: honest p-values, ranks kept far out, combinations that hear every score."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from latentia.detection.calibration import Calibration, Margin, Rule
from latentia.errors import UserError

RULES = get_args(Rule)
Draw = dict[str, np.ndarray]


def correlated(n: int, seed: int, shared: float = 0.6) -> Draw:
    """Four correlated scores of different shapes and scales; the first is blind by design."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    normal = [np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=n) for _ in range(4)]
    return {
        "plain": normal[0],
        "squared": normal[1] ** 2,
        "heavy": np.exp(normal[2]),
        "bounded": 1e4 + stats.norm.cdf(normal[3]),
    }


@pytest.mark.parametrize("n", [40, 200, 5000])
def test_p_values_of_fresh_normal_data_are_uniform(n: int) -> None:
    errors = []
    for seed in range(20):
        calibration = Calibration.fit(correlated(n, seed))
        fresh = calibration.p_values(correlated(2000, 1000 + seed))
        errors.append([[(p <= a).mean() for a in (0.01, 0.1, 0.5)] for p in fresh.values()])
    mean = np.mean(errors, axis=(0, 1))
    slack = 0.006 + 0.3 / n
    np.testing.assert_allclose(mean, [0.01, 0.1, 0.5], atol=3 * slack, rtol=0.05)
    assert mean[0] < 0.01 + slack


@pytest.mark.parametrize("rule", RULES)
def test_the_combination_is_calibrated_although_scores_are_correlated(rule: Rule) -> None:
    shares = []
    for seed in range(20):
        calibration = Calibration.fit(correlated(300, seed), rule)
        p = calibration.combined_p(correlated(2000, 1000 + seed))
        shares.append([(p <= a).mean() for a in (0.01, 0.1, 0.5)])
    np.testing.assert_allclose(np.mean(shares, 0), [0.01, 0.1, 0.5], atol=0.012, rtol=0.06)


def test_the_tail_of_a_known_distribution_is_met_beyond_the_largest_score() -> None:
    rng = np.random.default_rng(0)
    for law in (stats.expon(scale=3), stats.genpareto(c=0.25, scale=2)):
        margin = Margin.fit(law.rvs(5000, random_state=rng))
        far = law.isf([1e-4, 1e-5, 1e-6])
        np.testing.assert_allclose(margin.surprises(far), -np.log([1e-4, 1e-5, 1e-6]), rtol=0.2)


@pytest.mark.parametrize("rule", RULES)
def test_far_outliers_still_rank_though_p_values_underflow(rule: Rule) -> None:
    held_out = correlated(200, 0)
    calibration = Calibration.fit(held_out, rule)
    far = {name: values.max() * np.logspace(1, 12, 12) for name, values in held_out.items()}
    for surprises in calibration.surprises(far).values():
        assert (np.diff(surprises) > 0).all() and np.isfinite(surprises).all()
    assert (np.diff(calibration.combined(far)) > 0).all()
    assert (calibration.combined_p(far) < 1e-3).all()


def test_surprise_never_falls_with_the_score() -> None:
    for values in correlated(137, 3).values():
        grid = np.linspace(values.min() - 1, values.max() + 5, 4000)
        surprises = Margin.fit(values).surprises(grid)
        assert surprises[0] == 0 and (np.diff(surprises) >= 0).all()


def test_a_score_that_shouts_is_heard_over_many_blind_ones() -> None:
    """Fifteen blind scores, all copies of one noise, and one that sees: the good oracle."""
    rng = np.random.default_rng(0)

    def draw(n: int, shift: float) -> Draw:
        noise = rng.normal(size=n)
        blind = {f"blind{k}": noise + 0.1 * rng.normal(size=n) for k in range(15)}
        return {"sees": rng.normal(size=n) + shift, **blind}

    held_out, normal, strange = draw(1000, 0), draw(1000, 0), draw(1000, 5)
    harmonic, fisher = (
        _auroc(c.combined(normal), c.combined(strange))
        for c in (Calibration.fit(held_out, rule) for rule in RULES[::-1])
    )
    assert harmonic > 0.97 and harmonic > fisher + 0.1
    alone = {"blind0": held_out["blind0"]}  # the bad oracle: without the one that sees
    blind = Calibration.fit(alone)
    assert abs(_auroc(blind.combined(normal), blind.combined(strange)) - 0.5) < 0.05


def test_weak_agreeing_scores_add_up_under_fisher() -> None:
    rng = np.random.default_rng(1)
    draw = lambda shift: {str(k): rng.normal(size=2000) + shift for k in range(8)}  # noqa: E731
    calibration = Calibration.fit(draw(0), "fisher")
    normal, strange = draw(0), draw(1.0)
    alone = _auroc(normal["0"], strange["0"])
    assert _auroc(calibration.combined(normal), calibration.combined(strange)) > alone + 0.15


def test_constant_and_tied_scores() -> None:
    margin = Margin.fit(np.full(50, 7.0))
    same, rounding, other = margin.surprises(np.array([7.0, 7.0 + 1e-14, 8.0]))
    assert same == 0 and rounding < 1e-3 and other > np.log(50)
    ties = Margin.fit(np.r_[np.zeros(95), np.linspace(1, 2, 5)])
    zero, one, three = ties.surprises(np.array([0.0, 1.0, 3.0]))
    assert zero == 0 and np.log(10) < one < np.log(100) and three > one + 1


@pytest.mark.parametrize("rule", RULES)
def test_json_and_back(rule: Rule) -> None:
    calibration = Calibration.fit(correlated(3000, 0), rule)
    text = json.dumps(calibration.to_json())
    again = Calibration.from_json(json.loads(text))
    fresh = correlated(50, 1)
    assert again == calibration and len(text) < 200_000
    np.testing.assert_array_equal(again.combined_p(fresh), calibration.combined_p(fresh))


@pytest.mark.parametrize(
    ("scores", "rule", "said"),
    [
        ({}, "fisher", "no scores"),
        ({"a": np.zeros(9), "b": np.zeros(8)}, "fisher", r"b \(8,\)"),
        ({"a": np.zeros((9, 2))}, "fisher", "one number for each row"),
        ({"a": np.array([0, np.nan, 1, 2, 3, 4])}, "fisher", "'a' is not finite for row 1"),
        ({"a": np.zeros(4)}, "fisher", "4 held-out rows"),
        ({"a": np.zeros(9)}, "fischer", "did you mean 'fisher'"),
    ],
)
def test_errors_name_what_is_wrong(scores: Draw, rule: Rule, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Calibration.fit(scores, rule)


def test_a_missing_score_is_named() -> None:
    calibration = Calibration.fit({"a": np.arange(9.0), "b": np.arange(9.0)})
    with pytest.raises(UserError, match="'b'"):
        calibration.p_values({"a": np.arange(3.0)})


def _auroc(normal: np.ndarray, strange: np.ndarray) -> float:
    return float(stats.mannwhitneyu(strange, normal).statistic / (len(normal) * len(strange)))


@pytest.mark.parametrize("rule", ["harmonic", "fisher"])
def test_a_weight_of_two_counts_a_score_twice(rule: Rule) -> None:
    random = np.random.default_rng(0)
    one, other = random.exponential(size=(2, 400))
    weighted = Calibration.fit({"one": one, "other": other}, rule, {"one": 2.0})
    twice = Calibration.fit({"one": one, "same": one, "other": other}, rule)
    rows = np.array([0.1, 5.0, 1.0]), np.array([4.0, 0.2, 1.0])
    assert np.allclose(
        weighted.combined({"one": rows[0], "other": rows[1]}),
        twice.combined({"one": rows[0], "same": rows[0], "other": rows[1]}),
    )
    plain = Calibration.fit({"one": one, "other": other}, rule)
    assert weighted.to_json() != plain.to_json()
    again = Calibration.from_json(weighted.to_json())
    assert again.weights == {"one": 2.0}
