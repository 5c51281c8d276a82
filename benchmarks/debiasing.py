"""A plain classifier and a debiased one on the same budget, where the truth is known.

    python benchmarks/debiasing.py faces [--seeds 5] [--rare 0.05] [--out runs/debias-faces]
    python benchmarks/debiasing.py sprites [--seeds 5]
    python benchmarks/debiasing.py olivetti [--seeds 5]

faces: CelebA against CIFAR-10 at 32 × 32, skewed on purpose: the darker two fifths of the pictures
(mean of the middle of the face) are cut down to `--rare` times the number of the others. Every
face is cropped three times at random places and sizes, in both models' data. Judged on FairFace
by race × gender, the 1,000 held-out CIFAR-10 pictures, and the 20 faces of the laboratory. Neither
model is told of darkness, race or gender.

sprites: hearts against squares and ellipses near the middle of the picture; one hue is 1 % of the
hearts, and that of three quarters of the others, so that it tells the class where it should not.
Judged by hue on sprites of evenly drawn hues.

olivetti: 20 persons against 20 others; 10 of the first have 8 pictures each, 10 have one. Judged
by frequent and rare persons on pictures not trained on.

Data lie in $LATENTIA_DATA. Seeds draw the skewed set, weights and batches. The first ones were
not looked at when settings were chosen (faces: 0, 1, 20 and 22 were; sprites: 12).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentia.data.source import Source, finish
from latentia.data.spec import DataOptions, Dataset
from latentia.data.sprites import draw_factors, render
from latentia.debiasing import debias
from latentia.debiasing.compare import Debiased, probabilities
from latentia.debiasing.sets import POSITIVE
from latentia.metrics.fairness_compare import compare, over_comparisons

SIDE, CROPS = 32, 3
MIDDLE = slice(8, 24)
DARK = 0.4  # of the pictures, by the light on the face
NEGATIVES = 3000  # of the 4,000 CIFAR-10 pictures; the others judge
LABORATORY = {"LF": "light, female", "LM": "light, male", "DF": "dark, female", "DM": "dark, male"}
RARE_HUE, RARE_HEARTS, RED_OTHERS, HEARTS = 0, 0.01, 0.75, 3000
SMALL = {"width": 32, "depth": 1, "flip": True}
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "faces": (100_000, {"latent": 4, "effective": 0.05}),
    "sprites": (55_000, {"effective": 0.3}),
    "olivetti": (20_000, {}),
}
"""Examples that each model sees, and settings beside the family's defaults."""
FIRST_SEED = {"faces": 10, "sprites": 20, "olivetti": 10}
Sets = tuple[Dataset, Dataset, dict[str, np.ndarray]]


def two_classes(name: str, positive: np.ndarray, negative: np.ndarray) -> Dataset:
    """uint8 images `(N, C, H, W)` of each class as a data set; the positive class is the first."""
    labels = np.repeat(np.arange(2), [len(positive), len(negative)])
    source = Source(
        name, np.concatenate([positive, negative]), labels=labels, classes=("positive", "other")
    )
    return finish(source, "all", DataOptions())


# faces


def pictures(path: Path) -> tuple[list[str], list[Image.Image]]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")]
        opened = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    return names, opened


def shrunk(image: Image.Image, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """`(3, SIDE, SIDE)` of a box, or of the middle square."""
    if box is None:
        w, h = image.size
        s = min(w, h)
        box = ((w - s) / 2, (h - s) / 2, (w + s) / 2, (h + s) / 2)
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, box=box)
    return np.asarray(small).transpose(2, 0, 1)


