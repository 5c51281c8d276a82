"""A picture kept in a file without a name, for what must be read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np


class Spool:
    """Rows of levels, written from top to bottom and read anywhere; gone when it is closed.

    Args:
        folder: the disk to keep it on.
        channels, width: of the picture.
        dtype: uint8 or uint16.
    """

    def __init__(self, folder: Path, channels: int, width: int, dtype: type) -> None:
        self._shape, self._dtype = (width, channels), np.dtype(dtype)
        self._row = width * channels * self._dtype.itemsize
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, rows: np.ndarray) -> None:
        """Append rows `(channels, h, width)`."""
        self._file.seek(0, 2)
        self._file.write(rows.transpose(1, 2, 0).astype(self._dtype, order="C").tobytes())

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Rows top to bottom, `(channels, h, width)`."""
        self._file.seek(top * self._row)
        found = np.frombuffer(self._file.read((bottom - top) * self._row), self._dtype)
        return found.reshape(bottom - top, *self._shape).transpose(2, 0, 1)
