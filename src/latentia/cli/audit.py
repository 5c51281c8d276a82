"""`latentia audit`: what a data set lacks, before a model trained on it fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentia.cli.common import (
    DataArg,
    DeviceOption,
    JsonFlag,
    SeedOption,
    examples,
    pairs,
    print_json,
    telling,
)

if TYPE_CHECKING:
    from latentia.audit.result import AuditResult

_MOST_LINES = 5


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia audit photos/ --minutes 3 --out audits/photos",
            "latentia audit photos/ --labels labels.csv --label-column species",
            "latentia audit people.csv --labels income --test people-test.csv",
        )
    )(audit)


def audit(
    data: DataArg,
    labels: Annotated[
        str | None,
        typer.Option(
            help="A CSV with a row for each file, or the name of a table's column.",
            show_default="the classes of the data itself",
        ),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(help="The column of that CSV.", show_default="its only one"),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            help="A second set that should share nothing with DATA.",
            show_default="the splits of DATA itself, if it has any",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes of training for all three models together.",
            show_default="2 without --examples",
        ),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(help="Examples seen by each model.", show_default="by --minutes"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder.", show_default="runs/audit-DATA"),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A family that encodes and decodes.")
    ] = "vae",
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="A setting of the family; size=… is the side that pictures are brought to.",
            show_default="none",
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show what a data set lacks before a model trained on it fails.

    Strange examples with the reason, duplicates, suspected labels, rare kinds, leakage between two
    sets, how evenly the data are spread, and sampling weights: report.html, audit.json, audit.csv
    and weights.csv in the folder. The same command again trains only what is missing.
    """
    from latentia.audit.audit import audit as look
    from latentia.report.write import write_audit

    with telling() as tell:
        found = look(
            data,
            labels=labels,
            label_column=label_column,
            test=test,
            minutes=minutes,
            examples=examples,
            out=out,
            model=model,
            settings=pairs(choices or []),
            seed=seed,
            device=device,
            quiet=quiet,
            progress=None if quiet else tell,
        )
    page = write_audit(found)
    if json:
        print_json(found.to_json())
    else:
        _print(found, page)


def _print(found: AuditResult, page: Path) -> None:
    facts, n = found.to_json(), len(found.subject.data)
    print(f"{found.subject.data.spec.name}: {n:,} examples")
    titles = {
        "outliers": "Strange",
        "exact_duplicates": "The same content",
        "near_duplicates": "Nearly the same",
        "label_issues": "Suspected labels",
        "rare_regions": "Rare kinds",
        "leakage": "On both sides of the split",
    }
    for key, title in titles.items():
        entries = facts[key]
        if entries is None or (key == "label_issues" and found.labels is None):
            continue
        print(f"{title}: {len(entries):,}")
        for entry in entries[:_MOST_LINES]:
            print(f"  {_line(entry, ', ' if key == 'rare_regions' else ' = ')}")
        if len(entries) > _MOST_LINES:
            print(f"  … and {len(entries) - _MOST_LINES:,} more")
    worth = found.coverage.effective
    print(f"Drawn by the suggested weights, they are worth {worth:.0%} of as many even draws")
    for note in found.subject.notes:
        print(f"Note: {note}")
    print()
    print(f"Report:  {page}")
    print(f"Lists:   {found.folder / 'audit.json'}, {found.folder / 'audit.csv'}")
    print(f"Weights: {found.folder / 'weights.csv'}")


def _line(entry: dict[str, object], between: str) -> str:
    names = entry.get("names")
    if isinstance(names, list):
        shown = between.join(map(str, names[:3])) + (
            f" and {len(names) - 3} more" if names[3:] else ""
        )
        return f"{shown}: {entry['reason']}"
    return f"{entry['name']}: {entry['reason']}"
