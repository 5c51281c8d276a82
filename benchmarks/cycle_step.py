"""One optimisation step of cyclegan beside the original code's: equal networks, and our own.

python benchmarks/cycle_step.py --source CHECKOUT

Interleaved on one machine, each side a process of its own in every round: the original in
float32; ours with its networks (resnet_6blocks, 32 channels, patch critics of 32), losses, weights
and pool, in float32 and in the default precision; and ours with its default networks. Steps are
whole ones, with the trainer's average of the weights. See `peer_cycle.py` for the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ORIGINAL = "original code"
EQUAL = {"network": "resnet", "width": 32, "blocks": 6, "critic_width": 32, "critic_layers": 3}
EQUAL |= {"other": 0, "pool": 50, "sparse": 1, "cycle": 5, "identity": 2.5}
SIDES: dict[str, dict[str, Any]] = {
    "equal networks, float32": {**EQUAL, "precision": "float32"},
    "equal networks": EQUAL,
    "default networks, float32": {"precision": "float32"},
    "default networks": {},
    "default, contrastive": {"mode": "contrastive"},
}
CASES = ((64, 8), (128, 1))  # side of the pictures, pictures of each domain


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="checkout of the original; ours alone without")
    parser.add_argument("--python", default=sys.executable, help="with the original's requirements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--busy", action="store_true", help="others use the machine: count processor time"
    )
    parser.add_argument("--out", type=Path, default=Path("cycle_step.json"))
    parser.add_argument("--of", choices=tuple(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--case", type=int, nargs=2, help="side and batch; both cases without")
    args = parser.parse_args()
    if args.of:
        ours(args.of, *args.case, args.repeats, args.busy)
        return 0
    cases = [tuple(args.case)] if args.case else CASES
    rows = [row for number in range(args.rounds) for row in one_round(number, cases, args)]
    show(rows)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def one_round(number: int, cases: Any, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every side and case once."""
    rows = []
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    environment["PYTHONPATH"] = str(HERE.parent / "src")
    for side, batch in cases:
        shared = ["--repeats", args.repeats, *(["--busy"] if args.busy else [])]
        program = [sys.executable, __file__, "--case", side, batch, *shared]
        programs = {name: [*program, "--of", name] for name in SIDES}
        if args.source is not None:
            peer = [args.python, HERE / "peer_cycle.py", "--source", args.source, *shared]
            programs = {ORIGINAL: [*peer, "--side", side, "--batch", batch], **programs}
        for name, words in programs.items():
            done = subprocess.run(
                [str(word) for word in words], env=environment, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr.strip()[-2000:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append({"round": number, "case": [side, batch], "side": name, **found})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def ours(name: str, side: int, batch: int, repeats: int, busy: bool) -> None:
    """One side of ours: whole steps of the trainer."""
    import numpy as np
    import torch

    from common import emit, parameters
    from latentia.data.spec import Dataset, DataSpec
    from latentia.fitting import build_trainer
    from latentia.recipes.base import parse_settings
    from latentia.recipes.registry import recipe
    from latentia.run import Run, current_versions
    from latentia.training.budget import Budget
    from latentia.training.device import tune_process
    from style_timing import median_seconds

    tune_process()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rows = 2 * batch
    shape, random = (3, side, side), np.random.default_rng(0)
    spec = DataSpec("noise", "image", shape, 4 * rows, "0" * 16, classes=("a", "b"))
    pixels = random.integers(0, 256, (4 * rows, *shape), np.uint8)
    dataset = Dataset(spec, pixels, np.arange(4 * rows) % 2)
    chosen = {**SIDES[name], "batch_size": rows}
    settings = parse_settings(recipe("cyclegan").settings, chosen, "cyclegan").resolved(spec)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            folder=Path(folder),
            family="cyclegan",
            settings=settings,
            spec=spec,
            options=settings.options(),
            source="",
            seed=0,
            budget=Budget(1.0, None),
            versions=current_versions(),
            command="",
        )
        trainer = build_trainer(run, dataset, torch.device("cpu"))
        seconds = median_seconds(lambda: trainer._step(0.5), repeats, busy)
    nets = [player.modules for player in trainer.players.values()]
    emit(seconds_per_step=seconds, parameters=parameters(*nets), arithmetic=str(trainer.precision))


def show(rows: list[dict[str, Any]]) -> None:
    """Medians over the rounds, and how many times cheaper than the original."""
    for case in dict.fromkeys(tuple(row["case"]) for row in rows):
        here = [row for row in rows if tuple(row["case"]) == case]
        medians = {
            side: statistics.median(r["seconds_per_step"] for r in here if r["side"] == side)
            for side in dict.fromkeys(row["side"] for row in here)
        }
        print(f"{case[0]}×{case[0]}, {case[1]} of each domain")
        base = medians.get(ORIGINAL)
        for side, seconds in medians.items():
            times = f"{base / seconds:8.2f} times as fast" if base else ""
            print(f"  {side:<28} {seconds:8.3f} s a step {times}")


if __name__ == "__main__":
    sys.exit(main())
