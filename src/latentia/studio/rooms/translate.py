"""The room *Translate*: pictures and voices from one domain to another, both ways to be seen."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr

from latentia.abilities import Translates
from latentia.errors import UserError
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.shelf import Opened
from latentia.studio.translation import (
    MOST_FILES,
    Shown,
    Wish,
    own_picture,
    returns,
    translated_pictures,
    translated_voice,
)
from latentia.translating.scale import SCALES

TITLE = "Translate"
_SCALES = {
    "auto": "as it fits",
    "own": "own size, every pixel",
    "fit": "size of the training pictures",
}
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_PROGRESS = gr.Progress()


def fits(opened: Opened | None) -> bool:
    """Runs that translate."""
    return opened is not None and isinstance(opened.model, Translates)


def build(place: Place) -> None:
    """Both halves of the room; a run shows the one that it is for."""
    scratch = Scratch()
    lead = gr.Markdown(elem_id="translate-lead")
    to = gr.Dropdown(
        [], label="Translate to", elem_id="translate-to", allow_custom_value=True, interactive=True
    )
    place.follow(lambda opened: (_lead(opened), _targets(opened)), [lead, to])
    with gr.Column(visible=False, elem_id="translate-pictures") as pictures:
        _pictures(place, to, scratch)
    with gr.Column(visible=False, elem_id="translate-voices") as voices:
        _voices(place, to, scratch)
    place.follow(_halves_of_the_room, [pictures, voices])


def _lead(opened: Opened | None) -> str:
    if opened is None or not fits(opened):
        return "This run does not translate."
    ways = ", ".join(f"to **{name}**" for name in opened.model.targets)
    if opened.run.spec.sound is not None:
        return f"This run translates recordings {ways}. Results are .wav files."
    return f"This run translates pictures {ways}. Results keep name, size and format."


def _targets(opened: Opened | None) -> Any:
    if opened is None or not fits(opened):
        return gr.Dropdown(choices=[], value=None)
    names = list(opened.model.targets)
    return gr.Dropdown(choices=names, value=names[-1])


def _halves_of_the_room(opened: Opened | None) -> tuple[Any, Any]:
    sound = opened is not None and fits(opened) and opened.run.spec.sound is not None
    pictures = opened is not None and fits(opened) and not sound
    return gr.Column(visible=pictures), gr.Column(visible=sound)


# pictures


@dataclass(frozen=True)
class _Options:
    """Widgets of how pictures are translated."""

    scale: gr.Radio
    round_trip: gr.Checkbox
    made: gr.Checkbox
    halves: gr.Checkbox

    @property
    def all(self) -> list[Any]:
        return [self.scale, self.round_trip, self.made, self.halves]


def _pictures(place: Place, to: gr.Dropdown, scratch: Scratch) -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            file = gr.File(
                label=f"A picture, or a zip of up to {MOST_FILES}",
                height=140,
                elem_id="translate-file",
            )
            own = gr.Button("Take one of the test data", size="sm", elem_id="translate-own")
            options = _options()
            go = gr.Button("Translate", variant="primary", size="md", elem_id="translate-go")
        with gr.Column(scale=2, min_width=280):
            shown = gr.Gallery(
                label="Before and after",
                show_label=False,  # it would lie on the pictures
                columns=2,
                object_fit="contain",
                height="auto",
                format="png",
                buttons=["fullscreen"],
                elem_id="translate-shown",
                elem_classes=["small-pixels", "snug"],
            )
            words = gr.Markdown(elem_id="translate-words")
            files = gr.File(
                label="To download",
                file_count="multiple",
                interactive=False,
                elem_id="translate-files",
            )

    @kindly
    def translate(
        run: str | None,
        picture: str | None,
        to: str | None = None,
        scale: str = "auto",
        round_trip: bool = False,
        made: bool = False,
        halves: bool = False,
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[Any, str, list[str]]:
        """Translate a picture or a zip of pictures."""
        source = _given(picture, "a picture, or a zip of pictures,")
        wish = Wish(to, scale, round_trip, made, halves)
        with place.shelf.using(_chosen(run)) as opened:
            _require(opened, sound=False)
            handed = translated_pictures(
                opened, source, wish, scratch.folder(), lambda name, share: progress(share, name)
            )
        return (
            _gallery(handed.shown, handed.columns),
            handed.words,
            [str(path) for path in handed.files],
        )

    numbers = count()

    @kindly
    def take(run: str | None, to: str | None, made: bool) -> str:
        with place.shelf.using(_chosen(run)) as opened:
            return str(own_picture(opened, Wish(to, made=made), scratch.folder(), next(numbers)))

    place.follow(_options_of, options.all)
    go.click(
        translate,
        [place.chosen, file, to, *options.all],
        [shown, words, files],
        api_name="translate",
    )
    own.click(take, [place.chosen, to, options.made], [file], **_PRIVATE)


def _options() -> _Options:
    with gr.Accordion("How", open=False, elem_id="translate-how"):
        scale = gr.Radio(
            [(_SCALES[name], name) for name in SCALES],
            value="auto",
            label="Size at which it is translated",
            info="As it fits: its own size, unless that is far from the training pictures'.",
            elem_id="translate-scale",
        )
        back = gr.Checkbox(label="Translate back, too", elem_id="translate-round-trip")
        made = gr.Checkbox(visible=False, elem_id="translate-made")
        halves = gr.Checkbox(
            label="They hold both sides, next to each other",
            visible=False,
            elem_id="translate-halves",
        )
    return _Options(scale, back, made, halves)


def _options_of(opened: Opened | None) -> tuple[Any, Any, Any, Any]:
    """What the run can be asked for."""
    if opened is None or not fits(opened):
        hidden = gr.Checkbox(visible=False, value=False)
        return gr.Radio(), hidden, hidden, hidden
    pair = opened.run.spec.pair or {}
    side = pair.get("made")
    label = f"These are photographs: make the model's side ({side}) first"
    return (
        gr.Radio(value="auto"),
        gr.Checkbox(visible=returns(opened.model), value=False),
        gr.Checkbox(visible=side is not None, value=False, label=label),
        gr.Checkbox(visible=bool(pair) and side is None, value=False),
    )


def _gallery(shown: Shown, columns: int) -> Any:
    return gr.update(value=shown, columns=columns)


# voices


def _voices(place: Place, to: gr.Dropdown, scratch: Scratch) -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            voice = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label="A voice: record or upload it",
                buttons=["download"],
                elem_id="translate-voice",
            )
            back = gr.Checkbox(label="Translate back, too", elem_id="translate-voice-back")
            go = gr.Button("Convert", variant="primary", size="md", elem_id="translate-speak")
        with gr.Column(scale=2, min_width=280):
            source = _player("As it was", "translate-voice-before")
            converted = _player("Converted", "translate-voice-after")
            returned = _player("And back", "translate-voice-returned", visible=False)
            words = gr.Markdown(elem_id="translate-voice-words")

    @kindly
    def speak(
        run: str | None,
        voice: str | None,
        to: str | None = None,
        round_trip: bool = False,
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[str, str, Any, str]:
        """Say a recording in another voice."""
        given = _given(voice, "a recording")
        with place.shelf.using(_chosen(run)) as opened:
            _require(opened, sound=True)
            after, again, said = translated_voice(
                opened,
                given,
                to,
                round_trip,
                scratch.folder(),
                lambda name, share: progress(share, name),
            )
        player = gr.update(value=None if again is None else str(again), visible=again is not None)
        return str(given), str(after), player, said

    place.follow(
        lambda opened: gr.Checkbox(visible=fits(opened) and returns(_model(opened)), value=False),
        [back],
    )
    go.click(
        speak,
        [place.chosen, voice, to, back],
        [source, converted, returned, words],
        api_name="speak",
    )


def _player(label: str, name: str, visible: bool = True) -> gr.Audio:
    return gr.Audio(
        label=label,
        interactive=False,
        type="filepath",
        buttons=["download"],  # not to be shared: nothing is sent anywhere
        elem_id=name,
        visible=visible,
    )


# refusals


def _model(opened: Opened | None) -> Any:
    return None if opened is None else opened.model


def _chosen(run: str | None) -> str:
    if not run:
        raise UserError("Choose a run first.")
    return run


def _given(path: str | None, what: str) -> Path:
    if not path:
        raise UserError(f"Give {what} first.")
    return Path(path)


def _require(opened: Opened, *, sound: bool) -> None:
    if not fits(opened):
        raise UserError(f"The {opened.run.family} in {opened.name} does not translate.")
    if (opened.run.spec.sound is not None) != sound:
        kind, event = ("pictures", "translate") if sound else ("recordings", "speak")
        raise UserError(f"{opened.name} translates {kind}: use {event!r}.")
