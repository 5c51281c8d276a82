"""The room *Audit*: what a run's own data lack, as galleries, and weights that make up for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from latentia.audit.result import AuditResult
from latentia.errors import UserError
from latentia.studio.auditing import (
    HEAD,
    KINDS,
    Findings,
    auditable,
    audited,
    exports,
    findings,
    kinds_of,
    lines,
    summary,
)
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.shelf import Opened

TITLE = "Audit"
LEAD = (
    "What do these data lack? Three models of this run's kind are trained, one of all examples and "
    "one of each half, so that no example is judged by a model that has seen it. An audit of as "
    "many minutes that was begun earlier goes on where it stopped."
)
_MEMORY = "audit"
_MOST = 24
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_PROGRESS = gr.Progress()


def fits(opened: Opened | None) -> bool:
    """Runs whose data can be opened again, of families that encode and decode."""
    return opened is not None and auditable(opened.run)


@dataclass(frozen=True)
class _Shown:
    """Widgets that show an audit.

    Attributes:
        words, files: of the whole audit.
        kind, most, above: what is looked at.
        about, gallery, table: what is seen of that.
    """

    words: gr.Markdown
    files: gr.File
    kind: gr.Radio
    most: gr.Slider
    above: gr.Slider
    about: gr.Markdown
    gallery: gr.Gallery
    table: gr.Dataframe
    part: gr.Column

    @property
    def controls(self) -> list[Any]:
        return [self.kind, self.most, self.above]

    @property
    def seen(self) -> list[Any]:
        return [self.about, self.gallery, self.table]

    @property
    def whole(self) -> list[Any]:
        return [self.words, self.files, self.part, self.kind, self.above, *self.seen]


def build(place: Place) -> None:
    """The budget, the audit, and its galleries below."""
    scratch = Scratch()
    gr.Markdown(LEAD, elem_id="audit-lead")
    with gr.Row(elem_id="audit-begin"):
        minutes = gr.Slider(
            0.1,
            30,
            value=2,
            step=0.1,
            label="Minutes of training, all three together",
            elem_id="audit-minutes",
        )
        go = gr.Button("Audit", variant="primary", size="md", scale=0, elem_id="audit-go")
    shown = _widgets()

    @kindly
    def audit(
        run: str | None, minutes: float = 2, progress: gr.Progress = _PROGRESS
    ) -> tuple[str, list[str]]:
        """Audit the data that a run was trained on."""
        opened = place.shelf.open(_chosen(run))
        device = place.shelf.device
        found = audited(opened.run, minutes, device, lambda share, what: progress(share, what))
        opened.memory[_MEMORY] = found
        return summary(found), [str(path) for path in exports(found, scratch.folder())]

    @kindly
    def look(run: str | None, kind: str, most: float, above: float) -> tuple[Any, Any, Any, Any]:
        """One kind of findings of an audit that has been made."""
        found = place.shelf.open(_chosen(run)).memory.get(_MEMORY)
        if found is None:
            raise UserError("There is no audit of this run yet.")
        return gr.Slider(visible=kind == "strange"), *_seen(findings(found, kind, int(most), above))

    def whole(run: str | None) -> tuple[Any, ...]:
        return _whole(place.shelf.open(run) if run else None, scratch)

    place.follow(lambda opened: _whole(opened, scratch), shown.whole)
    go.click(audit, [place.chosen, minutes], [shown.words, shown.files], api_name="audit").success(
        whole, [place.chosen], shown.whole, show_progress="hidden", **_PRIVATE
    )
    for control in (shown.kind.input, shown.most.release, shown.above.release):
        control(look, [place.chosen, *shown.controls], [shown.above, *shown.seen], **_PRIVATE)


def _widgets() -> _Shown:
    words = gr.Markdown(elem_id="audit-words")
    with gr.Column(visible=False, elem_id="audit-found") as part:
        kind = gr.Radio(
            [(title, name) for name, title in KINDS.items()],
            value="strange",
            label="Look at",
            elem_id="audit-kind",
        )
        with gr.Row():
            most = gr.Slider(
                1, 96, value=_MOST, step=1, label="How many at most", elem_id="audit-most"
            )
            above = gr.Slider(
                0, 10, value=0, step=0.1, label="Stranger than, nats", elem_id="audit-above"
            )
        about = gr.Markdown(elem_id="audit-about")
        gallery = gr.Gallery(
            label="Findings",
            show_label=False,  # it would lie on the pictures
            columns=6,
            fit_columns=False,
            height="auto",
            format="png",
            object_fit="contain",
            buttons=["fullscreen"],
            elem_id="audit-gallery",
            elem_classes=["small-pixels", "snug"],
        )
        table = gr.Dataframe(
            headers=list(HEAD),
            label="Findings as a table",
            column_widths=["26%", "24%", "50%"],
            interactive=False,
            wrap=True,
            max_height=320,
            elem_id="audit-table",
        )
        files = gr.File(
            label="Sampling weights and lists to download",
            file_count="multiple",
            interactive=False,
            elem_id="audit-files",
        )
    return _Shown(words, files, kind, most, above, about, gallery, table, part)


def _whole(opened: Opened | None, scratch: Scratch) -> tuple[Any, ...]:
    """All that is shown of the audit of a run, if there is one."""
    found: AuditResult | None = None if opened is None else opened.memory.get(_MEMORY)
    if found is None:
        hidden = gr.Column(visible=False)
        return "", None, hidden, gr.Radio(), gr.Slider(), "", gr.Gallery(), gr.Dataframe()
    limit = found.strangeness.threshold
    top = float(np.ceil(max(found.strangeness.total.max(), limit)))
    return (
        summary(found),
        [str(path) for path in exports(found, scratch.folder())],
        gr.Column(visible=True),
        gr.Radio(choices=kinds_of(found), value="strange"),
        gr.Slider(minimum=0, maximum=top, value=round(limit, 1), visible=True),
        *_seen(findings(found, "strange", _MOST, limit)),
    )


def _seen(made: Findings) -> tuple[Any, Any, Any]:
    visible = bool(made.shown)
    return made.words, gr.update(value=made.shown, visible=visible), gr.Dataframe(lines(made))


def _chosen(run: str | None) -> str:
    if not run:
        raise UserError("Choose a run first.")
    return run
