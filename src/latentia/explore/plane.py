"""Flat pieces of latent space, decoded: two latents at once, and the map's own plane."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasPosterior
from latentia.errors import UserError
from latentia.explore.latent import active_dimensions, decode, encode, manifold
from latentia.maths.paths import evenness, step_lengths


def smoothness(walk: Tensor) -> float:
    """How evenly a walk's data change, `(steps, …)`: 1 even, 0 where one step changes all.

    `maths.paths.evenness` of root-mean-square changes of the data themselves.
    """
    return float(evenness(step_lengths(walk.double().flatten(1))))


def pair_grid(
    model: Decodes,
    z: Tensor,
    pair: tuple[int, int],
    span: float = 3.0,
    steps: int = 7,
    *,
    center: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """Decode z with two latents set to every pair of `steps` values from -span to +span.

    Args:
        model: decodes.
        z: `(d,)` or `(1, d)`, where all other latents stay.
        pair: the latent that changes from row to row, and the one from column to column.
        span: how far, in units of `scale`.
        steps: values for each.
        center, scale: `(d,)`, middle and unit of every latent; 0 and 1 by default.

    Returns:
        `(steps, steps, …)`; rows rise upwards, columns to the right.

    Raises:
        UserError: a latent that the model does not have, twice the same, or fewer than 1 step.
    """
    start = z.reshape(-1).cpu()
    if steps < 1 or len(set(pair)) != 2 or min(pair) < 0 or max(pair) >= len(start):
        raise UserError(
            f"A grid takes 1 or more steps along two different latents of 0 to {len(start) - 1}; "
            f"asked for {steps} steps along {pair[0]} and {pair[1]}."
        )
    middle = torch.zeros_like(start) if center is None else center.cpu()
    unit = torch.ones_like(start) if scale is None else scale.cpu()
    offsets = torch.linspace(-span, span, steps, dtype=start.dtype)
    grid = start.repeat(steps, steps, 1)
    down, right = pair
    grid[:, :, down] = (middle[down] + unit[down] * offsets.flip(0))[:, None]
    grid[:, :, right] = middle[right] + unit[right] * offsets
    return decode(model, grid)


def plane(model: Decodes, x: Tensor, n: int = 20) -> tuple[Tensor, str]:
    """What a plane through latent space holds, `(n, n, …)`, and which plane it is, in words.

    Models with two latents: `manifold`. With a posterior: the two latents that matter most; else
    the first two principal directions of the encodings. These run over the n quantiles
    (i + ½)/n of a normal of the encodings' mean and deviation; all else stays at its mean.

    Args:
        model: decodes; with more than 2 latents it must encode as well.
        x: `(N, …)` examples that say where encodings lie; 2 or more.
        n: pictures along each side.

    Raises:
        UserError: more than 2 latents and no encoder, fewer than 2 latents, or n below 1.
    """
    if model.latent_dim == 2 and (
        not isinstance(model, Encodes) or isinstance(model, HasPosterior)
    ):
        return manifold(model, n), "the two latents, at quantiles of a standard normal"
    if not isinstance(model, Encodes):
        raise UserError(
            f"This model has {model.latent_dim} latents and no encoder to say which plane "
            "matters; look at `latentia traverse`."
        )
    if model.latent_dim < 2 or n < 1 or len(x) < 2:
        raise UserError(
            "A plane takes 2 or more latents, 2 or more examples and 1 or more pictures to a "
            f"side; there are {model.latent_dim}, {len(x)} and {n}."
        )
    z = encode(model, x)
    right, up, words = _directions(model, x, z)
    at = torch.special.ndtri((torch.arange(n) + 0.5) / n).to(z.dtype)
    points = z.mean(0) + at.flip(0)[:, None, None] * up + at[None, :, None] * right
    return decode(model, points), words


def _directions(model: Encodes, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, str]:
    """Two directions, as long as the encodings' deviation along them."""
    if isinstance(model, HasPosterior):
        first, second = active_dimensions(model, x)[:2].tolist()
        both = torch.diag(z.std(0, correction=0))[[first, second]]
        return both[0], both[1], f"latents {first} (across) and {second} (up), the weightiest"
    found = PCA(2, svd_solver="full").fit(z.double().numpy())
    lengths = torch.from_numpy(found.singular_values_) / len(z) ** 0.5
    both = (torch.from_numpy(found.components_) * lengths[:, None]).to(z.dtype)
    return both[0], both[1], "the first two principal directions of the encodings"
