"""`latentia fit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DataArg,
    DeviceOption,
    RunExamples,
    RunFolder,
    RunMinutes,
    SeedOption,
    SetOption,
    examples,
    pairs,
    print_json,
    say,
)
from latentia.errors import UserError
from latentia.recipes.registry import FAMILIES

if TYPE_CHECKING:
    from latentia.run import Run

GRID_COUNT = 64
GRID_FILE = "samples.png"

_EXAMPLES = examples(
    "latentia fit digits --model vae --minutes 1.5 --out runs/demo",
    "latentia fit photos/ --model gan --set size=64 --set flip=true --minutes 30",
    "latentia fit mnist/ --model vae --set beta=4 --examples 600000",
    "latentia fit facades.zip --model pix2pix --set direction=B-to-A",
    "latentia fit photos/ --model pix2pix --set pairs=edges",
    "latentia fit animals/ --model cyclegan --set domains=cat,dog",
    'latentia fit "faces.zip + anime.zip" --model cyclegan --set size=64',
    "latentia fit digits --out runs/demo --resume",
)


def register(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(fit)


def fit(
    data: DataArg,
    model: Annotated[
        str, typer.Option("--model", "-m", help=f"The family: {', '.join(FAMILIES)}.")
    ] = "vae",
    minutes: RunMinutes = None,
    examples: RunExamples = None,
    out: RunFolder = None,
    seed: SeedOption = 0,
    choices: SetOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="CSV of how often to show each file, with columns name and weight, as "
            "`latentia audit` writes it.",
            show_default="all alike",
        ),
    ] = None,
    outliers: Annotated[
        str | None,
        typer.Option(help="Data known to be strange, to be found unlikely.", show_default="none"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run as JSON, and stop.")
    ] = False,
    device: DeviceOption = "auto",
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse data with any unreadable file.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end.")
    ] = True,
) -> None:
    """Train a model on data."""
    chosen = pairs(choices or [])
    if resume and chosen:
        raise UserError("A resumed run keeps its settings: leave out --set, or start a new run.")
    if resume and (weights or outliers):
        raise UserError("A resumed run keeps its --weights and --outliers: leave them out.")
    if dry_run:
        print_json(
            _planned(
                data, model, minutes, examples, out, seed, chosen, device, strict, weights, outliers
            )
        )
        return
    from latentia.fitting import fit as train

    run = train(
        data,
        model=model,
        minutes=minutes,
        examples=examples,
        out=out,
        seed=seed,
        settings=chosen,
        weights=weights,
        outliers=outliers,
        resume=resume,
        device=device,
        strict=strict,
    )
    finish(run, device, report)


def finish(run: Run, device: str, report: bool) -> None:
    """Say where a run lies, draw its samples and write its report."""
    if os.environ.get("RANK", "0") != "0":
        return  # under torchrun the first process speaks for all
    print(f"Run:     {run.folder}")
    if not run.finished:
        raise typer.Exit(130)  # interrupted; the training has said how to go on
    _show(run, device)
    if report:
        from latentia.report.write import write_report

        say("Writing the report; the first of a data set takes a minute longer for its extractor …")
        print(f"Report:  {write_report(run)}")


def _planned(
    data: str,
    model: str,
    minutes: float | None,
    examples: int | None,
    out: Path | None,
    seed: int,
    chosen: dict[str, str],
    device: str,
    strict: bool,
    weights: Path | None,
    outliers: str | None,
) -> dict[str, Any]:
    from latentia.fitting import chosen_budget, plan
    from latentia.training.device import resolve_device

    where = resolve_device(device)
    budget = chosen_budget(minutes, examples)
    run, _ = plan(
        data, model, budget, out, seed, chosen, strict, weights=weights, outliers=outliers
    )
    return {
        "family": run.family,
        "settings": run.settings.model_dump(mode="json"),
        "data": run.spec.to_json(),
        "budget": run.budget.to_json(),
        "seed": run.seed,
        "device": str(where),
        "parameters": sum(p.numel() for p in run.build().parameters()),
        "out": str(run.folder),
        "command": run.command,
    }


def _show(run: Run, device: str) -> None:
    """The grid of samples, of models that sample images."""
    from latentia.abilities import Samples
    from latentia.data.pictures import save_grid
    from latentia.training.device import resolve_device

    model = run.model(resolve_device(device))
    if run.spec.kind == "image" and isinstance(model, Samples):
        save_grid(model.sample(range(GRID_COUNT)), run.folder / GRID_FILE)
        print(f"Samples: {run.folder / GRID_FILE}")
