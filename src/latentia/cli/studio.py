"""`latentia studio`: a local page on which every run can be seen and touched."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from latentia.cli.common import DeviceOption, examples, say
from latentia.errors import UserError

RunsArg = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RUNS…]",
        help="Run folders, or folders that hold some; `runs` where nothing is said.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia studio",
            "latentia studio runs/faces runs/digits --port 8000",
            "latentia studio runs/ --host 0.0.0.0 --auth ada:secret",
        )
    )(studio)


def studio(
    runs: RunsArg = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own needs --auth.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, show_default="the first free one from 7860 on"),
    ] = None,
    auth: Annotated[
        str | None, typer.Option(metavar="USER:PASSWORD", help="Ask visitors for these.")
    ] = None,
    upload: Annotated[str, typer.Option(help="The largest file a visitor may send.")] = "100mb",
    waiting: Annotated[int, typer.Option(min=1, help="Requests that may wait at once.")] = 64,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
    device: DeviceOption = "auto",
) -> None:
    """Open a page that finds every run in RUNS and offers what can be done with it.

    It listens on this machine alone, sends nothing anywhere, and works without a network.
    """
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise UserError("The studio needs the extra: pip install 'latentia[studio]'.")
    from latentia.studio.app import build
    from latentia.studio.serve import launch
    from latentia.studio.shelf import Shelf
    from latentia.training.device import resolve_device, tune_process

    tune_process()
    folders = runs or [_default()]
    shelf = Shelf(folders, str(resolve_device(device)))
    say(f"{len(shelf.runs())} runs below {', '.join(str(f) for f in folders)}. Ctrl-C ends it.")
    with _terminated_in_order():
        launch(
            build(shelf, shelf.folders[0]),
            host=host,
            port=port,
            auth=auth,
            upload=upload,
            waiting=waiting,
            browser=browser,
        )


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """A SIGTERM is taken as Ctrl-C, so that temporary files go and a training is saved."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _default() -> Path:
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    return folder
