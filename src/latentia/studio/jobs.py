"""Training beside the page: a process of its own, watched through its files. No widgets."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentia.errors import UserError
from latentia.run import PREVIEWS
from latentia.studio.orders import Order, resuming
from latentia.training.checkpoint import STATE_FILE
from latentia.training.log import FILE as DIARY_FILE
from latentia.training.log import read_rows

CHILD = "latentia.studio.watched"
LOGS = ".studio"
PATIENCE = 30.0
"""Seconds that a training has for saving when the studio ends."""
MOST_POINTS = 300
INTERRUPTED = 130
_LONGEST = 600


@dataclass(frozen=True)
class State:
    """Where a training stands.

    Attributes:
        phase: "none", "starting", "training", "stopping", "done", "stopped" or "failed".
        run: its folder.
        share: of the budget, 0 to 1.
        seconds: trained so far.
        left: seconds to go; None where that cannot be said.
        rate: examples a second.
        sentence: what there is to say.
        code: how the process ended.
    """

    phase: str
    run: Path | None = None
    share: float = 0.0
    seconds: float = 0.0
    left: float | None = None
    rate: float | None = None
    sentence: str = ""
    code: int | None = None

    @property
    def running(self) -> bool:
        return self.phase in ("starting", "training", "stopping")


@dataclass
class Job:
    """A training under way or ended: its run's folder, its log, its process, and whether it was
    asked to stop."""

    run: Path
    log: Path
    process: subprocess.Popen[bytes]
    asked: bool = False


class Trainings:
    """At most one training at a time; it ends, saved, with the studio.

    Args:
        work: where logs are kept, in a folder that begins with a dot.
        device: what `--device` takes.
    """

    def __init__(self, work: Path, device: str = "cpu") -> None:
        self.work, self.device = work, device
        self._job: Job | None = None
        self._lock = threading.RLock()
        atexit.register(self.close)

    def start(self, order: Order) -> Path:
        """Start a training; its run's folder.

        Raises:
            UserError: another one runs.
        """
        return self._begin(order.out, order.words(self.device))

    def resume(self, folder: Path) -> Path:
        """Go on with an unfinished run.

        Raises:
            UserError: another training runs, or this one cannot be gone on with.
        """
        return self._begin(folder, resuming(folder, self.device))

    def stop(self) -> None:
        """Ask the training to save and stop; asked twice is asked once.

        Raises:
            UserError: none runs.
        """
        with self._lock:
            if self._job is None or self._job.process.poll() is not None:
                raise UserError("No training runs.")
            self._ask(self._job)

    def close(self, patience: float = PATIENCE) -> None:
        """End with the training saved; one that takes longer than `patience` seconds is ended."""
        atexit.unregister(self.close)
        with self._lock:
            job = self._job
            if job is None or job.process.poll() is not None:
                return
            self._ask(job)
            try:
                job.process.wait(patience)
            except subprocess.TimeoutExpired:
                _end(job.process)

    def state(self) -> State:
        """Where the last training stands."""
        with self._lock:
            return State("none") if self._job is None else _state(self._job)

    def _begin(self, run: Path, words: Sequence[str]) -> Path:
        with self._lock:
            if self._job is not None and self._job.process.poll() is None:
                raise UserError(
                    f"A training runs already: {self._job.run.name}. Stop it first, or wait."
                )
            log = self.work / LOGS / f"{run.name}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            self._job = Job(run, log, _process(words, log))
            return run

    def _ask(self, job: Job) -> None:
        if not job.asked:
            job.asked = True
            assert job.process.stdin is not None
            job.process.stdin.close()  # the child takes it as the wish to stop


def _process(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """The command line in a process group of its own, so that Ctrl-C here is not Ctrl-C there."""
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", CHILD, *words],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _state(job: Job) -> State:
    rows = read_rows(job.run / DIARY_FILE)
    code = job.process.poll()
    phase = _phase(job, rows, code)
    last: dict[str, Any] = rows[-1] if rows else {}
    share, seconds = float(last.get("progress", 0)), float(last.get("seconds", 0))
    left = seconds * (1 - share) / share if share > 0 and code is None else None
    return State(
        phase, job.run, share, seconds, left, last.get("rate"), _told(phase, job, code), code
    )


def _phase(job: Job, rows: list[dict[str, Any]], code: int | None) -> str:
    if code is None:
        return "stopping" if job.asked else "training" if rows else "starting"
    if code == 0:
        return "done"
    return "stopped" if job.asked or code == INTERRUPTED else "failed"


def _told(phase: str, job: Job, code: int | None) -> str:
    if phase == "stopped":
        saved = (job.run / STATE_FILE).is_file()
        return "Saved: it can be resumed." if saved else "Nothing had been saved yet."
    if phase == "failed":
        return f"{last_sentence(job.log) or 'It left no word.'} (exit status {code})"
    return ""


def last_sentence(log: Path) -> str:
    """The last line of a log that says anything, "" where there is none."""
    try:
        text = log.read_bytes()[-64_000:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else ""


def terms(run: Path) -> list[str]:
    """Names of what a run's diary follows: its loss terms, then "rate"."""
    rows = read_rows(run / DIARY_FILE)
    found = dict.fromkeys(key for row in rows for key in row.get("terms", {}))
    return [*found, "rate"] if rows else []


def curves(run: Path, names: Sequence[str]) -> list[tuple[float, float, str]]:
    """Points (share of the budget in per cent, value, name), thinned to `MOST_POINTS` rows."""
    rows = read_rows(run / DIARY_FILE)
    every = max(1, -(-len(rows) // MOST_POINTS))
    kept = rows[::-1][::every][::-1]  # the newest row is always there
    return [
        (100 * row["progress"], float(value), name)
        for name in names
        for row in kept
        if (value := row["rate"] if name == "rate" else row.get("terms", {}).get(name)) is not None
    ]


def newest_previews(run: Path, most: int = 4) -> list[Path]:
    """The last sample grids, oldest first."""
    return sorted((run / PREVIEWS).glob("*.png"))[-most:]
