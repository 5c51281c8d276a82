"""The room *Interpolate*: from one draw or picture to another, as a strip and as a loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from torch import Tensor

from latentia.abilities import Decodes, Encodes
from latentia.data.pictures import grid_image
from latentia.errors import UserError
from latentia.rendering import walk as walks
from latentia.rendering.pictures import enlarged, pictures_of, save_loop, save_png
from latentia.rendering.views import look_of
from latentia.studio.own import AS_IT_IS, example_of, file_of
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.sheet import Sheet
from latentia.studio.shelf import Opened

TITLE = "Interpolate"
SEEDS, PICTURES = "two seeds", "two pictures"
WAYS = ["spherical", "linear"]
MOST = 60
_FRAME = 96  # pixels of a frame of the strip, about


def fits(opened: Opened | None) -> bool:
    """For models that decode."""
    return opened is not None and isinstance(opened.model, Decodes)


@dataclass(frozen=True)
class _Choices:
    """The widgets that say what is walked, in the order of `interpolate`'s parameters."""

    ends: gr.Radio
    seeds: tuple[gr.Number, gr.Number]
    pictures: tuple[gr.Image, gr.Image]
    how: gr.Radio
    frames: gr.Slider
    excuse: gr.Markdown

    @property
    def asked(self) -> list[Any]:
        """The inputs."""
        return [self.ends, *self.seeds, *self.pictures, self.how, self.frames]


def build(place: Place) -> None:
    """The ends at the left, the way at the right."""
    with gr.Row(elem_classes="room"):
        with gr.Column(scale=1, min_width=260):
            chosen = _choices()
            go = gr.Button("Walk", variant="primary", size="md", elem_id="interpolate-go")
            note = gr.Markdown(elem_id="interpolate-note")
        with gr.Column(scale=3, min_width=280):
            strip = _strip()
            sheet = Sheet("interpolate", "The way, frame by frame", columns=10)
            loop = _loop()
            with gr.Row():
                png = _download("Strip (PNG)", "interpolate-png")
                gif = _download("Loop (GIF)", "interpolate-gif")
    results = [strip, loop, png, gif, note, *sheet.widgets]
    place.follow(
        _offered, [chosen.ends, *chosen.pictures, *chosen.seeds, chosen.how, chosen.excuse]
    )
    place.follow(lambda opened: [*_nothing(opened), *_others(sheet, opened)], results)
    chosen.ends.change(
        _shown_ends,
        [chosen.ends],
        [*chosen.seeds, *chosen.pictures],
        api_visibility="private",
        show_progress="hidden",
    )
    go.click(
        _interpolate(place, sheet, Scratch()),
        [place.chosen, *chosen.asked],
        results,
        api_name="interpolate",
        **AS_IT_IS,
    )


def _choices() -> _Choices:
    return _Choices(
        gr.Radio([SEEDS, PICTURES], value=SEEDS, label="Between", elem_id="interpolate-ends"),
        (_seed("A", 0), _seed("B", 1)),
        (_picture("A"), _picture("B")),
        gr.Radio(WAYS, value=WAYS[0], label="How", elem_id="interpolate-how"),
        gr.Slider(2, MOST, 10, step=1, label="Frames", elem_id="interpolate-frames"),
        gr.Markdown(visible=False, elem_id="interpolate-excuse"),
    )


def _seed(end: str, value: int) -> gr.Number:
    return gr.Number(
        value,
        label=f"Seed of {end}",
        precision=0,
        minimum=0,
        elem_id=f"interpolate-seed-{end.lower()}",
    )


def _picture(end: str) -> gr.Image:
    return gr.Image(
        label=f"Picture {end}",
        type="filepath",
        sources=["upload", "clipboard"],
        visible=False,
        height=160,
        elem_id=f"interpolate-picture-{end.lower()}",
    )


def _strip() -> gr.Image:
    return gr.Image(
        label="The way",
        show_label=False,
        alt_text="Frames of the way from A to B",
        buttons=["fullscreen"],
        format="png",
        interactive=False,
        elem_id="interpolate-strip",
        elem_classes=["small-pixels", "wide-strip"],
    )


def _loop() -> gr.Image:
    return gr.Image(
        label="There and back",
        alt_text="The way from A to B and back, moving",
        buttons=["fullscreen"],
        interactive=False,
        height=320,
        elem_id="interpolate-loop",
        elem_classes="small-pixels",
    )


