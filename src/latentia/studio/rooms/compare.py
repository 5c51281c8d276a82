"""The room *Compare*."""

from __future__ import annotations

import gradio as gr

from latentia.studio.place import Place
from latentia.studio.shelf import Opened

TITLE = "Compare"


def fits(opened: Opened | None) -> bool:
    """TODO."""
    return opened is not None


def build(place: Place) -> None:
    """TODO."""
    gr.Markdown("…")
