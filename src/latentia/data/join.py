"""Several sources as one, each a class of its own: "faces.zip + anime.zip"."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from latentia.data.pictures import to_image
from latentia.data.pile import Picture, Pile
from latentia.data.source import Source, held_out
from latentia.errors import UserError

JOINT = " + "


def sources_of(name: str) -> list[str]:
    """The sources that a name stands for: itself, unless it joins several by " + ".

    >>> sources_of("faces.zip + anime.zip")
    ['faces.zip', 'anime.zip']
    """
    if JOINT not in name or Path(name).expanduser().exists():
        return [name]
    return [part.strip() for part in name.split(JOINT)]


def joined(name: str, found: Sequence[tuple[str, Source | Pile]]) -> Pile:
    """One pile of several sources, each a class named after its file or folder.

    A source without splits has a seeded tenth held out, so that every class is tested.

    Args:
        name: of the whole.
        found: what the user called each source, and what it is.

    Raises:
        UserError: no pictures or recordings, some of each, or two sources of one name.
    """
    piles = [part if isinstance(part, Pile) else as_pile(part) for _, part in found]
    if len({pile.sound for pile in piles}) > 1:
        raise UserError(f"{name} joins pictures and recordings; join like with like.")
    empty = [pile.name for pile in piles if not pile.pictures]
    if empty:
        raise UserError(f"{empty[0]} holds no pictures or recordings to join.")
    classes = _class_names([called for called, _ in found])
    pictures: list[Picture] = []
    places: list[tuple[int, int]] = []
    for k, (label, pile) in enumerate(zip(classes, piles, strict=True)):
        parts = with_parts([p.part for p in pile.pictures])
        for i, (picture, part) in enumerate(zip(pile.pictures, parts, strict=True)):
            pictures.append(Picture(f"{label}/{picture.name}", picture.stamp, part, label))
            places.append((k, i))

    def read(i: int) -> BinaryIO:
        k, at = places[i]
        return piles[k].open(at)

    others = tuple(
        f"{label}/{o}" for label, p in zip(classes, piles, strict=True) for o in p.others
    )
    return Pile(name, tuple(pictures), read, others, piles[0].sound, order=tuple(classes))


def with_parts(parts: Sequence[str], seed: int = 0) -> list[str]:
    """The split of each example; a seeded tenth is held out where none has one."""
    if any(parts):
        return list(parts)
    chosen = np.full(len(parts), "train")
    chosen[held_out(len(parts), seed)["test"]] = "test"
    return [str(part) for part in chosen]


def as_pile(source: Source) -> Pile:
    """Images in memory as a pile of pictures, so that all that is done to files is done to them.

    Raises:
        UserError: vectors.
    """
    values = source.values
    if values.ndim != 4:
        raise UserError(
            f"{source.name} holds no pictures or recordings, which pairs and domains are made of."
        )
    part_at = np.full(len(values), "", "<U5")
    for part, rows in source.parts.items():
        part_at[rows] = part
    labels = source.labels
    pictures = tuple(
        Picture(
            name=f"{i:08d}" if source.names is None else source.names[i],
            stamp=hashlib.sha256(row.tobytes()).hexdigest()[:16],
            part=str(part_at[i]),
            label=None if labels is None else source.classes[labels[i]],
        )
        for i, row in enumerate(values)
    )

    def read(i: int) -> BinaryIO:
        file = BytesIO()
        to_image(values[i].transpose(1, 2, 0)).save(file, "PPM")
        file.seek(0)
        return file

    pile = Pile(source.name, pictures, read, order=source.classes)
    return replace(pile, left_out=source.skipped)


def _class_names(called: Sequence[str]) -> list[str]:
    """A class name of each source: its file's name without ending, with the folder if need be."""
    paths = [Path(name.rstrip("/\\")) for name in called]
    for names in ([p.stem or p.name for p in paths], [f"{p.parent.name}-{p.stem}" for p in paths]):
        if len(set(names)) == len(names):
            return names
    twice = [name for name, times in Counter(p.stem for p in paths).items() if times > 1]
    raise UserError(
        f"Two of the joined sources are called {twice[0]}; their names become their classes, so "
        "rename one."
    )
