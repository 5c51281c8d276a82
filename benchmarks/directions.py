"""How a smile is added to faces, and what else changes: directions of latent space compared.

    python benchmarks/directions.py RUN [--label Smiling] [--judges 3] [--guides 6] [--goal 0.75]

RUN is a model of `faces/celeba_6000.zip` of the data folder ($LATENTIA_DATA). Directions are
learned from training faces. They are judged on held-out faces whose reconstruction the judge gives
a probability under 0.3, each at the strength that brings the judge's mean to the goal. Judges are
classifiers of all attributes, trained on training faces with seeds 0, 1, …; "guided" moves follow
other classifiers, of the next seeds. "balanced" judges learn from rows drawn such that the
label goes with no other attribute: they cannot take a smile for high cheekbones.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.attributes import Attributes, attributes_of, balancing_weights
from latentia.data.spec import Dataset
from latentia.explore.directions import (
    attribute_direction,
    labelled_codes,
    linear_scores,
    separability,
)
from latentia.explore.guided import guided_moves
from latentia.explore.latent import decode
from latentia.metrics.attributes import AttributeClassifier, attribute_classifier
from latentia.run import Run

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = Path("faces") / "celeba_6000_attributes.csv.gz"
BELOW = 0.3  # faces that the judge gives less
ROWS = 14_000  # drawn for a balanced judge
DRAWS = 1000  # of the bootstrap
BASE = "difference of means"


@dataclass(frozen=True)
class Faces:
    """Training and held-out rows with their attributes."""

    train: Dataset
    known: Attributes
    test: Dataset
    held: Attributes


def judge_of(faces: Faces, target: int, seed: int, balanced: bool) -> AttributeClassifier:
    """One classifier of all attributes."""
    train, known = faces.train, faces.known
    if balanced:
        weights = balancing_weights(known, target)
        chances = weights / weights.sum()
        rows = np.random.default_rng(seed).choice(len(train), ROWS, p=chances)
        train, known = train.subset(rows), Attributes(known.names, known.values[rows])
    return attribute_classifier(train, known, faces.test, faces.held, seed=seed, mirror=True)


def mean_of(
    judges: list[AttributeClassifier], differentiable: bool = False
) -> Callable[[Tensor], Tensor]:
    """The mean answer of several judges."""
    if differentiable:
        return lambda x: torch.stack([judge.probabilities(x) for judge in judges]).mean(0)
    return lambda x: torch.stack([judge(x) for judge in judges]).mean(0)


def matched(
    answers: Callable[[float], Tensor], target: int, goal: float, most: float = 8.0
) -> tuple[float, Tensor] | None:
    """The smallest strength at which the mean probability is the goal, and the answers there."""
    ladder = np.linspace(0, most, 17)
    high = next((s for s in ladder if answers(s)[:, target].mean() >= goal), None)
    if high is None:
        return None
    low = max(0.0, high - ladder[1])
    for _ in range(10):
        middle = (low + high) / 2
        above = answers(middle)[:, target].mean() >= goal
        low, high = (low, middle) if above else (middle, high)
    return float(high), answers(high)


def moves_for(
    model: Any,
    codes: Tensor,
    z: Tensor,
    known: Attributes,
    target: int,
    guides: list[AttributeClassifier],
) -> dict[str, Tensor]:
    """What each method adds to the codes z, `(B, d)`, up to its strength."""
    values = torch.from_numpy(known.values)
    ways = {
        BASE: attribute_direction(codes, values, target, method="difference"),
        "partial": attribute_direction(codes, values, target, method="partial"),
        **{
            f"least, slack {s:g}": attribute_direction(
                codes, values, target, method="least", slack=s
            )
            for s in (0.5, 0.3, 0.1)
        },
    }
    moves = {name: way.repeat(len(z), 1) for name, way in ways.items()}
    guide = mean_of(guides, differentiable=True)
    half = ways[BASE] / 2
    return moves | {"guided": guided_moves(model, z, guide, target, start=half, scale=codes.std(0))}


def compare(
    model: Any,
    z: Tensor,
    moves: dict[str, Tensor],
    judge: Callable[[Tensor], Tensor],
    names: tuple[str, ...],
    target: int,
    goal: float,
) -> list[dict[str, Any]]:
    """A row of figures for each method; the first is what the others are compared with."""
    before = judge(decode(model, z))
    others = torch.arange(before.shape[1]) != target
    rows: list[dict[str, Any]] = []
    base = torch.ones(len(z))
    for name, move in moves.items():
        reached = matched(lambda s, m=move: judge(decode(model, z + s * m)), target, goal)  # type: ignore[misc]
        if reached is None:
            rows.append({"method": name, "strength": None})
            continue
        change = (reached[1] - before).abs()
        each = change[:, others].mean(1)
        base = each if name == BASE else base
        low, high = bootstrap(each, base)
        top = [i for i in change.mean(0).argsort(descending=True).tolist() if i != target][:3]
        rows.append(
            {
                "method": name,
                "strength": reached[0],
                "before": float(before[:, target].mean()),
                "after": float(reached[1][:, target].mean()),
                "others": float(each.mean()),
                "ratio": float(each.mean() / base.mean()),
                "interval": (low, high),
                "most": {names[i]: float(change[:, i].mean()) for i in top},
            }
        )
    return rows


def told(row: dict[str, Any]) -> str:
    """A row of the table."""
    if row["strength"] is None:
        return f"    {row['method']:<22} does not reach the goal"
    low, high = row["interval"]
    most = ", ".join(f"{k} {v:.2f}" for k, v in row["most"].items())
    return (
        f"    {row['method']:<22} {row['strength']:5.2f}  {row['before']:.2f} to {row['after']:.2f}"
        f"  others {row['others']:.4f}  ratio {row['ratio']:.2f} ({low:.2f} to {high:.2f})  {most}"
    )


def bootstrap(each: Tensor, base: Tensor) -> tuple[float, float]:
    """95 % interval of the ratio of means, over the faces."""
    random = np.random.default_rng(0)
    rows = random.integers(0, len(each), (DRAWS, len(each)))
    ratios = each.numpy()[rows].mean(1) / base.numpy()[rows].mean(1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)


def codes_and_faces(folder: Path, table: Path) -> tuple[Any, Faces, Tensor, Tensor]:
    """The model, the rows, and codes of training and held-out rows."""
    run = Run.open(folder)
    model: Any = run.model()
    train, test = run.data("train"), run.data("test")
    faces = Faces(train, attributes_of(train, table), test, attributes_of(test, table))
    codes, held = (
        labelled_codes(model, rows, known)[0]
        for rows, known in ((train, faces.known), (test, faces.held))
    )
    return model, faces, codes, held


def judged(
    model: Any, faces: Faces, codes: Tensor, held: Tensor, options: argparse.Namespace
) -> None:
    """Print the tables of one kind of judges."""
    for kind in options.kinds.split(","):
        balanced = kind == "balanced"
        target, began = faces.known.number(options.label), time.perf_counter()
        seeds = range(options.judges + options.guides)
        every = [judge_of(faces, target, s, balanced) for s in seeds]
        judges, guides = every[: options.judges], every[options.judges :]
        accuracy = ", ".join(f"{judge.accuracy[target]:.3f}" for judge in judges)
        print(
            f"\n{'balanced ' if balanced else ''}judges: {options.label} right {accuracy} "
            f"(ready after {time.perf_counter() - began:.0f} s)"
        )
        mean = mean_of(judges)
        z = held[mean(decode(model, held))[:, target] < BELOW]
        moves = moves_for(model, codes, z, faces.known, target, guides)
        alone = [([judge], f"judge {i} alone") for i, judge in enumerate(judges)]
        for some, name in [(judges, "mean of the judges"), *(alone if len(judges) > 1 else [])]:
            print(f"  {name}, {len(z)} faces")
            one, names = mean_of(some), faces.known.names
            for row in compare(model, z, moves, one, names, target, options.goal):
                print(told(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--label", default="Smiling")
    parser.add_argument("--judges", type=int, default=3, help="how many, seeds 0, 1, …")
    parser.add_argument("--guides", type=int, default=6, help="how many, of the next seeds")
    parser.add_argument("--kinds", default="balanced,usual", help="of judges and guides")
    parser.add_argument("--goal", type=float, default=0.75)
    parser.add_argument("--data", type=Path, default=os.environ.get("LATENTIA_DATA", BESIDE))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, faces, codes, held = codes_and_faces(options.run, Path(options.data) / TABLE)
    target = faces.known.number(options.label)
    scores = linear_scores(codes, torch.from_numpy(faces.known.values))(held)[:, target]
    area = separability(scores, torch.from_numpy(faces.held.values[:, target]))
    print(
        f"{len(codes)} training faces, {len(held)} held out; {options.label} told from the codes: "
        f"area under the ROC {area:.3f}"
    )
    judged(model, faces, codes, held, options)


if __name__ == "__main__":
    main()
