"""The studio under a hand and under a crowd: how soon a slider answers, how fair, how steady.

python benchmarks/studio.py RUNS [--part slider|clients] [--moves 60] [--minutes 10] --out FILE

slider:  moves a slider of the room Explore in headless Chromium, one move after another, and
    measures in the page from the slider's input event to the changed picture being decoded. It
    needs playwright and a Chromium on the PATH.
clients: --clients threads, each with a client of its own, call /generate, /explore, /interpolate
    and /mix of the runs that can, one call after another, with a pause of --pause seconds between
    them. Files that the studio makes are counted but not fetched. Every five seconds the studio's
    resident memory is read; its slope is that of all readings after the first minute.

RUNS is a folder that holds runs. Each part has a studio of its own: the command `latentia studio`
in a process of its own, which ends with this one in whatever way that ends. Both sides share the
machine: figures of a busy one are worth little, and the record tells its load. Linux only: memory
is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from latentia.recipes.registry import FAMILIES

PARTS = ("slider", "clients")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EVERY = 5.0
"""Seconds between two readings of memory."""
STARTING, ENDING, ANSWER = 120.0, 30.0, 120.0
"""Seconds at most: until a studio answers, until it has ended, until a call is answered."""
FULL = "queue is full"
MOVE = """
share => new Promise(done => {
  const slider = document.querySelector('#explore-slider-0 input[type=range]');
  const picture = () => document.querySelector('#explore-picture img');
  const before = picture().src, low = Number(slider.min), high = Number(slider.max);
  const look = began => {
    const now = picture(), waited = () => done(performance.now() - began);
    if (now && now.src !== before && now.complete && now.naturalWidth)
      now.decode().then(waited, waited);
    else if (performance.now() - began > 30000) done(null);
    else requestAnimationFrame(() => look(began));
  };
  slider.addEventListener('input', () => look(performance.now()), { once: true, capture: true });
  slider.value = low + share * (high - low);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
})
"""
"""Moves the slider to a share of its way; milliseconds until the picture has followed, or null."""


def main() -> None:
    args = parsed()
    record: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()}
    for part in args.part or PARTS:
        record[part] = {"slider": slider, "clients": clients}[part](args)
        print(part, json.dumps(record[part], indent=1), flush=True)
        args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"All figures: {args.out}")


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("runs", type=Path, help="the folder that holds them")
    words.add_argument("--part", action="append", choices=PARTS, default=[])
    words.add_argument("--moves", type=int, default=60, help="of the slider, for each run")
    words.add_argument("--clients", type=int, default=20)
    words.add_argument("--minutes", type=float, default=10.0, help="that the clients call")
    words.add_argument("--pause", type=float, default=0.5, help="mean seconds between two calls")
    words.add_argument("--seed", type=int, default=0, help="of what the clients ask for")
    words.add_argument("--out", type=Path, default=Path("studio.json"))
    return words.parse_args()


# a studio


@dataclass(frozen=True)
class Studio:
    """A studio that answers.

    Attributes:
        address: of its page.
        pid: of its process.
        files: the folder that all its temporary files are below.
    """

    address: str
    pid: int
    files: Path

    def megabytes(self) -> float:
        """Its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("The studio has ended: /proc tells no memory of it.")

    def kept(self) -> dict[str, float]:
        """Its temporary files, and of these what the page keeps to hand out: number, megabytes."""
        there = [p for p in self.files.rglob("*") if p.is_file()]
        page = [p for p in there if "page" in p.relative_to(self.files).parts]
        return {"files": len(there), "mb": size(there), "page": len(page), "page_mb": size(page)}


def size(files: Sequence[Path]) -> float:
    """Megabytes; what has gone meanwhile weighs nothing."""
    with suppress(FileNotFoundError):
        return round(sum(p.stat().st_size for p in files) / 2**20, 2)
    return float("nan")


@contextmanager
def studio(runs: Path, ended: dict[str, Any] | None = None) -> Iterator[Studio]:
    """A studio in a process of its own; `ended` is told how it ended and what it left behind."""
    with tempfile.TemporaryDirectory(prefix="studio-") as work:
        files, told = Path(work) / "files", Path(work) / "log"
        files.mkdir()
        with told.open("wb") as log:
            port = free_port()
            process = started(runs, port, files, log)
            try:
                address = f"http://127.0.0.1:{port}"
                until_it_answers(address, process, told)
                yield Studio(address, process.pid, files)
            finally:
                how = finished(process)
                if ended is not None:
                    ended |= {"ended_by": how, "left": len([*files.iterdir()])}


