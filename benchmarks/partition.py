"""log Z of restricted Boltzmann machines on MNIST: brute force, annealed from below and from above.

python benchmarks/partition.py --data DATA

DATA (or $LATENTIA_DATA) holds mnist/. Machines with 10 and 20 hidden units are summed exactly, so
that both bounds can be judged; one with 200 has bounds alone. Runs that are there already are
measured, not trained again. Each row is one effort of annealing: its temperatures up, and as many
down.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import latentia
from latentia.metrics.partition import exact_method, partition
from latentia.run import Run
from latentia.training.device import tune_process

HEAD = (
    "| hidden | temperatures | log Z | from below | from above | gap | effective | "
    "test NLL, nats | trusted | seconds |\n" + "|---" * 10 + "|"
)


def main() -> None:
    words = arguments()
    tune_process()
    print(HEAD)
    for hidden in map(int, words.hidden.split(",")):
        run = trained(words, hidden)
        exact = measured(words, run, "exact") if summed(run) else None
        if exact is not None:
            print(told(hidden, exact, exact), flush=True)
        for steps in map(int, words.temperatures.split(",")):
            print(told(hidden, measured(words, run, "annealing", steps), exact), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    at = os.environ.get("LATENTIA_DATA")
    parser.add_argument("--data", type=Path, default=at, required=at is None)
    parser.add_argument("--hidden", default="10,20,200", help="units of each machine")
    parser.add_argument("--examples", type=int, default=600_000, help="of each training")
    parser.add_argument("--temperatures", default="100,1000,10000")
    parser.add_argument("--chains", type=int, default=400, help="in each direction")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/partition"))
    return parser.parse_args()


def trained(words: argparse.Namespace, hidden: int) -> Run:
    """A machine, trained where it is not there yet."""
    folder = words.out / f"hidden-{hidden}"
    if (folder / "model.safetensors").is_file() and Run.open(folder).finished:
        return Run.open(folder)
    return latentia.fit(
        words.data / "mnist",
        model="rbm",
        examples=words.examples,
        out=folder,
        seed=words.seed,
        settings={"latent": hidden},
        resume=(folder / "train.pt").is_file(),
        quiet=True,
    )


def summed(run: Run) -> bool:
    """Whether every state can be summed."""
    return exact_method(run.model(), run.data("train")) is not None


def measured(
    words: argparse.Namespace, run: Run, method: str, temperatures: int | None = None
) -> dict[str, Any]:
    """The figures of one method, kept beside the run."""
    kept = run.folder / f"{method}-{temperatures or 'sum'}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    facts = partition(
        run.model(),
        run.data("train"),
        run.data("test"),
        method=None if method == "exact" else "annealing",
        chains=words.chains,
        temperatures=temperatures,
        seed=words.seed,
    )
    facts["training_seconds"] = run.history()[-1]["seconds"]
    kept.write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def told(hidden: int, facts: dict[str, Any], exact: dict[str, Any] | None) -> str:
    """One row; beside each bound its distance to the truth, where that is known."""
    cells = [str(hidden), f"{facts['temperatures']:,}" if facts["temperatures"] else "every state"]
    cells.append(best_in_words(facts, exact))
    for side in (facts["lower"], facts["upper"]):
        cells.append("" if side is None else bound_in_words(side, exact))
    if facts["lower"] is None:
        cells += ["", ""]
    else:
        least = min(facts[side]["effective"] for side in ("lower", "upper"))
        cells += [f"{facts['gap']:.3f}", f"{least:.0f} of {facts['lower']['chains']}"]
    low, high = facts["nll_range"]
    between = "" if low == high else f" ({low:.2f} to {high:.2f})"
    cells.append(f"{facts['nll_nats']:.2f} ± {facts['nll_standard_error']:.2f}{between}")
    cells += ["yes" if facts["trusted"] else "no", f"{facts['seconds']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def best_in_words(facts: dict[str, Any], exact: dict[str, Any] | None) -> str:
    """log Z itself: exact, or from both directions with its error and its distance to the truth."""
    if facts["lower"] is None:
        return f"{facts['log_z']:.3f}"
    return bound_in_words({**facts, "standard_error": facts["log_z_error"]}, exact)


def bound_in_words(side: dict[str, Any], exact: dict[str, Any] | None) -> str:
    """A bound with its error and, where the truth is known, how far it is from there."""
    shown = f"{side['log_z']:.3f} ± {side['standard_error']:.3f}"
    return shown if exact is None else f"{shown} ({side['log_z'] - exact['log_z']:+.3f})"


if __name__ == "__main__":
    main()
