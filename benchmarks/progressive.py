"""Progressive growing against full size from the start, on the same budget of minutes.

    python benchmarks/progressive.py [--faces celeba|anime] [--size 64] [--minutes 10] [--seeds 1]
        [--busy] [--out runs/progressive]

Both families have the same networks once the pictures are full. Prints a table in markdown:
pictures seen, Fréchet distance of as many samples as there are held-out pictures (features:
`default_extractor` of the training pictures), with that of the held-out pictures as the floor,
precision, coverage, how often the critic was right over the last tenth, and pictures a second by
side. `--busy` is for a machine that others use: one thread, and minutes of processor time.
Leaves runs, and `compared.png` with samples of every run, in the order of the table.

Data lie in $LATENTIA_DATA, else in ../shared/data.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from latentia.data.open import open_data
from latentia.data.pictures import save_grid
from latentia.data.spec import DataOptions, Dataset
from latentia.fitting import fit
from latentia.metrics.features import FeatureExtractor, default_extractor
from latentia.metrics.fidelity import fidelity
from latentia.run import Run, load
from latentia.training import trainer
from latentia.training.checkpoint import MODEL_FILE

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
FACES = {
    "celeba": "faces/celeba_6000.zip",
    "anime": "anime_faces/anime_faces_2999_64px.zip",
}
FAMILIES = ("gan", "progressive-gan")
SHOWN = 16


def faces(name: str, size: int, split: str) -> Dataset:
    folder = Path(os.environ.get("LATENTIA_DATA", BESIDE))
    return open_data(folder / FACES[name], split=split, options=DataOptions(size=size))


def train(family: str, seed: int, folder: Path, words: argparse.Namespace) -> None:
    """One run, in a process of its own."""
    torch.set_num_threads(1 if words.busy else words.threads)
    if words.busy:
        trainer.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment]
    data = faces(words.faces, words.size, "train")
    chosen = {"flip": True} | dict(setting.split("=") for setting in words.set)
    fit(data, model=family, minutes=words.minutes, out=folder, seed=seed, settings=chosen)


def judged(run: Run, data: Dataset, held: Dataset, extractor: FeatureExtractor) -> dict[str, Any]:
    """The figures of one run."""
    samples = load(run.folder).sample(range(len(held)))
    found = fidelity(samples, data, held, extractor)
    rows = run.history()
    late = [row["notes"]["critic_right"] for row in rows if row["progress"] > 0.9 and row["notes"]]
    return {
        "seen": rows[-1]["examples"],
        "frechet": found["frechet"],
        "floor": found["floor"]["frechet"],
        "precision": found["precision"],
        "coverage": found["coverage"],
        "critic_right": fmean(late) if late else float("nan"),
        "rates": rates(rows),
        "samples": samples[:SHOWN],
    }


def rates(rows: list[dict[str, Any]]) -> str:
    """Pictures a second by side: examples over seconds between rows of the same side."""
    seen: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for before, row in pairwise(rows):
        side = int(row["notes"].get("side", 0))
        if side != before["notes"].get("side", 0):
            continue
        seen[side][0] += row["examples"] - before["examples"]
        seen[side][1] += row["seconds"] - before["seconds"]
    named = {f"{side}: " if side else "": n / max(s, 1e-9) for side, (n, s) in seen.items()}
    return ", ".join(f"{name}{rate:.0f}" for name, rate in named.items())


def show(rows: list[dict[str, Any]]) -> None:
    print("| family | seed | seen | Fréchet (floor) | precision | coverage | critic right | a s |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['family']} | {row['seed']} | {row['seen']:,} | {row['frechet']:.2f} "
            f"({row['floor']:.2f}) | {row['precision']:.2f} | {row['coverage']:.2f} "
            f"| {row['critic_right']:.2f} | {row['rates']} |"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--faces", choices=tuple(FACES), default="celeba")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="of both families, key=value")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--busy", action="store_true", help="minutes of processor time")
    parser.add_argument("--out", type=Path, default=Path("runs/progressive"))
    return parser.parse_args()


def main() -> None:
    words = arguments()
    pairs = [(family, seed) for seed in range(words.seeds) for family in FAMILIES]
    folders = {pair: words.out / "-".join(map(str, pair)) for pair in pairs}
    # each in a process of its own, so that neither finds the other's memory warm
    ctx = mp.get_context("spawn")
    for pair in pairs:
        if not (folders[pair] / MODEL_FILE).exists():
            process = ctx.Process(target=train, args=(*pair, folders[pair], words))
            process.start()
            process.join()
    data, held = (faces(words.faces, words.size, split) for split in ("train", "test"))
    extractor = default_extractor(data)
    rows: list[dict[str, Any]] = []
    grids: list[Tensor] = []
    for (family, seed), folder in folders.items():
        row = judged(Run.open(folder), data, held, extractor)
        grids.append(row.pop("samples"))
        rows.append({"family": family, "seed": seed, **row})
    save_grid(torch.cat(grids), words.out / "compared.png", columns=SHOWN)
    show(rows)


if __name__ == "__main__":
    main()
