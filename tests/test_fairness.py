"""Fairness figures: known answers by hand, a fair and an unfair oracle, honest intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from latentia.errors import UserError
from latentia.metrics.fairness import BINS, GroupFigures, group_figures, sampling_noise
from latentia.metrics.fairness_compare import Comparison, compare, over_comparisons
from latentia.metrics.intervals import between_replicates, over_seeds, wilson


def drawn(shares: list[float], n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (0.9 or 0.1) of n positives a group, found with the given shares; groups."""
    random = np.random.default_rng(seed)
    groups = np.repeat([f"g{i:02d}" for i in range(len(shares))], n)
    found = random.random(len(groups)) < np.repeat(shares, n)
    return np.where(found, 0.9, 0.1), groups


def figures_of(shares: list[float], n: int, seed: int = 0) -> GroupFigures:
    probability, groups = drawn(shares, n, seed)
    return group_figures(probability, np.ones(len(groups)), {"group": groups})


def test_shares_counted_by_hand() -> None:
    probability = np.array([0.9, 0.6, 0.2, 0.7, 0.1, 0.8, 0.4, 0.3])
    labels = np.array([1, 1, 1, 0, 0, 1, 1, 0])
    race, sex = np.array(list("aaaaabbb")), np.array(list("fffmmmfm"))
    found = group_figures(probability, labels, {"race": race, "sex": sex})
    assert set(found.groupings) == {"race", "sex", "race × sex"}
    a, b = found.groupings["race"].groups
    assert (a.tpr.value, a.fpr.value, a.accuracy.value) == (2 / 3, 1 / 2, 3 / 5)
    assert (b.tpr.value, b.fpr.value, b.accuracy.value) == (1 / 2, 0.0, 2 / 3)
    assert found.overall.tpr.value == 3 / 5 and found.overall.accuracy.value == 5 / 8
    assert [g.name for g in found.finest.groups] == ["a, f", "a, m", "b, f", "b, m"]
    assert found.finest.groups[1].attributes == {"race": "a", "sex": "m"}
    spread = found.groupings["race"].spreads["tpr"]
    assert (spread.worst, spread.best) == ("b", "a")
    assert spread.gap.value == pytest.approx(1 / 6)
    assert spread.variance == pytest.approx(2 * (1 / 12) ** 2)
    assert spread.noise == pytest.approx(((2 / 9) / 2 + (1 / 4) / 1) / 2)
    assert found.groupings["race"].spreads["fpr"].worst is None  # one negative: nothing to spread
    assert sum(a.histogram_positive) == 3 and a.histogram_positive[int(0.9 * BINS)] == 1


