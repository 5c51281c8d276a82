"""Which latents are worth walking along, from where, and how far."""

from __future__ import annotations

import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasPosterior
from latentia.explore.latent import active_dimensions, decode, encode, traverse
from latentia.explore.plane import pair_grid
from latentia.seeds import mixed_seed

MOST_PROBED = 256
"""Latents beyond this many are not probed one by one: a decode of every example for each."""


def walks(
    model: Decodes,
    x: Tensor,
    *,
    dims: list[int] | None = None,
    most: int = 8,
    span: float = 3.0,
    steps: int = 7,
    seed: int = 0,
    start: Tensor | None = None,
) -> tuple[list[int], Tensor]:
    """Walks along the latents that matter most.

    They start at the encoding of the first example and go over mean ± span deviations of the
    encoded examples, since a prior may be learned or absent. Models that do not encode, and those
    whose latent is as large as the data, start at a draw from a standard normal and go over it.

    Args:
        model: decodes.
        x: `(N, …)` examples that say which latents matter; a few hundred are enough.
        dims: the latents; None takes the `most` that matter most.
        span, steps: as in `traverse`.
        seed: of the start where there is no encoder.
        start: `(d,)`, where to begin instead, of models with a standard normal prior.

    Returns:
        The latents walked along, and `(len(dims), steps, …)`.
    """
    generator = torch.Generator().manual_seed(mixed_seed(seed, 0))
    if start is not None or not isinstance(model, Encodes):
        z = torch.randn(16, model.latent_dim, generator=generator)
        chosen = dims if dims is not None else stirring(model, z)[:most]
        return chosen, traverse(model, z[0] if start is None else start, chosen, span, steps)
    start = encode(model, x[:1])[0]
    chosen = dims if dims is not None else weightiest(model, x)[:most]
    if model.latent_dim >= x[0].numel():
        return chosen, traverse(model, start, chosen, span, steps)
    z = encode(model, x)
    middle, unit = z.mean(0), z.std(0, correction=0)
    return chosen, traverse(model, start, chosen, span, steps, center=middle, scale=unit)


def pair_walk(
    model: Decodes,
    x: Tensor,
    pair: tuple[int, int],
    *,
    span: float = 3.0,
    steps: int = 7,
    seed: int = 0,
    start: Tensor | None = None,
) -> Tensor:
    """A grid over two latents, from where and as far as `walks` go; see `plane.pair_grid`.

    Returns:
        `(steps, steps, …)`; the first of the pair rises upwards, the second to the right.
    """
    if start is not None or not isinstance(model, Encodes):
        generator = torch.Generator().manual_seed(mixed_seed(seed, 0))
        drawn = torch.randn(16, model.latent_dim, generator=generator)[0]
        z = drawn if start is None else start
        return pair_grid(model, z, pair, span, steps)
    z = encode(model, x)
    if model.latent_dim >= x[0].numel():
        return pair_grid(model, z[0], pair, span, steps)
    middle, unit = z.mean(0), z.std(0, correction=0)
    return pair_grid(model, z[0], pair, span, steps, center=middle, scale=unit)


def weightiest(model: Encodes, x: Tensor) -> list[int]:
    """By weight; in the order given where there are too many latents to probe."""
    cheap = isinstance(model, HasPosterior)
    if not cheap and isinstance(model, Decodes) and model.latent_dim > MOST_PROBED:
        return list(range(model.latent_dim))
    return active_dimensions(model, x if cheap else x[:64]).tolist()


def stirring(model: Decodes, z: Tensor) -> list[int]:
    """By the mean squared change of the output when a latent drawn from the prior flips sign."""
    if model.latent_dim > MOST_PROBED:
        return list(range(model.latent_dim))
    still = decode(model, z)
    change = []
    for one in torch.eye(model.latent_dim):
        moved = decode(model, z * (1 - 2 * one))
        change.append((moved - still).square().mean())
    return torch.stack(change).argsort(descending=True, stable=True).tolist()
