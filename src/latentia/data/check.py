"""A look at data before it is used: what is odd about it, and how much of it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from latentia.data.audio import Recording, oddities, read_samples, require_readers
from latentia.data.cache import MOST_UNREADABLE, arranged, header_of, in_order, pixels_of
from latentia.data.domains import domains_told
from latentia.data.images import (
    DEFAULT_SIDE,
    Header,
    Target,
    Unreadable,
    parse_colour,
    quiet_pillow,
)
from latentia.data.open import find
from latentia.data.pairs import pairs_told
from latentia.data.pictures import save_grid
from latentia.data.pile import Pile
from latentia.data.source import Source, held_out
from latentia.data.spec import DataOptions, Dataset
from latentia.data.tables import TableEncoder
from latentia.errors import UserError

_DEFAULT = DataOptions()
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        source: how the user called the data.
        kind: "image files", "sound files", "images" (an array), "vectors" or "table rows".
        examples: files that claim to be images, or rows.
        readable: those that can be used.
        problems: number of examples by kind of oddity; kinds that do not occur are left out.
        unreadable: files as (name, reason).
        duplicates: groups of files, or of row numbers, with the same content.
        leaked: groups of duplicates that lie in both the train and the test split, be they
            native or held out with the options' seed.
        modes: number of files by Pillow's pixel type, or by the form of their samples.
        sizes: number of examples by "width x height" (upright), or by length.
        classes: number of examples by class.
        parts: number of examples by native split.
        others: files that do not claim to be images, or recordings.
        columns: constant columns, and columns with missing or infinite values, of vectors.
        table: what each column of a table is, in words.
        uses: families of translation that it suits, and as what.
        alone: files of such pairs that lack their partner, as (name, reason).
    """

    source: str
    kind: Literal["image files", "sound files", "images", "vectors", "table rows"]
    examples: int
    readable: int
    problems: dict[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    leaked: int = 0
    modes: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    columns: dict[str, list[int]] = field(default_factory=dict)
    table: dict[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    alone: tuple[tuple[str, str], ...] = ()

    @property
    def usable(self) -> bool:
        """True where `open_data` would take it (not strictly)."""
        spoiled = self.columns.get("missing or infinite")
        lost = self.examples - self.readable
        return self.readable > 0 and not spoiled and lost <= MOST_UNREADABLE * self.examples

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "usable": self.usable}


def check(source: str | Path | np.ndarray, options: DataOptions = _DEFAULT) -> CheckReport:
    """Read everything once and say what is odd; nothing is cached or changed.

    Raises:
        UserError: nothing there, or of no known kind.
    """
    found = find(source, options)
    return (
        _check_pile(found, options) if isinstance(found, Pile) else _check_rows(found, options.seed)
    )


def contact_sheet(dataset: Dataset, path: Path, n: int = 100) -> None:
    """Write a PNG of up to `n` evenly spaced images.

    Raises:
        UserError: the data has no images.
    """
    if dataset.spec.kind != "image":
        raise UserError(f"{dataset.spec.name} has no images to show on a contact sheet.")
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(n, len(dataset))).round().astype(int))
    save_grid(dataset.values[rows], path)


@dataclass(frozen=True)
class _Seen:
    header: Header | Unreadable
    fault: Unreadable | None
    digest: str


def _check_pile(pile: Pile, options: DataOptions) -> CheckReport:
    if pile.sound:
        return _check_recordings(pile, options)
    target = Target(DEFAULT_SIDE, DEFAULT_SIDE, 3, parse_colour(options.background))
    with quiet_pillow():
        seen = list(in_order(lambda i: _look(pile, i, target), range(len(pile.pictures))))
    headers = [s.header for s in seen if isinstance(s.header, Header)]
    names = [p.name for p in pile.pictures]
    bad = {i: s.fault for i, s in enumerate(seen) if s.fault}
    twins = _groups([s.digest for s in seen])
    sizes = Counter(f"{h.size[0]} x {h.size[1]}" for h in headers)
    pairs, alone = pairs_told(pile)
    return CheckReport(
        source=pile.name,
        kind="image files",
        examples=len(seen),
        readable=len(seen) - len(bad),
        problems=_problems(pile, headers, list(bad.values()), twins, len(sizes) > 1),
        unreadable=tuple((names[i], str(fault)) for i, fault in bad.items()),
        duplicates=tuple(tuple(names[i] for i in group) for group in twins),
        leaked=_leaked(arranged(pile.pictures, options.seed), len(seen), twins),
        modes=_counted(h.mode for h in headers),
        sizes=_counted(sizes.elements()),
        classes=_counted(p.label for p in pile.pictures if p.label is not None),
        parts=_counted(p.part for p in pile.pictures if p.part),
        others=pile.others,
        uses=_uses(pile, pairs),
        alone=alone,
    )


