"""The fairness page: complete, self-contained, in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from latentia.metrics.fairness import group_figures
from latentia.metrics.fairness_compare import compare, over_comparisons
from latentia.report.write import write_fairness


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Two models' probabilities, labels and groups; one crossing is neglected, one is empty."""
    random = np.random.default_rng(seed)
    race, sex = random.choice(["a", "b<", "c"], 600), random.choice(["f", "m"], 600)
    keep = ~((race == "c") & (sex == "m"))
    race, sex = race[keep], sex[keep]
    labels = (random.random(len(race)) < 0.7).astype(int)
    hard = 0.35 * ((race == "a") & (sex == "f"))
    noise = 0.2 * random.normal(size=len(race))
    first = np.clip(0.2 + 0.6 * labels - hard * labels + noise, 0, 1)
    second = np.clip(0.2 + 0.6 * labels + noise, 0, 1)
    return first, second, labels, {"race": race, "sex": sex}


def test_two_models_over_seeds_fill_a_page(tmp_path: Path) -> None:
    found = [compare(*made(seed)) for seed in range(3)]
    page = write_fairness(tmp_path, found[0], seeds=over_comparisons(found))
    text = page.read_text()
    assert page.name == "fairness.html" and "debiased" in text and "<svg" in text
    assert all(words in text for words in ("Worst group", "c, m", "b&lt;", "Over all rows"))
    assert "b<," not in text and "http" not in text.replace("http://www.w3.org", "")
    facts = json.loads((tmp_path / "fairness.json").read_text())
    assert facts["figures"]["second"]["positives"] > 0 and facts["seeds"]["seeds"] == 3


def test_one_model_without_negatives(tmp_path: Path) -> None:
    first, _, labels, groups = made()
    on = labels == 1
    figures = group_figures(first[on], labels[on], {k: v[on] for k, v in groups.items()})
    text = write_fairness(tmp_path, figures, by="latentia audit").read_text()
    assert "latentia audit" in text and "false positive" not in text
