"""The room *Which one is real?*."""

from __future__ import annotations

import gradio as gr

from latentia.studio.place import Place
from latentia.studio.shelf import Opened

TITLE = "Which one is real?"


def fits(opened: Opened | None) -> bool:
    """TODO."""
    return opened is not None


def build(place: Place) -> None:
    """TODO."""
    gr.Markdown("…")