def _uses(pile: Pile, pairs: list[str]) -> tuple[str, ...]:
    counts = Counter(p.label for p in pile.pictures if p.label is not None)
    return (*pairs, *domains_told(counts, pile.sound))


@dataclass(frozen=True)
class _Heard:
    header: Recording | None
    fault: Unreadable | None
    odd: tuple[str, ...]
    digest: str


def _check_recordings(pile: Pile, options: DataOptions) -> CheckReport:
    names = [p.name for p in pile.pictures]
    require_readers(pile.name, names)
    heard = list(in_order(lambda i: _listen(pile, i), range(len(names))))
    headers = [h.header for h in heard if h.header is not None]
    bad = {i: h.fault for i, h in enumerate(heard) if h.fault}
    twins = _groups([h.digest for h in heard])
    rates = [h.rate for h in headers]
    counts = {
        **{f"unreadable: {kind}": n for kind, n in Counter(f.fault for f in bad.values()).items()},
        "duplicates": sum(len(group) - 1 for group in twins),
        **Counter(odd for h in heard for odd in h.odd),
        "of other rates": _less_common(rates),
        "not recordings": len(pile.others),
    }
    return CheckReport(
        source=pile.name,
        kind="sound files",
        examples=len(heard),
        readable=len(heard) - len(bad),
        problems={kind: n for kind, n in counts.items() if n},
        unreadable=tuple((names[i], str(fault)) for i, fault in bad.items()),
        duplicates=tuple(tuple(names[i] for i in group) for group in twins),
        leaked=_leaked(arranged(pile.pictures, options.seed), len(heard), twins),
        modes=_counted(h.words for h in headers),
        sizes=_counted(f"{h.seconds:.1f} s" for h in headers),
        classes=_counted(p.label for p in pile.pictures if p.label is not None),
        parts=_counted(p.part for p in pile.pictures if p.part),
        others=pile.others,
        uses=_uses(pile, []),
    )


def _listen(pile: Pile, i: int) -> _Heard:
    header, digest = header_of(pile, i), _file_digest(pile, i)
    if isinstance(header, Unreadable):
        return _Heard(None, header, (), digest)
    try:
        with pile.open(i) as stream:
            return _Heard(header, None, tuple(oddities(read_samples(stream)[0])), digest)
    except Unreadable as fault:
        return _Heard(None, fault, (), digest)
    except Exception as error:  # a broken zip member, a lost disk
        return _Heard(None, Unreadable("damaged", str(error)), (), digest)


def _look(pile: Pile, i: int, target: Target) -> _Seen:
    header = header_of(pile, i)
    fault: Unreadable | None = header if isinstance(header, Unreadable) else None
    if fault is None:
        pixels = pixels_of(pile, i, target)
        fault = pixels if isinstance(pixels, Unreadable) else None
    return _Seen(header, fault, _file_digest(pile, i))


def _file_digest(pile: Pile, i: int) -> str:
    digest = hashlib.sha256()
    try:
        with pile.open(i) as stream:
            while chunk := stream.read(_READ_BYTES):
                digest.update(chunk)
    except Exception:  # unreadable, and named as such; it is nobody's duplicate
        return f"unreadable {i}"
    return digest.hexdigest()


