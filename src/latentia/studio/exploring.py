"""What the room Explore does: from any of its widgets to a place, and to all that shows it.

Its events get the run, the place in numbers, the first of the shown latents, and the manner: a
label, a direction and how far along it.
"""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr
from torch import Tensor

from latentia.abilities import Decodes, Encodes, TakesClasses
from latentia.errors import UserError
from latentia.explore.latent import encode
from latentia.rendering import place as places
from latentia.rendering.atlas import marked
from latentia.rendering.examples import row_of
from latentia.rendering.pictures import enlarged, pictures_of
from latentia.rendering.views import look_of
from latentia.studio.explored import bounds, explored, is_seen, read, training_row, written
from latentia.studio.own import example_of, file_of
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.sheet import Single
from latentia.studio.shelf import Opened

SLIDERS = 12
"""Latents at once."""
NONE = "none"
NO_ENCODER = (
    "This model does not encode: there is no map of encodings, and a picture of yours cannot be "
    "placed. Move the latents, or go to another place by chance."
)
OTHERS = 15
"""Widgets that `prepared` sets beside the example's and the sliders."""


class Exploring:
    """What the room's widgets do.

    Args:
        place: the studio.
        single: shows what lies at a place.
    """

    def __init__(self, place: Place, single: Single) -> None:
        self.place, self.single, self.scratch = place, single, Scratch()

    def called(self, run: str | None) -> str:
        """A run by its name and its weights; "" where it has no latent space, or is gone."""
        opened = self.place.opened(run)
        if opened is None or not isinstance(opened.model, Decodes):
            return ""
        return f"{run} {opened.memory['written']}"

    def prepared(self, run: str | None) -> list[Any]:
        """All that follows from the run."""
        many = len(self.single.widgets) + SLIDERS + OTHERS
        try:
            with self.place.shelf.using(run or "") as opened:
                if not isinstance(opened.model, Decodes):
                    return [gr.skip() for _ in range(many)]
                arrived = self.arrived(opened, explored(opened).axes.start, 0)
                return [*arrived, *_offered(opened), _more(opened), explored(opened).axes.words]
        except UserError as problem:
            if run:
                gr.Warning(str(problem))
            return [gr.skip() for _ in range(many)]

    def arrived(
        self,
        opened: Opened,
        z: Tensor,
        page: int,
        label: str = NONE,
        direction: str = NONE,
        strength: float = 0.0,
    ) -> list[Any]:
        """Everything that shows a place."""
        return [
            *self._decoded(opened, z, label, direction, strength),
            written(z),
            *self._looked_up(opened, z, direction, strength),
            page,
            *_set(opened, z, page),
            "",
        ]

    def _decoded(
        self, opened: Opened, z: Tensor, label: str, direction: str, strength: float
    ) -> list[Any]:
        known = explored(opened)
        found = places.render(
            opened.run,
            known.axes,
            z,
            label=None if label in (NONE, None) else label,
            direction=None if direction in (NONE, None) else known.directions[direction],
            strength=strength or 0.0,
        )
        return self.single.shown(opened, found.x, "what lies there", self.scratch)

    def _looked_up(
        self, opened: Opened, z: Tensor, direction: str, strength: float, at: int | None = None
    ) -> list[Any]:
        """The map with a ring, the nearest row, and its name."""
        known = explored(opened)
        if known.map is None or known.drawn is None:
            return [gr.Image(visible=False), gr.Image(visible=False), ""]
        if direction not in (NONE, None):
            z = z + (strength or 0.0) * known.directions[direction]
        near = known.map.nearest(z) if at is None else at
        x, words = training_row(opened, known.map, near)
        ring = marked(known.drawn, known.map, known.map.place_of(z))
        tile: Any = gr.update(visible=False)
        if is_seen(opened):
            tile = gr.update(value=enlarged(pictures_of(x)[0]), visible=True)
        return [gr.update(value=ring, visible=True), tile, f"Nearest on the map: training {words}."]

    def live(
        self,
        run: str,
        latents: str,
        page: int,
        label: str,
        direction: str,
        strength: float,
        *values: float,
    ) -> list[Any]:
        """What lies at the sliders."""
        with self.place.shelf.using(run) as opened:
            z = self._at(opened, latents)
            shown = explored(opened).axes.order[page : page + SLIDERS]
            for dim, value in zip(shown, values, strict=False):
                z[dim] = float(value)
            return [*self._decoded(opened, z, label, direction, strength), written(z)]

    def seen(
        self, run: str, latents: str, label: str, direction: str, strength: float
    ) -> list[Any]:
        """The same place in another manner."""
        with self.place.shelf.using(run) as opened:
            z = self._at(opened, latents)
            return self._decoded(opened, z, label, direction, strength)

    @kindly
    def explore(
        self,
        run: str,
        latents: str | None = None,
        label: str = NONE,
        direction: str = NONE,
        strength: float = 0.0,
    ) -> list[Any]:
        """Decode a place: numbers with commas between them, empty for where the room begins."""
        return self.seen(run, latents or "", label, direction, strength)

    def looked_up(
        self, run: str, latents: str, label: str, direction: str, strength: float
    ) -> list[Any]:
        """Where the place lies among the training rows."""
        with self.place.shelf.using(run) as opened:
            return self._looked_up(opened, self._at(opened, latents), direction, strength)

    def _at(self, opened: Opened, latents: str) -> Tensor:
        """The place in numbers; the start where there are none yet."""
        start = explored(opened).axes.start
        return places.place_within(read(latents), start) if latents else start.clone()

    @kindly
    def turned(self, run: str, latents: str, page: int, *manner: Any) -> list[Any]:
        """The next latents; after the last the first."""
        with self.place.shelf.using(run) as opened:
            following = page + SLIDERS
            if following >= len(explored(opened).axes.order):
                following = 0
            return self.arrived(opened, self._at(opened, latents), following, *manner)

    @kindly
    def settled(self, run: str, latents: str, page: int, *manner: Any) -> list[Any]:
        """The numbers as they were written."""
        with self.place.shelf.using(run) as opened:
            return self.arrived(opened, self._at(opened, latents), page, *manner)

    @kindly
    def by_chance(self, run: str, latents: str, page: int, *manner: Any) -> list[Any]:
        """Another draw."""
        with self.place.shelf.using(run) as opened:
            axes = explored(opened).axes
            z = places.random_place(axes, opened.model, secrets.randbelow(2**31))
            return self.arrived(opened, z, page, *manner)

    @kindly
    def back(self, run: str, latents: str, page: int, *manner: Any) -> list[Any]:
        """Where the room began."""
        with self.place.shelf.using(run) as opened:
            return self.arrived(opened, explored(opened).axes.start, page, *manner)

    @kindly
    def clicked(
        self, event: gr.SelectData, run: str, latents: str, page: int, *manner: Any
    ) -> list[Any]:
        """A place of the map."""
        return self.pointed(run, page, *event.index)

    def pointed(self, run: str, page: int, x: float, y: float) -> list[Any]:
        """The place at a pixel of the map, and the row that lies nearest to it there."""
        with self.place.shelf.using(run) as opened:
            known = explored(opened).map
            if known is None:
                raise UserError("This run has no map of encodings.")
            spot = known.place_at(x, y)
            z, near = known.latent_at(spot), known.nearest_place(spot)
            shown = self.arrived(opened, z, page)
            first = len(self.single.widgets) + 1
            shown[first : first + 3] = self._looked_up(opened, z, NONE, 0.0, near)
            return shown

    @kindly
    def placed(
        self,
        run: str,
        latents: str,
        page: int,
        label: str,
        direction: str,
        strength: float,
        given: Any,
    ) -> list[Any]:
        """Where a file of the visitor's is encoded."""
        file = file_of(given)
        if file is None:
            raise UserError("There is no file.")
        with self.place.shelf.using(run) as opened:
            return self._encoded(opened, example_of(opened.run, file), page)

    @kindly
    def row(
        self,
        run: str,
        latents: str,
        page: int,
        label: str,
        direction: str,
        strength: float,
        row: float,
    ) -> list[Any]:
        """Where a held-out row is encoded."""
        with self.place.shelf.using(run) as opened:
            x = row_of(opened.run.data("test"), int(row or 0))
            return self._encoded(opened, x, page)

    def _encoded(self, opened: Opened, x: Tensor, page: int) -> list[Any]:
        if not isinstance(opened.model, Encodes):
            raise UserError(NO_ENCODER)
        return self.arrived(opened, encode(opened.model, x)[0], page)


