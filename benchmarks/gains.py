"""What each extension of the VAE gains on static MNIST: one row each, the same digits seen.

python benchmarks/gains.py --data DATA

DATA (or $LATENTIA_DATA) holds mnist/. Runs that are there already are measured, not trained again.
Each group has a base; a gain is the base's test NLL less the row's, in nats.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import latentia
from latentia.metrics.evaluate import evaluate
from latentia.run import Run
from latentia.training.device import tune_process

STATIC = {"binarize": "static"}
DENSE = {**STATIC, "network": "mlp", "width": 400, "latent": 40, "lr": 1e-3, "prior": "standard"}
CONV = {**STATIC, "prior": "standard"}
GROUPS: dict[str, tuple[int, dict[str, dict[str, Any]]]] = {
    "dense": (
        1_200_000,
        {
            "dense, standard normal prior": DENSE,
            "no warm-up of the KL": {**DENSE, "kl_warmup": 0.0},
            "free nats 0.1 a latent": {**DENSE, "free_nats": 0.1},
            "mixture prior, 100": {**DENSE, "prior": "mixture"},
            "VampPrior, 100": {**DENSE, "prior": "vamp"},
            "coupling-flow prior": {**DENSE, "prior": "flow"},
            "spline-flow prior (zuko)": {**DENSE, "prior": "spline"},
            "IWAE, 8 draws": {**DENSE, "objective": "iwae", "draws": 8},
            "DReG, 8 draws": {**DENSE, "objective": "dreg", "draws": 8},
        },
    ),
    "conv": (
        400_000,
        {
            "convolutions, standard normal prior": CONV,
            "three layers": {**CONV, "layers": 3},
            "coupling-flow prior, convolutions": {**CONV, "prior": "flow"},
            "three layers, flow on top": {**CONV, "layers": 3, "prior": "flow"},
        },
    ),
}


def main() -> None:
    words = arguments()
    tune_process()
    for group in words.groups.split(","):
        examples, rows = GROUPS[group]
        base: float | None = None
        print("| extension | test NLL, nats | gain | test −ELBO | seconds |\n|---|---|---|---|---|")
        for name, settings in rows.items():
            facts = measured(words, name, settings, words.examples or examples)
            nll = facts["nll_nats"]
            base = nll if base is None else base
            print(
                f"| {name} | {nll:.2f} ± {facts['nll_standard_error']:.2f} | {base - nll:+.2f} | "
                f"{-facts['elbo_nats']:.2f} | {facts['training_seconds']:.0f} |",
                flush=True,
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    at = os.environ.get("LATENTIA_DATA")
    parser.add_argument("--data", type=Path, default=at, required=at is None)
    parser.add_argument("--groups", default=",".join(GROUPS), help="of dense, conv")
    parser.add_argument("--examples", type=int, help="of each run, instead of the group's number")
    parser.add_argument("--importance-samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/gains"))
    return parser.parse_args()


def measured(
    words: argparse.Namespace, name: str, settings: dict[str, Any], examples: int
) -> dict[str, Any]:
    """The likelihood of a run, trained and evaluated where it is not there yet."""
    stem = "".join(c if c.isalnum() else "-" for c in name.lower())
    folder, kept = words.out / stem, words.out / f"{stem}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    data = words.data / "mnist"
    if (folder / "model.safetensors").is_file() and Run.open(folder).finished:
        run = Run.open(folder)
    else:
        run = latentia.fit(
            data,
            model="vae",
            examples=examples,
            out=folder,
            seed=words.seed,
            settings=settings,
            resume=(folder / "train.pt").is_file(),
            quiet=True,
        )
    found = evaluate(
        run.model(),
        run.data("train"),
        run.data("test"),
        metrics=["likelihood"],
        importance_samples=words.importance_samples,
        every=10,
        seed=0,
    )["likelihood"]
    facts = {**found, "training_seconds": run.history()[-1]["seconds"]}
    kept.write_text(json.dumps(facts))
    return facts


if __name__ == "__main__":
    main()
