"""`latentia translate`: pictures and recordings from one domain to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentia.cli.common import (
    DeviceOption,
    JsonFlag,
    RunArg,
    examples,
    opened,
    print_json,
    say,
    telling,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.run import Run
    from latentia.translating.job import Job
    from latentia.translating.many import Outcome

_SHOWN = 3  # names after a note that applies to many
_LISTED = 10  # pictures that are listed one by one
_FAR = 2.0  # how many times larger than in training things may look before it is said


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "latentia translate runs/apples orange.jpg --to apple --out translated/",
            "latentia translate runs/facades drawings/ --out photos/ --compare",
            "latentia translate runs/edges photo.jpg --from edges --out drawn/",
            "latentia translate runs/apples scan.tif --scale own --round-trip --out translated/",
            "latentia translate runs/voices speech.wav --to jackson --out spoken/",
        )
    )(translate)


def translate(
    run: RunArg,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A picture, or a folder or zip of pictures; of runs on speech, recordings.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The folder to write: same names, same sub-folders as INPUT."
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(help="The domain to translate to.", show_default="the run's last or only"),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also sheets of before and after, in OUT/compare.")
    ] = False,
    round_trip: Annotated[
        bool,
        typer.Option(
            "--round-trip",
            help="Also translate back, into OUT/round-trip, and say how much that differs.",
        ),
    ] = False,
    made: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="edges|grey|low-resolution|masked",
            help="For runs trained with pairs=…: INPUT are photographs, make the model's side "
            "of them first.",
            show_default="INPUT is what the model starts from",
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="own: every pixel as it is, in windows that overlap. fit: at the size of the "
            "training pictures, then brought back to the picture's own size. auto: own, unless "
            "the picture is more than twice as large or small as those of training.",
        ),
    ] = "auto",
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Bring the shorter side to so many pixels first, and write that.",
            show_default="the picture's own size",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over results that are there already.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave results that are there, and do the others.")
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            help="auto, float32 or bfloat16; pictures of 16 bits always take float32.",
        ),
    ] = "auto",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Translate pictures or recordings with a model that was trained on two kinds of them.

    Results keep name, size, format, bit depth, transparency and colour profile. Pictures are
    turned upright. Those that cannot be read are named, and the others done.
    """
    from latentia.translating.files import find_items, require_apart
    from latentia.translating.job import job_of, refuse_others
    from latentia.translating.many import translate_all
    from latentia.translating.scale import parse_scale

    if overwrite and resume:
        raise UserError("--overwrite and --resume exclude each other; keep one of them.")
    chosen = parse_scale(scale)
    existing = "overwrite" if overwrite else "keep" if resume else "refuse"
    require_apart(source.expanduser(), out)
    found, model = opened(run, device)
    refuse_others(found, model)
    items = find_items(source.expanduser(), sound=found.spec.sound is not None)
    job = job_of(found, model, to, scale=chosen, size=size, made=made, precision=precision)
    if not json:
        say(_opening(job, len(items.items), to is None))
    with telling() as tell:
        outcome = translate_all(
            items,
            job,
            out,
            existing=existing,
            compare=compare,
            round_trip=round_trip,
            told=lambda name, share: tell("translating", round(share * 1000), 1000),
        )
    if json:
        print_json(_facts(found, job, source, outcome))
        return
    _print(job, outcome, out)


def _opening(job: Job, n: int, chosen: bool) -> str:
    text = f"Translating {n:,} {'picture' if n == 1 else 'pictures'} from {job.start} to {job.to}"
    if chosen and len(job.model.targets) > 1:
        text += f" (the other way: --to {job.start})"
    return text + " …"


def _facts(run: Run, job: Job, source: Path, outcome: Outcome) -> dict[str, Any]:
    return {
        "run": run.folder,
        "input": source,
        "from": job.start,
        "to": job.to,
        "made": job.made,
        "pictures": [
            {
                "name": d.name,
                "path": d.path,
                "round_trip": d.returned,
                "size": list(d.result.plan.out),
                "translated_at": list(d.result.plan.work),
                "cycle_error": d.result.cycle_error,
                "notes": list(d.result.notes),
            }
            for d in outcome.done
        ],
        "skipped": [{"name": name, "reason": why} for name, why in outcome.skipped],
        "kept": outcome.kept,
        "sheets": outcome.sheets,
        "cycle_error": outcome.cycle_error,
    }


def _print(job: Job, outcome: Outcome, out: Path) -> None:
    """What was done on standard output, what was not on standard error."""
    for name, why in outcome.skipped:
        say(f"Skipped: {name} ({why}).")
    notes: dict[str, list[str]] = {}
    for done in outcome.done:
        for note in done.result.notes:
            notes.setdefault(note, []).append(done.name)
    for note, names in notes.items():
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        say(f"{', '.join(names[:_SHOWN])}{more}: {note}.")
    _hint(job, outcome)
    if len(outcome.done) <= _LISTED:
        for done in outcome.done:
            print(f"{done.path}: {done.result.plan.words}{_came_back(done.result.cycle_error)}")
    else:
        print(f"{out}: {len(outcome.done):,} pictures{_came_back(outcome.cycle_error)}")
    if outcome.kept:
        print(f"{len(outcome.kept):,} were there already and are left as they are.")
    for sheet in outcome.sheets:
        print(sheet)


def _came_back(error: float | None) -> str:
    """The cycle error in words."""
    if error is None:
        return ""
    return f"; there and back it differs by {error:.1f} of 255 levels on average"


def _hint(job: Job, outcome: Outcome) -> None:
    """Say where the model was shown things much larger than those it learned."""
    sizes = [d.result.plan.enlarged for d in outcome.done]
    if job.local or not sizes or max(sizes) <= _FAR:
        return
    wide, tall = job.trained
    say(
        f"The model learned from pictures of {wide} x {tall} pixels, and was shown up to "
        f"{max(sizes):.0f} times larger ones: things look larger than it knows them. "
        "--scale fit translates at the size it learned."
    )
