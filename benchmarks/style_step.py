"""One training step of style-gan at 64×64, batch 8, beside NVlabs' stylegan2-ada-pytorch.

Interleaved on one machine, each side a process of its own in every round: the peer's reference
operations in float32, ours with equal networks in float32 and in the default precision, and ours
with its default networks. Regularisation that is taken at some steps only is shared out evenly
over all of them, on both sides. See `peer_stylegan2.py` for the peer's checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EQUAL = {
    # channels 16384 / size, 512 at most; R1 and even paths as often as there
    "width": 512,
    "widest": 512,
    "fold": 1,
    "latent": 512,
    "style": 512,
    "mapping": 2,
    "noise": 1.0,
    "loss": "non-saturating",
    "penalty": "r1",
    "sparse": 1,
    "penalty_every": 16,
    "path_every": 4,
    "augment": "none",
}
SIDES: dict[str, tuple[dict[str, Any], str]] = {
    "equal networks, float32": (EQUAL, "float32"),
    "equal networks": (EQUAL, "auto"),
    "default": ({}, "auto"),
}
NAMES = {
    (False, False): "plain",
    (True, False): "with even paths",
    (False, True): "with the penalty",
    (True, True): "with both",
}
"""Of steps, by what is regularised in them: (paths, critic)."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="checkout of the peer; ours alone without")
    parser.add_argument("--python", default=sys.executable, help="with the peer's requirements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--busy", action="store_true", help="others use the machine: count processor time"
    )
    parser.add_argument("--out", type=Path, default=Path("style_step.json"))
    parser.add_argument("--side", choices=tuple(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        ours(args.side, args.batch, args.repeats, args.busy)
        return 0
    rows = [row for number in range(args.rounds) for row in one_round(number, args)]
    show(rows)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def one_round(number: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every side once."""
    shared = ["--batch", args.batch, "--repeats", args.repeats]
    shared += ["--busy"] if args.busy else []
    programs = {
        side: [sys.executable, HERE / "style_step.py", "--side", side, *shared] for side in SIDES
    }
    if args.source is not None:
        peer = [args.python, HERE / "peer_stylegan2.py", "--source", args.source.resolve()]
        programs = {"stylegan2-ada-pytorch": [*peer, *shared], **programs}
    rows = []
    for side, program in programs.items():
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        environment["PYTHONPATH"] = str(HERE.parent / "src")
        done = subprocess.run(
            [str(word) for word in program], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{side}: {done.stderr.strip()[-2000:]}")
        rows.append({"round": number, "side": side, **json.loads(done.stdout.splitlines()[-1])})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def ours(side: str, batch: int, repeats: int, busy: bool) -> None:
    """One side of ours: whole turns of the objective, as the trainer takes them."""
    import torch
    from torch import Tensor

    from common import emit, parameters
    from latentia.data.open import open_data
    from latentia.game import Batch, Now
    from latentia.precision import autocast, resolve_precision
    from latentia.recipes.base import parse_settings
    from latentia.recipes.style_gan import StyleGANSettings, build_model, build_objective
    from latentia.training.device import tune_process
    from style_timing import SIZE, median_seconds

    tune_process()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    chosen, precision_name = SIDES[side]
    pixels = torch.randint(0, 256, (batch, 3, SIZE, SIZE), dtype=torch.uint8)
    spec = open_data(pixels.repeat(2, 1, 1, 1).numpy(), split="all").spec
    settings = parse_settings(StyleGANSettings, chosen, "style-gan").resolved(spec)
    assert isinstance(settings, StyleGANSettings)
    model = build_model(spec, settings)
    objective = build_objective(model, spec, settings)
    device = torch.device("cpu")
    precision = resolve_precision(precision_name, device)
    optimizers = {
        name: torch.optim.Adam(player.parameters, player.lr, player.betas, fused=True)
        for name, player in objective.players.items()
    }

    def step(number: int) -> None:
        now = Now(number, 0.5, torch.Generator().manual_seed(number), device)
        turns = objective.play(Batch(pixels, None, torch.arange(batch)), now)
        while True:
            with autocast(device, precision):
                turn = next(turns, None)
            if turn is None:
                return
            who, terms = turn
            optimizers[who].zero_grad(set_to_none=True)
            total: Tensor = torch.stack([term.float() for term in terms.values()]).sum()
            total.backward(inputs=objective.players[who].parameters)
            optimizers[who].step()

    due = [
        (number % settings.path_every == 0, number % settings.penalty_every == 0)
        for number in range(max(settings.path_every, settings.penalty_every))
    ]
    seconds = {
        kind: median_seconds(partial(step, due.index(kind)), repeats, busy)
        for kind in dict.fromkeys(due)
    }
    emit(
        seconds_per_step=statistics.mean(seconds[kind] for kind in due),
        phases={NAMES[kind]: value for kind, value in seconds.items()},
        parameters=parameters(model, objective.players["critic"].modules),
        arithmetic=str(precision),
    )


def show(rows: list[dict[str, Any]]) -> None:
    """Medians over the rounds, and how many times cheaper than the peer."""
    medians = {
        side: statistics.median(row["seconds_per_step"] for row in rows if row["side"] == side)
        for side in dict.fromkeys(row["side"] for row in rows)
    }
    base = medians.get("stylegan2-ada-pytorch")
    for side, seconds in medians.items():
        times = f"{base / seconds:8.1f} times as fast" if base else ""
        print(f"{side:<28} {seconds:8.3f} s a step {times}")


if __name__ == "__main__":
    sys.exit(main())
