"""The room *Compare*: several runs side by side, with figures and their floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from latentia.errors import UserError
from latentia.metrics.evaluate import METRICS
from latentia.studio.comparing import (
    MOST_RUNS,
    SAMPLES,
    USUAL,
    VIEWS,
    Measured,
    across,
    alike,
    conditions,
    differing,
    facts_of,
    figures_across,
    measured,
    picture_of,
)
from latentia.studio.place import Place, kindly
from latentia.studio.shelf import Opened, Shelf

TITLE = "Compare"
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_PROGRESS = gr.Progress()


def fits(opened: Opened | None) -> bool:
    """Any run may be one of them."""
    return opened is not None


def build(place: Place) -> None:
    """The runs, what is seen of them, and their figures."""
    runs = gr.Dropdown(
        list(place.shelf.runs()),
        value=alike(place.shelf),
        multiselect=True,
        max_choices=MOST_RUNS,
        label=f"Runs, {MOST_RUNS} at most",
        elem_id="compare-runs",
    )
    place.follow(lambda opened: gr.Dropdown(choices=list(place.shelf.runs())), [runs])
    _pictures(place, runs)
    _figures(place, runs)


def _pictures(place: Place, runs: gr.Dropdown) -> None:
    with gr.Row():
        view = gr.Radio(
            [(title, name) for name, title in VIEWS.items()],
            value="samples",
            label="Look at",
            info="Samples are of the same seeds.",
            elem_id="compare-view",
        )
        share = gr.Slider(
            0,
            1,
            value=1,
            step=0.1,
            label="Share of the training",
            visible=False,
            elem_id="compare-share",
        )
    go = gr.Button("Compare", variant="primary", size="md", elem_id="compare-go")
    gallery = gr.Gallery(
        label="Side by side",
        show_label=False,  # it would lie on the pictures
        columns=2,
        height="auto",
        format="png",
        object_fit="contain",
        buttons=["fullscreen"],
        elem_id="compare-gallery",
        elem_classes=["small-pixels", "snug"],
    )
    words = gr.Markdown(elem_id="compare-words")
    with gr.Column(visible=False) as part:
        facts = gr.Dataframe(
            label="The runs",
            headers=["fact"],
            interactive=False,
            wrap=True,
            elem_id="compare-facts",
        )

    @kindly
    def look(runs: list[str] | None, view: str = "samples", share: float = 1) -> Any:
        shown = _each(place.shelf, runs, lambda opened: picture_of(opened, view, share))
        tiles = [(image, name) for name, image in shown.items() if image is not None]
        if not tiles:
            raise UserError("None of these runs has kept anything of the kind.")
        return gr.update(value=tiles, columns=min(3, len(tiles)))

    @kindly
    def compare(
        runs: list[str] | None, view: str = "samples", share: float = 1
    ) -> tuple[Any, str, Any]:
        """Several runs side by side: pictures, a warning, facts."""
        told = _each(place.shelf, runs, facts_of)
        warning = differing([place.shelf.open(name).run for name in told])
        return look(runs, view, share), warning, across(told, "fact")

    view.input(
        lambda view: gr.Slider(visible=view == "previews"), [view], [share], **_PRIVATE
    ).then(look, [runs, view, share], [gallery], **_PRIVATE)
    share.release(look, [runs, view, share], [gallery], **_PRIVATE)
    event = go.click(compare, [runs, view, share], [gallery, words, facts], api_name="compare")
    event.success(_appears, None, [part], **_PRIVATE)


def _figures(place: Place, runs: gr.Dropdown) -> None:
    gr.Markdown("### Figures, each with its floor", elem_id="compare-figures-title")
    with gr.Row(equal_height=False):
        metrics = gr.CheckboxGroup(
            [(name.replace("_", " "), name) for name in METRICS],
            value=list(USUAL),
            label="Metrics; each run gives those that it can",
            min_width=300,
            elem_id="compare-metrics",
        )
        samples = gr.Slider(
            *(100, 5000),
            value=SAMPLES,
            step=100,
            label="Samples of each",
            min_width=280,
            elem_id="compare-samples",
        )
    go = gr.Button("Measure", size="md", elem_id="compare-measure")
    with gr.Column(visible=False) as part:
        table = gr.Dataframe(
            label="Figures",
            headers=["figure"],
            interactive=False,
            wrap=True,
            elem_id="compare-figures",
        )
    words = gr.Markdown(elem_id="compare-conditions")

    @kindly
    def measure(
        runs: list[str] | None,
        metrics: list[str] | None = None,
        samples: float = SAMPLES,
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[Any, str]:
        """Measure several runs on the test rows of their own data."""
        chosen, n = list(USUAL) if metrics is None else metrics, int(samples)

        def one(opened: Opened) -> Measured:
            def told(what: str, done: int, total: int) -> None:
                progress(done / max(total, 1), f"{opened.name}: {what}")

            return measured(opened, chosen, n, told)

        found = _each(place.shelf, runs, one)
        return figures_across(found), conditions(found, n)

    event = go.click(measure, [runs, metrics, samples], [table, words], api_name="measure")
    event.success(_appears, None, [part], **_PRIVATE)


def _appears() -> gr.Column:
    """A table is not there before there is anything in it."""
    return gr.Column(visible=True)


def _each(
    shelf: Shelf, runs: Sequence[str] | None, work: Callable[[Opened], Any]
) -> dict[str, Any]:
    """What `work` makes of each run, by its name; each is locked meanwhile."""
    if not runs:
        raise UserError("Choose the runs to compare.")
    if len(runs) > MOST_RUNS:
        raise UserError(f"{len(runs)} runs are too many to see side by side: {MOST_RUNS} at most.")
    found = {}
    for name in dict.fromkeys(runs):
        with shelf.using(name) as opened:
            found[name] = work(opened)
    return found
