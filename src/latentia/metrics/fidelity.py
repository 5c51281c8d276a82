"""How close samples are to real data, by distances and neighbourhoods of their features."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentia.abilities import Classifies
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.metrics.features import JUDGED_ROWS, FeatureExtractor, features_of
from latentia.metrics.manifold import NEIGHBOURS, distances, radii

CONFIDENT = 0.9
_REFERENCE_ROWS = 10_000
_LEAST = 10


class _Given(nn.Module):
    """Lets torchmetrics take features as they are: no second extraction, no uint8 rounding."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.num_features = dims

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Squared Fréchet distance of two Gaussians fitted to the features.

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) (Dowson & Landau 1982), by torchmetrics in float64.
    Few samples bias it upwards: compare only figures of equal sample numbers.

    Args:
        real, fake: `(N, F)` and `(M, F)`.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    distance = FrechetInceptionDistance(feature=_Given(real.shape[1]))
    distance.update(real.double(), real=True)
    distance.update(fake.double(), real=False)
    return max(0.0, float(distance.compute()))  # rounding alone can push it below


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 50, subset_size: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Kernel distance: squared MMD with a cubic kernel (Bińkowski et al. 2018), by torchmetrics.

    Unbiased at any number of samples, so values slightly below 0 occur.

    Args:
        real, fake: `(N, F)` and `(M, F)`.
        subsets: random subsets it is averaged over.
        subset_size: rows of each; at most half of the smaller set is used.
        seed: of the subsets.

    Returns:
        Mean and standard deviation over the subsets.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = max(2, min(subset_size, len(real) // 2, len(fake) // 2))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # that it keeps the features in memory
        distance = KernelInceptionDistance(_Given(real.shape[1]), subsets, size)
        distance.update(real.double(), real=True)
        distance.update(fake.double(), real=False)
        torch.manual_seed(seed)  # torchmetrics draws from the global stream; forked above
        mean, spread = distance.compute()
    return float(mean), float(spread)


def neighbourhoods(real: Tensor, fake: Tensor, *, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density and coverage from balls that reach the k-th neighbour.

    Precision: share of samples inside some ball about a real row. Recall: share of real rows
    inside some ball about a sample (Kynkäänniemi et al. 2019, eq. 1-2). Density: balls of real
    rows that a sample lies in, over k, on average. Coverage: share of real rows whose ball holds
    a sample (Naeem et al. 2020, eq. 3-4). Coverage wants equal numbers: samples of the truth then
    reach 1 - 2^-k.

    Args:
        real, fake: `(N, F)` and `(M, F)`.
        k: which neighbour sets the radius.
    """
    x, y = real.double().numpy(), fake.double().numpy()
    k = min(k, len(x) - 1, len(y) - 1)
    real_radius, fake_radius = radii(x, k), radii(y, k)
    inside, covered, recalled = [], [], []
    for start, apart in distances(x, y):
        own = real_radius[start : start + len(apart)]
        within = apart <= own[:, None]
        inside.append(within.sum(0))
        covered.append(within.any(1))
        recalled.append((apart <= fake_radius).any(1))
    balls = np.sum(inside, axis=0)
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(balls.mean() / k),
        "coverage": float(np.concatenate(covered).mean()),
    }


def fidelity(
    samples: Tensor,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Distances of samples to training data, with those of real test data as the floor.

    Both use the same number of rows, so that bias by sample size is alike: the smaller of
    `len(samples)`, `len(train)` and `len(test)`.

    Args:
        samples: `(N, …)` as the model gives them.
        train, test: real data; distances are to `train`.
        extractor: what is compared.
        seed: of the rows and subsets drawn.

    Returns:
        `frechet`, `kernel`, `kernel_spread`, `precision`, `recall`, `density`, `coverage`;
        `floor` with the same of real test data; `samples`, `reference_rows`, `split`,
        `neighbours`, `extractor` (name, hash, dims).

    Raises:
        UserError: fewer than 10 rows on any side.
    """
    n = min(len(samples), len(train), len(test))
    if n < _LEAST:
        raise UserError(
            f"Fidelity needs at least {_LEAST} samples, training and test rows; there are "
            f"{len(samples)}, {len(train)} and {len(test)}."
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(train))[: max(n, _REFERENCE_ROWS)]
    reference = features_of(train, extractor, order)
    real = features_of(test, extractor, random.permutation(len(test))[:n])
    fake = _finite(extractor(samples[:n]))
    return {
        **_compare(reference, fake, seed),
        "floor": _compare(reference, real, seed),
        "samples": n,
        "reference_rows": len(reference),
        "split": "samples against train; floor: test against train",
        "neighbours": min(NEIGHBOURS, n - 1),
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def class_shares(
    samples: Tensor, test: Dataset, classifier: Classifies, *, classes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Which classes samples fall into, and how many look like one beyond doubt.

    Args:
        samples: `(N, …)` as the model gives them.
        test: real held-out data, for the floor.
        classifier: judges both.
        classes: their names; else their numbers.

    Returns:
        `shares` (class -> share of samples), `smallest`, `largest` share, `confident_share`
        (largest probability above 0.9); `floor` with the same of at most 10,000 real test rows;
        `samples`, `threshold`.
    """
    rows = spread_rows(len(test), JUDGED_ROWS)
    real = torch.cat([classifier.predict_proba(test.batch(r).x) for r in rows.split(500)])
    return {
        **_shares(classifier.predict_proba(samples), classes),
        "floor": {**_shares(real, classes), "samples": len(real), "split": "test"},
        "samples": len(samples),
        "threshold": CONFIDENT,
    }


def _compare(reference: Tensor, other: Tensor, seed: int) -> dict[str, float]:
    mean, spread = kernel_distance(reference, other, seed=seed)
    return {
        "frechet": frechet_distance(reference, other),
        "kernel": mean,
        "kernel_spread": spread,
        **neighbourhoods(reference[: len(other)], other),
    }


def _shares(probabilities: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    best, guess = probabilities.max(1)
    counts = torch.bincount(guess, minlength=probabilities.shape[1]).double() / len(guess)
    names = classes if len(classes) == len(counts) else tuple(map(str, range(len(counts))))
    return {
        "shares": dict(zip(names, counts.tolist(), strict=True)),
        "smallest": float(counts.min()),
        "largest": float(counts.max()),
        "confident_share": float((best > CONFIDENT).double().mean()),
    }


def _finite(features: Tensor) -> Tensor:
    bad = int((~features.isfinite()).any(1).sum())
    if bad:
        raise UserError(
            f"{bad} of {len(features)} samples are not finite numbers: the model has diverged. "
            "Train again with a lower learning rate, or take an earlier checkpoint."
        )
    return features
