"""One of two domains: a side of every pair, or the rows of a class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest


def part(data: Dataset, name: str) -> Dataset:
    """The pictures of one domain, as a data set of their own, without labels.

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


def pictures(data: Dataset) -> Tensor:
    """All rows, `(N, C, H, W)` in [-1, 1]."""
    return data.batch(torch.arange(len(data))).x


def in_colour(x: Tensor) -> Tensor:
    """Grey pictures `(N, 1, H, W)` with three channels, so that they may stand by coloured ones."""
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
