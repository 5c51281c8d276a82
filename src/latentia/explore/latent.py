"""Walks through latent space: free functions over what a model can do.

All of them work in chunks, without gradients, on the model's device, and answer on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasPosterior
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.explore.aggregate import MOST_CODES, along
from latentia.maths.chunks import device_of, in_chunks, spread_rows
from latentia.maths.information import channel_information, posterior_moments
from latentia.maths.paths import slerp

How = Literal["linear", "spherical", "aggregate"]


class Autoencodes(Encodes, Decodes, Protocol):
    """Both ways: what reconstruction and interpolation need."""


def encode(model: Encodes, x: Tensor) -> Tensor:
    """Latent vectors, `(B, …) -> (B, d)`."""
    return in_chunks(model.encode, x.cpu(), device=device_of(model))


def decode(model: Decodes, z: Tensor) -> Tensor:
    """Data of latent vectors; `(…, d) -> (…, *shape)` with any leading axes."""
    flat = in_chunks(model.decode, z.reshape(-1, z.shape[-1]).cpu(), device=device_of(model))
    return flat.reshape(*z.shape[:-1], *flat.shape[1:])


def reconstruct(model: Autoencodes, x: Tensor) -> Tensor:
    """There and back, `(B, …) -> (B, …)`."""
    return decode(model, encode(model, x))


def between(
    a: Tensor, b: Tensor, steps: int = 8, how: How = "linear", codes: Tensor | None = None
) -> Tensor:
    """Points from a to b, both included.

    Spherical: along the arc, see `maths.paths.slerp`; high-dimensional Gaussian latents live
    near a sphere.
    Aggregate: through places where data are encoded, see `explore.aggregate.along`.

    Args:
        a, b: `(B, d)`.
        steps: points, at least 2.
        how: "linear", "spherical" or "aggregate".
        codes: encodings of data, `(N, d)`, for "aggregate".

    Returns:
        `(B, steps, d)`.

    Raises:
        UserError: fewer than 2 steps, an unknown `how`, or "aggregate" without codes.
    """
    if steps < 2:
        raise UserError(f"An interpolation of {steps} steps has no two ends; use 2 or more.")
    if how not in get_args(How):
        raise UserError(f"Interpolation is 'linear', 'spherical' or 'aggregate', not {how!r}.")
    if how == "aggregate":
        if codes is None:
            raise UserError("A way along the aggregate posterior needs the encodings of data.")
        return torch.stack([along(*ends, codes, steps) for ends in zip(a, b, strict=True)])
    a, b = a[:, None], b[:, None]
    t = torch.linspace(0, 1, steps, dtype=a.dtype)[:, None]
    return torch.lerp(a, b, t) if how == "linear" else slerp(a, b, t)


def codes_of(model: Encodes, data: Dataset, most: int = MOST_CODES) -> Tensor:
    """Encodings of at most `most` rows, evenly apart, `(N, d)`: what "aggregate" leads through."""
    return encode(model, data.batch(spread_rows(len(data), most)).x)


def interpolate(
    model: Autoencodes,
    a: Tensor,
    b: Tensor,
    steps: int = 8,
    how: How = "linear",
    codes: Tensor | None = None,
) -> Tensor:
    """Ways from examples a to examples b through latent space; the ends are reconstructions.

    Args:
        model: encodes and decodes.
        a, b: `(B, …)`, equally many.
        steps, how, codes: as in `between`.

    Returns:
        `(B, steps, …)`.

    Raises:
        UserError: a and b of different shapes, and as `between`.
    """
    if a.shape != b.shape:
        raise UserError(f"One end has shape {tuple(a.shape)}, the other {tuple(b.shape)}.")
    return decode(model, between(encode(model, a), encode(model, b), steps, how, codes))


def traverse(
    model: Decodes,
    z: Tensor,
    dims: Sequence[int] | Tensor,
    span: float = 3.0,
    steps: int = 7,
    *,
    center: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """Decode z with one latent at a time set to `steps` values from -span to +span.

    Args:
        model: decodes.
        z: `(d,)` or `(1, d)`, where the walk starts.
        dims: the latents that are moved, one per row of the answer.
        span: how far, in units of `scale`; 3 covers a standard normal prior.
        steps: values for each.
        center, scale: `(d,)`, middle and unit of every latent; 0 and 1, as of the prior, by
            default. For a model without a prior give mean and deviation of encoded data.

    Returns:
        `(len(dims), steps, …)`.

    Raises:
        UserError: a latent that the model does not have, or fewer than 1 step.
    """
    start = z.reshape(-1).cpu()
    chosen = torch.as_tensor(dims, dtype=torch.int64).reshape(-1)
    if steps < 1 or not len(chosen) or chosen.min() < 0 or chosen.max() >= len(start):
        raise UserError(
            f"A traversal takes 1 or more steps along some of the latents 0 to {len(start) - 1}; "
            f"asked for {steps} steps along {chosen.tolist()}."
        )
    middle = torch.zeros_like(start) if center is None else center.cpu()
    unit = torch.ones_like(start) if scale is None else scale.cpu()
    offsets = torch.linspace(-span, span, steps, dtype=start.dtype)
    walks = start.repeat(len(chosen), steps, 1)
    for walk, dim in zip(walks, chosen.tolist(), strict=True):
        walk[:, dim] = middle[dim] + unit[dim] * offsets
    return decode(model, walks)


def information(model: HasPosterior, x: Tensor) -> Tensor:
    """How much each latent tells about an example, `(B, …) -> (d,)`, nats, whatever the prior.

    See `latentia.maths.information.channel_information`.
    """
    return channel_information(*posterior_moments(model.posterior, x, device_of(model)))


def latent_weights(model: Encodes, x: Tensor) -> Tensor:
    """How much each latent matters on these examples, `(B, …) -> (d,)`, ≥ 0.

    With a posterior: its `information`. Else, for models that decode: mean squared change of the
    decoded data when z_i moves by one standard deviation of the encodings. Else: variance of z_i.
    """
    if isinstance(model, HasPosterior):
        return information(model, x)
    z = encode(model, x)
    spread = z.std(0, correction=0)
    if not isinstance(model, Decodes):
        return spread.square()
    still = decode(model, z)
    moved = (decode(model, z + spread * one) - still for one in torch.eye(z.shape[1]))
    return torch.stack([change.square().mean() for change in moved])


def active_dimensions(model: Encodes, x: Tensor) -> Tensor:
    """Latents by `latent_weights`, the weightiest first; int64 `(d,)`."""
    return latent_weights(model, x).argsort(descending=True, stable=True)


def latent_map(model: Encodes, x: Tensor) -> Tensor:
    """A place in the plane for every example, `(N, …) -> (N, 2)`; see `in_plane`."""
    return in_plane(encode(model, x).flatten(1))[0]


def in_plane(z: Tensor, *others: Tensor) -> list[Tensor]:
    """Places in the plane for encodings, and for further latents on the same map.

    The latents themselves if they have two numbers, else along the first two principal components
    of z (zeros where there are fewer).

    Args:
        z: `(N, d)`.
        others: `(M, d)` each.

    Returns:
        `(N, 2)`, and `(M, 2)` of each of the others.
    """
    if z.shape[1] == 2:
        return [z, *others]
    size = min(2, *z.shape)
    fitted = PCA(size, svd_solver="full").fit(z.numpy())
    found = []
    for points in (z, *others):
        plane = torch.zeros(len(points), 2)
        plane[:, :size] = torch.from_numpy(fitted.transform(points.numpy()))
        found.append(plane)
    return found


def manifold(model: Decodes, n: int = 20) -> Tensor:
    """What a two-dimensional latent space holds, `(n, n, …)`.

    Latents at the n quantiles (i + ½)/n of a standard normal along each axis (Kingma & Welling
    2014, appendix A); first axis: z₁ from high to low, as an image's rows; second: z₀ rising.

    Raises:
        UserError: a model whose latent is not two numbers, or n below 1.
    """
    if model.latent_dim != 2:
        raise UserError(
            f"A manifold picture needs 2 latents and this model has {model.latent_dim}; "
            "train with latent=2, or look at traversals."
        )
    if n < 1:
        raise UserError(f"A manifold of {n} by {n} pictures is empty; use 1 or more.")
    at = torch.special.ndtri((torch.arange(n) + 0.5) / n)
    rows, columns = torch.meshgrid(at.flip(0), at, indexing="ij")
    return decode(model, torch.stack([columns, rows], -1))