class Faces:
    """The face sets, read once."""

    def __init__(self, data: Path) -> None:
        _, celeba = pictures(data / "faces/celeba_6000.zip")
        random = np.random.default_rng(0)
        crops = [[shrunk(face, crop(random)) for _ in range(CROPS)] for face in celeba]
        self.crops = np.array(crops)
        tight = np.stack([shrunk(face, (20, 37, 70, 87)) for face in celeba])
        light = tight[:, :, MIDDLE, MIDDLE].mean((1, 2, 3))
        self.dark = light < np.quantile(light, DARK)
        names, fair = pictures(data / "faces/fairface_3000_96px.zip")
        with (data / "faces/fairface_3000_labels.csv").open(newline="") as file:
            rows = {row["file"]: row for row in csv.DictReader(file)}
        self.fair = np.stack([shrunk(face) for face in fair])
        facts = [rows[Path(name).name] for name in names]
        self.groups = {key: np.array([f[key] for f in facts]) for key in ("race", "gender")}
        names, lab = pictures(data / "faces/mit_test_faces.zip")
        self.laboratory = np.stack([shrunk(face) for face in lab])
        self.kinds = np.array([LABORATORY[Path(name).parts[-2]] for name in names])
        with np.load(data / "cifar10/cifar10_4000.npz") as archive:
            self.other = archive["images"].transpose(0, 3, 1, 2)

    def sets(self, seed: int, rare: float) -> Sets:
        random = np.random.default_rng(seed)
        usual, dark = np.flatnonzero(~self.dark), np.flatnonzero(self.dark)
        kept = np.concatenate([usual, random.permutation(dark)[: round(rare * len(usual))]])
        train = two_classes(
            "faces", self.crops[kept].reshape(-1, 3, SIDE, SIDE), self.other[:NEGATIVES]
        )
        test = two_classes("FairFace", self.fair, self.other[NEGATIVES:])
        none = np.full(len(self.other) - NEGATIVES, "")
        return train, test, {key: np.concatenate([v, none]) for key, v in self.groups.items()}


def crop(random: np.random.Generator) -> tuple[float, float, float, float]:
    """A random square about the face of an 89 × 109 picture of CelebA."""
    half, x, y = random.uniform(20, 34), 45 + random.uniform(-5, 5), 62 + random.uniform(-6, 6)
    return max(0, x - half), max(0, y - half), min(89, x + half), min(109, y + half)


# known truth


def hearts(seed: int) -> Sets:
    """Hearts of which one hue is rare, against other shapes most of which have that hue."""
    factors = near_the_middle(16 * HEARTS, seed)
    heart, red = factors["shape"] == 2, factors["hue"] == RARE_HUE
    kinds = (heart & ~red, heart & red, ~heart & ~red, ~heart & red)
    shares = (1, RARE_HEARTS, 1 - RED_OTHERS, RED_OTHERS)
    rows = [np.flatnonzero(k)[: round(s * HEARTS)] for k, s in zip(kinds, shares, strict=True)]
    chosen = [
        render({key: values[part] for key, values in factors.items()}, SIDE)
        for part in (np.concatenate(rows[:2]), np.concatenate(rows[2:]))
    ]
    fresh = near_the_middle(12_000, 10_000 + seed)
    order = np.argsort(fresh["shape"] != 2, kind="stable")
    fresh = {key: values[order] for key, values in fresh.items()}
    count, images = int((fresh["shape"] == 2).sum()), render(fresh, SIDE)
    test = two_classes("sprites", images[:count], images[count:])
    hue = np.array([f"hue {k}" for k in fresh["hue"]], dtype=object)
    hue[count:] = ""
    return two_classes("sprites", *chosen), test, {"hue": hue}


def near_the_middle(n: int, seed: int) -> dict[str, np.ndarray]:
    """Factors of larger sprites that do not lie far from the middle."""
    factors = draw_factors(n, seed)
    for name, low, span in (("x", 12, 8), ("y", 12, 8), ("scale", 3, 3)):
        factors[name] = low + factors[name] % span
    return factors


