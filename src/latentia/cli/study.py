"""`latentia study …`: several models that differ in one setting, side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from latentia.cli.common import (
    DataArg,
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
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.study.outcome import Study

app = typer.Typer(
    help="Several models that differ in one setting, side by side, with a recommendation.",
    no_args_is_help=True,
)

Number = TypeVar("Number", int, float)


@app.command(
    epilog=examples(
        "latentia study dimensions digits --latent 2,5,10,32 --minutes 4",
        "latentia study dimensions photos/ --model vae --set size=64 --minutes 60 --out runs/sizes",
    )
)
def dimensions(
    data: DataArg,
    latent: Annotated[str, typer.Option(help="Sizes to compare, with commas.")] = "2,5,10,32",
    model: Annotated[
        str, typer.Option("--model", "-m", help="A family that encodes and decodes.")
    ] = "autoencoder",
    minutes: MinutesOption = None,
    examples: ExamplesOption = None,
    choices: SetOption = None,
    share: Annotated[
        float,
        typer.Option(help="Share of the variance that a larger size must add to be worth it."),
    ] = 0.1,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder.", show_default="runs/dimensions-DATA"),
    ] = None,
    device: DeviceOption = "auto",
    quiet: QuietFlag = False,
    json: JsonFlag = False,
) -> None:
    """How many hidden variables do the data need? One model per latent size.

    Held-out reconstruction error against size, PCA of the same size beside it, the same test
    images at each size, and a recommendation. Finished sizes are not trained again: the same
    command goes on where it was interrupted.
    """
    sizes = numbers("--latent", latent, int, "whole numbers, e.g. --latent 2,5,10,32")
    from latentia.study import dimensions as study

    found = study(
        data,
        latent=sizes,
        model=model,
        minutes=minutes,
        examples=examples,
        out=out,
        seed=seed,
        settings=pairs(choices or []),
        share=share,
        device=device,
        quiet=quiet,
    )
    _tell(found, json)


@app.command(
    epilog=examples(
        "latentia study beta digits --beta 0,0.5,1,2,4,8 --minutes 6",
        "latentia study beta sprites --set latent=10 --minutes 30 --out runs/betas",
    )
)
def beta(
    data: DataArg,
    beta: Annotated[
        str, typer.Option(help="Weights of the KL term, with commas.")
    ] = "0,0.5,1,2,4,8",
    model: Annotated[
        str, typer.Option("--model", "-m", help="A family with a posterior and the setting beta.")
    ] = "vae",
    minutes: MinutesOption = None,
    examples: ExamplesOption = None,
    choices: SetOption = None,
    share: Annotated[
        float, typer.Option(help="How much of the lowest error more β may cost.")
    ] = 0.25,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder.", show_default="runs/beta-DATA"),
    ] = None,
    device: DeviceOption = "auto",
    quiet: QuietFlag = False,
    json: JsonFlag = False,
) -> None:
    """What does β buy, and what does it cost? One VAE per weight of the KL term.

    Reconstruction error, KL, active units (collapse is named), disentanglement where the data
    have known factors, the same test images at each β, and a recommendation. Finished models are
    not trained again. The prior is standard normal unless --set prior=… says otherwise.
    """
    weights = numbers("--beta", beta, float, "numbers, e.g. --beta 0,0.5,1,2,4,8")
    from latentia.study import beta as study

    found = study(
        data,
        beta=weights,
        model=model,
        minutes=minutes,
        examples=examples,
        out=out,
        seed=seed,
        settings=pairs(choices or []),
        share=share,
        device=device,
        quiet=quiet,
    )
    _tell(found, json)


def numbers(option: str, text: str, read: Callable[[str], Number], wanted: str) -> list[Number]:
    """`"2,5"` as numbers.

    Raises:
        UserError: a word that is none.
    """
    try:
        return [read(word.strip()) for word in text.split(",") if word.strip()]
    except ValueError:
        raise UserError(f"{option} {text!r} is not a list of {wanted}.") from None


def _tell(study: Study[Any], json: bool) -> None:
    from latentia.report.write import write_study

    page = write_study(study)
    if json:
        print_json(study.to_json())
    else:
        _print(study)
        print(f"Page:   {page}")
    if study.missing:
        say(f"Stopped and saved. Go on with: {study.command}")
        raise typer.Exit(130)


def _print(study: Study[Any]) -> None:
    from latentia.study.table import cells

    if not study.rows:
        print("No model is trained to the end yet.")
        return
    heads, rows = cells(study)
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print()
    if study.recommendation is not None:
        print(study.recommendation.words)
    for note in study.notes:
        print(f"Note: {note}")
    print()
    print(f"Models: {study.folder}")
    if study.grid is not None:
        print(f"Grid:   {study.grid}")
