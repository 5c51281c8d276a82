"""The room *Which one is real?*: test pictures and samples, to be told apart by eye."""

from __future__ import annotations

from typing import Any, cast

import gradio as gr

from latentia.errors import UserError
from latentia.guessing.answers import FILE, Protocol, read, weights_of
from latentia.guessing.deck import MOST, drawn_deck, suits
from latentia.guessing.rates import Result, result, verdict
from latentia.guessing.session import Session, hidden_seed
from latentia.studio.place import Place, kindly
from latentia.studio.rooms.stage import EMPTY, mistakes, stage
from latentia.studio.shelf import Opened

TITLE = "Which one is real?"
PROTOCOLS: dict[str, str] = {
    "As long as you like": "infinity",
    "A glance, shorter and shorter": "time",
    "As many as you can in a minute": "clock",
}
ABOUT = (
    "You see one picture at a time: half of them are test pictures, half are samples of the "
    "model. Who cannot tell them apart is wrong half of the time. "
    "[HYPE](https://arxiv.org/abs/1904.01121), Zhou et al. 2019."
)
HEAD = ["Run", "Test", "Sittings", "Answers", "Wrong", "On fakes", "On real", "Exposure", "Time"]
HOUR = 3600
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def fits(opened: Opened | None) -> bool:
    """Whether there are single pictures to tell apart."""
    return opened is not None and suits(opened.run, opened.model)


def build(place: Place) -> None:
    """The test at the left, what it has shown at the right."""
    session = gr.State(None, time_to_live=HOUR)  # the truth is in it, and never leaves the server
    with gr.Row(elem_id="guess-room"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(ABOUT, elem_id="guess-about")
            protocol = gr.Radio(
                list(PROTOCOLS), value=next(iter(PROTOCOLS)), label="Test", elem_id="guess-test"
            )
            count = gr.Slider(4, MOST, 40, step=2, label="Pictures", elem_id="guess-count")
            with gr.Accordion("Repeat a session", open=False):
                seed = gr.Textbox(
                    label="Seed",
                    info="Told at the end of a session; left empty, a hidden one is drawn.",
                    elem_id="guess-seed",
                )
            begin = gr.Button("Begin", variant="primary", size="md", elem_id="guess-begin")
        with gr.Column(scale=3, min_width=320):
            shown = gr.HTML(EMPTY, elem_id="guess-stage", label="The picture")
            where = gr.Markdown(elem_id="guess-where")
            with gr.Row():
                real = gr.Button("Real", interactive=False, min_width=120, elem_id="guess-real")
                fake = gr.Button("Fake", interactive=False, min_width=120, elem_id="guess-fake")
            told = gr.Markdown(elem_id="guess-result")
            wrong = gr.HTML(elem_id="guess-mistakes", label="Mistakes")
    table = gr.Dataframe(
        headers=HEAD,
        label="All models, and everybody's answers",
        interactive=False,
        visible=False,
        elem_id="guess-table",
        elem_classes="table-wrap",
    )
    view = [shown, where, real, fake, told, wrong]

    @kindly
    def start(name: str | None, test: str, pictures: float, text: str) -> tuple[Any, ...]:
        if not name:
            raise UserError("Choose a run first.")
        with place.shelf.using(name) as opened:
            deck = drawn_deck(opened.run, opened.model, int(pictures), _seed(text))
            kind = cast(Protocol, PROTOCOLS[test])
            folder = opened.run.folder
            found = Session(deck, kind, folder, weights_of(folder))
        return found, *_view(found)

    @kindly
    def answer(found: Session | None, said_real: bool) -> tuple[Any, ...]:
        if found is None:
            raise UserError("Begin a session first.")
        if not found.done:
            found.answer(said_real)
        return found, *_view(found)

    def said_real(found: Session | None) -> tuple[Any, ...]:
        return answer(found, True)

    def said_fake(found: Session | None) -> tuple[Any, ...]:
        return answer(found, False)

    asked = [place.chosen, protocol, count, seed]
    begin.click(start, asked, [session, *view], api_name="guess_begin")
    for button, work, called in ((real, said_real, "guess_real"), (fake, said_fake, "guess_fake")):
        event = button.click(
            work, [session], [session, *view], api_name=called, show_progress="hidden"
        )
        event.success(
            lambda s: _table(place) if _over(s) else gr.skip(), [session], table, **PRIVATE
        )
    place.follow(lambda _: (None, *_view(None), _table(place)), [session, *view, table])


def _over(found: Session | None) -> bool:
    return found is not None and found.done


def _seed(text: str) -> int:
    if not (text or "").strip():
        return hidden_seed()
    if not text.strip().isdecimal() or int(text) >= 2**31:
        raise UserError(f"The seed {text!r} is not a whole number from 0 to {2**31 - 1}.")
    return int(text)


def _view(found: Session | None) -> tuple[Any, ...]:
    """The picture, where one stands, both buttons, the result, and the mistakes."""
    if found is None:
        return EMPTY, "", *_buttons(False), "", ""
    if found.done:
        return "", "", *_buttons(False), _told(found), mistakes(found)
    where = f"Picture {found.card + 1} of {len(found.deck)}"
    return stage(found), where, *_buttons(True), "", ""


def _buttons(live: bool) -> tuple[gr.Button, gr.Button]:
    return gr.Button(interactive=live), gr.Button(interactive=live)


def _told(found: Session) -> str:
    """The result of one sitting."""
    facts = result(found.answers)
    if not facts.answers:
        return "The minute is over, and there was no answer in it."
    lines = [
        f"### {facts.wrong.shown()} wrong",
        verdict(facts),
        f"Fakes taken for real: {facts.fakes.shown()}. "
        f"Real pictures taken for fakes: {facts.reals.shown()}.",
        f"An answer took {facts.seconds:.1f} s (median). Seed of this session: {found.deck.seed}.",
    ]
    if found.protocol == "time":
        lines.insert(2, _glance(found))
    if found.protocol == "clock":
        right = sum(not a.wrong for a in found.answers)
        lines.insert(2, f"In a minute: {right} right, {facts.answers - right} wrong.")
    return "\n\n".join(lines)


def _glance(found: Session) -> str:
    text = f"Exposure shown most often in the later half: {found.stairs.modal} ms."
    if found.stairs.threshold is not None:
        text += f" Mean of the last turns: {found.stairs.threshold:.0f} ms."
    return text + " The longer an exposure is needed, the better the fakes."


def _table(place: Place) -> Any:
    rows = _rows(place)
    return gr.update(value=rows, visible=bool(rows))


def _rows(place: Place) -> list[list[str]]:
    """A line for each run and test that there are answers to."""
    rows = []
    for name, folder in place.shelf.runs().items():
        if (folder / FILE).is_file():
            answers = read(folder, weights_of(folder))
            for label, protocol in PROTOCOLS.items():
                found = result(answers, cast(Protocol, protocol))
                rows += [_row(name, label, found)] if found.answers else []
    return rows


def _row(name: str, label: str, found: Result) -> list[str]:
    exposure = found.exposure
    return [
        name,
        label,
        str(found.sessions),
        str(found.answers),
        found.wrong.shown(),
        found.fakes.shown(),
        found.reals.shown(),
        "" if exposure.value is None else f"{exposure.shown(percent=False)} ms",
        f"{found.seconds:.1f} s",
    ]
