"""`latentia explore mix`: the two-axis picture of style mixing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from latentia.cli.common import DeviceOption, RunArg, examples, opened, say
from latentia.cli.explore import OutOption
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.abilities import HasStyles
    from latentia.run import Run

_APART = 1000  # seeds between the first row's and the first column's

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
    from latentia.explore.mixing import SPLITS, mixing_table

    found, model = opened(run, device)
    styled = require_styles(found, model, "mix styles")
    if split not in SPLITS:
        raise UserError(f"--split is coarse, middle or fine, not {split!r}.")
    left = _seeds(row_seeds, "--row-seeds", range(seed, seed + rows))
    top = _seeds(column_seeds, "--column-seeds", range(seed + _APART, seed + _APART + columns))
    table = mixing_table(styled, left, top, split, truncation=truncation)
    pictures = {"mix": table.flatten(0, 1)}
    print(save(out, pictures, columns=len(top) + 1, row_seeds=left, column_seeds=top))
    say(f"Every cell: the {split} styles of the picture above, all others of the one to the left.")


def require_styles(run: Run, model: object, verb: str) -> HasStyles:
    """The model, if it has styles.

    Raises:
        UserError: it has none.
    """
    from latentia.abilities import HasStyles

    if not isinstance(model, HasStyles):
        raise UserError(
            f"The {run.family} in {run.folder} cannot {verb}: its layers have no styles of their "
            "own. The family style-gan has them."
        )
    return model


def _seeds(text: str | None, option: str, otherwise: range) -> list[int]:
    if text is None:
        return list(otherwise)
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UserError(f"{option} {text!r} is no list of whole numbers such as 3,17,99.")
    return [int(word) for word in words]
