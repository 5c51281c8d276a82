"""Latentia and the packages a user would take today, interleaved on one machine.

Every round starts one process per side: peer, Latentia in float32, Latentia with its default
precision, then the same again, so that a slow minute of the machine meets all sides alike.
See README.md beside this file for how the peers' environments are made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Row = dict[str, Any]
WAITING_ALLOWED = 0.02
BUSY_ALLOWED = 0.1  # cores that others may keep busy before a figure is worth little


@dataclass(frozen=True)
class Benchmark:
    """One thing to time.

    Attributes:
        peer: environment under --peers, and the script peer_<peer>.py.
        target: images/s of ours over the peer's, at least.
        batch, warmup, rows, samples: given to both sides.
        steps: on the clock, of the peer and of ours: each as many as take ten seconds or so.
    """

    peer: str
    target: float
    batch: int
    warmup: int
    rows: int
    steps: tuple[int, int]
    samples: int = 0

    def quick(self) -> Benchmark:
        """A few steps, to see that everything runs."""
        rows = min(self.rows, 20 * self.batch)
        return Benchmark(self.peer, self.target, self.batch, 1, rows, (2, 2), min(2, self.samples))


BENCHMARKS = {
    # one epoch of 469 steps warms up, two are timed
    "vae": Benchmark("pythae", 1.5, 128, 469, 60000, (938, 938)),
    "unet": Benchmark("diffusers", 1.5, 64, 2, 2048, (6, 20), samples=64),
    "dcgan": Benchmark("torchgan", 1.3, 64, 5, 2048, (50, 80)),
}


def main() -> int:
    args = parsed()
    chosen = {args.only: BENCHMARKS[args.only]} if args.only else BENCHMARKS
    if args.quick:
        chosen = {name: benchmark.quick() for name, benchmark in chosen.items()}
    rows: list[Row] = []
    for number in range(args.rounds):
        for name, benchmark in chosen.items():
            rows += one_round(number, name, benchmark, args)
    table = [line for name, b in chosen.items() for line in summary(name, b, rows)]
    failures = [row for row in rows if "error" in row]
    show(table, failures)
    record = {"machine": machine(), "command": sys.argv[1:], "summary": table, "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"\nRows of every round: {args.out}")
    return 1 if failures else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder of virtual environments, one per peer")
    parser.add_argument("--peer", choices=("all", "none"), default="all", help="none: ours alone")
    parser.add_argument("--only", choices=tuple(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", default=sys.executable, help="Python that has our dependencies")
    parser.add_argument("--data", type=Path, help="folder that holds mnist/; noise without it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="tiny: only to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("side_by_side.json"))
    args = parser.parse_args()
    if args.peer == "all" and args.peers is None:
        parser.error("name the folder of the peers' environments: --peers FOLDER, or --peer none")
    args.ours = str(Path(shutil.which(args.ours) or args.ours).absolute())
    if args.data is None and "LATENTIA_DATA" in os.environ:
        args.data = Path(os.environ["LATENTIA_DATA"])
    return args


def one_round(number: int, name: str, benchmark: Benchmark, args: argparse.Namespace) -> list[Row]:
    """Peer, ours in float32, ours by default, one after the other."""
    theirs, ours = benchmark.steps
    sides = [("latentia float32", "float32", ours), ("latentia", "auto", ours)]
    if args.peer == "all":
        sides.insert(0, (benchmark.peer, "", theirs))
    rows = []
    for side, precision, steps in sides:
        words = ["--batch", benchmark.batch, "--warmup", benchmark.warmup, "--steps", steps]
        words += ["--rows", benchmark.rows, "--samples", benchmark.samples]
        words += ["--data", args.data.resolve()] if args.data else []
        if precision:
            program = [args.ours, HERE / "ours.py", "--only", name, "--precision", precision]
        else:
            python = args.peers.absolute() / side / "bin" / "python"
            program = [python, HERE / f"peer_{side}.py"]
        row = {"round": number, "benchmark": name, "side": side}
        row |= timed([str(word) for word in [*program, *words]], args.threads, bool(precision))
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def timed(command: list[str], threads: int, is_ours: bool) -> Row:
    """Run one side in an empty folder; its answer, and how busy others kept the machine."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if is_ours:
        environment["PYTHONPATH"] = str(HERE.parent / "src")
    before, began = busy_seconds(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    seconds, busy = time.perf_counter() - began, busy_seconds() - before
    row: Row = {"process_seconds": round(seconds, 1), "others_busy": round(busy / seconds, 2)}
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not answers:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return {**row, "error": f"exit {done.returncode}: {last}"}
    return {**row, **json.loads(answers[-1])}


def busy_seconds() -> float:
    """CPU seconds that processes other than our children have used; 0 where unknown."""
    try:
        ticks = [int(x) for x in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    except OSError:
        return 0.0
    # user nice system idle iowait irq softirq steal: all but idle and iowait
    whole = (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return whole - usage.ru_utime - usage.ru_stime


def summary(name: str, benchmark: Benchmark, rows: list[Row]) -> list[Row]:
    """A line per side and measure: medians, and the spread of the ratio over the rounds."""
    lines = []
    for measure in ("images_per_s", "samples_per_s"):
        found: dict[str, dict[int, Row]] = {}
        for row in rows:
            if row["benchmark"] == name and row.get(measure):
                found.setdefault(row["side"], {})[row["round"]] = row
        peers = found.get(benchmark.peer, {})
        for side, rounds in found.items():
            line = line_of(name, side, measure, list(rounds.values()))
            pairs = [r[measure] / peers[n][measure] for n, r in rounds.items() if n in peers]
            if pairs and side != benchmark.peer:
                line |= {"ratio": statistics.median(pairs), "ratio_min": min(pairs)}
                line |= {"ratio_max": max(pairs)}
                if measure == "images_per_s":
                    line["target"] = benchmark.target
            lines.append(line)
    return lines


def line_of(name: str, side: str, measure: str, rows: list[Row]) -> Row:
    kind = "arithmetic" if measure == "images_per_s" else "sampling_arithmetic"
    line: Row = {
        "benchmark": name,
        "side": side,
        "measure": measure,
        "arithmetic": rows[0].get(kind),
        "median": statistics.median(row[measure] for row in rows),
        "parameters": rows[0].get("parameters"),
        "others_busy": max(row["others_busy"] for row in rows),
    }
    if measure == "images_per_s" and "waiting" in rows[0]:
        line["waiting"] = max(row["waiting"] for row in rows)
    return line


def show(table: list[Row], failures: list[Row]) -> None:
    """The summary as a Markdown table, with what it is worth."""
    print("| what | side | arithmetic | parameters | a second | ratio (min to max) | waiting |")
    print("|---|---|---|---|---|---|---|")
    for line in table:
        what = f"{line['benchmark']} {'training' if 'images' in line['measure'] else 'sampling'}"
        waiting = f"{line['waiting']:.1%}" if "waiting" in line else ""
        print(
            f"| {what} | {line['side']} | {line['arithmetic']} | {line['parameters']:,} "
            f"| {line['median']:,.4g} | {ratio_text(line)} | {waiting} |"
        )
    for row in failures:
        print(f"\n{row['benchmark']}, {row['side']}, round {row['round']}: {row['error']}")
    if any(line.get("waiting", 0) > WAITING_ALLOWED for line in table):
        print(f"\nMore than {WAITING_ALLOWED:.0%} of some training was spent waiting for data.")
    if any(line["others_busy"] > BUSY_ALLOWED for line in table):
        most = max(line["others_busy"] for line in table)
        print(f"\nOthers kept up to {most:g} cores busy: measure again on a free machine.")


def ratio_text(line: Row) -> str:
    if "ratio" not in line:
        return ""
    text = f"{line['ratio']:.2f} ({line['ratio_min']:.2f} to {line['ratio_max']:.2f})"
    if "target" not in line:
        return text
    return f"{text}, {'meets' if line['ratio'] >= line['target'] else 'misses'} {line['target']:g}"


def machine() -> Row:
    """What the figures were taken on."""
    facts: Row = {"system": platform.system(), "cores": os.cpu_count()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return facts
    facts["processor"] = next((x.split(":")[1].strip() for x in lines if "model name" in x), "")
    flags = next((x.split() for x in lines if x.startswith("flags")), [])
    return {**facts, "amx_bf16": "amx_bf16" in flags, "avx512f": "avx512f" in flags}


if __name__ == "__main__":
    sys.exit(main())
