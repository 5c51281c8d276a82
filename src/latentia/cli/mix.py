"""`latentia explore mix`: the two-axis picture of style mixing."""

from __future__ import annotations

from typing import Annotated

import typer

from latentia.cli.common import DeviceOption, RunArg, examples, opened, say
from latentia.cli.explore import OutOption
from latentia.errors import UserError

SeedsOption = Annotated[
    str | None,
    typer.Option(
        metavar="SEEDS",
        help="Seeds of the sources, e.g. 3,17,99, instead of a number of them.",
        show_default="one after the other",
    ),
]


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia explore mix runs/faces --rows 8 --columns 8 --out mix.png",
            "latentia explore mix runs/faces --split fine --truncation 0.7 --out colours.png",
            "latentia explore mix runs/faces --row-seeds 3,17,99 --column-seeds 5,6 --out mix.png",
        )
    )(mix)


def mix(
    run: RunArg,
    out: OutOption,
    rows: Annotated[int, typer.Option(min=1, help="Sources down the left side.")] = 8,
    columns: Annotated[int, typer.Option(min=1, help="Sources along the top.")] = 8,
    split: Annotated[
        str,
        typer.Option(
            help="What a cell takes from the picture above it: its coarse styles (pose, shape), "
            "middle (features) or fine (colours, texture). The rest is of the picture to the left."
        ),
    ] = "coarse",
    row_seeds: SeedsOption = None,
    column_seeds: SeedsOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first source.")] = 0,
    truncation: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=2,
            help="Less than 1 for more usual pictures, as `sample` of the run otherwise.",
            show_default="the run's own",
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Mix styles: each cell is the picture on the left with some styles of the one above."""
    from latentia.cli.output import save
    from latentia.rendering.mixing import APART, render

    found, model = opened(run, device)
    left = _seeds(row_seeds, "--row-seeds", range(seed, seed + rows))
    top = _seeds(column_seeds, "--column-seeds", range(seed + APART, seed + APART + columns))
    mixed = render(found, model, left, top, split=split, truncation=truncation)  # type: ignore[arg-type]
    pictures = {"mix": mixed.table.flatten(0, 1)}
    print(save(out, pictures, columns=len(top) + 1, row_seeds=left, column_seeds=top))
    say(f"Every cell: the {split} styles of the picture above, all others of the one to the left.")


def _seeds(text: str | None, option: str, otherwise: range) -> list[int]:
    if text is None:
        return list(otherwise)
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UserError(f"{option} {text!r} is no list of whole numbers such as 3,17,99.")
    return [int(word) for word in words]
