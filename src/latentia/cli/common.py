"""What the commands share: their arguments, and how they speak.

Standard output carries answers, standard error everything said on the way.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.run import Run

RunArg = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, as `latentia fit` makes it.")
]
DataArg = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A built-in name (digits, sprites, two-moons, rings, gaussians-8, gaussians-25, "
        "gaussians-1d), a folder or zip of images or recordings, a table (.csv, .tsv, .parquet), "
        "an IDX file or folder, .npz, .npy, or hf:owner/name. Several joined by ' + ' are a class "
        "each.",
    ),
]
SplitOption = Annotated[str, typer.Option(help="Rows of DATA: train, test or all.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        help="Budget in minutes in total, shared equally.", show_default="10 without --examples"
    ),
]
ExamplesOption = Annotated[
    int | None,
    typer.Option(help="Budget in examples seen by each model.", show_default="by --minutes"),
]
RunMinutes = Annotated[
    float | None,
    typer.Option(help="Budget in minutes of training.", show_default="10 without --examples"),
]
RunExamples = Annotated[
    int | None, typer.Option(help="Budget in examples seen.", show_default="by --minutes")
]
RunFolder = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The run folder.", show_default="runs/MODEL-DATA-N"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="A setting of the family; again for more. `latentia models NAME` lists them.",
        show_default="none",
    ),
]
QuietFlag = Annotated[bool, typer.Option("--quiet", help="No progress while training.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def examples(*lines: str) -> str:
    """The epilog of a command's help."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"[cyan]{line}[/cyan]" for line in lines)])


def print_json(facts: Any) -> None:
    """One JSON object on standard output; numbers that JSON cannot hold become null."""
    print(json.dumps(_finite(facts), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(text, file=sys.stderr)


def pairs(words: list[str]) -> dict[str, str]:
    """`["beta=4"] -> {"beta": "4"}`; the family reads the values.

    Raises:
        UserError: a word without "=", or a key given twice.
    """
    chosen: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key.strip():
            raise UserError(f"--set {word!r} is not of the form key=value, e.g. --set beta=4.")
        if key.strip() in chosen:
            raise UserError(f"--set {key.strip()} is given twice; keep one of them.")
        chosen[key.strip()] = value.strip()
    return chosen


def opened(folder: Path, device: str) -> tuple[Run, Any]:
    """A run and its model on a device."""
    from latentia.run import Run
    from latentia.training.device import resolve_device, tune_process

    tune_process()
    where = resolve_device(device)
    run = Run.open(folder)
    return run, run.model(where)


def require(model: object, abilities: tuple[type, ...], verb: str, run: Run) -> None:
    """Refuse a verb that the model lacks the abilities for."""
    if all(isinstance(model, ability) for ability in abilities):
        return
    from latentia.abilities import abilities_of

    raise UserError(
        f"The {run.family} in {run.folder} cannot {verb}: it can "
        f"{', '.join(abilities_of(model))}. `latentia models` shows which families can."
    )


@contextmanager
def telling() -> Iterator[Callable[[str, int, int], None]]:
    """A progress line per task on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield tell
