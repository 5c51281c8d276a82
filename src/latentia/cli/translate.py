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
    require,
    say,
    telling,
)
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.run import Run
    from latentia.translating.files import Found
    from latentia.translating.job import Job
    from latentia.translating.many import Existing, Outcome

InputArg = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="A picture, or a folder or zip of pictures; of runs on speech, recordings.",
    ),
]
FolderOption = Annotated[
    Path,
    typer.Option("--out", "-o", help="The folder to write: same names, same sub-folders as INPUT."),
]
ToOption = Annotated[
    str | None,
    typer.Option(help="The domain to translate to.", show_default="the run's last or only"),
]
CompareFlag = Annotated[
    bool, typer.Option("--compare", help="Also sheets of before and after, in OUT/compare.")
]
RoundTripFlag = Annotated[
    bool,
    typer.Option(
        "--round-trip",
        help="Also translate back, into OUT/round-trip, and say how much that differs.",
    ),
]
HalvesFlag = Annotated[
    bool,
    typer.Option(
        "--side-by-side",
        help="INPUT's pictures hold both sides next to each other, as for training: translate the "
        "half that the model starts from.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="edges|grey|low-resolution|masked",
        help="For runs trained with pairs=…: INPUT are photographs; make the model's side of them "
        "first.",
        show_default="INPUT is what the model starts from",
    ),
]
ScaleOption = Annotated[
    str,
    typer.Option(
        help="own: every pixel as it is, in windows that overlap. fit: at the size of the "
        "training pictures, then brought back to the picture's own size. auto: own, unless the "
        "picture is more than twice as large or small as those of training.",
    ),
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Bring the shorter side to so many pixels first, and write that.",
        show_default="the picture's own size",
    ),
]
OverwriteFlag = Annotated[
    bool, typer.Option("--overwrite", help="Write over results that are there already.")
]
ResumeFlag = Annotated[
    bool, typer.Option("--resume", help="Leave results that are there, and do the others.")
]
PrecisionOption = Annotated[
    str,
    typer.Option(help="auto, float32 or bfloat16; pictures of 16 bits always take float32."),
]

