"""Rows of pictures that show what a translating model does: sources, below them what it made."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.parts import in_colour, part
from latentia.data.spec import Dataset
from latentia.maths.chunks import device_of, in_chunks

_CHUNK = 16


def translated_rows(model: Any, data: Dataset, *, columns: int, rows: int) -> Tensor:
    """Blocks of rows: sources, translations, and of pairs the truth, else the way back if any.

    Args:
        model: translates between the domains of `data`.
        data: pairs, or labelled pictures of the domains.
        columns: pictures in a row.
        rows: of pictures; blocks are made as long as they fit, but one of each target.

    Returns:
        `(N, C, H, W)` in [-1, 1], row by row, on the CPU.
    """
    targets = list(model.targets)
    blocks, height = [], 3 if data.spec.pair is not None or len(targets) > 1 else 2
    count = max(len(targets), rows // height)
    for number in range(count):
        to = targets[number % len(targets)]
        blocks += _block(
            model, data, to, (number // len(targets), -(-count // len(targets))), columns
        )
    widest = max(len(block[0]) for block in blocks)
    return torch.cat(blocks if widest == 1 else [in_colour(block) for block in blocks])


def _block(
    model: Any, data: Dataset, to: str, which: tuple[int, int], columns: int
) -> list[Tensor]:
    """The rows of one block: every `which[1]`-th picture, from the `which[0]`-th on."""
    origin = next(name for name in model.domains if name != to)
    source, there = part(data, origin), part(data, to)
    chosen = np.linspace(0, len(source) - 1, columns * which[1]).astype(int)[which[0] :: which[1]]
    x = source.batch(chosen).x
    made = _carried(model, x, to)
    if data.spec.pair is not None:
        return [x, made, there.batch(chosen).x]
    return [x, made, _carried(model, made, origin)] if origin in model.targets else [x, made]


def _carried(model: Any, x: Tensor, to: str) -> Tensor:
    return in_chunks(
        lambda part: model.translate(part, to), x, size=_CHUNK, device=device_of(model)
    )
