"""Files for visitors: in one temporary folder of this process, which goes when that ends."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections import deque
from pathlib import Path

KEPT = 8
"""Folders that a room has at once; the page makes a copy of what it hands out."""


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    """Made when first needed, removed when the interpreter ends."""
    return tempfile.TemporaryDirectory(prefix="latentia-studio-", ignore_cleanup_errors=True)


def home() -> Path:
    """The folder of this process that everything for visitors lies in; it ends with it."""
    return Path(_home().name)


class Scratch:
    """Fresh folders for the files of a room, of which the newest are kept."""

    def __init__(self, kept: int = KEPT) -> None:
        self._there: deque[Path] = deque()
        self._kept = kept

    def folder(self) -> Path:
        """An empty folder."""
        fresh = Path(tempfile.mkdtemp(dir=home()))
        self._there.append(fresh)
        if len(self._there) > self._kept:
            shutil.rmtree(self._there.popleft(), ignore_errors=True)
        return fresh


def keep_uploads_here() -> None:
    """Have Gradio keep uploads and copies in `home`, not in a folder that outlives the process.

    For pages made after it; called before Gradio is imported, it leaves no trace elsewhere at all.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(home() / "page")
