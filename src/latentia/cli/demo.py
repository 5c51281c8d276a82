"""`latentia demo`: games small enough to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentia.cli.common import (
    JsonFlag,
    QuietFlag,
    SeedOption,
    SetOption,
    examples,
    pairs,
    print_json,
    say,
)
from latentia.errors import UserError, nearest

_EXAMPLES = examples(
    "latentia demo gan-1d",
    "latentia demo gan-2d --data two-moons --out runs/moons",
    "latentia demo gan-1d --loss minimax --seed 3 --out runs/saturated",
    "latentia demo gan-2d --data points.csv --minutes 2 --mp4 --out runs/mine",
)


def register(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(demo)


def demo(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[DEMO]", help="gan-1d or gan-2d.", show_default="list them"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder, a new one.", show_default="runs/DEMO"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="gan-1d: gaussians-1d, or a table of one column. gan-2d: gaussians-8, "
            "gaussians-25, rings, two-moons, or a table of two columns.",
            show_default="the demo's own",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="minimax, non-saturating, relativistic, least-squares, hinge or wasserstein.",
            show_default="non-saturating",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Length of the training.", show_default="the demo's own"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Length of the training by the clock.", show_default="by --steps"),
    ] = None,
    frames: Annotated[int, typer.Option(help="Moments to draw, 6 to 240.")] = 100,
    seed: SeedOption = 0,
    choices: SetOption = None,
    mp4: Annotated[bool, typer.Option("--mp4", help="Also a film; needs ffmpeg.")] = False,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
    quiet: QuietFlag = False,
    json: JsonFlag = False,
) -> None:
    """Watch a game being learned: real points, fakes, and what the discriminator says of them.

    gan-1d: points on a line. gan-2d: points in a plane. Writes a page with a slider, a GIF, a
    strip of stills and the figures; beside the discriminator stands the best one that there could
    be. It ends where the fakes lie as the real points do, and the best answer is ½.
    """
    if name is None:
        _list(json)
        return
    from latentia.demos.demo import film
    from latentia.demos.movie import find_ffmpeg
    from latentia.demos.words import ending
    from latentia.demos.write import KINDS, write_film

    if name not in KINDS:
        raise UserError(f"There is no demo {name!r}; {nearest(name, KINDS)}")
    ffmpeg = find_ffmpeg() if mp4 else None
    found = film(
        KINDS[name],
        data=data,
        out=out,
        loss=loss,
        steps=steps,
        minutes=minutes,
        frames=frames,
        seed=seed,
        settings=pairs(choices or []),
        quiet=quiet,
    )
    paths = write_film(found, ffmpeg)
    if json:
        print_json({**found.end.to_json(), "finished": found.finished, "files": paths})
    else:
        print(ending(found.end, found.loss))
        print()
        for what, path in zip(("Page", "GIF", "Stills", "Figures", "Film"), paths, strict=False):
            print(f"{what + ':':9}{path}")
    if show:
        typer.launch(paths[0].resolve().as_uri())
    if not found.finished:
        say("Interrupted: the film ends early.")
        raise typer.Exit(130)


def _list(json: bool) -> None:
    from latentia.demos.write import KINDS

    if json:
        print_json({k.name: {"title": k.title, "data": k.data} for k in KINDS.values()})
        return
    for kind in KINDS.values():
        print(f"{kind.name}   {kind.title}: {kind.about} (data: {kind.data})")
    print()
    print("Watch one: latentia demo gan-1d")
