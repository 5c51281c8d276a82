"""The room *Train*: data, a family and its settings, and a training to watch."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any

import gradio as gr
from PIL import Image

from latentia.data.open import BUILT_IN
from latentia.data.toys import TOYS
from latentia.errors import UserError
from latentia.studio import orders
from latentia.studio.chart import chart
from latentia.studio.jobs import State, Trainings, curves, newest_previews, terms
from latentia.studio.orders import SHOWN, Looks, Setting
from latentia.studio.place import Place, kindly
from latentia.studio.shelf import Opened
from latentia.training.budget import duration

TITLE = "Train"
EVERY = 2.0
"""Seconds between two looks at the training."""
ALL = "all loss terms"
RATE = "examples a second"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
ASKED = {**PRIVATE, "queue": True}
"""Of events that may refuse: only what is queued can tell why."""
PHASES = {
    "none": "Nothing is being trained.",
    "starting": "**{name}** is starting …",
    "training": "**{name}** is training",
    "stopping": "**{name}** is saving, to stop …",
    "done": "**{name}** is trained.",
    "stopped": "**{name}** was stopped.",
    "failed": "**{name}** failed.",
}


def fits(opened: Opened | None) -> bool:
    """Training needs no run."""
    return True


def build(place: Place) -> None:
    """A form at the left, the training at the right."""
    trainings = Trainings(place.work, place.shelf.device)
    with gr.Row(elem_id="train-room"):
        with gr.Column(scale=2, min_width=320):
            asked = _form(place)
            start = gr.Button("Start", variant="primary", size="md", elem_id="train-start")
            unfinished, resume, resumption = _unfinished(place)
        with gr.Column(scale=3, min_width=320):
            stop = gr.Button(
                "Stop and save", variant="stop", size="md", visible=False, elem_id="train-stop"
            )
            shown = _progress()
    timer = gr.Timer(EVERY, active=False)
    view = [*shown, start, stop, unfinished, resumption, place.chosen, place.fresh, timer]
    seen = gr.State("none")

    def look(curve: str, before: str, now: str | None) -> tuple[Any, ...]:
        state = trainings.state()
        return (*_view(state, curve, before, now, place), state.phase)

    @kindly
    def begin(data: str, family: str, lines: str, minutes: float, seed: float, *first: str) -> str:
        name = family or "vae"
        kind = orders.looks(orders.data_within(data or "", place.shelf.folders)).kind
        keys = [setting.name for setting in orders.form(name, kind)[:SHOWN]]
        chosen = {key: v.strip() for key, v in zip(keys, first, strict=False) if v and v.strip()}
        wanted = orders.order(
            data,
            name,
            {**chosen, **orders.settings_of(lines or "")},
            float(minutes or 0),
            int(seed or 0),
            place.shelf.folders,
            place.work,
        )
        return trainings.start(wanted).name

    @kindly
    def again(name: str | None) -> str:
        runs = place.shelf.runs()
        if name not in runs:
            raise UserError("Choose an unfinished run.")
        return trainings.resume(runs[name]).name

    started = gr.Textbox(visible=False, label="The run's folder")
    looking: dict[str, Any] = {"fn": look, "inputs": [shown[3], seen, place.chosen]}
    looking |= {"outputs": [*view, seen], **ASKED, "concurrency_limit": None}
    begun = start.click(begin, asked, [started], api_name="train")
    resumed = resume.click(again, [unfinished], [started], api_name="resume_training")
    ended = stop.click(kindly(trainings.stop), None, None, api_name="stop_training")
    for event in (begun.success, resumed.success, ended.success, timer.tick, shown[3].input):
        event(**looking)
    place.blocks.load(**looking)

    def training() -> dict[str, Any]:
        """Where the training stands."""
        return _facts(trainings.state())

    gr.api(training, api_name="training")  # type: ignore[attr-defined]


def _form(place: Place) -> list[Any]:
    """What an order is made of, in the order that `begin` takes it."""
    folders = ", ".join(folder.name for folder in place.shelf.folders)
    data = gr.Dropdown(
        [name for name in BUILT_IN if name not in TOYS] + list(TOYS),
        value="digits",
        allow_custom_value=True,
        label="Data",
        info=f"A built-in name, or write the path of a folder or file below {folders}.",
        elem_id="train-data",
    )
    family = gr.Dropdown(
        orders.fitting(Looks("image", classes=2)),
        value="vae",
        label="Family",
        elem_id="train-family",
    )
    words = gr.Markdown(orders.described("vae"), elem_id="train-about")
    fields = orders.form("vae", "image")
    with gr.Row():
        first = [_slot(i, field) for i, field in enumerate(fields[:SHOWN])]
    with gr.Accordion("All settings", open=False, elem_id="train-all"):
        lines = gr.Textbox(
            label="Settings, a line each: KEY=VALUE",
            lines=3,
            placeholder="prior=vamp",
            elem_id="train-lines",
        )
        table = gr.Markdown(_table(fields), elem_id="train-settings", elem_classes="table-wrap")
    with gr.Row():
        minutes = gr.Number(10, label="Minutes", elem_id="train-minutes")
        seed = gr.Number(0, label="Seed", minimum=0, precision=0, elem_id="train-seed")
    outputs = [words, table, *first]
    data.change(
        kindly(lambda named, old: _data_chosen(place, named, old)),
        [data, family],
        [family, *outputs],
        **ASKED,
    )
    family.input(
        kindly(lambda named, chosen: _family_chosen(place, named, chosen)),
        [data, family],
        outputs,
        **ASKED,
    )
    return [data, family, lines, minutes, seed, *first]


def _slot(i: int, field: Setting) -> gr.Textbox:
    return gr.Textbox(**_asked(field), min_width=140, elem_id=f"train-setting-{i}")


def _asked(field: Setting) -> dict[str, Any]:
    told = field.help + (f" ({', '.join(field.options)})" if field.options else "")
    return {"label": field.name, "info": told, "placeholder": field.usual}


def _table(fields: list[Setting]) -> str:
    """All settings with their usual values, an item each: columns would be narrow here."""
    return "\n".join(
        f"- `{f.name}` ({f.usual}): {f.help}{': ' if f.options else ''}{', '.join(f.options)}"
        for f in fields
    )


def _data_chosen(place: Place, named: str, family: str) -> tuple[Any, ...]:
    found = orders.looks(orders.data_within(named or "", place.shelf.folders))
    names = orders.fitting(found)
    kept = family if family in names else names[0]
    return gr.Dropdown(choices=names, value=kept), *_told(kept, found.kind)


def _family_chosen(place: Place, named: str, family: str) -> tuple[Any, ...]:
    return _told(family, orders.looks(orders.data_within(named or "", place.shelf.folders)).kind)


def _told(family: str, kind: str) -> tuple[Any, ...]:
    """The family in words, the table of its settings, and the first of them to fill in."""
    fields = orders.form(family, kind)
    slots = [gr.Textbox(value="", **_asked(field)) for field in fields[:SHOWN]]
    return orders.described(family), _table(fields), *slots


def _unfinished(place: Place) -> tuple[gr.Dropdown, gr.Button, gr.Row]:
    names = _resumable(place)
    with gr.Row(visible=bool(names), elem_id="train-again") as row:
        runs = gr.Dropdown(
            names,
            value=names[0] if names else None,
            label="Unfinished runs",
            allow_custom_value=True,  # runs come to be after the page
            elem_id="train-unfinished",
            scale=3,
        )
        again = gr.Button("Resume", size="md", elem_id="train-resume", scale=1, min_width=100)
    return runs, again, row


def _resumable(place: Place, state: State | None = None) -> list[str]:
    """Unfinished runs, without the one that is being trained."""
    runs = place.shelf.runs()
    under_way = state.run if state is not None and state.running else None
    open_ones = set(orders.unfinished(runs.values())) - {under_way}
    return [name for name, path in runs.items() if path in open_ones]


def _progress() -> list[Any]:
    """Words, a bar, the curves, which of them, and the previews."""
    words = gr.Markdown(PHASES["none"], elem_id="train-state")
    bar = gr.HTML(_bar(0), visible=False, padding=False, elem_id="train-bar")
    plot = gr.HTML(visible=False, elem_id="train-curves")
    curve = gr.Dropdown([ALL], value=ALL, label="Curve", visible=False, elem_id="train-curve")
    previews = gr.Gallery(
        label="Newest previews, of averaged and of raw weights",
        show_label=False,  # it would lie on the pictures
        columns=2,
        height="auto",
        object_fit="contain",
        visible=False,
        elem_id="train-previews",
        elem_classes=["small-pixels", "snug"],
    )
    return [words, bar, plot, curve, previews]


def _bar(share: float) -> str:
    """A bar in the page's colours, whatever those of the browser are."""
    return (
        '<div class="spent" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * share:.0f}" aria-label="Share of the budget spent">'
        f'<div style="width: {100 * share:.1f}%"></div></div>'
    )