_SHOWN = 3  # names after a note that applies to many
_LISTED = 10  # files that are listed one by one
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
    source: InputArg,
    out: FolderOption,
    to: ToOption = None,
    compare: CompareFlag = False,
    round_trip: RoundTripFlag = False,
    side_by_side: HalvesFlag = False,
    made: FromOption = None,
    scale: ScaleOption = "auto",
    size: SizeOption = None,
    overwrite: OverwriteFlag = False,
    resume: ResumeFlag = False,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Translate pictures or recordings with a model that was trained on two kinds of them.

    Results keep name, size, format, bit depth, transparency and colour profile. Pictures are
    turned upright. Those that cannot be read are named, and the others done.
    """
    from latentia.abilities import Translates
    from latentia.translating.files import find_items, require_apart

    if overwrite and resume:
        raise UserError("--overwrite and --resume exclude each other; keep one of them.")
    existing: Existing = "overwrite" if overwrite else "keep" if resume else "refuse"
    source = source.expanduser()
    require_apart(source, out)
    found, model = opened(run, device)
    require(model, (Translates,), "translate", found)
    items = find_items(source, sound=found.spec.sound is not None)
    if found.spec.sound is not None:
        for option, given in (
            ("--compare", compare),
            ("--side-by-side", side_by_side),
            ("--from", made),
            ("--size", size),
            ("--scale", scale != "auto"),
        ):
            if given:
                raise UserError(f"{option} is for pictures; {found.folder} translates recordings.")
        facts, outcome = _recordings(found, model, items, to, out, existing, round_trip, json)
    else:
        from latentia.translating.job import job_of
        from latentia.translating.scale import parse_scale

        job = job_of(
            found,
            model,
            to,
            scale=parse_scale(scale),
            size=size,
            side_by_side=side_by_side,
            made=made,
            precision=precision,
        )
        facts, outcome = _pictures(job, items, to, out, existing, compare, round_trip, json)
    if json:
        print_json({"run": found.folder, "input": source, **facts, **_told(outcome)})
        return
    _print(outcome, out)


def _pictures(
    job: Job,
    items: Found,
    to: str | None,
    out: Path,
    existing: Existing,
    compare: bool,
    round_trip: bool,
    quiet: bool,
) -> tuple[dict[str, Any], Outcome]:
    from latentia.translating.pictures import translate_pictures

    if not quiet:
        _open("picture", len(items.items), job.start, job.to, job.model.targets, to)
    with telling() as tell:
        outcome = translate_pictures(
            items,
            job,
            out,
            existing=existing,
            compare=compare,
            round_trip=round_trip,
            told=lambda name, share: tell("translating", round(share * 1000), 1000),
        )
    if not quiet:
        _hint(job, outcome)
    return {"from": job.start, "to": job.to, "made": job.made}, outcome


def _recordings(
    run: Run,
    model: Any,
    items: Found,
    to: str | None,
    out: Path,
    existing: Existing,
    round_trip: bool,
    quiet: bool,
) -> tuple[dict[str, Any], Outcome]:
    from latentia.translating.recordings import translate_recordings, voice_job_of

    job = voice_job_of(run, model, to, round_trip=round_trip)
    if not quiet:
        _open("recording", len(items.items), job.start, job.to, model.targets, to)
    with telling() as tell:
        outcome = translate_recordings(
            items,
            job,
            out,
            existing=existing,
            told=lambda name, share: tell("translating", round(share * 1000), 1000),
        )
    return {"from": job.start, "to": job.to}, outcome


def _open(
    what: str, n: int, start: str, target: str, targets: tuple[str, ...], asked: str | None
) -> None:
    """Say what is about to be done."""
    text = f"Translating {n:,} {what if n == 1 else what + 's'} from {start} to {target}"
    if asked is None and len(targets) > 1:
        text += f" (the other way: --to {start})"
    say(text + " …")


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "files": [
            {
                "name": d.name,
                "path": d.path,
                "round_trip": d.returned,
                "cycle_error": d.cycle_error,
                "notes": list(d.notes),
                **d.facts,
            }
            for d in outcome.done
        ],
        "skipped": [{"name": name, "reason": why} for name, why in outcome.skipped],
        "kept": outcome.kept,
        "sheets": outcome.sheets,
        "cycle_error": outcome.cycle_error,
    }


def _print(outcome: Outcome, out: Path) -> None:
    """What was done on standard output, what was not on standard error."""
    from latentia.translating.many import came_back

    for name, why in outcome.skipped:
        say(f"Skipped: {name} ({why}).")
    notes: dict[str, list[str]] = {}
    for done in outcome.done:
        for note in done.notes:
            notes.setdefault(note, []).append(done.name)
    for note, names in notes.items():
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        say(f"{', '.join(names[:_SHOWN])}{more}: {note}.")
    if len(outcome.done) <= _LISTED:
        for done in outcome.done:
            print(f"{done.path}: {done.words}{came_back(done.cycle_error)}")
    else:
        print(f"{out}: {len(outcome.done):,} files{came_back(outcome.cycle_error)}")
    if outcome.kept:
        print(f"{len(outcome.kept):,} were there already and are left as they are.")
    for sheet in outcome.sheets:
        print(sheet)


def _hint(job: Job, outcome: Outcome) -> None:
    """Say where the model was shown things much larger than those it learned."""
    sizes = [done.enlarged for done in outcome.done]
    if job.local or not sizes or max(sizes) <= _FAR:
        return
    wide, tall = job.trained
    say(
        f"The model learned from pictures of {wide} x {tall} pixels, and was shown some that are "
        f"up to {max(sizes):.0f} times as large: things look larger than it knows them. "
        "--scale fit translates at the size it learned."
    )
