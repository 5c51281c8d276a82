"""Two domains, unpaired: which examples are of which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from latentia.data.attributes import asked_of
from latentia.data.columns import Columns, read_columns
from latentia.data.join import as_pile, with_parts
from latentia.data.pile import Picture, Pile
from latentia.data.source import Source
from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError, nearest

_WAYS = (
    "put them into two folders (trainA/ and trainB/, or a folder for each class), give two "
    'sources ("a.zip + b.zip"), or split them by a table '
    "(--set split=COLUMN --set attributes=FILE.csv)"
)


def of_domains(found: Source | Pile, options: DataOptions) -> Pile:
    """The examples of the two domains that `options` ask for, each class a domain.

    A source without splits has a seeded tenth of each domain held out.

    Raises:
        UserError: not two domains, or no such class, attribute or table.
    """
    if options.split:
        return _split(found, options)
    if options.attributes is not None:
        raise UserError(
            f"attributes={options.attributes} is a table to split by; "
            "name its column: --set split=…"
        )
    pile = found if isinstance(found, Pile) else as_pile(found)
    classes = pile.order or tuple(sorted({p.label for p in pile.pictures if p.label is not None}))
    chosen = _chosen(pile.name, classes, options.domains or ())
    number = {name: k for k, name in enumerate(chosen)}
    return _relabelled(
        pile, [number.get(p.label or "", -1) for p in pile.pictures], chosen, options
    )


def require_domains(spec: DataSpec, labelled: bool) -> None:
    """Refuse data that are not of two domains.

    Raises:
        UserError: another number of classes than two.
    """
    if not labelled or len(spec.classes) != 2:
        raise _not_two(spec.name, spec.classes)


def domains_told(counts: Mapping[str, int], sound: bool = False) -> list[str]:
    """What there is to say of classes as domains; `counts` has the examples of each."""
    model = "voice-cyclegan" if sound else "cyclegan"
    names = sorted(counts)
    if len(names) < 2:
        return []
    if len(names) == 2:
        a, b = names
        return [f"{model}: unpaired domains {a} ({counts[a]:,}) and {b} ({counts[b]:,})"]
    return [f"{model}: any two of {len(names)} classes, as in --set domains={names[0]},{names[1]}"]


def _chosen(name: str, classes: Sequence[str], wanted: Sequence[str]) -> tuple[str, str]:
    for domain in wanted:
        if domain not in classes:
            hint = nearest(domain, classes) if classes else f"it holds none at all: {_WAYS}."
            raise UserError(f"{name} has no class {domain!r} to be a domain; {hint}")
    if len(set(wanted)) != len(wanted) or len(wanted) not in (0, 2):
        raise UserError(
            f"domains={','.join(wanted)} does not name two domains; "
            f"for example --set domains={','.join(classes[:2])}."
        )
    two = tuple(wanted or classes)
    if len(two) != 2:
        raise _not_two(name, classes)
    return two[0], two[1]


def _not_two(name: str, classes: Sequence[str]) -> UserError:
    if len(classes) < 2:
        return UserError(f"{name} has no two classes of examples to translate between: {_WAYS}.")
    listed = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    return UserError(
        f"{name} has {len(classes)} classes ({listed}); choose the two domains, "
        f"for example --set domains={classes[0]},{classes[1]}."
    )


def _split(found: Source | Pile, options: DataOptions) -> Pile:
    """Domains by one attribute (with and without it), or by two (exactly one of them)."""
    wanted = options.split
    if options.domains:
        raise UserError("domains and split both choose the domains; give one of them.")
    if len(wanted) > 2 or len(set(wanted)) != len(wanted):
        raise UserError(f"split={','.join(wanted)} must name one attribute, or two that differ.")
    columns = _columns(found, options)
    pile = found if isinstance(found, Pile) else as_pile(found)
    has = [asked_of(columns, name) for name in wanted]
    if len(has) == 1:
        chosen = (wanted[0], f"not {wanted[0]}")
        numbers = np.where(has[0], 0, 1)
    else:
        chosen = (wanted[0], wanted[1])
        numbers = np.where(has[0] == has[1], -1, np.where(has[0], 0, 1))
    return _relabelled(pile, numbers.tolist(), chosen, options)


def _columns(found: Source | Pile, options: DataOptions) -> Columns:
    if options.attributes is not None:
        if isinstance(found, Source) and found.names is None:
            raise UserError(
                f"{options.attributes} describes files, but the rows of {found.name} have no file "
                "names; give a folder or a zip of pictures."
            )
        names = found.names if isinstance(found, Source) else [p.name for p in found.pictures]
        return read_columns(options.attributes, names or ())
    if isinstance(found, Source) and found.factors:
        return Columns(dict(found.factors), {})
    raise UserError(
        f"split={','.join(options.split)} needs a table of the attributes of each file of "
        f"{found.name}: --set attributes=FILE.csv."
    )


def _relabelled(
    pile: Pile, numbers: Sequence[int], chosen: tuple[str, str], options: DataOptions
) -> Pile:
    """The examples with a number from 0, as examples of the domain of that number."""
    index: list[int] = []
    pictures: list[Picture] = []
    own_parts = any(p.part for p in pile.pictures)
    for k, domain in enumerate(chosen):
        mine = [i for i, number in enumerate(numbers) if number == k]
        parts = [pile.pictures[i].part for i in mine]
        if not own_parts and mine:
            parts = with_parts(parts, options.seed)
        if not any(part in ("", "train") for part in parts):
            raise UserError(f"{pile.name} has no examples of the domain {domain!r} to train on.")
        for i, part in zip(mine, parts, strict=True):
            old = pile.pictures[i]
            pictures.append(Picture(old.name, old.stamp, part, domain))
        index += mine
    return replace(pile.picked(index, pictures), order=chosen)