def _download(words: str, name: str) -> gr.DownloadButton:
    return gr.DownloadButton(words, size="md", interactive=False, elem_id=name)


def _offered(opened: Opened | None) -> list[Any]:
    """Which ends a model takes, and which ways are different ones for it."""
    encodes = opened is not None and isinstance(opened.model, Encodes)
    seen = opened is None or look_of(opened.run.spec) == "pictures"
    styled = opened is not None and walks.walks_in_styles(opened.model)
    ends = [SEEDS, PICTURES] if encodes and seen else [SEEDS]
    excuse = "Two pictures of yours need a model that encodes; this one does not."
    return [
        gr.Radio(choices=ends, value=SEEDS, visible=len(ends) > 1),
        *(gr.Image(value=None, visible=False) for _ in range(2)),
        *(gr.Number(visible=True) for _ in range(2)),
        gr.Radio(visible=not styled),
        gr.Markdown(excuse, visible=not encodes and seen),
    ]


def _shown_ends(ends: str) -> list[Any]:
    seeds = ends == SEEDS
    return [
        *(gr.Number(visible=seeds) for _ in range(2)),
        *(gr.Image(visible=not seeds) for _ in range(2)),
    ]


def _nothing(opened: Opened | None) -> list[Any]:
    seen = opened is None or look_of(opened.run.spec) == "pictures"
    no_file = gr.DownloadButton(value=None, interactive=False, visible=seen)
    return [*(gr.Image(value=None, visible=seen) for _ in range(2)), no_file, no_file, ""]


def _others(sheet: Sheet, opened: Opened | None) -> list[Any]:
    """The sheet is for data that are no pictures; these have the strip."""
    return [gr.Gallery(value=None, visible=False), *sheet.empty(opened)[1:]]


def _interpolate(place: Place, sheet: Sheet, scratch: Scratch) -> Any:
    @kindly
    def interpolate(
        run: str,
        between: str = SEEDS,
        seed_a: float = 0,
        seed_b: float = 1,
        picture_a: Any = None,
        picture_b: Any = None,
        how: str = "spherical",
        frames: float = 10,
    ) -> list[Any]:
        """Walk through latent space from A to B."""
        if not 2 <= (frames or 0) <= MOST:
            raise UserError(f"A walk has 2 to {MOST} frames.")
        with place.shelf.using(run or "") as opened:
            ends = [
                _end(opened, between, seed, file_of(picture))
                for seed, picture in ((seed_a, picture_a), (seed_b, picture_b))
            ]
            walk = walks.render(
                opened.run,
                opened.model,
                *ends,
                frames=int(frames),
                how=how,  # type: ignore[arg-type]
            )
            words = f"A {walk.how} way, smoothness {walk.smoothness:.2f} (1: even)."
            if look_of(opened.run.spec) == "pictures":
                return [*_shown(walk, scratch), words, *[gr.skip()] * len(sheet.widgets)]
            told = [f"frame {i + 1}" for i in range(len(walk.way))]
            rows = sheet.shown(opened, walk.way, told, scratch, way=True)
            return [*[gr.skip()] * 4, words, *rows]

    return interpolate


def _end(opened: Opened, between: str, seed: float | None, picture: str | None) -> int | Tensor:
    if between == SEEDS:
        if seed is None or seed < 0:
            raise UserError("A seed is a whole number of 0 or more.")
        return int(seed)
    if not picture:
        if between != PICTURES:
            raise UserError(f"A walk is between {SEEDS} or {PICTURES}, not {between!r}.")
        raise UserError("Drop in both pictures first.")
    return example_of(opened.run, picture)


def _shown(walk: walks.Walk, scratch: Scratch) -> list[Any]:
    """Strip, loop, and both as files."""
    folder, columns = scratch.folder(), min(len(walk.way), 10)
    frames = [enlarged(frame) for frame in pictures_of(walk.way)]
    zoom = max(1, _FRAME // max(walk.way.shape[-2:]))
    strip = grid_image(walk.way, columns, zoom)
    png = save_png(strip, folder / "walk.png", walk.recipe)
    gif = save_loop(frames, folder / "walk.gif", walk.recipe)
    files = [gr.DownloadButton(value=str(path), interactive=True) for path in (png, gif)]
    return [strip, str(gif), *files]