def started(runs: Path, port: int, files: Path, log: Any) -> subprocess.Popen[bytes]:
    """The command line; its standard input is held open, and it ends when that closes."""
    words = ["studio", str(runs), "--port", str(port), "--no-browser"]
    return subprocess.Popen(
        [sys.executable, "-m", "latentia.studio.watched", *words],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(files)},
        # in the background of a shell Ctrl-C is ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def finished(process: subprocess.Popen[bytes]) -> str:
    """End it as a user would, in earnest where that is not enough; what it took."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return "itself"
        process.send_signal(wanted)
        try:
            process.wait(ENDING)
            return wanted.name
        except subprocess.TimeoutExpired:
            continue
    return "nothing"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTING
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(address, timeout=10):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"The studio does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def recipes_of(runs: Path) -> dict[str, dict[str, Any]]:
    """Recipes of the runs below a folder, by the names that the studio gives them."""
    recipes = {p.parent: json.loads(p.read_text()) for p in runs.rglob("recipe.json")}
    return {str(path.relative_to(runs)): recipe for path, recipe in sorted(recipes.items())}


def abilities(recipe: dict[str, Any]) -> tuple[str, ...]:
    return FAMILIES[recipe["family"]].abilities


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Median and 95th percentile, in milliseconds."""
    if not seconds:
        return {"n": 0}
    middle, late = np.percentile(np.asarray(seconds), [50, 95])
    told = {"median_ms": middle, "p95_ms": late, "worst_ms": max(seconds)}
    return {"n": len(seconds), **{name: round(1000 * float(v), 1) for name, v in told.items()}}


# slider


def slider(args: argparse.Namespace) -> dict[str, Any]:
    """How soon the picture follows, by run."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    names = [n for n, recipe in recipes_of(args.runs).items() if "decode" in abilities(recipe)]
    found = {}
    with studio(args.runs) as served, sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name in names:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(60_000)
            found[name] = moved(page, served.address, name, args.moves)
            page.close()
        browser.close()
    return found


def moved(page: Any, address: str, run: str, moves: int) -> dict[str, Any]:
    """Waits for the picture of one run; moves without another picture in time are `lost`."""
    into_explore(page, address, run)
    waits = [page.evaluate(MOVE, share) for share in places(moves)]
    seen = [wait / 1000 for wait in waits if wait is not None]
    return {**spread(seen), "lost": moves - len(seen)}


def into_explore(page: Any, address: str, run: str) -> None:
    """Choose a run, open the room, wait until its picture is there."""
    page.goto(address)
    page.wait_for_selector("#facts p")
    if page.locator("#run input").input_value() != run:
        page.locator("#run input").click()
        page.get_by_role("option", name=run, exact=True).click()
        page.wait_for_timeout(1000)
    page.get_by_role("tab", name="Explore", exact=True).click()
    page.wait_for_selector("#explore-slider-0 input[type=range]")
    page.wait_for_selector("#explore-picture img")
    page.wait_for_timeout(1000)


def places(moves: int) -> list[float]:
    """Shares of the slider's way, to and fro, none twice in a row."""
    return [abs((0.07 + i * 0.0618) % 2 - 1) for i in range(moves)]


# clients


