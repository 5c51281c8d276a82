"""What every room of the studio is given: the shelf of runs, the one chosen, how to follow it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import gradio as gr

from latentia.errors import UserError
from latentia.studio.shelf import Opened, Shelf

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Place:
    """One studio.

    Attributes:
        shelf: the runs.
        blocks: the page being built.
        chosen: the run that all rooms but Train and Compare work with, by name.
        work: where rooms write what visitors download or train; below the first folder.
    """

    shelf: Shelf
    blocks: gr.Blocks
    chosen: gr.Dropdown
    work: Path

    def opened(self, name: str | None) -> Opened | None:
        """The run of a name; None without one, or where it cannot be read."""
        try:
            return self.shelf.open(name) if name else None
        except UserError:
            return None

    def follow(self, show: Callable[[Opened | None], Any], outputs: Sequence[Any]) -> None:
        """Have widgets follow the chosen run.

        `show` gets the run (None where there is none, or it cannot be read) and returns an update
        for each of `outputs`. It runs when the page opens and when another run is chosen.
        """

        def updated(name: str | None) -> Any:
            return show(self.opened(name))

        wanted = list(outputs)
        told: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
        told["api_visibility"] = "private"
        self.chosen.change(updated, [self.chosen], wanted, **told)
        self.blocks.load(updated, [self.chosen], wanted, **told)


class Room(Protocol):
    """A module of `studio.rooms`: a title, for which runs it is there, and its widgets."""

    TITLE: str

    def fits(self, opened: Opened | None) -> bool:
        """Whether the room has anything to offer for a run; rooms that need none say True."""
        ...

    def build(self, place: Place) -> None:
        """Make the widgets inside the room's tab, and say what they do."""
        ...


def kindly(work: Callable[P, R]) -> Callable[P, R]:
    """An event's function, with errors a user can mend shown on the page instead of a traceback."""

    @functools.wraps(work)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except UserError as problem:
            raise gr.Error(str(problem), print_exception=False) from problem

    return told
