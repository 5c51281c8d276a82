"""What adaptive augmentation (ADA) does where there are few pictures.

    python benchmarks/augmentation.py [celeba|anime|digits] [--pictures 500] [--size 32]
        [--examples 60000] [--width 32] [--seeds 1] [--augment none adaptive]
        [--set augment_p=0.3] [--out runs/augmentation]

A GAN on some pictures, without augmentation and with it; all others are held out. Prints a table
in markdown. Fréchet distance of samples to half of the held-out pictures (at most 2,500; features:
those of `default_extractor` of the held-out ones), with that of the other half as the floor, and
of the training pictures themselves. Leak is the held-out gap of the critic, (C(seen) - C(unseen)) /
(C(seen) - C(samples)): 0 where it judges new pictures as those it was trained on, 1 where it takes
them for samples (r_v of Karras et al. 2020, eq. 1). Sure is r, averaged over the last tenth of
the run, on pictures as the critic saw them; p the probability of a change then.

Data lie in $LATENTIA_DATA, else in ../shared/data. Leaves runs, with `samples.png` in each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.open import open_data
from latentia.data.pictures import save_grid
from latentia.data.spec import Dataset
from latentia.fitting import fit
from latentia.maths.chunks import in_chunks
from latentia.metrics.features import FeatureExtractor, default_extractor, features_of
from latentia.metrics.fidelity import frechet_distance
from latentia.run import Run, load
from latentia.training.checkpoint import MODEL_FILE
from progressive import FACES, SHOWN, faces

MOST = 2500
NOTES = {"sure": "critic_real", "p": "augment_p", "right": "critic_right"}


def judges(unseen: Dataset) -> int:
    """Pictures that samples are held against: as many again are the floor."""
    return min(MOST, len(unseen) // 2)


def leak(model: Any, seen: Dataset, unseen: Dataset, samples: Tensor) -> float:
    """Share of the critic's gap between seen pictures and samples that unseen ones lack."""
    x = [seen.batch(range(len(seen))).x, unseen.batch(range(judges(unseen))).x, samples]
    known, new, made = (float(in_chunks(model.critic, part).mean()) for part in x)
    return (known - new) / (known - made)


def judged(
    run: Run, seen: Dataset, unseen: Dataset, extractor: FeatureExtractor
) -> dict[str, float]:
    """The figures of one run; samples are drawn without the critic's choice."""
    model: Any = load(run.folder)
    n, generator = judges(unseen), torch.Generator().manual_seed(0)
    samples = in_chunks(model.decode, torch.randn(n, model.latent_dim, generator=generator))
    rows = [row["notes"] for row in run.history() if row["progress"] > 0.9 and row["notes"]]
    late = {
        name: fmean(values) if (values := [row[note] for row in rows if note in row]) else 0.0
        for name, note in NOTES.items()
    }
    reference = features_of(unseen, extractor, np.arange(n))
    save_grid(samples[:SHOWN], run.folder / "samples.png", SHOWN)
    return {
        "frechet": frechet_distance(reference, extractor(samples)),
        "leak": leak(model, seen, unseen, samples),
        **late,
        "sure": 2 * late["sure"] - 1,  # a mean sign from the share of real pictures told
    }


def floors(seen: Dataset, unseen: Dataset, extractor: FeatureExtractor) -> str:
    """Fréchet distances of real pictures to the reference."""
    n = judges(unseen)
    some, others = np.arange(n), np.arange(n, 2 * n)
    reference = features_of(unseen, extractor, some)
    floor = frechet_distance(reference, features_of(unseen, extractor, others))
    known = frechet_distance(reference, features_of(seen, extractor, np.arange(len(seen))))
    return f"other held-out pictures {floor:.2f}, the {len(seen)} of training {known:.2f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", nargs="?", choices=(*FACES, "digits"), default="celeba")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--augment", nargs="+", default=["none", "adaptive"])
    parser.add_argument("--set", action="append", default=[], help="of augmented runs, key=value")
    parser.add_argument("--out", type=Path, default=Path("runs/augmentation"))
    return parser.parse_args()


def main() -> None:
    words = arguments()
    if words.data == "digits":  # 1,797 of 8 × 8 pixels, with classes
        data, flip = open_data("digits", split="all"), False
    else:
        data, flip = faces(words.data, words.size, "all"), True
    order = np.random.default_rng(0).permutation(len(data))
    seen = data.subset(np.sort(order[: words.pictures]))
    unseen = data.subset(np.sort(order[words.pictures :]))
    runs: list[tuple[str, int, Run]] = []
    for seed in range(words.seeds):
        for how in words.augment:
            folder = words.out / f"{how}-{seed}"
            chosen = {"width": words.width, "flip": flip, "augment": how}
            chosen |= dict(setting.split("=") for setting in words.set) if how != "none" else {}
            if not (folder / MODEL_FILE).exists():
                fit(
                    seen,
                    model="gan",
                    examples=words.examples,
                    out=folder,
                    seed=seed,
                    settings=chosen,
                )
            runs.append((how, seed, Run.open(folder)))
    extractor = default_extractor(unseen)
    print(f"Fréchet distance to held-out pictures: {floors(seen, unseen, extractor)}.\n")
    print("| augment | seed | Fréchet | leak | sure | p | critic right |")
    print("|---|---|---|---|---|---|---|")
    for how, seed, run in runs:
        row = judged(run, seen, unseen, extractor)
        print(
            f"| {how} | {seed} | {row['frechet']:.2f} | {row['leak']:.2f} | {row['sure']:.2f} "
            f"| {row['p']:.2f} | {row['right']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
