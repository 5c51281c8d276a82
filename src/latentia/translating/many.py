"""Many pictures, one after the other: those that cannot be read are named, and the others done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from latentia.data.images import Unreadable, as_unreadable, quiet_pillow
from latentia.data.picture_files import open_original
from latentia.errors import UserError
from latentia.translating.files import COMPARE, ROUND_TRIP, Found, Item, place_of, require_free
from latentia.translating.job import Job
from latentia.translating.picture import Translation, translate_original
from latentia.translating.sheets import Sheets

Existing = str  # "refuse", "keep" or "overwrite"


@dataclass(frozen=True)
class Done:
    """A picture that was translated.

    Attributes:
        name: of the original.
        path: of the translation.
        returned: of the round trip, or None.
        result: sizes, notes, cycle error.
    """

    name: str
    path: Path
    returned: Path | None
    result: Translation


@dataclass
class Outcome:
    """What became of all pictures.

    Attributes:
        done: those that were translated.
        skipped: names and why.
        kept: those whose results were there already.
        sheets: before and after.
    """

    done: list[Done] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    sheets: list[Path] = field(default_factory=list)

    @property
    def cycle_error(self) -> float | None:
        """The mean over the pictures that made a round trip."""
        errors = [d.result.cycle_error for d in self.done if d.result.cycle_error is not None]
        return sum(errors) / len(errors) if errors else None


def translate_all(
    found: Found,
    job: Job,
    out: Path,
    *,
    existing: Existing = "refuse",
    compare: bool = False,
    round_trip: bool = False,
    told: Callable[[str, float], None] = lambda name, share: None,
) -> Outcome:
    """Translate pictures into a folder, under their names and in their sub-folders.

    Args:
        found: the pictures.
        job: how.
        out: the folder to write.
        existing: results that are there already: "refuse" them all before anything is done,
            "keep" them, or "overwrite" them.
        compare: also write sheets of before and after.
        round_trip: also translate back.
        told: hears the name of a picture and the share of all that is done.

    Raises:
        UserError: results are there already, or none of the pictures could be read.
    """
    back = job.back() if round_trip else None
    places = {item.name: place_of(item.name, out) for item in found.items}
    heads = ("before", f"to {job.to}", *((f"back to {job.start}",) if back else ()))
    sheets = Sheets(out / COMPARE, heads, found.single) if compare else None
    returns = {item.name: place_of(item.name, out / ROUND_TRIP) for item in found.items}
    planned = [*places.values(), *(returns.values() if back else ())]
    planned += [sheets.path(0)] if sheets else []
    require_free(planned, list(found.items))
    there = [p for p in planned if _there(p)]
    if there and existing == "refuse":
        raise UserError(
            f"{there[0]} is there already{_and_more(len(there) - 1)}: write over with --overwrite, "
            "go on where it stopped with --resume, or choose another --out."
        )
    outcome = Outcome()
    with quiet_pillow():
        for i, item in enumerate(found.items):
            told(item.name, i / len(found.items))
            target = places[item.name]
            if existing == "keep" and _there(target):
                outcome.kept.append(item.name)
                continue
            heard = _share_of(told, item.name, i, len(found.items))
            _one(item, job, back, target, returns[item.name], sheets, outcome, heard)
        if sheets:
            sheets.flush()
            outcome.sheets = sheets.written
    if outcome.skipped and not outcome.done and not outcome.kept:
        name, why = outcome.skipped[0]
        more = _and_more(len(outcome.skipped) - 1)
        raise UserError(f"{name} could not be translated ({why}){more}.")
    return outcome


def _one(
    item: Item,
    job: Job,
    back: Job | None,
    target: Path,
    returned: Path,
    sheets: Sheets | None,
    outcome: Outcome,
    told: Callable[[float], None],
) -> None:
    try:
        with as_unreadable(), item.open() as stream:
            original = open_original(stream)
        target = _renamed(target, original.suffix)
        returned = _renamed(returned, original.suffix)
        way_back = returned if back is not None else None
        result = translate_original(original, job, target, returned=way_back, back=back, told=told)
    except Unreadable as problem:
        outcome.skipped.append((item.name, str(problem)))
        return
    outcome.done.append(Done(item.name, target, way_back, result))
    if sheets:
        sheets.add(item.name, original, [target, *([way_back] if way_back else [])])


def _renamed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix) if suffix else path


def _there(path: Path) -> bool:
    """Whether a result is there, as it is called or in the format that stands in."""
    return path.exists() or path.with_name(path.name + ".png").exists()


def _share_of(
    told: Callable[[str, float], None], name: str, i: int, n: int
) -> Callable[[float], None]:
    return lambda share: told(name, (i + share) / n)


def _and_more(n: int) -> str:
    return f", and {n:,} more" if n > 0 else ""
