"""The page: a run chosen at the top, and a room for each thing that can be done with it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import gradio as gr

from latentia.studio.place import Place
from latentia.studio.scratch import keep_uploads_here
from latentia.studio.shelf import Opened, Shelf, shape_of
from latentia.training.budget import duration

ROOMS = (
    "generate",
    "explore",
    "interpolate",
    "mix",
    "translate",
    "audit",
    "compare",
    "guess",
    "train",
)
"""Modules of `studio.rooms`, in the order of their tabs."""
FORGOTTEN = (600, 3600)
"""Every so many seconds, files of visitors older than so many are deleted."""
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
NOTHING = "There is no trained run here yet. Make one in the room *Train*, or by `latentia fit`."


def build(shelf: Shelf, work: Path) -> gr.Blocks:
    """The studio's page.

    Args:
        shelf: the runs it shows.
        work: a folder that it may write to.
    """
    keep_uploads_here()
    page = gr.Blocks(
        title="Latentia studio", analytics_enabled=False, fill_width=True, delete_cache=FORGOTTEN
    )
    with page as blocks:
        with gr.Row(elem_id="top"):
            gr.Markdown("# Latentia studio", elem_id="name")
            chosen = _chooser(shelf)
            again = gr.Button("Look again", size="sm", scale=0, elem_id="look-again")
        place = Place(shelf, blocks, chosen, gr.State(ROOMS[0]), gr.State(0.0), work)
        facts = gr.Markdown(elem_id="facts")
        place.follow(_facts, [facts])
        _rooms(place)
        again.click(lambda now: _choices(shelf, now), [chosen], [chosen, place.fresh], **_QUIET)
    return blocks


def _rooms(place: Place) -> None:
    """The rooms, of which those that fit the run can be entered; another run may lead to another.

    Tabs in a menu of those that find no room could not be hidden, so they wrap onto further rows.
    """
    rooms = {name: importlib.import_module(f"latentia.studio.rooms.{name}") for name in ROOMS}
    with gr.Tabs(elem_id="rooms", overflow_behavior="wrap") as tabs:
        for name, room in rooms.items():
            with gr.Tab(room.TITLE, id=name, elem_id=f"room-{name}") as tab:
                room.build(place)
            tab.select(lambda name=name: name, None, [place.room], **_QUIET)
    hidden = gr.HTML(elem_id="hidden-rooms", padding=False)

    def settled(opened: Opened | None, now: str) -> tuple[Any, Any, Any]:
        fitting = [name for name, room in rooms.items() if room.fits(opened)]
        style = _hiding([name for name in ROOMS if name not in fitting])
        if now in fitting:
            return style, gr.skip(), gr.skip()
        return style, gr.Tabs(selected=fitting[0]), fitting[0]

    place.settle(settled, [hidden, tabs, place.room])


def _hiding(names: Sequence[str]) -> str:
    """A style that hides the tabs of some rooms.

    Tabs that are shown and hidden by updates mistake each other's contents (gradio 6.31).
    """
    chosen = ", ".join(f"#room-{name}-button" for name in names)
    return f"<style>{chosen} {{ display: none !important; }}</style>" if names else ""


def _chooser(shelf: Shelf) -> gr.Dropdown:
    names = list(shelf.runs())
    return gr.Dropdown(
        names,
        value=names[0] if names else None,
        label="Run",
        elem_id="run",
        filterable=len(names) > 8,
        interactive=True,
    )


def _choices(shelf: Shelf, now: str | None) -> tuple[Any, float]:
    """The runs that are there by now, the same one chosen where it can be; and to read it anew."""
    names = list(shelf.runs())
    kept = now if now in names else (names[0] if names else None)
    return gr.Dropdown(choices=names, value=kept), time()


def _facts(opened: Opened | None) -> str:
    """One line on the chosen run."""
    if opened is None:
        return NOTHING
    run = opened.run
    rows = run.history()
    spent = f" · trained {duration(rows[-1]['seconds'])}" if rows else ""
    data = f"{run.spec.title} ({shape_of(run.spec)}, {run.spec.n:,} examples)"
    return (
        f"**{run.family}** of {data}{spent} · seed {run.seed} · can {', '.join(opened.abilities)}"
    )


@contextmanager
def served(blocks: gr.Blocks, **options: Any) -> Iterator[str]:
    """Serve a page from a thread of its own; yields its address. For tests and tools."""
    from latentia.studio.serve import launch

    address = launch(blocks, block=False, **options)
    try:
        yield address
    finally:
        blocks.close(verbose=False)