@dataclass
class Caller:
    """What one client lived through.

    Attributes:
        seconds: of its answered calls, by endpoint.
        errors: what it was told, by how often.
        refused: how often it was told to come again.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    @property
    def all(self) -> list[float]:
        return [s for several in self.seconds.values() for s in several]


Ask = Callable[[random.Random], dict[str, Any]]


def clients(args: argparse.Namespace) -> dict[str, Any]:
    """Calls, errors, waits, memory and files of so many minutes."""
    asks, ended = [*asks_of(args.runs)], dict[str, Any]()
    callers = [Caller() for _ in range(args.clients)]
    with studio(args.runs, ended) as served:
        memory: list[tuple[float, float]] = []
        files = {"start": served.kept()}
        began, over = time.monotonic(), threading.Event()
        threads = [
            threading.Thread(
                target=calling, args=(served, caller, asks, args, i, over), daemon=True
            )
            for i, caller in enumerate(callers)
        ]
        for thread in threads:
            thread.start()
        while (now := time.monotonic() - began) < 60 * args.minutes:
            memory.append((now, served.megabytes()))
            time.sleep(min(EVERY, max(0.0, 60 * args.minutes - now)))
        over.set()
        for thread in threads:
            thread.join(ANSWER)
        spent = time.monotonic() - began
        files["end"] = served.kept()
    told = {"minutes": round(spent / 60, 2), "clients": args.clients, "pause": args.pause}
    return {**told, **crowd(callers), "memory": steady(memory), "files": {**files, **ended}}


def asks_of(runs: Path) -> Iterator[tuple[str, str, Ask]]:
    """Endpoint, run, and what is asked of it, for all that the runs can do."""
    wants = {
        "/generate": ("sample", lambda r: {"seed": r.randrange(10_000), "count": 4}),
        "/explore": ("decode", lambda r: {}),
        "/interpolate": ("decode", lambda r: {"seed_a": r.randrange(10_000), "frames": 6}),
        "/mix": ("styles", lambda r: {"seed": r.randrange(1000), "rows": 3, "columns": 3}),
    }
    for name, recipe in recipes_of(runs).items():
        for endpoint, (ability, ask) in wants.items():
            if ability in abilities(recipe):
                yield endpoint, name, ask


def calling(
    served: Studio,
    caller: Caller,
    asks: Sequence[tuple[str, str, Ask]],
    args: argparse.Namespace,
    number: int,
    over: threading.Event,
) -> None:
    """One client, until the time is over: all calls in an order of its own, again and again."""
    from gradio_client import Client

    chance = random.Random(1000 * args.seed + number)
    patience = {"timeout": ANSWER}
    client = Client(served.address, verbose=False, download_files=False, httpx_kwargs=patience)
    while not over.is_set():
        for endpoint, run, ask in chance.sample(asks, len(asks)):
            if over.wait(chance.uniform(0, 2 * args.pause)):
                return
            one_call(client, caller, endpoint, {"run": run, **ask(chance)})


def one_call(client: Any, caller: Caller, endpoint: str, words: dict[str, Any]) -> None:
    began = time.monotonic()
    try:
        client.submit(api_name=endpoint, **words).result(timeout=ANSWER)
        caller.seconds[endpoint].append(time.monotonic() - began)
    except Exception as problem:  # whatever it is, it is what the record is for
        told = f"{endpoint}: {type(problem).__name__}: {problem}"[:200]
        if FULL in told.lower():
            caller.refused += 1
        else:
            caller.errors[told] += 1


def crowd(callers: Sequence[Caller]) -> dict[str, Any]:
    """What all clients lived through, and how unequal it was."""
    served = [len(caller.all) for caller in callers]
    errors = sum((caller.errors for caller in callers), Counter())
    names = sorted({name for caller in callers for name in caller.seconds})
    by = {n: [s for caller in callers for s in caller.seconds[n]] for n in names}
    return {
        "calls": sum(served),
        "refused": sum(caller.refused for caller in callers),
        "errors": dict(errors),
        "most_to_least_served": round(max(served) / max(min(served), 1), 3),
        "all": spread([s for caller in callers for s in caller.all]),
        "by_endpoint": {name: spread(seconds) for name, seconds in by.items()},
        "by_client": [spread(caller.all) for caller in callers],
    }


def steady(memory: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Resident memory in megabytes: early, late, and how it grows after the first minute."""
    at, held = np.asarray(memory).T
    second, last = (at >= 60) & (at < 120), at >= at[-1] - 60
    told: dict[str, Any] = {"start": held[0], "highest": held.max(), "last_minute": held[last]}
    told["second_minute"] = held[second] if second.any() else np.nan
    later = at >= 60
    if later.sum() >= 3:
        told["mb_per_minute"] = 60 * np.polyfit(at[later], held[later], 1)[0]
    figures = {name: round(float(np.mean(value)), 2) for name, value in told.items()}
    return {**figures, "readings": [round(value) for value in held.tolist()]}


if __name__ == "__main__":
    main()
