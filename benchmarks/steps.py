"""How good samples are in so many steps, and how long they take: a table and a chart.

    python benchmarks/steps.py RUN [RUN …] --data DATA --out FOLDER

Each run is sampled by each of `--samplers` (consistency runs in their own way) in each of
`--steps`; the Fréchet distance is that of `latentia evaluate`, with its floor.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from torch import Tensor

import latentia
from latentia.metrics.evaluate import evaluate
from latentia.run import Run

TIMED = 64  # pictures


class InSteps:
    """A model that samples in a number of steps, whatever it is asked for."""

    def __init__(self, model: Any, steps: int) -> None:
        self.model, self.steps = model, steps

    def sample(
        self, seeds: range, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        return self.model.sample(seeds, steps=self.steps)


def ways(model: Any, samplers: list[str]) -> dict[str, Any]:
    """The model under each sampler by name; one that follows no ODE as it is."""
    if not hasattr(model, "sampling"):
        return {"consistency": lambda: model}

    def under(name: str) -> Any:
        model.sampling = replace(model.sampling, sampler=name)
        return model

    return {name: (lambda name=name: under(name)) for name in samplers}


def seconds_of(model: InSteps) -> float:
    """Of 64 pictures, the better of two times."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        model.sample(range(TIMED))
        times.append(time.perf_counter() - start)
    return min(times)


def measure(folder: Path, data: str | None, args: argparse.Namespace) -> list[dict[str, Any]]:
    run = Run.open(folder)
    model = latentia.load(folder)
    train, test = run.data("train", data), run.data("test", data)
    rows = []
    for name, under in ways(model, args.samplers).items():
        for steps in args.steps:
            if name == "consistency" and steps > args.most_consistency_steps:
                continue
            fixed = InSteps(under(), steps)
            found = evaluate(
                fixed, train, test, metrics=["fidelity"], samples=args.samples, seed=args.seed
            )["fidelity"]
            row = {"run": folder.name, "sampler": name, "steps": steps}
            row |= {"seconds": seconds_of(fixed), **found}
            rows.append(row)
            print(
                f"{folder.name:<20}{name:<16}{steps:>4} steps  Fréchet {frechet(row):.3f}  "
                f"{row['seconds']:.2f} s for {TIMED}",
                flush=True,
            )
    return rows


def frechet(row: dict[str, Any]) -> float:
    return float(row["frechet"])


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """Fréchet distance against steps, both on logarithmic axes."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for run, name in sorted({(row["run"], row["sampler"]) for row in rows}):
        some = [row for row in rows if (row["run"], row["sampler"]) == (run, name)]
        label = name if name == "consistency" else f"diffusion, {name}"
        axes.plot([r["steps"] for r in some], [frechet(r) for r in some], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="Fréchet distance")
    steps = sorted({row["steps"] for row in rows})
    axes.set_xticks(steps, [str(s) for s in steps])
    axes.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--samplers", nargs="+", default=["heun", "dpm-solver-2m", "euler"])
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--most-consistency-steps", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [row for folder in args.runs for row in measure(folder, args.data, args)]
    (args.out / "steps.json").write_text(json.dumps(rows, indent=1))
    draw(rows, args.out / "steps.png")


if __name__ == "__main__":
    main()