def _problems(
    pile: Pile,
    headers: Sequence[Header],
    faults: Sequence[Unreadable],
    twins: Sequence[Sequence[int]],
    mixed: bool,
) -> dict[str, int]:
    grey = sum(h.grey for h in headers)
    counts = {
        **{f"unreadable: {kind}": n for kind, n in Counter(f.fault for f in faults).items()},
        "duplicates": sum(len(group) - 1 for group in twins),
        "alpha channel": sum(h.alpha for h in headers),
        "palette": sum(h.mode in ("P", "PA") for h in headers),
        "CMYK": sum(h.mode == "CMYK" for h in headers),
        "16-bit or deeper": sum(h.deep for h in headers),
        "turned by EXIF": sum(h.turned for h in headers),
        "grey among colour": grey if grey < len(headers) else 0,
        "of other sizes": _less_common([h.size for h in headers]) if mixed else 0,
        "not images": len(pile.others),
    }
    return {kind: n for kind, n in counts.items() if n}


def _check_rows(source: Source, seed: int) -> CheckReport:
    values, image = source.values, source.values.ndim == 4
    finite = np.isfinite(values) if not image else np.ones((len(values), 1), bool)
    twins = _groups([hashlib.sha256(row.tobytes()).digest() for row in values])
    flat = values.reshape(len(values), -1)
    dull = int((flat == flat[:, :1]).all(axis=1).sum()) if image else 0
    constant = (
        [] if image or source.columns else np.flatnonzero((flat == flat[:1]).all(axis=0)).tolist()
    )
    spoiled = np.flatnonzero(~finite.all(axis=0)).tolist()
    counts = {
        "duplicates": sum(len(group) - 1 for group in twins),
        "of one level throughout": dull,
        "missing": int(np.isnan(flat).any(axis=1).sum()) if not image else 0,
        "infinite": int(np.isinf(flat).any(axis=1).sum()) if not image else 0,
    }
    labels = np.empty(0, np.int64) if source.labels is None else source.labels
    classes = _counted(source.classes[k] for k in labels.tolist())
    columns = {"constant": constant, "missing or infinite": spoiled}
    return CheckReport(
        source=source.name,
        kind="images" if image else "table rows" if source.columns else "vectors",
        examples=len(values),
        readable=int(finite.all(axis=1).sum()),
        problems={kind: n for kind, n in counts.items() if n},
        duplicates=tuple(tuple(str(i) for i in group) for group in twins),
        leaked=_leaked(source.parts or held_out(len(values), seed), len(values), twins),
        sizes={f"{values.shape[3]} x {values.shape[2]}": len(values)} if image else {},
        classes=classes,
        parts={part: int(np.arange(len(values))[rows].size) for part, rows in source.parts.items()},
        columns={kind: which for kind, which in columns.items() if which},
        table=_table(source),
        uses=tuple(domains_told(classes)) if image else (),
    )


def _table(source: Source) -> dict[str, str]:
    """What each column of a table is; nothing for other sources."""
    if source.columns is None:
        return {}
    encoder = TableEncoder.from_json(source.columns)
    values, told = source.values, {column.name: column.words for column in encoder.columns}
    for i, (name, raw) in enumerate(zip(encoder.names, encoder.sources, strict=True)):
        if name == f"{raw} is missing":
            told[raw] = told[raw].replace("has gaps", f"{int(values[:, i].sum()):,} missing")
    label = source.columns.get("label")
    return told if label is None else {**told, label: f"the class, one of {len(source.classes)}"}


def _leaked(
    parts: Mapping[str, slice | np.ndarray | list[int]], n: int, twins: Sequence[Sequence[int]]
) -> int:
    """Groups of equal examples that have members in both train and test."""
    part_of = np.full(n, "", "<U5")
    for part, rows in parts.items():
        part_of[rows] = part
    return sum({"train", "test"} <= set(part_of[list(group)].tolist()) for group in twins)


def _groups(keys: Sequence[str | bytes]) -> list[list[int]]:
    """Numbers of equal keys, where there are two or more."""
    found: dict[str | bytes, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        found[key].append(i)
    return [group for group in found.values() if len(group) > 1]


def _counted(things: Iterable[str]) -> dict[str, int]:
    """Counts, most common first, then by name."""
    return dict(sorted(Counter(things).items(), key=lambda pair: (-pair[1], pair[0])))


def _less_common(things: Sequence[object]) -> int:
    return len(things) - max(Counter(things).values(), default=0)
