"""Files that visitors bring: taken as they are, refused in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from latentia.errors import UserError
from latentia.rendering.examples import from_file
from latentia.run import Run

AS_IT_IS: dict[str, Any] = {"preprocess": False}
"""For events that get a picture of a visitor's: `file_of` says where it lies.

Gradio would write it anew in three colours, without what is transparent and without finer levels;
and of a file that is no picture it would tell the visitor nothing (6.31). It still checks that the
file is one that was uploaded.
"""


def file_of(given: str | Mapping[str, Any] | None) -> str | None:
    """Where a file lies that an event was given; None where there is none."""
    return given.get("path") if isinstance(given, Mapping) else given


def example_of(run: Run, file: str) -> Tensor:
    """A visitor's picture or recording in the form of a run's data, `(1, C, H, W)` in [-1, 1].

    Raises:
        UserError: it cannot be read; where it lies on this machine is not told.
    """
    with by_name(Path(file)):
        return from_file(run, Path(file))


@contextmanager
def by_name(source: Path) -> Iterator[None]:
    """Call a file as the visitor did, not by where the page keeps it."""
    try:
        yield
    except UserError as problem:
        raise UserError(str(problem).replace(f"{source.parent}/", "")) from None
