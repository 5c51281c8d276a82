"""A large picture kept in a file without a name, and read in pieces."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np


class Spool:
    """Rows of levels, written from top to bottom and read anywhere; gone with the object.

    Args:
        folder: the disk to keep it on.
        channels, width: of the picture.
        dtype: uint8 or uint16.
    """

    def __init__(
        self, folder: Path, channels: int, width: int, dtype: type[np.uint8] | type[np.uint16]
    ) -> None:
        self._channels, self._width, self._dtype = channels, width, np.dtype(dtype)
        self._pixel = channels * self._dtype.itemsize
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (lives as long as this)

    def write(self, rows: np.ndarray) -> None:
        """Append rows `(channels, h, width)`."""
        self._file.seek(0, 2)
        self._file.write(rows.transpose(1, 2, 0).astype(self._dtype, order="C").tobytes())

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top to bottom, columns left to right, `(channels, h, w)`."""
        pieces = []
        for row in range(top, bottom):
            self._file.seek((row * self._width + left) * self._pixel)
            pieces.append(self._file.read((right - left) * self._pixel))
        found = np.frombuffer(b"".join(pieces), self._dtype)
        return found.reshape(bottom - top, right - left, self._channels).transpose(2, 0, 1)
