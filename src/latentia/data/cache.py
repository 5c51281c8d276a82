"""Pictures decoded once into a memory-mapped uint8 file, keyed by what they were decoded from.

Recordings are pictures, too: their log-mel spectrograms.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np

from latentia.data.audio import Recordings, require_readers
from latentia.data.images import (
    Header,
    Target,
    Unreadable,
    choose_target,
    decode,
    parse_colour,
    quiet_pillow,
    read_header,
)
from latentia.data.mel import LogMel
from latentia.data.pile import Picture, Pile
from latentia.data.source import RowHash, Source, held_out
from latentia.data.spec import DataOptions, DataSpec
from latentia.data.windows import windowed
from latentia.errors import UserError
from latentia.files import read_json, write_json

MOST_UNREADABLE = 0.05
_VERSION = 1
_SPARE_BYTES = 1 << 28
_PARTS = ("train", "val", "test")
_LOOK_AHEAD = 8
T = TypeVar("T")
R = TypeVar("R")


def default_cache_dir() -> Path:
    """`$LATENTIA_CACHE`, else the platform's place for what can be made again."""
    if chosen := os.environ.get("LATENTIA_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "latentia"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "latentia" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latentia"


class Reader(Protocol):
    """How the files of a pile become rows of one shape; pictures, or recordings."""

    @property
    def noun(self) -> str: ...
    @property
    def header(self) -> Callable[..., Any]:
        """Of the streams of one example to its header."""
        ...

    def target(self, headers: Sequence[Any], options: DataOptions) -> Any: ...
    def shape(self, target: Any) -> tuple[int, int, int]: ...
    @property
    def pixels(self) -> Callable[..., np.ndarray]:
        """Of the streams of one example, and the target, to its row."""
        ...

    def facts(self, target: Any) -> dict[str, Any]: ...
    def describe(self, target: Any) -> str: ...


@dataclass(frozen=True)
class Pictures:
    """How a pile of pictures is read."""

    noun: str = "images"

    def header(self, stream: BinaryIO) -> Header:
        return read_header(stream)

    def target(self, headers: Sequence[Header], options: DataOptions) -> Target:
        return choose_target(headers, options)

    def shape(self, target: Target) -> tuple[int, int, int]:
        return target.channels, target.height, target.width

    def pixels(self, stream: BinaryIO, target: Target) -> np.ndarray:
        return decode(stream, target)

    def facts(self, target: Target) -> dict[str, Any]:
        return {}

    def describe(self, target: Target) -> str:
        return f"{target.width} x {target.height} pixels"


def reader_of(pile: Pile, like: DataSpec | None = None) -> Reader:
    """How a pile is read; recordings as those of a run, if one is given."""
    if pile.pair is not None:
        return pile.pair
    return Recordings(None if like is None else like.sound) if pile.sound else Pictures()


def open_pile(
    pile: Pile,
    options: DataOptions,
    cache_dir: Path | None = None,
    strict: bool = False,
    announce: Callable[[str], None] | None = None,
    like: DataSpec | None = None,
) -> Source:
    """The decoded pictures of a pile, from the cache or put there now.

    Recordings become log-mel spectrograms, in the form that `like`, the facts of a run, asks for.
    Rows are train, then val, then test, each in seeded random order, so that every split is a
    contiguous piece of the map and its first rows a fair sample.

    Raises:
        UserError: no picture, over 5 % unreadable (with `strict`, any), or no room on the disk.
    """
    if not pile.pictures:
        some = "".join(
            f", but {len(pile.others)} other files, such as {o}" for o in pile.others[:1]
        )
        raise UserError(f"{pile.name} holds no images{some}.")
    if options.size is not None and options.size < 1:
        raise UserError(f"size={options.size} leaves no pixels; use 1 or more.")
    reader = reader_of(pile, like)
    if pile.sound:
        require_readers(pile.name, [picture.name for picture in pile.pictures])
    if options.window is not None and pile.sound:
        sound = None if like is None or like.sound is None else LogMel.from_json(like.sound)
        pile = windowed(
            pile, options.window, options.seed, None if sound is None else sound.seconds
        )
    folder = (cache_dir or default_cache_dir()) / "images" / _key(pile, options, reader)
    cached = _load(folder)
    if cached is None:
        _build(pile, reader, options, folder, strict, announce or (lambda _: None))
        cached = _load(folder)
        if cached is None:
            raise UserError(f"The cache {folder} was changed while it was written; try again.")
    facts, values = cached
    _require_readable(pile, reader, facts["skipped"], strict)
    labels, classes = _ordered(facts, pile.order)
    return Source(
        name=pile.name,
        values=values,
        labels=labels,
        classes=classes,
        names=facts["names"],
        skipped=tuple((name, reason) for name, reason in facts["skipped"]),
        parts={part: slice(*ends) for part, ends in facts["parts"].items()},
        hashes=facts["hashes"],
        sound=facts.get("sound"),
        pair=facts.get("pair"),
    )


def _ordered(
    facts: dict[str, Any], order: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels and classes of a cache entry; the classes in this order, or by name without one."""
    known = tuple(facts["classes"])
    if facts["labels"] is None:
        return None, known
    places = np.array([order.index(c) if order else k for k, c in enumerate(known)], np.int64)
    return places[np.array(facts["labels"], np.int64)], order or known


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Like `map`, on several threads, never far ahead of whoever takes the results."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= workers * _LOOK_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def header_of(pile: Pile, i: int) -> Any:
    """The header of picture i (a `Header` or a `Recording`), or an `Unreadable` that says why."""
    try:
        with pile.streams(i) as streams:
            return reader_of(pile).header(*streams)
    except Unreadable as error:
        return error
    except Exception as error:  # a broken zip member or a lost disk is one more unreadable file
        return Unreadable("damaged", str(error))


def pixels_of(pile: Pile, i: int, target: Any) -> np.ndarray | Unreadable:
    """The pixels of picture i, or why there are none; `target` as its reader chose it."""
    try:
        with pile.streams(i) as streams:
            return reader_of(pile).pixels(*streams, target)
    except Unreadable as error:
        return error
    except Exception as error:
        return Unreadable("damaged", str(error))


@dataclass
class _Written:
    """What has been written so far."""

    names: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


def _build(
    pile: Pile,
    reader: Reader,
    options: DataOptions,
    folder: Path,
    strict: bool,
    announce: Callable[[str], None],
) -> None:
    parse_colour(options.background)
    with quiet_pillow():
        headers = list(in_order(lambda i: header_of(pile, i), range(len(pile.pictures))))
        broken = {i: str(h) for i, h in enumerate(headers) if isinstance(h, Unreadable)}
        listed = [*pile.left_out, *((pile.pictures[i].name, why) for i, why in broken.items())]
        _require_readable(pile, reader, listed, strict)
        target = reader.target([h for h in headers if not isinstance(h, Unreadable)], options)
        shape, n = reader.shape(target), len(headers) - len(broken)
        aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        try:
            _make_room(aside, pile.name, n * int(np.prod(shape)))
            announce(
                f"Decoding {n:,} {reader.noun} of {pile.name} once to {reader.describe(target)}: "
                f"takes {_size(n * int(np.prod(shape)))} in {aside.parent}."
            )
            written = _decode_all(pile, aside / "values.u8", broken, target, shape, options.seed)
            _require_readable(pile, reader, written.skipped, strict)
            write_json(aside / "facts.json", {**_facts(written, shape), **reader.facts(target)})
            if _load(folder) is None:  # else another process was faster, with the same rows
                shutil.rmtree(folder, ignore_errors=True)
                aside.rename(folder)
        except OSError as error:
            raise UserError(
                f"The image cache {folder.parent} cannot be written ({error}); "
                "name another place in LATENTIA_CACHE."
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _make_room(aside: Path, name: str, need: int) -> None:
    """Make the cache entry's folder, and refuse before the disk is full; `need` in bytes."""
    for left in [aside, *_abandoned(aside.parent)]:
        shutil.rmtree(left, ignore_errors=True)
    aside.mkdir(parents=True)
    free = shutil.disk_usage(aside).free
    if need + _SPARE_BYTES > free:
        raise UserError(
            f"Decoding {name} takes {_size(need)} in {aside.parent}, where {_size(free)} are "
            "free; choose a smaller size, or another disk by LATENTIA_CACHE."
        )


def _abandoned(folder: Path) -> list[Path]:
    """Half-built entries that a killed process left here a day ago or more."""
    long_ago = time.time() - 86_400
    return [left for left in folder.glob(".*.tmp") if left.stat().st_mtime < long_ago]


def _decode_all(
    pile: Pile,
    path: Path,
    broken: dict[int, str],
    target: Any,
    shape: tuple[int, int, int],
    seed: int,
) -> _Written:
    lost = [(pile.pictures[i].name, reason) for i, reason in broken.items()]
    written = _Written(skipped=[*pile.left_out, *lost])
    whole, n = RowHash(shape), 0
    with path.open("wb") as file:
        for part, order in arranged(pile.pictures, seed).items():
            digest, start = RowHash(shape), n
            order = [i for i in order if i not in broken]
            results = in_order(lambda i: pixels_of(pile, i, target), order)
            for i, pixels in zip(order, results, strict=True):
                if isinstance(pixels, Unreadable):
                    written.skipped.append((pile.pictures[i].name, str(pixels)))
                    continue
                row = pixels.tobytes()
                file.write(row)
                digest.add(row)
                whole.add(row)
                written.names.append(pile.pictures[i].name)
                written.labels.append(pile.pictures[i].label)
                n += 1
            written.parts[part] = (start, n)
            written.hashes[part] = digest.result(n - start)
        file.flush()
        os.fsync(file.fileno())
    written.hashes["all"] = whole.result(n)
    return written


def arranged(pictures: Sequence[Picture], seed: int) -> dict[str, list[int]]:
    """Picture numbers by part, each in seeded random order; a tenth held out where none is."""
    if not any(p.part for p in pictures):
        cut = held_out(len(pictures), seed)
        everything = np.arange(len(pictures))
        return {part: everything[rows].tolist() for part, rows in cut.items()}
    order = np.random.default_rng(seed).permutation(len(pictures)).tolist()
    by_part = {part: [i for i in order if pictures[i].part == part] for part in _PARTS}
    return {part: rows for part, rows in by_part.items() if rows}


def _facts(written: _Written, shape: tuple[int, int, int]) -> dict[str, Any]:
    known = sorted({label for label in written.labels if label is not None})
    codes = {label: code for code, label in enumerate(known)}
    return {
        "shape": [len(written.names), *shape],
        "parts": written.parts,
        "hashes": written.hashes,
        "classes": known,
        "labels": [codes[label] for label in written.labels if label] if known else None,
        "names": written.names,
        "skipped": sorted(written.skipped),
    }


def _load(folder: Path) -> tuple[dict[str, Any], np.ndarray] | None:
    """A finished cache entry, or None where there is none that fits its own description."""
    try:
        facts = read_json(folder / "facts.json")
        shape = tuple(facts["shape"])
        if (folder / "values.u8").stat().st_size != int(np.prod(shape)):
            return None
        return facts, np.memmap(folder / "values.u8", np.uint8, "r", shape=shape)
    except (OSError, ValueError, KeyError):
        return None


def _require_readable(
    pile: Pile, reader: Reader, skipped: Sequence[Sequence[str]], strict: bool
) -> None:
    bad, n = len(skipped), len(pile.pictures) + len(pile.left_out)
    if not bad or (bad < n and not strict and bad <= MOST_UNREADABLE * n):
        return
    some = "; ".join(f"{name} ({reason})" for name, reason in skipped[:3])
    what = "unusable" if pile.left_out else "unreadable"
    rule = "none may be with strict" if strict else f"at most {MOST_UNREADABLE:.0%} may be"
    raise UserError(
        f"{bad} of {n} {reader.noun} of {pile.name} are {what} and {rule}: {some}"
        f"{'; …' if bad > 3 else ''}. `latentia data check` lists them all; mend or remove them."
    )


def _key(pile: Pile, options: DataOptions, reader: Reader) -> str:
    digest = hashlib.sha256(f"latentia image cache {_VERSION}".encode())
    chosen = (options.size, options.channels, options.background, options.seed)
    digest.update(repr(chosen).encode())
    if pile.sound or pile.pair is not None:
        digest.update(repr(reader).encode())
    if pile.left_out or pile.order:  # what the names of the files alone do not tell
        told = (pile.left_out, pile.order, [p.label for p in pile.pictures])
        digest.update(repr(told).encode())
    for picture in pile.pictures:
        digest.update(f"\n{picture.name}\0{picture.stamp}\0{picture.part}".encode())
    return digest.hexdigest()[:32]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.1f} MB"
