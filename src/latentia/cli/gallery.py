"""`latentia gallery`: every family at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    QuietFlag,
    SeedOption,
    examples,
    print_json,
    say,
)
from latentia.recipes.registry import FAMILIES


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia gallery",
            "latentia gallery --minutes 8 --out runs/gallery",
            "latentia gallery --family vae --family gan --minutes 2",
        )
    )(gallery)


def gallery(
    minutes: Annotated[
        float, typer.Option(help="For all families together, shared between them.")
    ] = 20.0,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder; what is finished there is kept.")
    ] = Path("runs/gallery"),
    family: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only this one; again for more: {', '.join(FAMILIES)}.",
            show_default="every family",
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    quiet: QuietFlag = False,
    json: JsonFlag = False,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Train a little of every family on built-in data, and show them all on one page.

    A second call with the same --out makes what is missing or has failed, and keeps the rest. One
    that fails does not stop the others; the exit status is then 1.
    """
    from latentia.gallery.make import make
    from latentia.training.budget import duration

    made = make(
        out,
        minutes=minutes,
        families=family or (),
        seed=seed,
        device=device,
        say=None if quiet else say,
    )
    if json:
        print_json(
            {
                "page": made.page,
                "done": made.done,
                "failed": made.failed,
                "finished": made.finished,
                "seconds": made.seconds,
            }
        )
    else:
        print(f"Page:   {made.page}")
        print(f"Made:   {len(made.done)} of {len(FAMILIES)} families, in {duration(made.seconds)}")
        for name, why in made.failed.items():
            print(f"Failed: {name}: {why}")
    if show:
        typer.launch(made.page.resolve().as_uri())
    if not made.finished:
        say("Interrupted: run it again to go on.")
        raise typer.Exit(130)
    if made.failed:
        raise typer.Exit(1)
