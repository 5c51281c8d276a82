"""Fashion-MNIST on demand: does the conditional GAN give the class that was asked for?

python benchmarks/fashion_conditional.py --minutes 45 --out FOLDER [--peers FOLDER [--only NAME]]

Trains `--model gan --set conditional=true` on $LATENTIA_DATA/fashion_mnist (or --data), asks it
for 1,000 samples of each class, and judges them by a classifier trained on the real training
pictures: how often it gives the class asked for, and the Fréchet distance of its features over
10,000 samples next to that of 10,000 real test pictures. With --peers, torchgan's DCGAN and
torch-mimicry's SNGAN get the same threads and width and as many minutes of processor time for
each thread, so that they lose nothing where others use the machine.
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
from latentia.data.spec import Dataset
from latentia.metrics.evaluate import evaluate
from latentia.metrics.features import default_extractor
from latentia.metrics.fidelity import fidelity
from peers import generated

PEERS = {"torchgan": 32, "mimicry": 64}
"""Width of each: torchgan's channels go from it to four times it, as ours do from 32;
torch-mimicry's are the same at every size, and 64 is the middle of 32 and 128."""


def main() -> None:
    args = parsed()
    data = args.data or Path(os.environ["LATENTIA_DATA"])
    source = data if (data / "train-images-idx3-ubyte.gz").is_file() else data / "fashion_mnist"
    train, test = open_data(source), open_data(source, split="test")
    judge = default_extractor(train, test)
    record: dict[str, Any] = {"ours": ours(args, source, train, test)}
    print(json.dumps(record["ours"]["short"]), flush=True)
    for name in args.only or PEERS if args.peers else ():
        made, said = generated(
            args.peers,
            name,
            train,
            args.out,
            minutes=args.minutes,
            samples=args.samples,
            width=PEERS[name],
        )
        record[name] = {**said, "fidelity": fidelity(made, train, test, judge)}
        print(name, json.dumps(record[name]["fidelity"]), flush=True)
    path = args.out / f"{'-'.join(['fashion_conditional', *args.only])}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"All figures: {path}")


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--data", type=Path, help="holds fashion_mnist/; else $LATENTIA_DATA")
    words.add_argument("--minutes", type=float, default=45)
    words.add_argument("--samples", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    words.add_argument("--peers", type=Path, help="folder of virtual environments, one per peer")
    words.add_argument("--only", action="append", choices=PEERS, default=[], help="of the peers")
    words.add_argument("--out", type=Path, default=Path("fashion_conditional"))
    args = words.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def ours(args: argparse.Namespace, source: Path, train: Dataset, test: Dataset) -> dict[str, Any]:
    """Train, or take the finished run in the folder; then ask for every class."""
    folder, chosen = args.out / "run", dict(word.split("=", 1) for word in args.set)
    if not (folder / "model.safetensors").is_file():
        settings = {"conditional": True, **chosen}
        latentia.fit(
            source, model="gan", minutes=args.minutes, seed=args.seed, out=folder, settings=settings
        )
    run = latentia.Run.open(folder)
    last = run.history()[-1]
    found = evaluate(
        run.model(), train, test, metrics=["per_class", "fidelity"], samples=args.samples
    )
    distance, floor = found["fidelity"]["frechet"], found["fidelity"]["floor"]["frechet"]
    short = {
        "agreement": found["per_class"]["agreement"],
        "real_agreement": found["per_class"]["real_agreement"],
        "frechet": distance,
        "floor": floor,
        "times_the_floor": distance / floor,
        "images": last["examples"],
        "images_per_s": last["examples"] / last["seconds"],
    }
    return {"short": short, **found, "settings": run.settings.model_dump(mode="json")}


if __name__ == "__main__":
    sys.exit(main())