def _view(state: State, curve: str, before: str, now: str | None, place: Place) -> tuple[Any, ...]:
    """What the page shows of a training: `_progress`, the buttons, both choosers of runs, what
    follows the run, and whether to go on looking."""
    changed = state.phase != before
    names = _resumable(place, state) if changed else []
    ended = changed and not state.running and place.shelf.runs().get(now or "") == state.run
    there = [] if state.run is None else terms(state.run)
    curve_names = [ALL, *(RATE if name == "rate" else name for name in there)]
    curve = curve if curve in curve_names else ALL
    return (
        _words(state),
        gr.HTML(_bar(state.share), visible=state.run is not None),
        gr.HTML(_plotted(state, curve, there), visible=bool(there)),
        gr.Dropdown(choices=curve_names, value=curve, visible=bool(there)),
        _previews(state),
        gr.Button(interactive=not state.running),
        gr.Button(visible=state.running, interactive=state.phase != "stopping"),
        _offered(names) if changed else gr.skip(),
        gr.Row(visible=bool(names)) if changed else gr.skip(),
        _runs(place, now) if changed else gr.skip(),
        time() if ended else gr.skip(),
        gr.Timer(active=state.running),
    )


def _offered(names: list[str]) -> Any:
    return gr.Dropdown(choices=names, value=names[0] if names else None)


