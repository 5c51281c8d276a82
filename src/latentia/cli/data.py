"""`latentia data check`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentia.cli.common import DataArg, JsonFlag, examples, print_json, say

if TYPE_CHECKING:
    from latentia.data.check import CheckReport

MOST_LINES = 20

app = typer.Typer(help="Look at data before it is used.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at data before it is used."""


@app.command(
    epilog=examples(
        "latentia data check photos/",
        "latentia data check photos.zip --json",
        "latentia data check photos/ --contact-sheet sheet.png",
    )
)
def check(
    path: DataArg,
    json: JsonFlag = False,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Also write a PNG of 100 of its images.", show_default="none"),
    ] = None,
) -> None:
    """List what is odd about data; exit status 1 if it cannot be used as it is."""
    from latentia.data.check import check as look
    from latentia.data.check import contact_sheet as draw

    found = look(path)
    if json:
        print_json(found.to_json())
    else:
        _print(found)
    if contact_sheet is not None:
        from latentia.data.open import open_data

        draw(open_data(path, split="all", announce=say), contact_sheet)
        say(f"Contact sheet: {contact_sheet}")
    raise typer.Exit(0 if found.usable else 1)


def _print(found: CheckReport) -> None:
    print(f"{found.source}: {found.readable:,} of {found.examples:,} {found.kind} usable")
    for title, counts in (
        ("Odd", found.problems),
        ("Sizes", found.sizes),
        ("Sample types" if found.kind == "sound files" else "Pixel types", found.modes),
        ("Classes", found.classes),
        ("Splits", found.parts),
    ):
        _print_counts(title, counts)
    if found.leaked:
        print(f"{found.leaked:,} groups of duplicates lie in both train and test")
    _print_lines("Unreadable", [f"{name}: {reason}" for name, reason in found.unreadable])
    _print_lines("Same content", [" = ".join(group) for group in found.duplicates])
    _print_lines("Fits translation by", list(found.uses))
    _print_lines("Without a partner", [f"{name}: {reason}" for name, reason in found.alone])
    if found.table:
        print("Columns:")
        for name, words in found.table.items():
            print(f"  {name}: {words}")
    for kind, columns in found.columns.items():
        print(f"Columns {kind}: {', '.join(map(str, columns))}")


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        _print_lines(title, [f"{count:>9,}  {name}" for name, count in counts.items()])


def _print_lines(title: str, lines: list[str]) -> None:
    if not lines:
        return
    print(f"{title}:")
    for line in lines[:MOST_LINES]:
        print(f"  {line}")
    if len(lines) > MOST_LINES:
        print(f"  … and {len(lines) - MOST_LINES:,} more (--json lists them all)")
