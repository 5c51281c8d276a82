"""A pile of encoded pictures or recordings: a folder, a zip, a hub data set. Not yet decoded."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from latentia.data.audio import SUFFIXES as SOUNDS
from latentia.data.images import MAX_FILE_BYTES, SUFFIXES, Unreadable
from latentia.data.pair_reader import PairReader
from latentia.errors import UserError

_PART = re.compile(r"(train|val|test)(?:ing|id|idation)?([A-Z])?")
_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Picture:
    """One listed file.

    Attributes:
        name: path within the pile, with forward slashes.
        stamp: changes when the file does.
        part: "train", "val" or "test"; empty where the pile has no splits.
        label: class name, or None.
    """

    name: str
    stamp: str
    part: str = ""
    label: str | None = None


@dataclass(frozen=True)
class Pile:
    """Pictures by number.

    Attributes:
        name: how the user called it.
        pictures: files that should be pictures, by name.
        open: the bytes of picture i; raises `Unreadable` or OSError.
        others: files that do not claim to be pictures.
        sound: the "pictures" are recordings, to be read as log-mel spectrograms.
        pair: how each becomes a pair, where pairs are wanted.
        second: where sides lie in files of their own, the bytes of the other side of picture i.
        left_out: files that are no example though they could be, as (name, reason).
        order: of the classes, where it is not that of their names.
    """

    name: str
    pictures: tuple[Picture, ...]
    open: Callable[[int], BinaryIO]
    others: tuple[str, ...] = ()
    sound: bool = False
    pair: PairReader | None = None
    second: Callable[[int], BinaryIO] | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    order: tuple[str, ...] = ()

    @contextmanager
    def streams(self, i: int) -> Iterator[tuple[BinaryIO, ...]]:
        """The opened file of picture i, or both of its files."""
        with ExitStack() as stack:
            both = (self.open,) if self.second is None else (self.open, self.second)
            yield tuple(stack.enter_context(opened(i)) for opened in both)

    def picked(self, index: Sequence[int], pictures: Sequence[Picture]) -> Pile:
        """The chosen pictures, in this order and described anew."""
        opened, second, at = self.open, self.second, list(index)
        return replace(
            self,
            pictures=tuple(pictures),
            open=lambda i: opened(at[i]),
            second=None if second is None else lambda i: second(at[i]),
        )


def list_folder(path: Path, name: str) -> Pile:
    """The pictures below a folder, or the recordings where they are more; no hidden files."""
    found: list[tuple[str, str]] = []
    for base, folders, files in os.walk(path):
        folders[:] = [f for f in folders if not _is_junk(f)]
        for file in files:
            if not _is_junk(file):
                whole = Path(base, file)
                facts = whole.stat() if whole.exists() else None  # a dangling link has none
                stamp = f"{facts.st_size}:{facts.st_mtime_ns}" if facts else "gone"
                found.append((whole.relative_to(path).as_posix(), stamp))
    pictures, others, sound = _sorted_out(found)
    return Pile(name, pictures, lambda i: (path / pictures[i].name).open("rb"), others, sound)


def list_zip(path: Path, name: str) -> Pile:
    """The pictures in a zip, or the recordings where they are more, read in place.

    Raises:
        UserError: not a zip, or locked with a password.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as a zip ({error}).") from None
    members = {
        m.filename: m
        for m in archive.infolist()
        if not m.is_dir() and not any(_is_junk(p) for p in PurePosixPath(m.filename).parts)
    }
    if any(m.flag_bits & 1 for m in members.values()):
        raise UserError(f"{path} is locked with a password; unpack it and give the folder.")
    found = [(n, f"{m.file_size}:{m.CRC}") for n, m in members.items()]
    pictures, others, sound = _sorted_out(found)

    def read(i: int) -> BinaryIO:
        member = members[pictures[i].name]
        if member.file_size > MAX_FILE_BYTES:
            raise Unreadable("too large", f"unpacks to {member.file_size / 1e6:.0f} MB")
        return BytesIO(archive.read(member))

    return Pile(name, pictures, read, others, sound)


def place(names: Sequence[str]) -> list[tuple[str, str | None]]:
    """Split and class of each file, told by its folders.

    Folders common to all are passed over. If then every file lies below train, val or test, that
    is its split (a lone val serves as test; trainA, testB, … also give the classes A and B). The
    next folder is the class, if every file has one and there are two or more.

    >>> place(["train/cat/1.png", "train/dog/2.png", "test/cat/3.png"])
    [('train', 'cat'), ('train', 'dog'), ('test', 'cat')]
    """
    folders = _below_common([PurePosixPath(name).parts[:-1] for name in names])
    parts, letters = [""] * len(names), [""] * len(names)
    found = [part_of(f[0]) if f else ("", "") for f in folders]
    heads = {part for part, _ in found}
    if heads in ({"train", "test"}, {"train", "val"}, {"train", "val", "test"}):
        rename = {"val": "val" if "test" in heads else "test"}
        parts = [rename.get(part, part) for part, _ in found]
        letters = [letter for _, letter in found]
        folders = _below_common([f[1:] for f in folders])
    labels = letters if all(letters) else [f[0] if f else "" for f in folders]
    if not all(labels) or len(set(labels)) < 2:
        return [(part, None) for part in parts]
    return list(zip(parts, labels, strict=True))


def part_of(folder: str) -> tuple[str, str]:
    """Split and class that a folder's name tells, "" where it tells none.

    >>> part_of("trainA"), part_of("Testing"), part_of("cats")
    (('train', 'A'), ('test', ''), ('', ''))
    """
    found = _PART.fullmatch(folder.lower()[:1] + folder[1:])
    return (found[1], found[2] or "") if found else ("", "")


def _sorted_out(
    found: list[tuple[str, str]],
) -> tuple[tuple[Picture, ...], tuple[str, ...], bool]:
    """What is claimed to be pictures or recordings, whichever are more; the rest; which it is."""
    found = sorted(found)
    endings = [PurePosixPath(name).suffix.lower() for name, _ in found]
    sound = sum(e in SOUNDS for e in endings) > sum(e in SUFFIXES for e in endings)
    wanted = SOUNDS if sound else SUFFIXES
    claimed = [pair for pair, ending in zip(found, endings, strict=True) if ending in wanted]
    others = tuple(n for (n, _), e in zip(found, endings, strict=True) if e not in wanted)
    placed = place([n for n, _ in claimed])
    pictures = (Picture(n, s, *where) for (n, s), where in zip(claimed, placed, strict=True))
    return tuple(pictures), others, sound


def _below_common(folders: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if not folders:
        return []
    low, high = min(folders), max(folders)
    same = 0
    while same < min(len(low), len(high)) and low[same] == high[same]:
        same += 1
    return [f[same:] for f in folders]


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in _JUNK
