"""The detector with its default settings on real tables, semi-supervised as in ADBench."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from latentia import LatentOutlierDetector


def auroc(path: Path, seed: int) -> float:
    """Fit on half of the normal rows, score the others and the outliers."""
    with np.load(path, allow_pickle=False) as table:
        x, y = table["X"].astype(float), table["y"].astype(int)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    test = np.r_[normal[half:], np.flatnonzero(y == 1)]
    detector = LatentOutlierDetector(random_state=seed).fit(x[normal[:half]])
    return float(roc_auc_score(y[test], detector.outlier_scores(x[test])))


@pytest.mark.parametrize(("name", "least"), [("14_glass", 0.84), ("40_vowels", 0.97)])
def test_two_small_tables(shared_data: Path, name: str, least: float) -> None:
    assert auroc(shared_data / "outliers_tabular" / f"{name}.npz", 0) > least


@pytest.mark.slow
def test_twelve_tables(shared_data: Path) -> None:
    """PyOD beside it, five seeds each: KNN 0.891, AutoEncoder 0.87, VAE 0.86, IForest 0.86."""
    tables = sorted((shared_data / "outliers_tabular").glob("*.npz"))
    found = {path.stem: np.mean([auroc(path, seed) for seed in range(2)]) for path in tables}
    assert len(found) == 12
    assert np.mean(list(found.values())) > 0.891, found
    assert min(found.values()) > 0.5, found


@pytest.mark.slow
def test_two_thousand_rows_take_two_seconds() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 21))
    threads, began = torch.get_num_threads(), time.process_time()
    torch.set_num_threads(1)
    LatentOutlierDetector(random_state=0).fit(rows).outlier_scores(rows + 0.1)
    torch.set_num_threads(threads)
    assert time.process_time() - began < 2.0
