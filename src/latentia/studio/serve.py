"""Serving the studio: on this machine only unless asked otherwise, and nothing sent anywhere."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import gradio as gr
from gradio.themes import Base, Color

from latentia.errors import UserError
from latentia.studio.memory import freed

HERE = Path(__file__).parent
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
PORT = 7860
MOST_WAITING = 64
"""Requests that may wait; later ones are told to come again."""
MOST_UPLOADED = "100mb"
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]


def launch(
    blocks: gr.Blocks,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: str | None = None,
    upload: str = MOST_UPLOADED,
    waiting: int = MOST_WAITING,
    allowed: list[str] | None = None,
    browser: bool = False,
    block: bool = True,
) -> str:
    """Serve a page.

    Args:
        blocks: the page.
        host: address to listen on; others than loopback ask for `auth`.
        port: None takes the first free one from 7860 on.
        auth: "user:password".
        upload: the largest file a visitor may send, such as "100mb".
        waiting: requests that may wait at once.
        allowed: folders whose files may be shown.
        browser: open a browser on it.
        block: serve until Ctrl-C or SIGTERM, and leave no file behind.

    Returns:
        Its address, where it does not block.

    Raises:
        UserError: a port that is taken, an `auth` of another form, or none where one is needed, or
            an `upload` that is no size.
    """
    pair = _pair(auth)
    if pair is None and not _loopback(host):
        raise UserError(
            f"--host {host} lets others reach this page. Say who may: --auth user:password."
        )
    most = _size(upload)
    os.environ.update(QUIET)  # no request to any host
    blocks.queue(max_size=waiting, default_concurrency_limit=1)
    try:
        with _until_the_end() if block else nullcontext():
            _, address, _ = blocks.launch(
                server_name=host,
                server_port=port,
                auth=pair,
                max_file_size=most,
                allowed_paths=allowed,
                inbrowser=browser,
                prevent_thread_lock=not block,
                theme=_theme(),
                css_paths=HERE / "studio.css",
                footer_links=["api"],
                share=False,
                pwa=False,
                ssr_mode=False,
                enable_monitoring=False,
                quiet=True,
            )
    except OSError as problem:
        raise UserError(f"{host} port {port or PORT} cannot be listened on: {problem}.") from None
    return str(address)


@contextmanager
def _until_the_end() -> Iterator[None]:
    with _ended_in_order(), freed():
        yield


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C: what is to be done at the end is done then, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.signal(name, signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _pair(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, sign, password = auth.partition(":")
    if not (user and sign and password):
        raise UserError("--auth is of the form user:password.")
    return user, password


def _size(text: str) -> str:
    """A limit as the page takes it."""
    size = text.strip().lower()
    if not re.fullmatch(r"0*[1-9]\d* ?[kmg]?b", size):
        raise UserError(f"--upload {text!r} is no size; write one such as 100mb.")
    return size


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _theme() -> gr.Theme:
    """The reports' colours, and only fonts that the visitor's machine has."""
    blue = Color(
        c50="#eef6fb",
        c100="#d6eaf6",
        c200="#aed5ed",
        c300="#80bce1",
        c400="#56b4e9",
        c500="#2a8fcb",
        c600="#0072b2",
        c700="#005f95",
        c800="#004c77",
        c900="#003a5b",
        c950="#002a42",
    )
    return Base(primary_hue=blue, neutral_hue="stone", font=_FONTS, font_mono=_MONO)
