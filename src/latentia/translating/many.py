"""Many files, one after the other: those that cannot be read are named, and the others done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from latentia.data.images import Unreadable, quiet_pillow
from latentia.errors import UserError
from latentia.translating.files import ROUND_TRIP, Found, Item, place_of, require_free, stand_ins

Existing = Literal["refuse", "keep", "overwrite"]
Told = Callable[[float], None]
Heard = Callable[[str, float], None]


@dataclass(frozen=True)
class Done:
    """A file that was translated.

    Attributes:
        name: of the original.
        path: of the translation.
        returned: of the round trip, or None.
        words: what was done.
        notes: what could not be kept.
        cycle_error: mean absolute difference to the round trip, in levels of 0 to 255, or None.
        enlarged: how many times larger than in training things were shown to the model.
        facts: more of it, for machines.
    """

    name: str
    path: Path
    returned: Path | None
    words: str
    notes: tuple[str, ...] = ()
    cycle_error: float | None = None
    enlarged: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of all files.

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
        errors = [d.cycle_error for d in self.done if d.cycle_error is not None]
        return sum(errors) / len(errors) if errors else None


def came_back(error: float | None) -> str:
    """The cycle error in words, to be read after what was done; "" without one."""
    if error is None:
        return ""
    return f"; there and back it differs by {error:.1f} of 255 levels on average"


One = Callable[[Item, Path, Path | None, Told], Done]
"""Translates a file to a path, and back to another one where that is given; may raise
`Unreadable`."""


def translate_all(
    found: Found,
    one: One,
    out: Path,
    *,
    existing: Existing,
    round_trip: bool,
    beside: Sequence[Path] = (),
    told: Heard,
) -> Outcome:
    """Translate files into a folder, under their names and in their sub-folders.

    Args:
        found: the files.
        one: translates one.
        out: the folder to write.
        existing: results that are there already: "refuse" them all before anything is done,
            "keep" them, or "overwrite" them.
        round_trip: also translate back.
        beside: further files that will be written.
        told: hears the name of a file and the share of all that is done.

    Raises:
        UserError: results are there already, or none of the files could be read.
    """
    ways = [
        (place_of(item.name, out), place_of(item.name, out / ROUND_TRIP) if round_trip else None)
        for item in found.items
    ]
    planned = [path for way in ways for path in way if path is not None] + [*beside]
    require_free(planned, list(found.items))
    there = [path for path in planned if _there(path)]
    if there and existing == "refuse":
        raise UserError(
            f"{there[0]} is there already{_and_more(len(there) - 1)}: write over with --overwrite, "
            "go on where it stopped with --resume, or choose another --out."
        )
    outcome, n = Outcome(), len(found.items)
    with quiet_pillow():
        for i, (item, (target, returned)) in enumerate(zip(found.items, ways, strict=True)):
            told(item.name, i / n)
            if existing == "keep" and _there(target):
                outcome.kept.append(item.name)
                continue
            try:
                outcome.done.append(one(item, target, returned, _share_of(told, item.name, i, n)))
            except Unreadable as problem:
                outcome.skipped.append((item.name, str(problem)))
    if outcome.skipped and not outcome.done and not outcome.kept:
        name, why = outcome.skipped[0]
        more = _and_more(len(outcome.skipped) - 1)
        raise UserError(f"{name} could not be translated ({why}){more}.")
    return outcome


def _there(path: Path) -> bool:
    """Whether a result is there, as it is called or in a format that stands in."""
    return any(each.exists() for each in (path, *stand_ins(path)))


def _share_of(told: Heard, name: str, i: int, n: int) -> Told:
    return lambda share: told(name, (i + share) / n)


def _and_more(n: int) -> str:
    return f", and {n:,} more" if n > 0 else ""
