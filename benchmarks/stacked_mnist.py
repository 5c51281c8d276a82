"""Stacked-MNIST: three digits as the colour channels of a picture, 1,000 modes to find.

python benchmarks/stacked_mnist.py --minutes 60 --out FOLDER

Stacks are drawn with a seed from $LATENTIA_DATA/mnist (or --data): 128,000 of the training
digits, as in Srivastava et al. (2017) and Lin et al. (2018, PacGAN), and 26,000 of the test
digits. A GAN is trained without labels, 26,000 samples are drawn, and a classifier of single
digits, trained on real ones, reads every channel. Published (PacGAN, table 2): DCGAN 99 modes,
PacDCGAN2 1,000.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

import latentia
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.metrics.evaluate import evaluate

TRAINING, TEST = 128_000, 26_000


def main() -> None:
    args = parsed()
    data = args.data or Path(os.environ["LATENTIA_DATA"])
    source = data if (data / "train-images-idx3-ubyte.gz").is_file() else data / "mnist"
    stacks = args.out / "stacked_mnist.npz"
    if not stacks.is_file():
        build(source, stacks)
    folder, chosen = args.out / "run", dict(word.split("=", 1) for word in args.set)
    if not (folder / "model.safetensors").is_file():
        latentia.fit(
            stacks, model="gan", minutes=args.minutes, seed=args.seed, out=folder, settings=chosen
        )
    run = latentia.Run.open(folder)
    last = run.history()[-1]
    found = evaluate(
        run.model(),
        run.data("train"),
        run.data("test"),
        metrics=["stacked_modes"],
        samples=args.samples,
    )["stacked_modes"]
    found["images"] = last["examples"]
    found["images_per_s"] = last["examples"] / last["seconds"]
    found["settings"] = run.settings.model_dump(mode="json")
    path = args.out / "stacked_mnist.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds mnist/; else $LATENTIA_DATA")
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--samples", type=int, default=TEST)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--out", type=Path, default=Path("stacked_mnist"))
    args = words.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def build(source: Path, out: Path) -> None:
    """Write training and test stacks with classes named "000" to "999"."""
    train, train_labels = stacked(open_data(source), TRAINING, seed=0)
    test, test_labels = stacked(open_data(source, split="test"), TEST, seed=1)
    np.savez(
        out,
        x_train=train,
        y_train=train_labels,
        x_test=test,
        y_test=test_labels,
        class_names=np.array([f"{k:03d}" for k in range(1000)]),
    )


def stacked(digits: Dataset, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`n` pictures of three digits each, uint8 `(n, 3, 28, 28)`, and their classes 0 to 999."""
    assert digits.labels is not None
    chosen = np.random.default_rng(seed).integers(0, len(digits), (n, 3))
    values = np.asarray(digits.values)[chosen, 0]
    return values, digits.labels[chosen] @ np.array([100, 10, 1])


if __name__ == "__main__":
    sys.exit(main())
