"""A diffusion run beside diffusers' tutorial: the same data, processor time and judge.

python benchmarks/diffusion_quality.py --data mnist --minutes 15 --peers FOLDER --out FOLDER

Trains `--model diffusion` with its defaults on $LATENTIA_DATA/mnist (or fashion_mnist), and with
--peers diffusers' UNet2DModel for as many minutes of processor time a thread. Samples of both are
judged by the same extractor; ours are 10,000 where --samples says so, the peer's fewer, since
DDIM-50 takes minutes for hundreds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import latentia
from latentia.data.open import open_data
from latentia.metrics.evaluate import evaluate
from latentia.metrics.features import default_extractor
from latentia.metrics.fidelity import fidelity
from peers import generated


def main() -> None:
    args = parsed()
    source = Path(os.environ["LATENTIA_DATA"]) / args.data
    train, test = open_data(source), open_data(source, split="test")
    folder = args.out / "run"
    if not (folder / "model.safetensors").is_file():
        chosen = dict(word.split("=", 1) for word in args.set)
        latentia.fit(
            source, model="diffusion", minutes=args.minutes, out=folder, settings=chosen, seed=0
        )
    model, record = latentia.load(folder), {}
    for count in sorted({args.samples, args.peer_samples}):
        found = evaluate(model, train, test, metrics=["fidelity"], samples=count)["fidelity"]
        record[f"ours, {count}"] = found
        print(f"ours, {count} samples:", short(found), flush=True)
    if args.peers:
        made, said = generated(
            args.peers,
            "diffusers",
            train,
            args.out,
            minutes=args.minutes,
            samples=args.peer_samples,
        )
        found = fidelity(made, train, test, default_extractor(train, test))
        record["diffusers"] = {**said, **found}
        print(f"diffusers, {args.peer_samples} samples:", said, short(found), flush=True)
    path = args.out / "diffusion_quality.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"All figures: {path}")


def short(found: dict[str, Any]) -> dict[str, float]:
    floor = found["floor"]["frechet"]
    return {
        "frechet": found["frechet"],
        "floor": floor,
        "times_the_floor": found["frechet"] / floor,
        "precision": found["precision"],
        "recall": found["recall"],
    }


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--data", choices=("mnist", "fashion_mnist"), default="mnist")
    words.add_argument("--minutes", type=float, default=45)
    words.add_argument("--samples", type=int, default=10_000)
    words.add_argument("--peer-samples", type=int, default=1_000)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--peers", type=Path, help="folder of virtual environments, one per peer")
    words.add_argument("--out", type=Path, default=Path("diffusion_quality"))
    args = words.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    sys.exit(main())
