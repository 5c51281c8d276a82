"""`latentia debias`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    ExamplesOption,
    JsonFlag,
    MinutesOption,
    QuietFlag,
    SeedOption,
    SetOption,
    examples,
    pairs,
    print_json,
    say,
)
from latentia.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np

    from latentia.data.spec import DataOptions, Dataset

_EXAMPLES = examples(
    "latentia debias photos/ --positive faces --set size=32 --minutes 20 --out runs/fair",
    "latentia debias --positive faces/ --negative other/ --set size=32 --set channels=3",
    "latentia debias --positive faces/ --negative other/ --test-positive people/ "
    "--groups people.csv --column race --column gender --seeds 5",
)


def register(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(debias)


def debias(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="Labelled data, of which --positive names a class.",
            show_default="two sources",
        ),
    ] = None,
    positive: Annotated[
        str, typer.Option(help="The class to find: a class of DATA, or a source of its own.")
    ] = "",
    negative: Annotated[
        str | None, typer.Option(help="A source of everything else.", show_default="none")
    ] = None,
    test_positive: Annotated[
        str | None,
        typer.Option(help="Judge on these positives.", show_default="held-out rows"),
    ] = None,
    test_negative: Annotated[
        str | None,
        typer.Option(help="Judge on these negatives.", show_default="held-out rows"),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="CSV about the files of the positives to judge on; its groups serve only the "
            "comparison.",
            show_default="rare and usual, by the latents",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="A column of --groups; again for more.", show_default="every class"),
    ] = None,
    minutes: MinutesOption = None,
    examples: ExamplesOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each model, to see the chance.")] = 1,
    seed: SeedOption = 0,
    choices: SetOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder.")] = Path("runs/debias"),
    device: DeviceOption = "auto",
    quiet: QuietFlag = False,
    json: JsonFlag = False,
) -> None:
    """A classifier that does not neglect what its data hold little of, beside a plain one.

    Both see the same examples for as long. The debiased one (DB-VAE, Amini et al. 2019) also
    learns what varies hidden within the positive class, and is shown its rare kinds more often;
    no one has to say what these are. Writes a page that compares both by group, the runs, and
    sampling weights for any other training loop.
    """
    from latentia.debiasing import debias as compared
    from latentia.report.write import write_fairness

    chosen = pairs(choices or [])
    train, test = _sets(data, positive, negative, test_positive, test_negative, chosen)
    found = compared(
        train,
        test,
        None if groups is None else _groups(groups, column or [], test),
        out=out,
        minutes=minutes,
        examples=examples,
        seeds=range(seed, seed + seeds),
        settings=chosen,
        device=device,
        quiet=quiet,
    )
    subtitle = f"{train.spec.name}: {len(train):,} examples to learn from, {len(test):,} to judge"
    page = write_fairness(
        out,
        found.comparisons[0],
        seeds=found.summary,
        title="Plain and debiased",
        subtitle=subtitle,
    )
    if json:
        print_json(found.to_json())
        return
    for told in found.sentences():
        print(told)
    print(f"\nPage:     {page}\nWeights:  {out / 'weights.csv'}")
    say("The debiased model is " + str(found.runs["debiased"][0].folder))


def _sets(
    data: str | None,
    positive: str,
    negative: str | None,
    test_positive: str | None,
    test_negative: str | None,
    chosen: dict[str, str],
) -> tuple[Dataset, Dataset]:
    """Training and test rows of two classes."""
    from latentia.data.open import open_data
    from latentia.debiasing import joined, one_class, two_sources

    if not positive:
        raise UserError("Say what to find: --positive CLASS of the data, or --positive SOURCE.")
    options = _options(chosen)
    if data is not None and negative is not None:
        raise UserError("Give labelled DATA with --positive CLASS, or --positive and --negative.")
    if data is not None:
        train, test = (one_class(data, positive, split, options) for split in ("train", "test"))
    elif negative is None:
        raise UserError(
            f"Against what should {positive!r} be told apart? Add --negative SOURCE, or name "
            "labelled DATA of which it is a class."
        )
    else:
        names = _class_names(positive, negative)
        train, test = (
            two_sources(positive, negative, split, options, names) for split in ("train", "test")
        )
    if test_positive is not None or test_negative is not None:
        assert test.labels is not None
        parts: list[Any] = [test.subset(test.labels == k) for k in (0, 1)]
        for k, source in enumerate((test_positive, test_negative)):
            if source is not None:
                parts[k] = open_data(source, split="all", options=options)
                _require_shape(parts[k], train)
        test = joined(parts[0], parts[1], (test.spec.classes[0], test.spec.classes[1]))
    return train, test


def _require_shape(found: Dataset, train: Dataset) -> None:
    if found.spec.shape != train.spec.shape:
        raise UserError(
            f"{found.spec.name} has rows of shape {found.spec.shape}, the training data of "
            f"{train.spec.shape}; bring images to one size with --set size=32 --set channels=3."
        )


def _class_names(positive: str, negative: str) -> tuple[str, str]:
    names = [Path(source).stem or source for source in (positive, negative)]
    return (names[0], names[1]) if names[0] != names[1] else ("positive", "negative")


def _options(chosen: dict[str, str]) -> DataOptions:
    from latentia.recipes.base import parse_settings
    from latentia.recipes.debiasing_vae import DebiasingVAESettings

    return parse_settings(DebiasingVAESettings, chosen, "debiasing-vae").options()


def _groups(table: Path, wanted: list[str], test: Dataset) -> dict[str, np.ndarray]:
    """Attribute -> value of each test row; "" for negatives, which belong to no group."""
    import numpy as np

    from latentia.data.columns import read_columns

    assert test.labels is not None
    rows = np.flatnonzero(test.labels == 0)
    called = test.called
    names = [called[int(i)].split("/", 1)[-1] for i in rows]
    found = read_columns(table, names)
    for name in wanted:
        if name not in found.classes:
            raise UserError(
                f"{table} has no column {name!r} of classes; {nearest(name, tuple(found.classes))}"
            )
    groups = {}
    for name in wanted or found.classes:
        values = np.full(len(test), "", dtype=object)
        values[rows] = [found.classes[name][k] for k in found.values[name]]
        groups[name] = values
    return groups