def persons(data: Path, seed: int) -> Sets:
    """Twenty persons, half of them seen once, against twenty others."""
    with np.load(data / "faces/olivetti_64.npz") as archive:
        images, who = archive["images"].reshape(-1, 1, 64, 64), archive["labels"]
    random = np.random.default_rng(seed)
    people = random.permutation(40)
    mine, usual = people[:20], set(people[:10].tolist())
    train: list[list[int]] = [[], []]
    test: list[list[int]] = [[], []]
    for person in people:
        rows = random.permutation(np.flatnonzero(who == person)).tolist()
        kind = int(person not in mine)
        seen = 8 if kind or person in usual else 1
        train[kind] += rows[:seen]
        test[kind] += rows[8:]
    groups = ["frequent" if who[i] in usual else "rare" for i in test[0]] + [""] * len(test[1])
    sets = [two_classes("olivetti", images[a], images[b]) for a, b in (train, test)]
    return sets[0], sets[1], {"person": np.array(groups)}


# the comparison


def run(sets: Callable[[int], Sets], seeds: range, out: Path, **options: Any) -> list[Debiased]:
    """One comparison for each seed, each with its own draw of the data."""
    found = []
    for seed in seeds:
        train, test, groups = sets(seed)
        part = debias(train, test, groups, out=out / str(seed), seeds=(seed,), **options)
        found.append(part)
        print(f"seed {seed}:", *part.sentences(), sep="\n  ", flush=True)
    return found


def summed(found: list[Debiased], rate: str = "tpr") -> None:
    summary = over_comparisons([part.comparisons[0] for part in found], rate=rate)
    print(*summary.sentences(), sep="\n")
    for name, (plain, debiased) in summary.figures.items():
        print(
            f"| {name} | {plain.shown(False)} | {debiased.shown(False)} | "
            f"{summary.differences[name].shown(False)} |"
        )


def at_equal_false_alarms(found: list[Debiased], sets: Callable[[int], Sets]) -> None:
    """The same comparison where each model takes 5 % of the held-out negatives for positives."""
    comparisons = []
    for part in found:
        seed = part.runs["plain"][0].seed
        _, test, groups = sets(seed)
        assert test.labels is not None
        truth = test.labels == POSITIVE
        said = [probabilities(part.runs[arm][0].model(), test) for arm in ("plain", "debiased")]
        limits = [float(np.quantile(p[~truth], 0.95)) for p in said]
        comparisons.append(
            compare(said[0], said[1], truth, groups, threshold=(limits[0], limits[1]), seed=seed)
        )
    print("At 5 % false positives:")
    print(*over_comparisons(comparisons).sentences(), sep="\n")


def laboratory(found: list[Debiased], faces: Faces) -> None:
    """How many of the five faces of each kind are found, mean over seeds."""
    empty = np.zeros((1, 3, SIDE, SIDE), np.uint8)
    data = two_classes("laboratory", faces.laboratory, empty)
    for arm in ("plain", "debiased"):
        hits = [probabilities(p.runs[arm][0].model(), data)[:-1] > 0.5 for p in found]
        each = {k: np.mean([h[faces.kinds == k].sum() for h in hits]) for k in LABORATORY.values()}
        print(arm, "of 5:", ", ".join(f"{kind} {count:.1f}" for kind, count in each.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("faces", "sprites", "olivetti"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=None)
    parser.add_argument("--rare", type=float, default=0.05)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("LATENTIA_DATA", beside))
    chosen = dict(word.split("=", 1) for word in asked.set)
    out = asked.out or Path("runs") / f"debias-{asked.what}"
    faces = Faces(data) if asked.what == "faces" else None
    makers: dict[str, Callable[[int], Sets]] = {
        "faces": lambda seed: faces.sets(seed, asked.rare) if faces else hearts(seed),
        "sprites": hearts,
        "olivetti": lambda seed: persons(data, seed),
    }
    sets = makers[asked.what]
    examples, own = CASES[asked.what]
    options = {"examples": asked.examples or examples, "settings": {**SMALL, **own, **chosen}}
    first = FIRST_SEED[asked.what] if asked.first_seed is None else asked.first_seed
    seeds = range(first, first + asked.seeds)
    found = run(sets, seeds, out, quiet=True, **options)
    summed(found)
    at_equal_false_alarms(found, sets)
    if faces is not None:
        laboratory(found, faces)


if __name__ == "__main__":
    main()
