"""What a translating model makes of held-out pictures, made once for figures and sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Translates
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest
from latentia.maths.chunks import device_of, in_chunks, spread_rows

_CHUNK = 16


@dataclass(frozen=True)
class Translated:
    """Held-out pictures of one domain, carried to the other.

    Attributes:
        origin, to: names of the domains.
        source: the pictures that were translated.
        real: real pictures of `to`: of pairs the true ones, in the same order.
        made: the translations, `(N, C, H, W)` in [-1, 1], on the CPU.
        back: the translations translated back, or None where the model goes one way only.
    """

    origin: str
    to: str
    source: Dataset
    real: Dataset
    made: Tensor
    back: Tensor | None


def translated(
    model: Any,
    test: Dataset,
    to: str,
    *,
    limit: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Translated:
    """Translate the held-out pictures of the other domain.

    Args:
        model: translates between the two domains of `test`.
        test: pairs, or labelled pictures of two domains.
        to: the domain that is translated to.
        limit: pictures at most, evenly apart.
        progress: called with (pictures done, of how many).

    Raises:
        UserError: data without these domains, or without a held-out picture of one of them.
    """
    origin = next(name for name in model.domains if name != to)
    source, real = (_few(part(test, name), limit) for name in (origin, to))
    for name, rows in ((origin, source), (to, real)):
        if not len(rows):
            raise UserError(f"{test.spec.name} has no held-out picture of {name}.")
    made = carry(model, source.batch(torch.arange(len(source))).x, to, progress)
    back = carry(model, made, origin) if origin in model.targets else None
    return Translated(origin, to, source, real, made, back)


def carry(
    model: Translates,
    x: Tensor,
    to: str,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """`(N, C, H, W) -> (N, C', H, W)` in bounded memory, on the CPU."""
    done = 0

    def one(part: Tensor) -> Tensor:
        nonlocal done
        done += len(part)
        if progress is not None:
            progress(done, len(x))
        return model.translate(part, to)

    return in_chunks(one, x, size=_CHUNK, device=device_of(model))


def has_domains(model: object, data: Dataset) -> bool:
    """Whether `data` shows, unpaired, both domains that a model translates between."""
    if not isinstance(model, Translates) or data.spec.pair is not None:
        return False
    return data.labels is not None and set(model.domains) <= set(data.spec.classes)


def part(data: Dataset, name: str) -> Dataset:
    """The pictures of one domain: a side of every pair, or the rows of a class.

    Raises:
        UserError: no such domain.
    """
    pair = data.spec.pair
    names = data.spec.classes if pair is None else pair["names"]
    if name not in names:
        raise UserError(f"{data.spec.name} has no domain {name!r}: {nearest(name, names)}")
    called = f"{data.spec.name} ({name})"
    if pair is None:
        assert data.labels is not None
        rows = data.subset(np.flatnonzero(data.labels == names.index(name)))
        return replace(rows, spec=replace(rows.spec, name=called, classes=()), labels=None)
    first = pair["channels"][0]
    values = data.values[:, :first] if name == names[0] else data.values[:, first:]
    shape = (values.shape[1], *data.spec.shape[1:])
    spec = replace(data.spec, name=called, shape=shape, pair=None, classes=())
    return replace(data, spec=spec, values=values, labels=None)


def _few(data: Dataset, limit: int) -> Dataset:
    return data.subset(spread_rows(len(data), limit).numpy())


def pictures(data: Dataset) -> Tensor:
    """All rows, `(N, C, H, W)` in [-1, 1]."""
    return data.batch(torch.arange(len(data))).x
