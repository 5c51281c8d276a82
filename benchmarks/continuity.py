"""Continuity and completeness of a regularised latent space (β = 1) and of one that is not (β = 0).

python benchmarks/continuity.py --data DATA --minutes 10 --seeds 0,1,2

DATA (or $LATENTIA_DATA) holds mnist/, fashion_mnist/ and faces/olivetti_64.npz. Everything but β
is the same for both. Runs that are there already are measured, not trained again. Where several
things share the machine, --examples is the fairer budget: both see as many pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latentia
from latentia.metrics.evaluate import evaluate
from latentia.run import Run
from latentia.training.device import tune_process

DATA = {"mnist": "mnist", "fashion": "fashion_mnist", "olivetti": "faces/olivetti_64.npz"}
SETTINGS = {"prior": "standard", "likelihood": "bernoulli"}
"""Bernoulli: a likelihood whose scale is learned would outweigh the KL term, whatever β."""
FIGURES: dict[str, tuple[tuple[str, ...], bool]] = {
    "change per step": (("continuity", "change_per_step"), False),
    "class kept": (("continuity", "kept_class"), True),
    "smoothness": (("walks", "smoothness"), True),
    "largest jump": (("walks", "largest_jump", "share"), False),
    "prior on": (("completeness", "prior_precision"), True),
    "normal on": (("completeness", "gaussian_precision"), True),
    "half way on": (("completeness", "midpoints_on"), True),
    "walks on": (("completeness", "walks_on"), True),
    "reconstructions on": (("completeness", "reconstructions_on"), True),
}
"""Name: where it stands in the answer, and whether more is better."""


def main() -> None:
    words = arguments()
    tune_process()
    found: dict[str, dict[float, list[dict[str, Any]]]] = {}
    for name in words.sets.split(","):
        for beta in (1.0, 0.0):
            for seed in map(int, words.seeds.split(",")):
                run = trained(words, name, beta, seed)
                found.setdefault(name, {}).setdefault(beta, []).append(measured(run))
    print_table(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    at = os.environ.get("LATENTIA_DATA")
    parser.add_argument("--data", type=Path, default=at, required=at is None)
    parser.add_argument("--sets", default=",".join(DATA), help="of mnist, fashion, olivetti")
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--minutes", type=float, help="of each run")
    parser.add_argument("--examples", type=int, help="of each run, instead of minutes")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="more")
    parser.add_argument("--out", type=Path, default=Path("runs/continuity"))
    words = parser.parse_args()
    if words.minutes is None and words.examples is None:
        words.minutes = 10.0
    return words


def trained(words: argparse.Namespace, name: str, beta: float, seed: int) -> Run:
    """The run of one data set, β and seed, trained where it is not there yet."""
    folder = words.out / f"{name}-beta{beta:g}-{seed}"
    if (folder / "model.safetensors").is_file():
        return Run.open(folder)
    settings = dict(word.split("=", 1) for word in words.more)
    return latentia.fit(
        words.data / DATA[name],
        model="vae",
        minutes=words.minutes,
        examples=words.examples,
        out=folder,
        seed=seed,
        settings={**SETTINGS, "latent": words.latent, "beta": beta, **settings},
    )


def measured(run: Run) -> dict[str, Any]:
    """The figures, kept beside the run."""
    train, test = run.data("train"), run.data("test")
    answer = evaluate(run.model(), train, test, metrics=["latent_space", "reconstruction"])
    (run.folder / "latent_space.json").write_text(json.dumps(answer, indent=2))
    facts = {k: dig(answer["latent_space"], path) for k, (path, _) in FIGURES.items()}
    return {**facts, "PSNR (dB)": answer["reconstruction"].get("psnr_db")}


def dig(facts: Any, path: Sequence[str]) -> Any:
    for key in path:
        facts = facts[key]
    return facts


def print_table(found: dict[str, dict[float, list[dict[str, Any]]]]) -> None:
    """Mean (and spread over seeds) of every figure; an arrow shows which way is better."""
    names = [*FIGURES, "PSNR (dB)"]
    better = {name: "↑" if up else "↓" for name, (_, up) in FIGURES.items()}
    print("| data | β | " + " | ".join(f"{n} {better.get(n, '')}".strip() for n in names) + " |")
    print("|---|---|" + "---|" * len(names))
    for data, by_beta in found.items():
        for beta, rows in by_beta.items():
            cells = [shown([row[name] for row in rows]) for name in names]
            print(f"| {data} | {beta:g} | " + " | ".join(cells) + " |")
    for data, by_beta in found.items():
        ahead = [
            name
            for name, (_, up) in FIGURES.items()
            if (gap(by_beta, name) > 0) == up and gap(by_beta, name)
        ]
        print(f"\n{data}: β = 1 is ahead in {', '.join(ahead) or 'nothing'}.")


def gap(by_beta: dict[float, list[dict[str, Any]]], name: str) -> float:
    """Mean at β = 1 less mean at β = 0."""
    one, none = ([row[name] for row in by_beta[beta]] for beta in (1.0, 0.0))
    return 0.0 if None in one + none else statistics.fmean(one) - statistics.fmean(none)


def shown(values: list[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):.2g}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.3f}{spread}"


if __name__ == "__main__":
    main()
