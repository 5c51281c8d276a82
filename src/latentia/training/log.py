"""The diary of a run: `metrics.jsonl`, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentia.files import write_text

FILE = "metrics.jsonl"


class Diary:
    """Appends rows; on resuming, forgets rows after the position it resumes from."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")

    def cut_after(self, step: int) -> None:
        """Drop rows of games that will be played again."""
        rows = [row for row in read_rows(self.path) if row.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All complete rows; a line cut short by a killed process is left out."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
