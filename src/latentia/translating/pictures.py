"""Folders of pictures, translated, with sheets of before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentia.data.images import as_unreadable
from latentia.data.pair_reader import is_double
from latentia.data.picture_files import Original, open_original
from latentia.translating.files import COMPARE, Found, Item
from latentia.translating.job import Job
from latentia.translating.many import Done, Existing, Heard, Outcome, Told, translate_all
from latentia.translating.picture import translate_original
from latentia.translating.sheets import Sheets

_DOUBLE = "twice as wide as high; if it holds both sides, as for training, use --side-by-side"


def translate_pictures(
    found: Found,
    job: Job,
    out: Path,
    *,
    existing: Existing = "refuse",
    compare: bool = False,
    round_trip: bool = False,
    told: Heard = lambda name, share: None,
) -> Outcome:
    """Translate pictures into a folder, under their names and in their sub-folders.

    Args:
        found: the pictures.
        job: how.
        out: the folder to write.
        existing, told: as for `many.translate_all`.
        compare: also write sheets of before and after.
        round_trip: also translate back.

    Raises:
        UserError: as `many.translate_all`; no way back.
    """
    back = job.back() if round_trip else None
    heads = ["before", f"to {job.to}"]
    heads += [f"true {job.to}"] if job.half is not None else []
    heads += [f"back to {job.start}"] if back else []
    sheets = Sheets(out / COMPARE, tuple(heads), found.single) if compare else None
    outcome = translate_all(
        found,
        _Work(job, back, sheets).one,
        out,
        existing=existing,
        round_trip=round_trip,
        beside=[] if sheets is None else [sheets.path(0)],
        told=told,
    )
    if sheets is not None:
        sheets.flush()
        outcome.sheets = sheets.written
    return outcome


@dataclass(frozen=True)
class _Work:
    job: Job
    back: Job | None
    sheets: Sheets | None

    def one(self, item: Item, target: Path, returned: Path | None, told: Told) -> Done:
        with as_unreadable(), item.open() as stream:
            original = open_original(stream)
        target.parent.mkdir(parents=True, exist_ok=True)
        original = original.spooled(target.parent)
        true: Original | None = None
        notes: tuple[str, ...] = ()
        if self.job.half is not None:
            left = self.job.half == "left"
            original, true = original.half(left), original.half(not left)
        elif self.job.pairs and is_double(original.head.size):
            notes = (_DOUBLE,)
        target = _renamed(target, original.suffix)
        returned = None if returned is None else _renamed(returned, original.suffix)
        result = translate_original(
            original, self.job, target, returned=returned, back=self.back, told=told
        )
        if self.sheets is not None:
            shown = [original, target, *((true,) if true else ())]
            self.sheets.add(item.name, [*shown, *((returned,) if returned else ())])
        plan = result.plan
        return Done(
            name=item.name,
            path=target,
            returned=returned,
            words=plan.words,
            notes=(*result.notes, *notes),
            cycle_error=result.cycle_error,
            enlarged=plan.enlarged,
            facts={"size": list(plan.out), "translated_at": list(plan.work)},
        )


def _renamed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix) if suffix else path
