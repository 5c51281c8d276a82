"""Outliers in twelve tables of ADBench, and the time it takes: the detector beside its peers.

    python benchmarks/outliers_tabular.py [--seeds 5] [--only glass vowels] [--peers none]
    python benchmarks/outliers_tabular.py --made relations|cell|box
    python benchmarks/outliers_tabular.py --speed

Semi-supervised protocol of ADBench (Han et al. 2022): fit on a random half of the normal rows,
score the other half and all outliers. Every detector has its default settings on every table and
sees the same halves. With `--made` the outliers of the tables are left out, and others are made
from normal rows that were not fitted: "relations" (half of the columns exchanged with another
row), "cell" (one value moved by three standard deviations), "box" (uniform between the extremes).

PyOD's ECOD, KNN, VAE, AutoEncoder and IForest need `pip install pyod tqdm`. The tables are looked
for in `outliers_tabular` of the data folder ($LATENTIA_DATA).

`--speed` times fit and score on one table of 2,000 rows and 21 columns, after import, every
detector in a fresh process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
OURS = "LatentOutlierDetector"
PEERS = ("IForest", "ECOD", "KNN", "VAE", "AutoEncoder")
MODULES = {"IForest": "iforest", "AutoEncoder": "auto_encoder"}
SEEDED = ("IForest", "VAE", "AutoEncoder")
Scorer = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def scorer(name: str) -> Scorer:
    """(training rows, rows to score, seed) to scores, higher = stranger; imports what it needs."""
    if name == OURS:
        from latentia import LatentOutlierDetector

        return lambda train, test, seed: (
            LatentOutlierDetector(random_state=seed).fit(train).outlier_scores(test)
        )
    import importlib

    module = importlib.import_module(f"pyod.models.{MODULES.get(name, name.lower())}")
    kind: Any = getattr(module, name)

    def scored(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        detector = kind(random_state=seed) if name in SEEDED else kind()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return np.asarray(detector.fit(train).decision_function(test))

    return scored


def halves(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit, half of the normal ones, and rows to score, all others."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    return normal[:half], np.r_[normal[half:], np.flatnonzero(y == 1)]


def with_made(x: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows and a fifth as many outliers made from them, with y as in the tables."""
    rng = np.random.default_rng(seed)
    made = x[rng.choice(len(x), max(20, len(x) // 5))].copy()
    if kind == "relations":
        for row in made:
            columns = rng.permutation(x.shape[1])[: max(1, x.shape[1] // 2)]
            row[columns] = x[rng.integers(len(x)), columns]
    elif kind == "cell":
        column, way = rng.integers(x.shape[1], size=len(made)), rng.choice([-3, 3], len(made))
        made[np.arange(len(made)), column] += way * x.std(0)[column]
    else:
        made = rng.uniform(x.min(0), x.max(0), size=made.shape)
    return np.r_[x, made], np.repeat([0, 1], [len(x), len(made)])


def measured(
    names: list[str], tables: list[Path], seeds: int, made: str | None
) -> dict[str, dict[str, np.ndarray]]:
    """AUROC and CPU seconds by table and detector, `(seeds, 2)` each."""
    from sklearn.metrics import roc_auc_score

    scorers = {name: scorer(name) for name in names}
    found: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for path in tables:
        with np.load(path, allow_pickle=False) as table:
            rows, known = table["X"].astype(float), table["y"].astype(int)
        for name, scored in scorers.items():
            runs = []
            for seed in range(seeds):
                train, test = halves(known, seed)
                x, y = rows[test], known[test]
                if made:
                    x, y = with_made(x[y == 0], made, seed)
                began = time.process_time()
                scores = scored(rows[train], x, seed)
                runs.append((roc_auc_score(y, scores), time.process_time() - began))
            found[path.stem.split("_", 1)[1]][name] = np.array(runs)
        show_row(path.stem.split("_", 1)[1], found[path.stem.split("_", 1)[1]])
    return found


def show_row(table: str, runs: dict[str, np.ndarray]) -> None:
    cells = [f"{r[:, 0].mean():.3f} ± {r[:, 0].std():.3f}" for r in runs.values()]
    print(f"| {table} | " + " | ".join(cells) + " |", flush=True)


def compare(names: list[str], tables: list[Path], seeds: int, made: str | None) -> None:
    """Print AUROC (mean ± deviation over seeds) and CPU seconds as a Markdown table."""
    print("| table | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1), flush=True)
    found = measured(names, tables, seeds, made)
    runs = {name: np.stack([rows[name] for rows in found.values()]) for name in names}
    for title, value in {
        "**mean AUROC**": lambda r: f"**{r[..., 0].mean():.4f}**",
        "lowest table": lambda r: f"{r[..., 0].mean(1).min():.3f}",
        "lowest table and seed": lambda r: f"{r[..., 0].min():.3f}",
        "CPU seconds a table": lambda r: f"{r[..., 1].mean():.2f}",
    }.items():
        print(f"| {title} | " + " | ".join(value(r) for r in runs.values()) + " |")


def speed(names: list[str]) -> None:
    """Print import, fit and score in seconds, the median of three fresh processes each."""
    print(
        "| detector | import | fit and score 2,000 × 21 | CPU seconds of that |\n|---|---|---|---|"
    )
    for name in names:
        call = [sys.executable, __file__, "--speed-of", name]
        runs = [subprocess.run(call, capture_output=True, check=True, text=True) for _ in range(3)]
        times = np.median([[float(t) for t in r.stdout.split()[-3:]] for r in runs], axis=0)
        print(f"| {name} | {times[0]:.2f} | {times[1]:.2f} | {times[2]:.2f} |", flush=True)


def speed_of(name: str) -> None:
    """Time one detector in this process."""
    began = time.perf_counter()
    scored = scorer(name)
    imported = time.perf_counter()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 5)) @ rng.normal(size=(5, 21)) + rng.normal(size=(2000, 21))
    clock, busy = time.perf_counter(), time.process_time()
    scored(rows, rows + 0.1, 0)
    print(imported - began, time.perf_counter() - clock, time.process_time() - busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="tables by name; all where left out")
    parser.add_argument("--peers", nargs="*", default=PEERS, help="of PyOD; 'none' for ours alone")
    parser.add_argument("--made", choices=("relations", "cell", "box"))
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--speed-of", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    names = [OURS, *(name for name in chosen.peers if name != "none")]
    if chosen.speed_of:
        return speed_of(chosen.speed_of)
    if chosen.speed:
        return speed(names)
    folder = Path(os.environ.get("LATENTIA_DATA", BESIDE)) / "outliers_tabular"
    tables = sorted(folder.glob("*.npz"), key=lambda path: int(path.stem.split("_")[0]))
    tables = [p for p in tables if not chosen.only or p.stem.split("_", 1)[1] in chosen.only]
    if not tables:
        raise SystemExit(f"There are no such tables in {folder}: set LATENTIA_DATA.")
    return compare(names, tables, chosen.seeds, chosen.made)


if __name__ == "__main__":
    main()
