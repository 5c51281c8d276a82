"""Where rooms put the files that visitors may download: a temporary folder, kept small."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import deque
from pathlib import Path

KEPT = 40
"""Folders at once; the oldest go first. The page keeps copies of those it shows."""


class Scratch:
    """Fresh folders for files, below one that goes when the studio ends."""

    def __init__(self, kept: int = KEPT) -> None:
        self._top = tempfile.TemporaryDirectory(prefix="latentia-studio-")
        self._numbers = itertools.count()
        self._there: deque[Path] = deque()
        self._kept = kept

    def folder(self) -> Path:
        """An empty folder."""
        fresh = Path(self._top.name) / str(next(self._numbers))
        fresh.mkdir()
        self._there.append(fresh)
        if len(self._there) > self._kept:
            shutil.rmtree(self._there.popleft(), ignore_errors=True)
        return fresh
