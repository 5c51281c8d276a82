"""`latentia distill`: a diffusion run taught to sample in one to four steps."""

from __future__ import annotations

from typing import Annotated

import typer

from latentia.cli.common import (
    DeviceOption,
    RunArg,
    RunExamples,
    RunFolder,
    RunMinutes,
    SeedOption,
    SetOption,
    examples,
    pairs,
    say,
)
from latentia.errors import UserError

FAMILY = "consistency"


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia distill runs/d1 --minutes 20 --out runs/quick",
            "latentia sample runs/quick -n 64 --steps 1 --out samples.png",
        )
    )(distill)


def distill(
    run: RunArg,
    minutes: RunMinutes = None,
    examples: RunExamples = None,
    out: RunFolder = None,
    seed: SeedOption = 0,
    choices: SetOption = None,
    device: DeviceOption = "auto",
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end.")
    ] = True,
) -> None:
    """Teach a model to do in one to four steps what a diffusion run does in many."""
    from latentia.cli.fit import finish
    from latentia.fitting import fit
    from latentia.recipes.consistency import TAKEN, settings_of
    from latentia.run import Run

    teacher = Run.open(run)
    known = settings_of(run)
    if not teacher.source:
        raise UserError(
            f"{run} was trained on data from Python: fit the family {FAMILY} there, with "
            f"settings=dict(teacher={str(run)!r}, …)."
        )
    data = {key: known[key] for key in CARRIED if key in known}
    networks = {key: known[key] for key in TAKEN if key in known}
    settings = {**data, **networks, "teacher": str(run.absolute())}
    say(f"{teacher.family} in {run} teaches a {FAMILY} model of the same networks.")
    student = fit(
        teacher.source,
        model=FAMILY,
        minutes=minutes,
        examples=examples,
        out=out,
        seed=seed,
        settings={**settings, **pairs(choices or [])},
        device=device,
    )
    finish(student, device, report)


CARRIED = ("size", "channels", "background", "binarize", "flip", "label", "precision")
"""How the data is opened, as the teacher saw it."""
