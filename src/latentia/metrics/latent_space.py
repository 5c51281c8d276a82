"""Continuity and completeness of a latent space, in figures.

Continuity: points near each other decode to similar content. Completeness: points between and
around the encodings decode to content like the data's. Content is what a feature extractor sees.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.paths import evenness, step_lengths
from latentia.maths.randomness import seeded_noise
from latentia.metrics.decodings import USUAL, Room
from latentia.metrics.features import FeatureExtractor
from latentia.seeds import mixed_seed

STEPS = (0.1, 0.25, 0.5)
"""Latent steps, in deviations of the encodings."""
STEP = 0.25
"""The step of the headline figures."""
POINTS = 17
"""Points of a walk between two encodings, both ends included."""
_MOST_HOLES = 20


def latent_space(
    model: object,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor,
    *,
    drawn: Tensor | None = None,
    examples: int = 500,
    walks: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """Continuity and completeness of a model's latent space.

    Args:
        model: encodes and decodes.
        train: whose encodings say where codes lie and how far apart, and whose features say where
            data lie.
        test: rows that are encoded, walked between and compared with.
        extractor: what is seen of a decoding.
        drawn: samples of the model, `(M, …)`; without, as many decodings of standard normal
            latents as `examples`.
        examples: test rows at most.
        walks: straight walks between encodings of two test rows.
        seed: of noise and pairs.

    Returns:
        `continuity`: see `continuity`; `walks`: see `between`; `completeness`: see
        `completeness`; `holes`: see `holes`; `examples`, `pairs`, `points`, `reference_rows`,
        `neighbours`, `usual`, `latent_dim`, `extractor` (name, hash, dims).

    Raises:
        UserError: a model that does not both encode and decode, fewer than 10 rows on a side, or
            decodings that are not finite.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise UserError(
            f"{type(model).__name__} does not both encode and decode, so it has no latent space "
            "to walk in."
        )
    room = Room.of(model, train, test, extractor, examples=examples, seed=seed)
    look = room.look
    starts, ends = room.pairs(walks)
    walked = look.features(straight(room.z[starts], room.z[ends]))
    off = look.off(walked)
    return {
        "continuity": continuity(room),
        "walks": between(room, walked, starts, ends),
        "completeness": completeness(room, off, starts, ends, test, drawn),
        "holes": holes(room, off, starts, ends),
        "examples": len(room.z),
        "pairs": len(starts),
        "points": POINTS,
        "latent_dim": room.z.shape[1],
        "reference_rows": len(look.manifold.points),
        "neighbours": look.manifold.k,
        "usual": USUAL,
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def straight(a: Tensor, b: Tensor) -> Tensor:
    """`POINTS` points from a to b, `(B, d), (B, d) -> (B, POINTS, d)`."""
    return torch.lerp(a[:, None], b[:, None], torch.linspace(0, 1, POINTS)[:, None])


def continuity(room: Room) -> dict[str, Any]:
    """How decodings change with a small latent step in a random direction.

    A step of s is noise from N(0, s² Σ), Σ the covariance of the encodings. The decoded change is
    in units of what it would be if the decoder were linear: for x = A z + b two rows are
    √(2 tr AΣAᵀ) apart and a step changes s √(tr AΣAᵀ), root mean squared, so a linear decoder
    scores 1, whatever A and Σ; more means that content changes in jumps.

    Returns:
        `change_per_step` and `kept_class` (share of steps that leave the predicted class as it
        was; None without a classifier) for a step of `step`; `largest_change` of a single row, in
        the same unit, and its `largest_change_row`; `by_step` with the same for every step.
    """
    before = room.look.classes(room.z)
    noise = room.codes.noise(len(room.z), mixed_seed(room.seed, 2))
    by_step = {step: _stepped(room, step * noise, step, before) for step in STEPS}
    return {"step": STEP, **by_step[STEP], "by_step": {str(s): v for s, v in by_step.items()}}


def _stepped(room: Room, move: Tensor, step: float, before: Tensor | None) -> dict[str, Any]:
    z = room.z + move
    change = (room.look.features(z) - room.base).double().norm(dim=-1)
    linear = max(room.typical * step / 2**0.5, 1e-300)
    after = room.look.classes(z)
    kept = None if before is None or after is None else float((after == before).double().mean())
    return {
        "change_per_step": float(change.square().mean().sqrt() / linear),
        "largest_change": float(change.max() / linear),
        "largest_change_row": int(room.rows[change.argmax()]),
        "kept_class": kept,
    }


def between(room: Room, walked: Tensor, starts: Tensor, ends: Tensor) -> dict[str, Any]:
    """How evenly decodings change along straight walks between encodings.

    Args:
        walked: features of the walks' decodings, `(P, points, F)`.
        starts, ends: places of the ends in `room.rows`, `(P,)`.

    Returns:
        `smoothness`, the mean over walks of `maths.paths.evenness` (1 even, 0 one jump), and the
        `least_smoothness`; `largest_jump`: the largest step of all walks as `share` of the
        typical distance between two rows and in `mean_steps` of its own walk, with the test
        `rows` at its ends and where along the way it is (`at`, 0 to 1); `typical_jump`, the
        median over walks of the largest step's share.
    """
    lengths = step_lengths(walked.double())
    even = evenness(lengths)
    longest, where = lengths.max(1)
    worst = int(longest.argmax())
    unit = max(room.typical, 1e-300)
    mean = float(lengths[worst].mean())
    return {
        "smoothness": float(even.mean()),
        "least_smoothness": float(even.min()),
        "typical_jump": float(longest.median() / unit),
        "largest_jump": {
            "share": float(longest[worst] / unit),
            "mean_steps": float(longest[worst]) / mean if mean else 1.0,
            "rows": [int(room.rows[starts[worst]]), int(room.rows[ends[worst]])],
            "at": (int(where[worst]) + 0.5) / lengths.shape[1],
        },
    }


def completeness(
    room: Room,
    off: Tensor,
    starts: Tensor,
    ends: Tensor,
    test: Dataset,
    drawn: Tensor | None,
) -> dict[str, Any]:
    """Shares of decodings that fall on the data's manifold.

    Precision is membership of the manifold as it is (Kynkäänniemi et al. 2019). Between
    encodings the limit is what 95 % of real test rows keep to, so that 5 % off is no fault.

    Args:
        off: remoteness along the walks over what is usual, `(P, points)`.
        drawn: samples of the model, or None.

    Returns:
        `prior_precision` of the samples and `prior` (what they are), `gaussian_precision` of a
        normal fitted to the encodings (which needs no prior to be met), with the floors
        `real_precision` of test rows and `reconstruction_precision`; `midpoints_on` and
        `walks_on`: shares of middles and of all inner points of the walks that are on the
        manifold, with the floors `real_on` and `reconstructions_on`, and `crossfades_on`, what
        mixing the two pictures themselves half and half reaches; `walks_with_hole`.
    """
    look = room.look
    precision = lambda features: float(look.membership(features))  # noqa: E731
    kind = "the model's own samples"
    if drawn is None:
        kind = "decoded standard normal latents"
        drawn = look.decoded(seeded_noise(range(len(room.z)), room.z.shape[1:]))
    normal = room.codes.center + room.codes.noise(len(room.z), mixed_seed(room.seed, 3))
    mixed = torch.lerp(look.decoded(room.z[starts]), look.decoded(room.z[ends]), torch.tensor(0.5))
    return {
        "prior": kind,
        "prior_precision": precision(look.seen(drawn)),
        "gaussian_precision": precision(look.features(normal)),
        "reconstruction_precision": precision(room.base),
        "real_precision": precision(room.real),
        "midpoints_on": float((off[:, off.shape[1] // 2] <= 1).double().mean()),
        "walks_on": float((off[:, 1:-1] <= 1).double().mean()),
        "walks_with_hole": float((off[:, 1:-1] > 1).any(1).double().mean()),
        "crossfades_on": float((look.off(look.seen(mixed)) <= 1).double().mean()),
        "reconstructions_on": float((look.off(room.base) <= 1).double().mean()),
        "real_on": float((look.off(room.real) <= 1).double().mean()),
    }


def holes(room: Room, off: Tensor, starts: Tensor, ends: Tensor) -> list[dict[str, Any]]:
    """Walks that leave the data's manifold though both their ends are on it, the worst first.

    Returns:
        At most 20, each with the test `rows` at its ends, where it is farthest out (`at`, 0 to
        1), how far (`remoteness`, 1 where 5 % of real test rows are farther), and the `share` of
        the walk that is off.
    """
    inner = off[:, 1:-1]
    sound = (off[:, 0] <= 1) & (off[:, -1] <= 1)
    depth, where = inner.max(1)
    found = torch.nonzero(sound & (depth > 1)).flatten()
    found = found[depth[found].argsort(descending=True, stable=True)][:_MOST_HOLES]
    return [
        {
            "rows": [int(room.rows[starts[i]]), int(room.rows[ends[i]])],
            "at": (int(where[i]) + 1) / (off.shape[1] - 1),
            "remoteness": float(depth[i]),
            "share": float((inner[i] > 1).double().mean()),
        }
        for i in found.tolist()
    ]
