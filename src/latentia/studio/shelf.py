"""The runs that a studio shows: found below folders, opened once, kept while they are in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentia.abilities import abilities_of
from latentia.data.spec import DataSpec
from latentia.errors import UserError, nearest
from latentia.run import RECIPE_FILE, Run
from latentia.training.checkpoint import MODEL_FILE

KEPT = 3
"""Models in memory at once."""
DEPTH = 4
"""Folders below a given one that are searched."""


@dataclass(frozen=True)
class Opened:
    """A run with its model, and a lock: one visitor at a time works with a model.

    Attributes:
        name: what the shelf calls it.
        run: its folder, read.
        model: in evaluation mode.
        memory: what rooms keep of it between two calls, by a name of theirs.
    """

    name: str
    run: Run
    model: Any
    lock: threading.RLock = field(default_factory=threading.RLock)
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def abilities(self) -> tuple[str, ...]:
        """What the model can do, by the names of `abilities.abilities_of`."""
        return abilities_of(self.model)


class Shelf:
    """Every run below some folders.

    Args:
        folders: run folders, or folders that hold them; nothing outside them is read.

    Raises:
        UserError: one of them does not exist.
    """

    def __init__(self, folders: Sequence[Path], device: str = "cpu") -> None:
        missing = [folder for folder in folders if not folder.is_dir()]
        if missing:
            raise UserError(f"There is no folder {missing[0]}. Name run folders, or one with runs.")
        self.folders = [folder.resolve() for folder in folders]
        self.device = device
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.RLock()

    def runs(self) -> dict[str, Path]:
        """Folders of the runs that hold weights, by a short name, newest last trained first."""
        found = {path.resolve() for top in self.folders for path in _below(top)}
        ready = [path for path in found if (path / MODEL_FILE).is_file()]
        ready.sort(key=lambda path: (path / MODEL_FILE).stat().st_mtime, reverse=True)
        return {self._called(path): path for path in ready}

    def _called(self, path: Path) -> str:
        """Its path below the folder it was found in; the folder's own name for that itself."""
        top = next(t for t in self.folders if path == t or t in path.parents)
        inner = str(path.relative_to(top))
        name = path.name if inner == "." else inner
        return name if len(self.folders) == 1 or inner == "." else f"{top.name}/{name}"

    def open(self, name: str) -> Opened:
        """A run by its name, with its model loaded; trained anew, it is read anew.

        Raises:
            UserError: no such run, or one that cannot be read.
        """
        with self._lock:
            runs = self.runs()
            if name not in runs:
                raise UserError(f"There is no run {name!r} here: {nearest(name, list(runs))}")
            written = (runs[name] / MODEL_FILE).stat().st_mtime_ns
            kept = self._open.get(name)
            if kept is None or kept.memory.get("written") != written:
                run = Run.open(runs[name])
                kept = Opened(name, run, run.model(self.device), memory={"written": written})
            self._open[name] = kept
            self._open.move_to_end(name)
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
            return kept

    @contextmanager
    def using(self, name: str) -> Iterator[Opened]:
        """A run, for one visitor at a time."""
        opened = self.open(name)
        with opened.lock:
            yield opened


def shape_of(spec: DataSpec) -> str:
    """What an example is made of, in words."""
    if spec.columns is not None:
        return f"{len(spec.columns['columns'])} columns"
    if spec.kind == "vector":
        return f"{spec.dims} numbers"
    return " × ".join(str(n) for n in spec.shape)


def _below(top: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Run folders at `top` or below; runs are not searched for runs, links not followed."""
    if (top / RECIPE_FILE).is_file():
        yield top
        return
    if depth == 0:
        return
    try:
        inner = sorted(p for p in top.iterdir() if p.is_dir() and not p.is_symlink())
    except PermissionError:
        return
    for path in inner:
        if not path.name.startswith("."):
            yield from _below(path, depth - 1)
