"""Outliers used to train better: known ones as exposure, rare ones shown more often.

    python benchmarks/outliers_in_training.py exposure [--examples 100000] [--seeds 3]
    python benchmarks/outliers_in_training.py rare [--examples 100000] [--seeds 3]

exposure: a VAE of Fashion-MNIST, alone and exposed to CIFAR-10 in grey. AUROC of −ELBO for clothes
against sets that neither has seen: MNIST, faces (Olivetti), surfaces (magnetic tiles), noise.

rare: a VAE of MNIST in which one digit is 1 % of the rows. A first VAE says how rare each row is
in its latents; a second one is trained from the start with those sampling weights, and a third
without. −ELBO in nats of held-out rare digits and of the others.

Data lie in $LATENTIA_DATA.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from latentia.data.open import open_data
from latentia.data.source import Source, finish
from latentia.data.spec import DataOptions, Dataset
from latentia.explore.latent import encode
from latentia.fitting import fit
from latentia.maths.rarity import latent_rarity
from latentia.metrics.intervals import over_seeds

SIDE, ROWS = 28, 1000
RARE_DIGITS, RARE_SHARE = (5, 8, 2), 0.01
SETTINGS = {"latent": 16, "width": 32, "depth": 1, "prior": "standard"}


def grey(images: np.ndarray) -> np.ndarray:
    """Any `(N, H, W[, C])` uint8 to grey `(N, SIDE, SIDE)`."""
    pictures = (Image.fromarray(row.squeeze()).convert("L") for row in images)
    return np.stack([np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BOX)) for p in pictures])


def strangers(data: Path) -> dict[str, np.ndarray]:
    """Sets that are no clothes, `(N, 1, SIDE, SIDE)` each."""
    found = {"MNIST": open_data(str(data / "mnist"), split="test").values[:ROWS]}
    for name, path in {
        "faces": "faces/olivetti_64",
        "tiles": "magnetic_tiles/magnetic_tiles_128",
    }.items():
        with np.load(data / f"{path}.npz") as archive:
            found[name] = grey(archive["images"])[:ROWS, None]
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, 1, SIDE, SIDE), dtype=np.uint8)
    return {**found, "noise": noise}


@torch.no_grad()
def surprise(model: torch.nn.Module, values: np.ndarray) -> np.ndarray:
    """−ELBO of uint8 rows, `(N,)`, nats."""
    x = torch.from_numpy(np.ascontiguousarray(values)).float() / 127.5 - 1
    return torch.cat([-model.elbo(part) for part in x.split(500)]).numpy()  # type: ignore[operator]


def exposure(data: Path, examples: int, seed: int, place: Path) -> dict[str, tuple[float, float]]:
    """AUROC of −ELBO by strange set, without exposure and with it."""
    with np.load(data / "cifar10/cifar10_4000.npz") as archive:
        np.savez(place / "cifar.npz", images=grey(archive["images"])[..., None])
    clothes = open_data(str(data / "fashion_mnist"), split="test").values[:ROWS]
    found: dict[str, list[float]] = {}
    for outliers in (None, place / "cifar.npz"):
        run = fit(
            str(data / "fashion_mnist"),
            examples=examples,
            seed=seed,
            settings=SETTINGS,
            outliers=outliers,
            out=place / f"exposed-{outliers is not None}",
            quiet=True,
        )
        model = run.model()
        usual = surprise(model, clothes)
        for name, values in {"clothes": clothes, **strangers(data)}.items():
            odd = surprise(model, values)
            truth = np.repeat([0, 1], [len(usual), len(odd)])
            figure = usual.mean() if name == "clothes" else roc_auc_score(truth, np.r_[usual, odd])
            found.setdefault("−ELBO of clothes" if name == "clothes" else name, []).append(figure)
    return {name: (pair[0], pair[1]) for name, pair in found.items()}


def rare(data: Path, examples: int, seed: int, place: Path) -> dict[str, tuple[float, float]]:
    """−ELBO of rare and of usual digits, without weights and with them."""
    train, test = (open_data(str(data / "mnist"), split=split) for split in ("train", "test"))
    assert train.labels is not None and test.labels is not None
    digit = RARE_DIGITS[seed % len(RARE_DIGITS)]
    usual, seldom = (np.flatnonzero((train.labels == digit) == kind) for kind in (False, True))
    kept = np.sort(np.r_[usual, seldom[: round(RARE_SHARE * len(usual))]])
    skewed = train.subset(kept)
    weights: dict[str, np.ndarray | None] = {"plain": None}
    runs = {}
    for arm in ("plain", "weighted"):
        runs[arm] = fit(
            as_named(skewed),
            examples=examples,
            seed=seed,
            settings=SETTINGS,
            weights=weights[arm],
            out=place / arm,
            quiet=True,
        )
        if arm == "plain":
            model, rows = runs[arm].model(), range(len(skewed))
            codes = torch.cat(
                [encode(model, skewed.batch(rows[i : i + 500]).x) for i in rows[::500]]
            )
            weights["weighted"] = latent_rarity(codes).numpy()
    given = weights["weighted"]
    assert given is not None and skewed.labels is not None
    print(
        f"digit {digit}: {RARE_SHARE:.0%} of rows, {given[skewed.labels == digit].sum():.1%} drawn"
    )
    figures = {}
    for name, rows in {"rare": test.labels == digit, "usual": test.labels != digit}.items():
        pair = [surprise(runs[arm].model(), test.values[rows]).mean() for arm in runs]
        figures[f"−ELBO of {name} digits"] = (float(pair[0]), float(pair[1]))
    return figures


def as_named(data: Dataset) -> Dataset:
    """A subset hashed as what it is."""
    source = Source("mnist", data.values, labels=data.labels, classes=data.spec.classes)
    return finish(source, "all", DataOptions())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("exposure", "rare"))
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("LATENTIA_DATA", beside))
    measure = {"exposure": exposure, "rare": rare}[asked.what]
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as place:
            for name, pair in measure(data, asked.examples, seed, Path(place)).items():
                rows.setdefault(name, []).append(pair)
        print(f"seed {seed}:", {name: pairs[-1] for name, pairs in rows.items()}, flush=True)
    print("| | without | with | difference |\n|---|---|---|---|")
    for name, pairs in rows.items():
        a, b = np.array(pairs).T
        shown = [over_seeds(list(v)).shown(False) for v in (a, b, b - a)]
        print(f"| {name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
