"""What every room of the studio is given: the shelf of runs, the one chosen, how to follow it."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import gradio as gr

from latentia.errors import UserError
from latentia.studio.shelf import Opened, Shelf

P = ParamSpec("P")
R = TypeVar("R")
Show = Callable[[Opened | None], Any]


@dataclass
class Place:
    """One studio.

    Attributes:
        shelf: the runs.
        blocks: the page being built.
        chosen: the run that all rooms but Train and Compare work with, by name.
        room: the one that is open, by its name in `app.ROOMS`.
        fresh: changes when the run is to be read anew.
        work: where rooms write what visitors download or train; below the first folder.
    """

    shelf: Shelf
    blocks: gr.Blocks
    chosen: gr.Dropdown
    room: gr.State
    fresh: gr.State
    work: Path
    _followers: list[tuple[Show, list[Any]]] = field(default_factory=list)

    def opened(self, name: str | None) -> Opened | None:
        """The run of a name; None without one, or where it cannot be read."""
        try:
            return self.shelf.open(name) if name else None
        except UserError:
            return None

    def follow(self, show: Show, outputs: Sequence[Any]) -> None:
        """Have widgets follow the chosen run.

        `show` gets the run (None where there is none, or it cannot be read) and returns an update
        for each of `outputs`: an update where there is one output, else as many in a row. It runs
        when the page opens and when another run is chosen.
        """
        self._followers.append((show, list(outputs)))

    def settle(self, settled: Callable[[Opened | None, str], Any], outputs: Sequence[Any]) -> None:
        """Have all that follows the run, and then `settled` of the run and the room, do so.

        All of it is one request: that many would wait for each other, and arrive one by one.
        """

        def updated(run: str | None, room: str) -> list[Any]:
            opened = self.opened(run)
            rows = [(show(opened), len(wanted)) for show, wanted in self._followers]
            rows.append((settled(opened, room), len(outputs)))
            return [value for row, n in rows for value in _each(row, n)]

        wanted = [*(w for _, some in self._followers for w in some), *outputs]
        for event in (self.chosen.change, self.fresh.change, self.blocks.load):
            event(
                updated,
                [self.chosen, self.room],
                wanted,
                show_progress="hidden",
                api_visibility="private",
                concurrency_limit=None,
            )


def _each(row: Any, n: int) -> list[Any]:
    """Updates as Gradio takes them from a function with n outputs, as a list."""
    return [row] if n == 1 and not isinstance(row, list | tuple) else list(row)


class Room(Protocol):
    """A module of `studio.rooms`: a title, for which runs it is there, and its widgets."""

    TITLE: str

    def fits(self, opened: Opened | None) -> bool:
        """Whether the room has anything to offer for a run; rooms that need none say True."""
        ...

    def build(self, place: Place) -> None:
        """Make the widgets inside the room's tab, and say what they do."""
        ...


def plainly(work: Callable[P, list[Any]], outputs: int) -> Callable[P, list[Any]]:
    """The function of an event that is not queued, so that nothing it raises reaches the visitor.

    Its answer has a sentence more, for a widget that shows it: "" where all went well, else what
    was wrong, with the first `outputs` widgets left as they are.
    """

    @functools.wraps(work)
    def told(*args: P.args, **kwargs: P.kwargs) -> list[Any]:
        try:
            return [*work(*args, **kwargs), ""]
        except UserError as problem:
            words = str(problem)
        except Exception:  # whatever it was, the visitor must not wait for an answer
            traceback.print_exc()
            words = "This went wrong; the studio's terminal says how."
        return [*(gr.skip() for _ in range(outputs)), f"⚠ {words}"]

    return told


def kindly(work: Callable[P, R]) -> Callable[P, R]:
    """An event's function, with errors a user can mend shown on the page instead of a traceback."""

    @functools.wraps(work)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except UserError as problem:
            raise gr.Error(str(problem), print_exception=False) from problem

    return told
