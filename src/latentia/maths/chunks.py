"""A function over the rows of a large tensor, a chunk at a time, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def in_chunks(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    size: int = 256,
    device: str | torch.device | None = None,
) -> Tensor:
    """`function(x)` for a function that treats rows independently, in bounded memory.

    Args:
        function: `(b, …) -> (b, …)`.
        x: `(N, …)`.
        size: rows per call.
        device: where `function` works; chunks go there and results come back to `x`'s device.

    >>> in_chunks(lambda x: 2 * x, torch.arange(3), size=2)
    tensor([0, 2, 4])
    """
    return stacked(
        function(c if device is None else c.to(device)).to(x.device) for c in x.split(size)
    )


def stacked(chunks: Iterable[Tensor]) -> Tensor:
    """The chunks one below the other; they are computed without gradients."""
    with torch.no_grad():
        return torch.cat([chunk.detach() for chunk in chunks])


def spread_rows(n: int, limit: int) -> Tensor:
    """At most `limit` of the row numbers 0 to n - 1, evenly apart; int64, rising.

    >>> spread_rows(9, 3)
    tensor([0, 3, 6])
    """
    keep = min(n, limit)
    return torch.arange(keep) * n // max(keep, 1)


def device_of(model: object) -> torch.device:
    """Where a model's parameters live; the CPU for what has none."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    first = next(iter(parameters), None)
    return torch.device("cpu") if first is None else first.device
