"""Energy-based models on Fashion-MNIST: samples from noise, strangers by energy, JEM's classes.

python benchmarks/energy.py --minutes 40 --out FOLDER [--part samples|ood|jem] [--set KEY=VALUE]

samples: trains `--model energy` on $LATENTIA_DATA/fashion_mnist, writes a grid of chains from
    noise, next to the energies of data and chains over the run, and how large any became.
ood:     how well that run's energy (it is trained where there is none) tells the test digits of
    $LATENTIA_DATA/mnist from the test pictures of Fashion-MNIST: the area under the ROC curve, of
    the energy alone and of `latentia score` with energy as its only score.
jem:     trains labels=joint, and the same network as a plain classifier for as many examples by
    the same optimiser and schedule, and compares their accuracies on the test pictures; asks the
    joint model for 100 samples of every class, and a classifier of real pictures for theirs; and
    tells digits from clothes by the joint model's energy.

Every part can be run alone; a finished run in --out is taken as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

import latentia
from latentia.abilities import Classifies, HasEnergy
from latentia.data.open import open_data
from latentia.data.pictures import save_grid
from latentia.data.spec import Dataset
from latentia.detection.scorer import OutlierScorer
from latentia.fitting import build_trainer
from latentia.game import Batch, Now, Player, Terms
from latentia.maths.chunks import in_chunks
from latentia.metrics.evaluate import evaluate
from latentia.metrics.features import ClassifierFeatures, default_extractor
from latentia.run import Run
from latentia.training.budget import Budget

PARTS = ("samples", "ood", "jem")
WANTED = {"auroc": 0.95, "accuracy_lost": 0.015}


def main() -> None:
    args = parsed()
    record: dict[str, Any] = {}
    for part in args.part or PARTS:
        record[part] = {"samples": samples, "ood": ood, "jem": jem}[part](args)
        print(part, json.dumps(record[part]), flush=True)
    path = args.out / f"{'-'.join(['energy', *args.part])}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"All figures: {path}")


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds fashion_mnist/ and mnist/")
    words.add_argument("--minutes", type=float, help="of each training; 40 where nothing is said")
    words.add_argument("--examples", type=int, help="in their place, on a machine shared by others")
    words.add_argument("--rows", type=int, default=10_000, help="test pictures of each kind")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--part", action="append", choices=PARTS, default=[])
    words.add_argument("--out", type=Path, default=Path("energy"))
    args = words.parse_args()
    args.data = args.data or Path(os.environ["LATENTIA_DATA"])
    if args.minutes is None and args.examples is None:
        args.minutes = 40.0
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def trained(args: argparse.Namespace, name: str, **settings: object) -> Run:
    """A finished run in the folder, or a new one."""
    folder = args.out / name
    if not (folder / "model.safetensors").is_file():
        chosen = {**settings, **dict(word.split("=", 1) for word in args.set)}
        latentia.fit(
            args.data / "fashion_mnist",
            model="energy",
            minutes=args.minutes,
            examples=args.examples,
            seed=args.seed,
            out=folder,
            settings=chosen,
        )
    return Run.open(folder)


def spread(data: Dataset, rows: int) -> Dataset:
    """So many rows, evenly apart."""
    return data.subset(slice(0, None, max(1, len(data) // rows)))


def samples(args: argparse.Namespace) -> dict[str, Any]:
    """Chains from noise, and whether energies stayed bounded."""
    run = trained(args, "run")
    model, history = run.model(), [row for row in run.history() if row.get("notes")]
    save_grid(model.sample(range(100)), args.out / "samples.png", columns=10)
    told = {name: [row["notes"][name] for row in history] for name in history[0]["notes"]}
    tenths = [round(k * (len(history) - 1) / 10) for k in range(11)]
    last, source = run.history()[-1], args.data / "fashion_mnist"
    real = open_data(source), open_data(source, split="test")
    near = evaluate(model, *real, metrics=["fidelity"], samples=2000)["fidelity"]
    return {
        "frechet": near["frechet"],
        "floor": near["floor"]["frechet"],
        "examples": last["examples"],
        "minutes": last["seconds"] / 60,
        "temperature": model.temperature,
        "chain": model.steps,
        **{name: [round(values[k], 3) for k in tenths] for name, values in told.items()},
        "largest": max(told["energy_largest"]),
    }


def ood(args: argparse.Namespace) -> dict[str, Any]:
    """Digits against clothes, by the energy."""
    model = trained(args, "run").model()
    clothes, digits, train = _three(args)
    found = {"energy": auroc(of(model, clothes), of(model, digits))}
    half = clothes.subset(slice(0, None, 2)), clothes.subset(slice(1, None, 2))
    scorer = OutlierScorer.fit(model, train, half[0], scores=["energy"], seed=args.seed)
    found["score"] = auroc(*(scorer.score(rows).total for rows in (half[1], digits)))
    return {**found, "wanted": WANTED["auroc"]}


def _three(args: argparse.Namespace) -> tuple[Dataset, Dataset, Dataset]:
    """Test clothes, test digits, and the clothes that were trained on."""
    fashion, digits = args.data / "fashion_mnist", args.data / "mnist"
    tests = (spread(open_data(source, split="test"), args.rows) for source in (fashion, digits))
    return *tests, open_data(fashion)


def of(model: HasEnergy, data: Dataset) -> np.ndarray:
    """Energies of all rows, `(N,)`."""
    return in_chunks(model.energy, data.batch(range(len(data))).x).numpy()


def auroc(usual: np.ndarray, strange: np.ndarray) -> float:
    """How often a strange row is found stranger than a usual one."""
    truth = np.r_[np.zeros(len(usual)), np.ones(len(strange))]
    return float(roc_auc_score(truth, np.r_[usual, strange]))


def jem(args: argparse.Namespace) -> dict[str, Any]:
    """The joint model beside the same network taught to classify and nothing else."""
    run = trained(args, "joint", labels="joint")
    test = spread(open_data(args.data / "fashion_mnist", split="test"), args.rows)
    examples, plain = run.history()[-1]["examples"], args.out / "plain"
    found = {
        "joint": accuracy(run.model(), test),
        "plain": accuracy(classifier(run, examples, plain), test),
        "examples": examples,
    }
    found["lost"] = found["plain"] - found["joint"]
    found["auroc"] = auroc(*(of(run.model(), rows) for rows in _three(args)[:2]))
    return {**found, "wanted": WANTED["accuracy_lost"], **asked(args, run)}


def accuracy(model: Classifies, data: Dataset) -> float:
    """Share of rows whose class is the likeliest."""
    batch = data.batch(range(len(data)))
    return float((in_chunks(model.predict_proba, batch.x).argmax(1) == batch.labels).float().mean())


class Plain:
    """Cross-entropy of the joint model's logits, on the same noisy data, and nothing else."""

    def __init__(self, model: Any, player: Player, noise: float) -> None:
        self.model, self.noise, self.players = model, noise, {"energy": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        noisy = batch.x + self.noise * now.noise(*batch.x.shape)
        logits = self.model.logits(self.model.kept(noisy))
        yield "energy", {"labels": F.cross_entropy(logits, batch.labels)}


def classifier(run: Run, examples: int, folder: Path) -> nn.Module:
    """The run's network with the run's optimiser, schedule, average and examples."""
    folder.mkdir(exist_ok=True)
    twin = replace(run, folder=folder, budget=Budget(examples=examples))
    trainer = build_trainer(twin, twin.data(), torch.device("cpu"))
    trainer.objective = Plain(
        trainer.model, trainer.players["energy"], run.settings.known("data_noise")
    )
    trainer.preview = trainer.checkups = None
    trainer.run()
    return trainer.average.model


def asked(args: argparse.Namespace, run: Run) -> dict[str, Any]:
    """How often the joint model gives the class it is asked for."""
    source = args.data / "fashion_mnist"
    judge = default_extractor(open_data(source), open_data(source, split="test"))
    classes = torch.arange(10).repeat_interleave(100)
    made = run.model().sample(range(len(classes)), condition=classes)
    shown = made.unflatten(0, (10, 100))[:, :10].flatten(0, 1)
    save_grid(shown, args.out / "classes.png", columns=10)
    assert isinstance(judge, ClassifierFeatures)
    named = judge.predict_proba(made).argmax(1)
    return {"agreement": float((named == classes).float().mean()), "judge": judge.accuracy}


if __name__ == "__main__":
    sys.exit(main())