def _runs(place: Place, now: str | None) -> Any:
    """The chooser at the top, with the new run in it; the first run is chosen at once."""
    names = list(place.shelf.runs())
    return gr.Dropdown(choices=names, value=now if now in names or not names else names[0])


def _plotted(state: State, curve: str, there: list[str]) -> str:
    if state.run is None or not there:
        return ""
    chosen = [n for n in there if n != "rate"] if curve == ALL else [_key(curve)]
    return chart(curves(state.run, chosen))


def _key(curve: str) -> str:
    return "rate" if curve == RATE else curve


def _previews(state: State) -> Any:
    paths = [] if state.run is None else newest_previews(state.run, 2)
    return gr.update(value=[(_picture(p), _caption(p)) for p in paths], visible=bool(paths))


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def _caption(path: Path) -> str:
    """Of `05-ema.png`: how far the training was, and of which weights these samples are."""
    tenth, _, whose = path.stem.partition("-")
    share = f"{10 * int(tenth)} %" if tenth.isdigit() else tenth
    return f"{share}, {'averaged' if whose == 'ema' else 'raw'}"


def _words(state: State) -> str:
    name = "" if state.run is None else state.run.name
    text = PHASES[state.phase].format(name=name)
    facts = [f"{state.share:.0%} done", f"{duration(state.seconds)} trained"] if state.share else []
    if state.left is not None and state.phase == "training":
        facts.append(f"{duration(state.left)} left")
    if state.rate is not None and state.running:
        facts.append(f"{state.rate:,.0f} examples a second")
    return " · ".join([text, *facts, *([state.sentence] if state.sentence else [])])


def _facts(state: State) -> dict[str, Any]:
    """The state, for programs."""
    return {
        "phase": state.phase,
        "run": "" if state.run is None else state.run.name,
        "share": state.share,
        "left": state.left,
        "rate": state.rate,
        "sentence": state.sentence,
        "code": state.code,
    }
