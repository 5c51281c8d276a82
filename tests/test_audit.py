"""The audit finds what was planted, and finds little where there is nothing."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentia.audit import AuditResult, audit
from latentia.audit.alignment import mismatch, prepared
from latentia.audit.describe import Description, describe, nearest
from latentia.audit.duplicates import Pair, groups_of, near_duplicates, same_content
from latentia.audit.foretelling import seen_out_of_fold
from latentia.audit.labels import best_foretold, wrong_labels
from latentia.audit.leakage import leaks_of
from latentia.audit.outliers import threshold
from latentia.audit.rarity import rare_classes, rare_regions
from latentia.audit.weights import capped, suggested
from latentia.data.arrays import from_arrays
from latentia.data.open import open_data
from latentia.data.source import finish
from latentia.data.spec import DataOptions, Dataset
from latentia.fitting import weights_of
from latentia.report.audit_page import SNIPPET, page
from planted import WAYS, Planted, altered, planted_digits

TINY = {"latent": 8, "width": 16, "depth": 1, "batch_size": 64}


def dataset(values: np.ndarray, labels: np.ndarray | None = None) -> Dataset:
    return finish(from_arrays("planted", values, labels), "all", DataOptions())


def digits() -> Dataset:
    return open_data("digits", split="all")


# duplicates


def test_same_content_is_grouped() -> None:
    values = np.arange(12).reshape(6, 2)
    values[4] = values[1]
    assert same_content(values) == [[1, 4]]
    assert same_content(np.arange(6)[:, None]) == []


@pytest.mark.parametrize("way", [*WAYS, "mirror"])
def test_an_altered_copy_aligns_and_another_picture_does_not(way: str, shared_data: Path) -> None:
    random = np.random.default_rng(0)
    rows = open_data(shared_data / "mnist", split="test").values[:30]
    copies = np.stack([altered(row, way, random) for row in rows])
    pictures = prepared(torch.from_numpy(np.concatenate([rows, copies])).float() / 127.5 - 1)
    first, mirrored = torch.arange(30), way == "mirror"
    own = mismatch(pictures, first, first + 30, mirrored=mirrored)
    other = mismatch(pictures, first, first.roll(1) + 30, mirrored=mirrored)
    assert own.median() < 0.02 and own.max() < 0.2
    assert other.median() > 5 * own.median() and other.median() > 0.2


def test_no_near_duplicates_in_clean_digits(shared_data: Path) -> None:
    rows = open_data(shared_data / "mnist", split="test").subset(slice(0, 300))
    assert len(near_duplicates(describe(rows))) <= 2


def test_near_rows_of_a_table_are_found_and_random_rows_are_not() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 8)).astype(np.float32)
    assert len(near_duplicates(describe(dataset(values)))) <= 2
    values[-5:] = values[:5] + 0.001
    found = {(p.first, p.second) for p in near_duplicates(describe(dataset(values)))}
    assert {(i, 495 + i) for i in range(5)} <= found and len(found) <= 7


def test_groups_hang_together_by_pairs() -> None:
    pairs = [Pair(0, 1, 0.1, 0.1), Pair(1, 5, 0.1, 0.1), Pair(2, 3, 0.1, 0.1)]
    assert groups_of(pairs) == [[0, 1, 5], [2, 3]]


def test_leaks_are_pairs_on_two_sides() -> None:
    sides = np.array(["train", "train", "test", "test"])
    near = [Pair(0, 1, 0.1, 0.1), Pair(1, 3, 0.1, 0.1)]
    leaks = leaks_of([[0, 2]], near, sides)
    assert [(p.first, p.second) for p in leaks] == [(0, 2), (1, 3)]


# labels


def test_wrong_labels_are_found_and_true_ones_pass() -> None:
    data = digits().subset(slice(0, 900))
    assert data.labels is not None
    found = describe(data)
    clean = wrong_labels(found, data.labels)
    assert clean is not None and clean.accuracy > 0.9 and len(clean.issues) <= 12
    wrong, labels = np.arange(0, 900, 90), data.labels.copy()
    labels[wrong] = (labels[wrong] + 5) % 10
    spoiled = wrong_labels(found, labels)
    assert spoiled is not None
    listed = [issue.row for issue in spoiled.issues]
    assert sum(row in wrong for row in listed[:15]) >= 9
    right = {issue.row: issue.likely for issue in spoiled.issues}
    assert sum(right.get(int(row)) == data.labels[row] for row in wrong) >= 8


def test_shuffled_labels_are_not_called_wrong_one_by_one() -> None:
    data = digits().subset(slice(0, 600))
    assert data.labels is not None
    labels = np.random.default_rng(0).permutation(data.labels)
    found = wrong_labels(describe(data), labels)
    assert found is not None and found.accuracy < 0.2 and len(found.issues) <= 10


def test_the_witnesses_that_foretell_best_are_heard() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 3, 300)
    sees = np.full((300, 3), 0.1)
    sees[np.arange(300), target] = 0.8
    blind = random.dirichlet(np.ones(3), 300)
    chosen = best_foretold([blind, sees], target)
    assert np.allclose(chosen, sees)
    # two witnesses that err apart are worth more together
    one, two = sees.copy(), sees.copy()
    one[:30], two[30:60] = 1 / 3, 1 / 3
    joint = best_foretold([one, two], target)
    assert (joint.argmax(1) == target).all() and not np.allclose(joint, one)


def test_networks_foretell_pictures_that_they_never_saw() -> None:
    data = digits().subset(slice(0, 600))
    assert data.labels is not None
    p = seen_out_of_fold(data, data.labels)
    assert np.allclose(p.sum(1), 1, atol=1e-5) and (p.argmax(1) == data.labels).mean() > 0.8
    noise = np.random.default_rng(0).permutation(data.labels)
    assert (seen_out_of_fold(data, noise).argmax(1) == noise).mean() < 0.2


def test_labels_of_one_class_cannot_be_judged() -> None:
    data = digits().subset(slice(0, 100))
    assert wrong_labels(describe(data), np.zeros(100, int)) is None


# rare kinds


def test_a_small_cluster_is_a_region_and_a_cloud_has_none() -> None:
    random = torch.Generator().manual_seed(0)
    cloud = torch.randn(600, 6, generator=random)
    assert rare_regions(cloud) == []
    cluster = 0.3 * torch.randn(12, 6, generator=random) + 6
    found = rare_regions(torch.cat([cloud, cluster]))
    assert [set(r.rows) for r in found] == [set(range(600, 612))]


def test_regions_reach_rows_outside_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentia.audit.rarity.MOST_ROWS", 500)
    random = torch.Generator().manual_seed(0)
    cluster = 0.3 * torch.randn(30, 6, generator=random) + 6
    points = torch.cat([torch.randn(970, 6, generator=random), cluster])
    (found,) = rare_regions(points)
    assert set(found.rows) <= set(range(970, 1000)) and len(found.rows) >= 20


def test_rare_classes() -> None:
    labels = np.repeat([0, 1, 2], [100, 95, 5])
    (found,) = rare_classes(labels)
    assert found.label == 2 and len(found.rows) == 5
    assert rare_classes(np.repeat([0, 1], 50)) == []


# strangeness, weights


def test_threshold_passes_usual_tails_and_stops_far_rows() -> None:
    usual = np.random.default_rng(0).exponential(size=2000)
    assert (usual > threshold(usual)).sum() <= 5
    strange = np.concatenate([usual, np.full(30, 30.0)])
    assert (strange > threshold(strange)).sum() >= 30


def test_weights_are_capped_and_do_not_multiply_mistakes() -> None:
    weights = capped(np.array([1.0] * 99 + [1000.0]))
    assert weights.max() <= 10 and np.isclose(weights.mean(), 1, atol=0.1)
    rarity = np.array([0.5, 0.5, 0.5, 3.0, 0.5])
    found = suggested(rarity, doubtful=[3], groups=[[0, 1]])
    assert np.isclose(found.mean(), 1)
    assert found[3] / found[2] == 2 and np.isclose(found[0] / found[2], 0.5)


def test_nearest_leaves_the_row_itself_out() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0]])
    distance, row = nearest(points, points, 1, same=True)
    assert row[:, 0].tolist() == [1, 0, 1] and distance[:, 0].tolist() == [1, 1, 9]


# the whole


@pytest.fixture(scope="module")
def planted(shared_data: Path) -> Planted:
    return planted_digits(shared_data, rare=0, seed=2, n=1000)


@pytest.fixture(scope="module")
def audited(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    return audit(
        dataset(planted.values, planted.labels),
        examples=4000,
        out=tmp_path_factory.mktemp("audit") / "digits",
        settings={"latent": 16, "width": 32, "depth": 1},
        quiet=True,
    )


def test_the_planted_faults_are_listed(planted: Planted, audited: AuditResult) -> None:
    shares = recalls(planted, audited)
    assert min(shares.values()) >= 0.8, shares
    assert sum(share >= 0.9 for share in shares.values()) >= 3, shares


def recalls(planted: Planted, found: AuditResult) -> dict[str, float]:
    """Share of each planted kind among the first entries (1.5 times as many as were planted)."""
    assert found.labels is not None
    order = np.argsort(-found.strangeness.total)
    outliers = set(order[: round(1.5 * len(planted.outliers))].tolist())
    pairs = {(p.first, p.second) for p in found.near[: round(1.5 * len(planted.pairs))]}
    issues = [i.row for i in found.labels.issues if i.row not in found.outliers]
    wrong = set(issues[: round(1.5 * len(planted.wrong))])
    rare = set().union(*(region.rows for region in found.regions))
    return {
        "outliers": len(outliers & planted.outliers) / len(planted.outliers),
        "near_duplicates": sum(tuple(sorted(p)) in pairs for p in planted.pairs)
        / len(planted.pairs),
        "label_issues": len(wrong & set(planted.wrong)) / len(planted.wrong),
        "rare_regions": len(rare & planted.region) / len(planted.region),
    }


def test_lists_and_page_agree(audited: AuditResult) -> None:
    facts = audited.to_json()
    n = len(audited.subject.data)
    for key in ("outliers", "near_duplicates", "label_issues", "rare_regions"):
        for entry in facts[key]:
            assert entry["reason"] and np.isfinite(entry["score"])
            rows = entry.get("rows", [entry.get("row")])
            assert all(0 <= i < n for i in rows)
    with (audited.folder / "audit.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == n
    assert {i for i in range(n) if lines[i]["outlier"] == "1"} == set(audited.outliers)
    text = page(audited)
    assert "Strange examples" in text and "<script" not in text


def test_the_snippet_of_the_weights_runs(audited: AuditResult) -> None:
    found: dict[str, object] = {"dataset": list(range(len(audited.subject.data)))}
    exec(SNIPPET.format(path=str(audited.folder / "weights.csv")), found)
    batch = next(iter(found["loader"]))  # type: ignore[call-overload]
    assert len(batch) == 64
    assert np.allclose(np.asarray(found["weights"]), audited.weights, atol=1e-5)


def test_a_training_takes_the_weights(audited: AuditResult) -> None:
    weights = weights_of(audited.subject.data, audited.folder / "weights.csv")
    assert np.allclose(weights, audited.weights, atol=1e-5)


def test_a_table_with_leaks_and_strange_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(3, 8))
    values = random.normal(size=(400, 3)) @ mixing + 0.1 * random.normal(size=(400, 8))
    values[:4] = 6 * random.normal(size=(4, 8))
    test = random.normal(size=(60, 3)) @ mixing + 0.1 * random.normal(size=(60, 8))
    test[0], test[1] = values[50], values[60] + 0.002
    found = audit(
        dataset(values.astype(np.float32)),
        test=dataset(test.astype(np.float32)),
        examples=2000,
        out=tmp_path / "audit",
        quiet=True,
    )
    assert set(np.argsort(-found.strangeness.total)[:5].tolist()) >= {0, 1, 2, 3}
    assert found.leaks is not None
    assert {(50, 400), (60, 401)} <= {(p.first, p.second) for p in found.leaks}
    assert found.labels is None and "column" in page(found)


def test_native_splits_are_looked_through_for_leaks(tmp_path: Path) -> None:
    rows = digits().values
    train, test = rows[:120].copy(), rows[120:160].copy()
    test[3] = train[7]
    path = tmp_path / "split.npz"
    np.savez(path, x_train=train[:, 0], x_test=test[:, 0])
    found = audit(path, examples=64, out=tmp_path / "audit", settings=TINY, quiet=True)
    assert found.leaks is not None and (7, 123) in {(p.first, p.second) for p in found.leaks}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_nine_tenths_of_2000_planted_digits(shared_data: Path, tmp_path: Path, seed: int) -> None:
    planted = planted_digits(shared_data, rare=(0, 6, 7)[seed], seed=seed)
    found = audit(
        dataset(planted.values, planted.labels), minutes=2, out=tmp_path / "audit", quiet=True
    )
    shares = recalls(planted, found)
    assert min(shares.values()) >= 0.9, shares


def test_descriptions_of_part_of_the_rows() -> None:
    found = describe(digits().subset(slice(0, 60)))
    assert isinstance(found.first(20), Description) and len(found.first(20)) == 20
    assert torch.equal(found.first(20).points[:, 0] > 0, found.points[:20, 0] > 0)
    assert replace(found, small=None).points.shape == found.points.shape
