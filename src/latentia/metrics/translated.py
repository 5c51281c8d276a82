"""What a translating model makes of held-out pictures, made once for figures and sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentia.abilities import Translates
from latentia.data.parts import part, pictures
from latentia.data.spec import Dataset
from latentia.errors import UserError
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
    made = carry(model, pictures(source), to, progress)
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


def _few(data: Dataset, limit: int) -> Dataset:
    return data.subset(spread_rows(len(data), limit).numpy())
