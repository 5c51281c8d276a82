"""Rows of data on the page: a gallery of pictures, players, points of the plane, or a table."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from latentia.errors import UserError
from latentia.rendering.pictures import enlarged, pictures_of
from latentia.rendering.points import Plane
from latentia.rendering.views import Look, columns_of, look_of, save_sounds
from latentia.run import Run
from latentia.studio.scratch import Scratch
from latentia.studio.shelf import Opened

PLAYERS = 16
"""Recordings that can be played at once."""
_BEHIND = 1000  # points of the data behind those that were made
_TALL = 440
_ONE_TALL = 340


# Pictures go out by `gr.update`: a widget made as an update would write each to a file of its own.


class Sheet:
    """Widgets for rows of whatever kind a run makes; only those of its kind are seen.

    Args:
        name: of the room, at the head of the widgets' element ids.
        label: what the rows are.
        columns: pictures side by side.
    """

    def __init__(self, name: str, label: str, columns: int = 8) -> None:
        self.columns = columns
        self.gallery = gr.Gallery(
            label=label,
            show_label=False,
            buttons=["download", "fullscreen"],
            columns=columns,
            height="auto",
            object_fit="contain",
            format="png",
            interactive=False,
            elem_id=f"{name}-gallery",
            elem_classes=["small-pixels", "sheet"],
        )
        self.plane = gr.Image(
            label=label,
            show_label=False,
            buttons=["download", "fullscreen"],
            alt_text=f"{label}, as points",
            visible=False,
            format="png",
            interactive=False,
            height=_TALL,
            elem_id=f"{name}-points",
        )
        self.table = gr.Dataframe(
            label=label,
            visible=False,
            interactive=False,
            max_height=_TALL,
            elem_id=f"{name}-table",
            elem_classes="table-wrap",
        )
        self.players = gr.HTML(visible=False, elem_id=f"{name}-players")

    @property
    def widgets(self) -> list[Any]:
        """In the order of `empty` and `shown`."""
        return [self.gallery, self.plane, self.table, self.players]

    def empty(self, opened: Opened | None) -> list[Any]:
        """The widgets of a run's kind, with nothing in them."""
        look: Look = "pictures" if opened is None else look_of(opened.run.spec)
        return [
            gr.Gallery(value=None, visible=look == "pictures"),
            gr.Image(value=None, visible=look == "points"),
            gr.Dataframe(value=None, visible=look == "table"),
            gr.HTML(value="", visible=look == "recordings"),
        ]

    def shown(
        self,
        opened: Opened,
        x: Tensor,
        captions: Sequence[str],
        scratch: Scratch,
        *,
        way: bool = False,
        columns: int | None = None,
    ) -> list[Any]:
        """Rows `(N, …)` in the widget of their kind, the others left alone.

        Args:
            opened: the run that made them.
            x: the rows.
            captions: a few words on each.
            scratch: for recordings.
            way: they are a walk.
            columns: pictures side by side, other than usual.
        """
        run, values = opened.run, [gr.skip(), gr.skip(), gr.skip(), gr.skip()]
        look = look_of(run.spec)
        if look == "pictures":
            tiles = [enlarged(picture) for picture in pictures_of(x)]
            told = list(zip(tiles, captions, strict=True))
            values[0] = gr.update(value=told, columns=columns or self.columns)
        elif look == "points":
            values[1] = points_of(opened, x, way=way)
        elif look == "table":
            values[2] = frame_of(run, x, captions)
        else:
            values[3] = players_of(run, x[:PLAYERS], captions, scratch.folder())
        return values


class Single:
    """Widgets for one example of whatever kind a run makes.

    Args:
        name: of the room, at the head of the widgets' element ids.
        label: what the example is.
    """

    def __init__(self, name: str, label: str) -> None:
        self.picture = gr.Image(
            label=label,
            alt_text=label,
            buttons=["download", "fullscreen"],
            format="png",
            interactive=False,
            height=_ONE_TALL,
            elem_id=f"{name}-picture",
            elem_classes="small-pixels",
        )
        self.table = gr.Dataframe(
            label=label,
            visible=False,
            interactive=False,
            elem_id=f"{name}-table",
            elem_classes="table-wrap",
        )
        self.player = gr.HTML(visible=False, elem_id=f"{name}-players")

    @property
    def widgets(self) -> list[Any]:
        """In the order of `empty` and `shown`."""
        return [self.picture, self.table, self.player]

    def empty(self, opened: Opened | None) -> list[Any]:
        """The widgets of a run's kind, with nothing in them."""
        look: Look = "pictures" if opened is None else look_of(opened.run.spec)
        return [
            gr.Image(value=None, visible=look in ("pictures", "points")),
            gr.Dataframe(value=None, visible=look == "table"),
            gr.HTML(value="", visible=look == "recordings"),
        ]

    def shown(self, opened: Opened, x: Tensor, words: str, scratch: Scratch) -> list[Any]:
        """An example `(1, …)` in the widget of its kind, the others left alone."""
        look, values = look_of(opened.run.spec), [gr.skip(), gr.skip(), gr.skip()]
        if look == "pictures":
            values[0] = enlarged(pictures_of(x)[0])
        elif look == "points":
            values[0] = points_of(opened, x)
        elif look == "table":
            values[1] = across(opened.run, x)
        else:
            values[2] = players_of(opened.run, x, [words], scratch.folder())
        return values


def across(run: Run, x: Tensor) -> dict[str, Any]:
    """One row of a table, a line for each column."""
    rows = [[name, _short(values[0])] for name, values in columns_of(run, x).items()]
    return {"headers": ["column", "value"], "data": rows}


def points_of(opened: Opened, x: Tensor, *, way: bool = False) -> Image.Image:
    """Points on the run's data; on themselves where those are gone."""
    if "plane" not in opened.memory:
        opened.memory["plane"] = _plane(opened)
    plane: Plane | None = opened.memory["plane"]
    return (plane or Plane(x)).shown(x, way=way)


def _plane(opened: Opened) -> Plane | None:
    """Some of the data; None where they are gone."""
    try:
        train = opened.run.data("train")
    except (UserError, OSError):
        return None
    return Plane(train.batch(range(min(_BEHIND, len(train)))).x)


def frame_of(run: Run, x: Tensor, captions: Sequence[str]) -> dict[str, Any]:
    """A table's rows in its own units, what each is called at the left."""
    columns = {"": list(captions), **columns_of(run, x)}
    rows = [[_short(v) for v in row] for row in zip(*columns.values(), strict=True)]
    return {"headers": list(columns), "data": rows}


def _short(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def players_of(run: Run, x: Tensor, captions: Sequence[str], folder: Path) -> str:
    """HTML with a player for each recording; the files inside say that they are synthetic."""
    paths = save_sounds(run, x, folder)
    return "".join(_player(path, words) for path, words in zip(paths, captions, strict=False))


def _player(path: Path, words: str) -> str:
    content, said = base64.b64encode(path.read_bytes()).decode(), html.escape(words, quote=True)
    return (
        f'<figure class="player"><figcaption>{said}</figcaption>'
        f'<audio controls aria-label="Recording, {said}" src="data:audio/wav;base64,{content}">'
        "</audio></figure>"
    )
