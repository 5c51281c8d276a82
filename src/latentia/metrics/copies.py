"""Are samples copies of training examples? Nearest training rows, and what is usual for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import in_chunks, spread_rows
from latentia.metrics.features import FeatureExtractor

_CHUNK = 1024
_COPY_RATIO = 1 / 3
_MARGIN = 0.05


@dataclass(frozen=True)
class Nearest:
    """The nearest training rows of some queries, the nearest first.

    Attributes:
        index: int64 `(N, k)`, rows of the training data.
        distance: float32 `(N, k)`, Euclidean.
    """

    index: Tensor
    distance: Tensor


def nearest_training(
    queries: Tensor,
    train: Dataset,
    *,
    extractor: FeatureExtractor | None = None,
    k: int = 2,
) -> Nearest:
    """The k nearest training rows, in feature space or (without `extractor`) in pixel space.

    Training data is read a chunk at a time; ties go to the earlier row.

    Args:
        queries: `(N, …)` like the data.
        train: rows to search.
        extractor: what is compared instead of the values themselves.
        k: how many; at most `len(train)`.

    Raises:
        UserError: queries of another shape than the data.
    """
    if tuple(queries.shape[1:]) != tuple(train.spec.shape):
        raise UserError(
            f"The samples have shape {tuple(queries.shape[1:])}, {train.spec.name} has "
            f"{tuple(train.spec.shape)}: only like can be compared with like."
        )
    k = min(k, len(train))
    asked = _flat(queries, extractor)
    index = torch.zeros(len(asked), 0, dtype=torch.int64)
    distance = torch.zeros(len(asked), 0)
    for rows in torch.arange(len(train)).split(_CHUNK):
        found = _nearest_of(asked, _flat(train.batch(rows).x, extractor), k)
        distance = torch.cat([distance, found.distance], 1)
        index = torch.cat([index, rows[found.index]], 1)
        distance, order = distance.sort(dim=1, stable=True)
        distance, index = distance[:, :k], index.gather(1, order)[:, :k]
    return Nearest(index, distance)


def copies(
    samples: Tensor,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor,
    *,
    limit: int = 1000,
) -> dict[str, Any]:
    """Whether samples lie nearer to training rows than new real data does.

    A sample counts as copied when its nearest training row is less than a third as far as the
    second nearest (Yoon et al. 2023, "Diffusion probabilistic models generalize when they fail to
    memorize"). Real test rows give the share that chance brings, which is large in the plane.

    Args:
        samples: `(N, …)`.
        train, test: real data.
        extractor: the second space that is looked at.
        limit: samples and test rows looked at, each.

    Returns:
        `pixels` and `features`, each with `distance` and `test_distance` (medians to the nearest
        training row), `ratio` of the two (about 1: as new as test data; near 0: copies; None where
        test rows are themselves in the training data),
        `copied_share` and `test_copied_share`; `flagged`: in either space the copied share
        exceeds that of test data by over 0.05; `samples`, `test_rows`, `train_rows`, `extractor`.

    Raises:
        UserError: less than two training rows, no samples or no test rows.
    """
    if len(train) < 2 or not len(samples) or not len(test):
        raise UserError("Looking for copies needs samples, test rows and two training rows.")
    asked, real = samples[:limit], test.batch(spread_rows(len(test), limit)).x
    spaces = {
        space: _in_space(asked, real, train, by)
        for space, by in {"pixels": None, "features": extractor}.items()
    }
    return {
        **spaces,
        "flagged": any(
            facts["copied_share"] > facts["test_copied_share"] + _MARGIN
            for facts in spaces.values()
        ),
        "samples": len(asked),
        "test_rows": len(real),
        "train_rows": len(train),
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def _in_space(
    asked: Tensor, real: Tensor, train: Dataset, extractor: FeatureExtractor | None
) -> dict[str, Any]:
    # One pass over the training data serves both; its reading is what costs.
    both = nearest_training(torch.cat([asked, real]), train, extractor=extractor).distance
    ours, theirs = both[: len(asked)], both[len(asked) :]
    distance, usual = float(ours[:, 0].median()), float(theirs[:, 0].median())
    return {
        "distance": distance,
        "test_distance": usual,
        "ratio": distance / usual if usual > 0 else None,
        "copied_share": _copied(ours),
        "test_copied_share": _copied(theirs),
    }


def _copied(distance: Tensor) -> float:
    return float((distance[:, 0] <= _COPY_RATIO * distance[:, 1]).double().mean())


def _flat(x: Tensor, extractor: FeatureExtractor | None) -> Tensor:
    return (x.float() if extractor is None else in_chunks(extractor, x)).flatten(1)


def _nearest_of(queries: Tensor, points: Tensor, k: int) -> Nearest:
    """The k nearest of a few points; candidates by products, their distances by differences."""
    apart = torch.cdist(queries, points, compute_mode="use_mm_for_euclid_dist")
    index = apart.topk(min(k, len(points)), dim=1, largest=False).indices
    exact = (queries[:, None] - points[index]).norm(dim=2)
    distance, order = exact.sort(dim=1, stable=True)
    return Nearest(index.gather(1, order), distance)