def _set(opened: Opened, z: Tensor, page: int) -> list[Any]:
    """Sliders for the latents of a page, at a place."""
    axes = explored(opened).axes
    shown = axes.order[page : page + SLIDERS]
    used = [
        gr.Slider(label=f"Latent {dim}", visible=True, **bounds(axes, dim, float(z[dim])))
        for dim in shown
    ]
    return [*used, *(gr.Slider(visible=False) for _ in range(SLIDERS - len(used)))]


def _offered(opened: Opened) -> list[Any]:
    """Labels, directions and ways in, where the model has them."""
    known, run = explored(opened), opened.run
    takes = isinstance(known.axes.decoder, TakesClasses)
    names = list(known.directions.vectors)
    encodes = isinstance(opened.model, Encodes)
    look = look_of(run.spec)
    return [
        gr.Dropdown([NONE, *run.spec.classes], value=NONE, visible=takes),
        gr.Dropdown([NONE, *names], value=NONE, visible=bool(names)),
        gr.Slider(value=0, visible=bool(names)),
        gr.Image(value=None, visible=encodes and look == "pictures"),
        gr.Audio(value=None, visible=encodes and look == "recordings"),
        gr.Number(value=None, visible=encodes),
        gr.Markdown(visible=not encodes),
    ]


def _more(opened: Opened) -> Any:
    total = len(explored(opened).axes.order)
    return gr.Button(f"More of the {total} latents", visible=total > SLIDERS)
