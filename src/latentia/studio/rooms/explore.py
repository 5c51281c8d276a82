"""The room *Explore*: a slider for each latent, the map of encodings, a picture of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from latentia.abilities import Decodes
from latentia.studio.exploring import NO_ENCODER, NONE, SLIDERS, Exploring
from latentia.studio.own import AS_IT_IS
from latentia.studio.place import Place, plainly
from latentia.studio.sheet import Single
from latentia.studio.shelf import Opened

NAME, TITLE = "explore", "Explore"
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_LIVE: dict[str, Any] = {**_QUIET, "queue": False, "trigger_mode": "always_last"}


def fits(opened: Opened | None) -> bool:
    """For models that decode."""
    return opened is not None and isinstance(opened.model, Decodes)


@dataclass(frozen=True)
class _Panel:
    """The widgets that change.

    Attributes:
        latents: the whole place, as numbers; sliders show a part of it.
        page: the first of the shown latents, in the order of effect.
        manner: label, direction and strength.
        seeing: the map, the nearest row and a note.
        ways_in: what is only there for models that encode, and the excuse for others.
        turn, words: the button to other latents, and what latents are.
        problem: what is wrong with what was asked for last.
    """

    single: Single
    sliders: list[gr.Slider]
    latents: gr.Textbox
    page: gr.State
    manner: list[Any]
    seeing: list[Any]
    ways_in: list[Any]
    turn: gr.Button
    words: gr.Markdown
    problem: gr.Markdown

    @property
    def place(self) -> list[Any]:
        """What changes with the place, in the order of `Exploring.arrived`."""
        shown = [*self.single.widgets, self.latents, *self.seeing, self.page, *self.sliders]
        return [*shown, self.problem]


def build(place: Place) -> None:
    """Sliders at the left, what they make in the middle, the map at the right."""
    with gr.Row(elem_classes="room"):
        with gr.Column(scale=3, min_width=280):
            sliders, page, turn, words = _sliders()
        with gr.Column(scale=3, min_width=280, elem_id="explore-see"):
            single = Single("explore", "What lies there")
            problem = gr.Markdown(elem_id="explore-problem")
            with gr.Row():
                chance = gr.Button("Random", size="md", elem_id="explore-random", min_width=90)
                reset = gr.Button("Reset", size="md", elem_id="explore-reset", min_width=90)
            manner = _manner()
            with gr.Accordion("The place in numbers", open=False):
                latents = gr.Textbox(
                    label="Latents",
                    info="With commas between them.",
                    lines=2,
                    elem_id="explore-latents",
                )
                go = gr.Button("Go there", size="sm", elem_id="explore-go")
        with gr.Column(scale=4, min_width=280):
            seeing, ways_in = _map()
    panel = _Panel(single, sliders, latents, page, manner, seeing, ways_in, turn, words, problem)
    _wire(place, panel, chance, reset, go)


def _sliders() -> tuple[list[gr.Slider], gr.State, gr.Button, gr.Markdown]:
    words = gr.Markdown(elem_id="explore-order")
    sliders = [
        gr.Slider(-3, 3, 0, label=f"Latent {i}", visible=False, elem_id=f"explore-slider-{i}")
        for i in range(SLIDERS)
    ]
    more = gr.Button("More latents", size="sm", visible=False, elem_id="explore-more")
    return sliders, gr.State(0), more, words


def _manner() -> list[Any]:
    return [
        gr.Dropdown(
            [NONE],
            value=NONE,
            label="Label",
            allow_custom_value=True,
            visible=False,
            elem_id="explore-label",
        ),
        gr.Dropdown(
            [NONE],
            value=NONE,
            label="Direction",
            info="Towards examples with a label, away from those without.",
            allow_custom_value=True,
            visible=False,
            elem_id="explore-direction",
        ),
        gr.Slider(
            *(-3, 3, 0), step=0.1, label="Strength", visible=False, elem_id="explore-strength"
        ),
    ]


def _map() -> tuple[list[Any], list[Any]]:
    excuse = gr.Markdown(NO_ENCODER, visible=False, elem_id="explore-no-encoder")
    plane = gr.Image(
        label="Map of encodings: click to go there",
        show_label=False,
        alt_text="Map of the training rows' encodings",
        buttons=[],
        format="png",
        interactive=False,
        visible=False,
        elem_id="explore-map",
    )
    note = gr.Markdown(elem_id="explore-note")
    nearest = gr.Image(
        label="Nearest training row",
        show_label=False,
        alt_text="The training row that is encoded nearest",
        buttons=[],
        format="png",
        interactive=False,
        visible=False,
        height=200,
        elem_id="explore-nearest",
        elem_classes="small-pixels",
    )
    own = gr.Image(
        label="Your own picture",
        type="filepath",
        sources=["upload", "clipboard"],
        visible=False,
        height=200,
        elem_id="explore-own",
    )
    heard = gr.Audio(
        label="Your own recording", type="filepath", visible=False, elem_id="explore-heard"
    )
    row = gr.Number(
        label="Held-out row",
        info="Enter encodes it.",
        precision=0,
        minimum=0,
        visible=False,
        elem_id="explore-row",
    )
    return [plane, nearest, note], [own, heard, row, excuse]


def _wire(
    place: Place,
    panel: _Panel,
    chance: gr.Button,
    reset: gr.Button,
    go: gr.Button,
) -> None:
    does, chosen, manner = Exploring(place, panel.single), place.chosen, panel.manner
    plane, (own, heard, row, _) = panel.seeing[0], panel.ways_in
    at = [chosen, panel.latents, panel.page, *manner]
    _prepare_when_seen(place, panel, does)
    still, seen = [chosen, panel.latents, *manner], panel.single.widgets
    for events, work, given, shown in (
        (
            [s.input for s in panel.sliders],
            does.live,
            [*at, *panel.sliders],
            [*seen, panel.latents],
        ),
        ([s.release for s in panel.sliders], does.looked_up, still, panel.seeing),
        ([w.input for w in manner], does.seen, still, seen),
    ):
        gr.on(events, plainly(work, len(shown)), given, [*shown, panel.problem], **_LIVE)
    panel.turn.click(does.turned, at, panel.place, **_QUIET)
    chance.click(does.by_chance, at, panel.place, **_QUIET)
    reset.click(does.back, at, panel.place, **_QUIET)
    plane.select(does.clicked, at, panel.place, **_QUIET)
    own.upload(does.placed, [*at, own], panel.place, **_QUIET, **AS_IT_IS)
    heard.upload(does.placed, [*at, heard], panel.place, **_QUIET)
    row.submit(does.row, [*at, row], panel.place, **_QUIET)
    go.click(
        does.explore, [chosen, panel.latents, *manner], panel.single.widgets, api_name="explore"
    ).success(does.settled, at, panel.place, **_QUIET)
    panel.latents.submit(does.settled, at, panel.place, **_QUIET)


def _prepare_when_seen(place: Place, panel: _Panel, does: Exploring) -> None:
    """Latents are put in order when the room is entered, not when the page opens; once for a run.

    To put them in order takes a while, and a map of the training rows.
    """
    wanted = [*panel.place, *panel.manner, *panel.ways_in, panel.turn, panel.words]
    shown = gr.State("")  # the run, by its name and weights, that the room shows

    def prepared(run: str | None, room: str, before: str) -> list[Any]:
        now = does.called(run)
        if room != NAME or now in ("", before):
            return [gr.skip() for _ in range(len(wanted) + 1)]
        return [*does.prepared(run), now]

    place.follow(
        lambda opened: [*panel.single.empty(opened), "", ""],
        [*panel.single.widgets, panel.latents, shown],
    )
    gr.on(
        [place.room.change, shown.change],
        prepared,
        [place.chosen, place.room, shown],
        [*wanted, shown],
        **_QUIET,
    )
