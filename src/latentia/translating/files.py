"""What is to be translated, and where each file goes: nothing lost, nothing overwritten unasked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from latentia.data.pile import Pile, list_folder, list_zip
from latentia.errors import UserError

ROUND_TRIP, COMPARE = "round-trip", "compare"
STAND_INS = (".png", ".wav")
_ZIP = ".zip"


@dataclass(frozen=True)
class Item:
    """One file.

    Attributes:
        name: within its folder or zip, with forward slashes.
        open: its bytes; raises `Unreadable` or OSError.
        path: of the file itself, None in a zip.
    """

    name: str
    open: Callable[[], BinaryIO]
    path: Path | None


@dataclass(frozen=True)
class Found:
    """What INPUT holds.

    Attributes:
        items: files to translate.
        others: files that are none of those, by name.
        single: INPUT is one file.
    """

    items: tuple[Item, ...]
    others: tuple[str, ...]
    single: bool


def find_items(source: Path, *, sound: bool = False) -> Found:
    """The pictures, or recordings, of a file, a folder or a zip.

    Raises:
        UserError: nothing there, or nothing of the kind.
    """
    wanted, given = ("recordings", "pictures") if sound else ("pictures", "recordings")
    if not source.exists():
        raise UserError(f"There is no {source}: name a file, a folder or a zip of {wanted}.")
    if source.is_file() and source.suffix.lower() != _ZIP:
        return Found((Item(source.name, lambda: source.open("rb"), source),), (), single=True)
    folder = source.is_dir()
    pile = (list_folder if folder else list_zip)(source, str(source))
    if not pile.pictures:
        raise UserError(f"{source} holds no {wanted}.")
    if pile.sound != sound:
        raise UserError(f"{source} holds {given}, but this run translates {wanted}.")
    return Found(_items(pile, source if folder else None), pile.others, single=False)


def _items(pile: Pile, folder: Path | None) -> tuple[Item, ...]:
    def opener(i: int) -> Callable[[], BinaryIO]:
        return lambda: pile.open(i)

    return tuple(
        Item(p.name, opener(i), None if folder is None else folder / p.name)
        for i, p in enumerate(pile.pictures)
    )


def place_of(name: str, out: Path) -> Path:
    """Where a file goes below a folder, in the sub-folders it came from.

    Raises:
        UserError: a name in a zip that leads out of the folder.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
        raise UserError(f"The zip has a file called {name!r}, which leads out of its folder.")
    return out.joinpath(*parts)


def require_apart(source: Path, out: Path) -> None:
    """Refuse output that would become input, or take its place.

    Raises:
        UserError: `out` is a file, INPUT itself, or inside it.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder with --out.")
    here, there = source.resolve(), out.resolve()
    if there == here or (source.is_dir() and here in there.parents):
        raise UserError(
            f"--out {out} lies in {source}, whose pictures are to be translated; choose a folder "
            "outside it."
        )


def require_free(paths: list[Path], items: list[Item]) -> None:
    """Refuse output that takes the place of an original, or of other output.

    Raises:
        UserError: it would.
    """
    originals = {item.path.resolve() for item in items if item.path is not None}
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in originals:
            raise UserError(f"{path} is one of the originals; choose another --out.")
        if path in seen:
            raise UserError(
                f"Two results would be called {path}; rename one of the originals, or leave out "
                "--compare and --round-trip."
            )
        seen.add(path)
    for path in paths:
        for other in stand_ins(path):
            if other in seen:
                raise UserError(
                    f"{path.name} may have to be written as {other.name}, which another result is "
                    "called; rename one of the originals."
                )


def stand_ins(path: Path) -> tuple[Path, ...]:
    """What a result is called whose own format cannot be written."""
    return tuple(path.with_name(path.name + suffix) for suffix in STAND_INS)