def test_what_is_missing_is_not_known() -> None:
    probability, labels = np.array([0.9, 0.1, 0.8, 0.7]), np.array([1, 0, 1, 1])
    groups = {"x": np.array(["p", "p", "q", ""]), "y": np.array([1.0, 2.0, 1.0, np.nan])}
    found = group_figures(probability, labels, groups)
    q = found.groupings["x"].groups[1]
    assert (q.n, q.fpr.value, q.fpr.low) == (1, None, None)
    assert found.groupings["x"].spreads["tpr"].gap.value is None
    assert found.finest.empty == ("q, 2.0",)
    assert found.overall.n == 4 and sum(g.n for g in found.groupings["x"].groups) == 3
    assert q.fpr.shown() == "not known"
    text = json.dumps(found.to_json(), allow_nan=False)
    assert "NaN" not in text and found.sentences()


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        (np.array([1, 2]), {"g": np.array(["a", "b"])}, "Labels must be"),
        (np.array([1, 0]), {"g": np.array(["a"])}, "shape"),
        (np.array([1, 0]), {}, "at least one"),
        (np.zeros(0), {"g": np.zeros(0)}, "at least one"),
    ],
)
def test_what_cannot_be_figured_is_said(
    labels: np.ndarray, groups: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        group_figures(np.full(len(labels), 0.5), labels, groups)
    with pytest.raises(UserError, match="between 0 and 1"):
        group_figures(np.array([1.5, 0]), np.array([1, 0]), {"g": np.array(["a", "b"])})


def test_a_fair_and_an_unfair_oracle() -> None:
    fair = figures_of([0.9] * 14, 200).finest.spreads["tpr"]
    assert fair.chance is not None and fair.chance > 0.05
    assert fair.gap.low == 0 and fair.corrected.low is not None and fair.corrected.low <= 0
    unfair = figures_of([0.95] * 13 + [0.6], 200)
    spread = unfair.finest.spreads["tpr"]
    assert spread.worst == "g13" and spread.chance is not None and spread.chance < 0.01
    assert spread.gap.low is not None and spread.gap.low > 0.2
    truth = float(np.var([0.95] * 13 + [0.6], ddof=1))
    assert spread.corrected.low < truth < spread.corrected.high  # type: ignore[operator]
    assert "g13" in " ".join(unfair.sentences())
    perfect = group_figures(np.ones(40), np.ones(40), {"g": np.repeat(["a", "b"], 20)})
    assert perfect.finest.spreads["tpr"].variance == 0 == perfect.finest.spreads["tpr"].gap.value


def test_the_corrected_variance_is_unbiased_and_its_interval_covers() -> None:
    shares = np.linspace(0.7, 0.95, 8)
    truth = float(shares.var(ddof=1))
    found = [figures_of(list(shares), 60, seed).finest.spreads["tpr"] for seed in range(60)]
    plain = np.mean([f.variance for f in found])
    corrected = np.mean([f.corrected.value for f in found])  # type: ignore[misc]
    assert corrected == pytest.approx(truth, rel=0.12)
    assert plain == pytest.approx(truth + sampling_noise(shares, np.full(8, 61)), rel=0.12)
    inside = [f.corrected.low <= truth <= f.corrected.high for f in found]  # type: ignore[operator]
    assert np.mean(inside) > 0.85


def paired(seed: int = 0) -> Comparison:
    """A model with one neglected group, and one that treats it better."""
    first, groups = drawn([0.95] * 6 + [0.6], 300, seed)
    second, _ = drawn([0.95] * 6 + [0.9], 300, seed)
    return compare(first, second, np.ones(len(groups)), {"group": groups})


def test_a_paired_comparison_finds_what_changed() -> None:
    found = paired()
    change = found.finest["tpr"]
    assert change.worst_group.value == pytest.approx(0.3, abs=0.1)
    assert change.worst_group.low > 0.1 and change.same_group.low > 0.1  # type: ignore[operator]
    assert change.corrected_ratio.high < 0.3 and change.variance_ratio.high < 0.3  # type: ignore[operator]
    assert found.overall["tpr"].low > 0 and found.overall["fpr"].value is None  # type: ignore[operator]
    assert change.groups["g00"].value == 0 == change.groups["g00"].high  # same draws: no change
    assert "debiased" in " ".join(found.sentences())
    json.dumps(found.to_json(), allow_nan=False)
    same = compare(*[drawn([0.9] * 4, 50)[0]] * 2, np.ones(200), {"g": drawn([0.9] * 4, 50)[1]})
    assert same.finest["tpr"].worst_group.high == 0 and same.finest["tpr"].gap.low == 0


def test_pairing_narrows_the_interval() -> None:
    random = np.random.default_rng(0)
    first = (random.random(400) < 0.7).astype(float)
    second = first.copy()
    second[np.flatnonzero(first == 0)[:20]] = 1.0
    change = compare(first, second, np.ones(400), {"g": np.repeat(["a", "b"], 200)}).overall["tpr"]
    assert change.value == pytest.approx(0.05)
    assert change.low > 0.02 and change.high < 0.08  # type: ignore[operator]  # alone: ±0.06


def test_several_seeds_are_summed_up() -> None:
    found = over_comparisons([paired(seed) for seed in range(4)])
    assert (found.rate, found.grouping, found.seeds) == ("tpr", "group", 4)
    assert found.differences["worst"].low > 0.2  # type: ignore[operator]
    assert found.corrected_ratio.high < 0.5 and found.sentences()  # type: ignore[operator]
    json.dumps(found.to_json(), allow_nan=False)
    assert over_comparisons([paired()]).differences["worst"].low is None
    with pytest.raises(UserError, match="no comparison"):
        over_comparisons([])


def test_intervals() -> None:
    share = wilson(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert (share.low, share.high) == (
        pytest.approx(0.2553, abs=5e-5),
        pytest.approx(0.3662, abs=5e-5),
    )
    assert wilson(0, 10).low == 0 and wilson(0, 0).value is None
    assert over_seeds([1.0, None]).value is None and over_seeds([2.0]).low is None
    infinite = between_replicates(1.0, np.array([0.5] * 50 + [np.inf] * 50))
    assert infinite.high is None and infinite.low == 0.5
    assert wilson(62, 100).shown() == "62 % (52 to 71 %)"
