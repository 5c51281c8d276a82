"""Files that are never half written."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, sync it to the disk, then rename it into place.

    Whoever reads `path` sees the old content or the new, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(aside)
        with aside.open("rb+") as handle:
            os.fsync(handle.fileno())
        aside.chmod(_usual_mode())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _usual_mode() -> int:
    """What this process gives new files; some writers make theirs private."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_text(path: Path, text: str) -> None:
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table under a line of column names; cells quoted where they must be, floats to 7 digits."""

    def fill(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            for row in rows:
                writer.writerow([f"{v:.7g}" if isinstance(v, float) else v for v in row])

    write_aside(path, fill)


def write_json(path: Path, facts: Any) -> None:
    write_text(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
