"""Pairs recognised by looking: two folders with matching names, or pictures side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from torch import Tensor

from latentia.data.images import Unreadable, read_header
from latentia.data.pair_reader import PairReader, is_double
from latentia.data.pile import Picture, Pile, part_of, place
from latentia.data.sides import MADE
from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError

MADE_SIDE = "picture"
_LOOKED_AT = 50
_WAYS = f"--set pairs={', '.join(MADE[:-1])} or {MADE[-1]}"


def paired(pile: Pile, options: DataOptions) -> Pile:
    """The pile with two pictures in every row, as `options.pairs` asks.

    Raises:
        UserError: recordings, or no pairs where some were to be found.
    """
    how = options.pairs
    if pile.sound:
        raise UserError(f"{pile.name} holds recordings; pairs are of pictures.")
    if how is None or not pile.pictures:
        return pile
    if how in MADE:
        return replace(pile, pair=PairReader(how, (how, MADE_SIDE), seed=options.seed))
    matched = match_folders(pile) if how != "side-by-side" else None
    if matched is not None and (how == "folders" or matched.convincing):
        return _from_folders(pile, matched)
    if how == "folders":
        raise UserError(
            f"{pile.name} does not hold two folders with the files of both sides; put them into "
            "A/ and B/ under the same names, perhaps below train/ and test/."
        )
    if how == "auto" and not looks_double(pile):
        raise _no_pairs(pile, matched)
    return replace(pile, pair=PairReader("side-by-side", any_shape=how == "side-by-side"))


@dataclass(frozen=True)
class Matched:
    """Two folders held against each other.

    Attributes:
        names: of the folders.
        pairs: numbers of pictures, side A's and side B's.
        parts: split of each pair, "" for none.
        keys: what the files of each pair have in common.
        alone: files without a partner, as (name, reason).
    """

    names: tuple[str, str]
    pairs: list[tuple[int, int]]
    parts: list[str]
    keys: list[str]
    alone: tuple[tuple[str, str], ...]

    @property
    def convincing(self) -> bool:
        """Whether so many names match that it is no chance."""
        return len(self.pairs) > 0 and 2 * len(self.pairs) >= len(self.alone)


def match_folders(pile: Pile) -> Matched | None:
    """The files of two folders by the names they share; None where there are not two folders.

    The two are the classes of the pile: A/ and B/, also below or above train/, val/ and test/, or
    trainA/ and trainB/. Endings may differ.
    """
    names = sorted({p.label for p in pile.pictures if p.label is not None})
    if len(names) != 2:
        return None
    keys = [_key(p) for p in pile.pictures]
    places: dict[str, dict[str, list[int]]] = {name: defaultdict(list) for name in names}
    for i, picture in enumerate(pile.pictures):
        places[picture.label or ""][keys[i]].append(i)
    first, second = (places[name] for name in names)
    shared = sorted(k for k in first if len(first[k]) == 1 == len(second.get(k, ())))
    pairs = [(first[k][0], second[k][0]) for k in shared]
    used = {i for pair in pairs for i in pair}
    alone = tuple(
        (p.name, _why_alone(places, keys[i], p.label or ""))
        for i, p in enumerate(pile.pictures)
        if i not in used
    )
    parts = [pile.pictures[i].part for i, _ in pairs]
    if not any(parts):
        parts = [part for part, _ in place([f"{key}.x" for key in shared])]
    return Matched((names[0], names[1]), pairs, parts, shared, alone)


def looks_double(pile: Pile) -> bool:
    """Whether most of some pictures, evenly chosen, are twice as wide as high."""
    step = max(1, len(pile.pictures) // _LOOKED_AT)
    seen = []
    for i in range(0, len(pile.pictures), step):
        try:
            with pile.open(i) as stream:
                seen.append(is_double(read_header(stream).size))
        except (Unreadable, OSError, ValueError):  # the cache's business
            continue
    return 2 * sum(seen) > len(seen)


def pairs_told(pile: Pile) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """What there is to say of a pile as pairs, and its files without a partner, with reasons."""
    if pile.sound or not pile.pictures:
        return [], ()
    matched = match_folders(pile)
    if matched is not None and matched.convincing:
        a, b = matched.names
        return [f"pix2pix: {len(matched.pairs):,} pairs of one name in {a} and {b}"], matched.alone
    double = ["pix2pix: pairs, two pictures side by side in each file"]
    return (double if looks_double(pile) else []), ()


def sides_of(x: Tensor, spec: DataSpec | Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Side A and side B of rows `(B, Ca + Cb, H, W)`.

    Args:
        x: rows of pairs.
        spec: what they are: a specification, or its `pair`.

    Raises:
        UserError: no pairs.
    """
    pair = spec.pair if isinstance(spec, DataSpec) else spec
    if pair is None or x.shape[1] != sum(pair["channels"]):
        raise UserError(f"Rows of shape {tuple(x.shape[1:])} are no pairs of pictures.")
    first = pair["channels"][0]
    return x[:, :first], x[:, first:]


def _from_folders(pile: Pile, matched: Matched) -> Pile:
    old, opened = pile.pictures, pile.open
    if not matched.pairs:
        raise _no_pairs(pile, matched)
    pictures = tuple(
        Picture(key, f"{old[a].name} {old[a].stamp} {old[b].name} {old[b].stamp}", part)
        for key, part, (a, b) in zip(matched.keys, matched.parts, matched.pairs, strict=True)
    )
    return replace(
        pile,
        pictures=pictures,
        open=lambda i: opened(matched.pairs[i][0]),
        second=lambda i: opened(matched.pairs[i][1]),
        pair=PairReader("folders", matched.names),
        left_out=matched.alone,
    )


def _key(picture: Picture) -> str:
    """The file's name without its ending and without the folder that is its side."""
    *folders, file = PurePosixPath(picture.name).parts
    if picture.label in folders:
        folders.remove(picture.label)
    else:  # trainA/ is train/ of the side A
        found = [part_of(folder) for folder in folders]
        folders = [
            part if letter and letter == picture.label else folder
            for folder, (part, letter) in zip(folders, found, strict=True)
        ]
    return "/".join([*folders, PurePosixPath(file).stem])


def _why_alone(places: Mapping[str, Mapping[str, Sequence[int]]], key: str, mine: str) -> str:
    (other,) = (name for name in places if name != mine)
    for side in (mine, other):
        if len(places[side].get(key, ())) > 1:
            return f"no pair: {side} has several files of this name"
    return f"no pair: {other} has no file of this name"


def _no_pairs(pile: Pile, matched: Matched | None) -> UserError:
    if matched is not None:
        a, b = matched.names
        return UserError(
            f"{pile.name} holds the folders {a} and {b}, but {len(matched.pairs)} of their files "
            f"have a partner of the same name (none has, for example: {matched.alone[0][0]}). "
            f"Name the files of a pair alike; or train without pairs (--model cyclegan); or have "
            f"one side made ({_WAYS})."
        )
    return UserError(
        f"{pile.name} holds single pictures, not pairs: neither two pictures side by side in a "
        f"file twice as wide as high, nor folders A and B with matching names. Have one side "
        f"made from the other ({_WAYS}), or force the cut in the middle (--set pairs=side-by-side)."
    )
