"""Outliers among pictures: digits, clothes, magnetic tiles, faces; AUROC of every score.

    python benchmarks/outliers_images.py [digits clothes tiles faces] [--picture tiles-heat.png]

Needs the data folder ($LATENTIA_DATA, else ../shared/data). Prints a table in markdown for every
part. "default" is what `latentia score` ranks by; the columns are single scores. Pictures that are
tested are never trained on and never calibrate.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from latentia.data.open import open_data
from latentia.data.pictures import save_image
from latentia.data.spec import DataOptions, Dataset
from latentia.detection.maps import OutlierMaps, heat_pictures, side_by_side
from latentia.detection.scorer import OutlierScorer
from latentia.detection.scores import SCORES, default_scores
from latentia.fitting import fit

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
PARTS = ("digits", "clothes", "tiles", "faces")
HELD_OUT = 2000
OTHERS = (
    "cifar10/cifar10_4000.npz",
    "fashion_mnist",
    "anime_faces/anime_faces_2999_64px.zip",
    "paired_facades/facades_500_128px.zip",
    "unpaired_apple2orange/apple2orange_128px.zip",
    "magnetic_tiles/magnetic_tiles_128.npz",
    "emoji/noto_emoji_1675_72px.zip",
)
Totals = dict[str, np.ndarray]


class Judge:
    """A model of its own for the training rows, and its scores: the default ones and the others."""

    def __init__(
        self,
        train: Dataset,
        held_out: Dataset,
        examples: int,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        every: bool = True,
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            run = fit(train, examples=examples, out=out, seed=seed, settings=settings, quiet=True)
            self.model = run.model()
        self.train, self.held_out, self.seed = train, held_out, seed
        self.default = OutlierScorer.fit(self.model, train, held_out, seed=seed)
        fitting = [n for n, s in SCORES.items() if s.fits(self.model, train.spec.shape)]
        rest = [n for n in fitting if n not in default_scores(fitting, train.spec.shape)]
        self.rest = None
        if every:
            self.rest = OutlierScorer.fit(self.model, train, held_out, scores=rest, seed=seed)

    def __call__(self, data: Dataset) -> Totals:
        """The default number and every score of each row."""
        result = self.default.score(data)
        parts = dict(result.parts) | (dict(self.rest.score(data).parts) if self.rest else {})
        return {"default": result.total, **{name: parts[name] for name in SCORES if name in parts}}


def aurocs(normal: Totals, strange: Totals) -> dict[str, float]:
    """By score, the chance that a strange picture scores above a normal one."""
    return {name: auroc(normal[name], strange[name]) for name in normal}


def auroc(normal: np.ndarray, strange: np.ndarray) -> float:
    truth = np.r_[np.zeros(len(normal)), np.ones(len(strange))]
    return float(roc_auc_score(truth, np.r_[normal, strange]))


class Table:
    """Prints lines as they come, and means of columns in the end."""

    def __init__(self, first: str) -> None:
        self.first, self.rows = first, list[dict[str, float]]()

    def add(self, name: str, figures: dict[str, float]) -> None:
        if not self.rows:
            print(f"| {self.first} | " + " | ".join(n.replace("_", " ") for n in figures) + " |")
            print("|---|" + "---|" * len(figures))
        self.rows.append(figures)
        self._line(name, figures)

    def close(self, *how: str) -> None:
        for word in how:
            reduce = {"mean": np.mean, "lowest": np.min}[word]
            self._line(word, {n: float(reduce([r[n] for r in self.rows])) for n in self.rows[0]})

    def _line(self, name: str, figures: dict[str, float]) -> None:
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in figures.values()) + " |", flush=True)


def spread(data: Dataset, most: int) -> Dataset:
    """At most so many rows, evenly apart."""
    return data.subset(np.unique(np.linspace(0, len(data) - 1, most).astype(int)))


def digits(folder: Path, seed: int) -> None:
    """One digit is normal: fitted on its training images, judged on all 10,000 test images."""
    train, test = (open_data(folder / "mnist", split=s) for s in ("train", "test"))
    assert train.labels is not None and test.labels is not None
    table = Table("normal digit")
    for digit in range(10):
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(train.labels == digit))
        cut = len(rows) // 10
        judge = Judge(train.subset(rows[cut:]), train.subset(rows[:cut]), 30_000, seed, every=False)
        found, normal = judge(test), test.labels == digit
        inside = {name: values[normal] for name, values in found.items()}
        outside = {name: values[~normal] for name, values in found.items()}
        table.add(str(digit), aurocs(inside, outside))
    table.close("mean", "lowest")


def clothes(folder: Path, seed: int) -> None:
    """Fashion-MNIST against MNIST, both ways, and with a likelihood that falls for it."""
    table = Table("trained on, against")
    for own, other, settings in (
        ("fashion_mnist", "mnist", {}),
        ("mnist", "fashion_mnist", {}),
        ("fashion_mnist", "mnist", {"likelihood": "logistic"}),
    ):
        whole = open_data(folder / own)
        train, held_out = whole.subset(slice(0, 50_000)), whole.subset(slice(50_000, 60_000))
        judge = Judge(train, spread(held_out, HELD_OUT), 60_000, seed, settings)
        tests = (spread(open_data(folder / n, split="test"), 2000) for n in (own, other))
        normal, strange = (judge(data) for data in tests)
        words = "".join(f", {k}={v}" for k, v in settings.items())
        table.add(f"{own}, {other}{words}", aurocs(normal, strange))


def tiles(folder: Path, seeds: Iterable[int], picture: Path | None) -> None:
    """Good tiles against defects; no tile of a group is on both sides."""
    file = folder / "magnetic_tiles" / "magnetic_tiles_128.npz"
    with np.load(file) as arrays:
        groups, labels, masks = (arrays[k] for k in ("groups", "labels", "masks"))
        images = open_data(arrays["images"], split="all")
        good = labels == list(arrays["class_names"]).index("Free")
    clean = np.setdiff1d(groups[good], groups[~good])  # groups without any defect
    table, pixels = Table("split of the groups"), []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(clean)
        cut, held = int(0.48 * len(order)), int(0.6 * len(order))
        train = np.flatnonzero(good & np.isin(groups, order[:cut]))
        held_out = np.flatnonzero(good & np.isin(groups, order[cut:held]))
        test = np.flatnonzero(~np.isin(groups, order[:held]))
        judge = Judge(images.subset(train), images.subset(held_out), 6_000, seed)
        fine, bad = test[good[test]], test[~good[test]]
        normal = judge(images.subset(fine))
        for kind in (1, 2):
            part = judge(images.subset(bad[labels[bad] == kind]))
            words = {1: "blowhole", 2: "break"}[kind]
            if seed == 0:
                print(f"{words} alone, split 0: {aurocs(normal, part)['default']:.3f}")
        table.add(
            f"{seed} ({len(fine)} good, {len(bad)} bad)", aurocs(normal, judge(images.subset(bad)))
        )
        finder = OutlierMaps.fit(judge.model, judge.train, judge.held_out, seed=seed)
        maps = finder.maps(images.subset(test))
        truth = masks[test][..., 0] > 0
        pixels.append((roc(truth, maps), roc(truth[~good[test]], maps[~good[test]])))
        if picture is not None and seed == 0:
            draw(picture, images, test, maps, good)
    table.close("mean", "lowest")
    for name, values in zip(
        ("all test tiles", "defect tiles"), zip(*pixels, strict=True), strict=True
    ):
        print(f"pixel AUROC, {name}: " + ", ".join(f"{v:.3f}" for v in values))


def roc(truth: np.ndarray, maps: np.ndarray) -> float:
    return float(roc_auc_score(truth.ravel(), maps.ravel()))


def draw(path: Path, images: Dataset, test: np.ndarray, maps: np.ndarray, good: np.ndarray) -> None:
    """Two good tiles and six defect ones, evenly through the test set, with their heat."""
    fine, bad = np.flatnonzero(good[test]), np.flatnonzero(~good[test])
    rows = np.r_[fine[:: len(fine) // 2][:2], bad[:: len(bad) // 6][:6]]
    pictures = images.values[test[rows]]
    sheet = side_by_side(pictures, heat_pictures(pictures, maps[rows]))
    save_image(sheet.quantize(128), path)  # few colours: half the bytes


def faces(folder: Path, seed: int) -> None:
    """CelebA faces against other pictures, all in colour at 64 x 64."""
    options = DataOptions(size=64, channels=3)
    own = folder / "faces" / "celeba_6000.zip"
    whole = open_data(own, options=options)
    train, held_out = whole.subset(slice(0, 4_900)), whole.subset(slice(4_900, None))
    judge = Judge(train, held_out, 20_000, seed, {"latent": 64, "flip": True})
    normal, table = judge(open_data(own, split="test", options=options)), Table("against")
    for name in OTHERS:
        split = "test" if name == "fashion_mnist" else "all"
        other = spread(open_data(folder / name, split=split, options=options), 500)
        table.add(f"{name.split('/')[0]} ({len(other)})", aurocs(normal, judge(other)))
    table.close("mean", "lowest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", type=int, default=3, help="of the tiles")
    parser.add_argument("--picture", type=Path, help="heat maps of tiles, a .png")
    asked = parser.parse_args()
    folder = Path(os.environ.get("LATENTIA_DATA", BESIDE))
    for part in asked.parts:
        began = time.perf_counter()
        print(f"\n### {part}\n")
        if part == "tiles":
            tiles(folder, range(asked.splits), asked.picture)
        else:
            {"digits": digits, "clothes": clothes, "faces": faces}[part](folder, asked.seed)
        print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
