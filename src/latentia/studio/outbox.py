"""Files that a visitor is handed: in folders of this process, the oldest of which are removed."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

KEPT = 8
"""Folders at once; the page makes a copy of what it hands out."""


class Outbox:
    """Folders to write into, which end with the process at the latest."""

    def __init__(self) -> None:
        self._folders: deque[TemporaryDirectory[str]] = deque()

    def folder(self) -> Path:
        """A new, empty one."""
        while len(self._folders) >= KEPT:
            self._folders.popleft().cleanup()
        self._folders.append(TemporaryDirectory(prefix="latentia-"))
        return Path(self._folders[-1].name)
