"""Which samples are copies of training examples? Two tests, both against held-out data.

Copied share. A sample that repeats a training row lies much nearer to it than to the next ones. So
every sample gets the ratio of its nearest distance to the mean of the next ten (after Carlini et
al. 2023, section 4.2, and the third of Yoon et al. 2023); blurred or easy samples, near to
everything, have ratios near 1. Held-out rows say which ratio is usual for new data: at most 1 % of
them lie at the threshold or below, and what samples exceed that is the copied share. The threshold
is never above one half: smooth samples lie a little nearer than noisy real data, without copying.

Drawn to the training data. If a model copied nothing, training rows and as many held-out rows would
be equally near to its samples (after the data-copying test of Meehan et al. 2020). The labels
"training" and "held out" of both sets are then exchangeable, which gives the exact spread of the
share of samples that are nearer to training rows, however unevenly samples fall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import in_chunks
from latentia.metrics.features import FeatureExtractor
from latentia.metrics.intervals import LEVEL, REPLICATES, Estimate, between_replicates, wilson

NEIGHBOURS = 11
USUAL = 0.01
"""Share of held-out rows that a threshold lets through, where there are rows enough."""
_AT_THE_THRESHOLD = 5
_LEAST_LIKE = 0.5  # a copy is at most half as far from its source as from the next rows
_CHUNK = 1024
_THRESHOLDS = 500  # replicates of the threshold
_NUMBERS = 1 << 24  # held at once when exact distances are taken


@dataclass(frozen=True)
class Nearest:
    """The nearest training rows of some queries, the nearest first.

    Attributes:
        index: int64 `(N, k)`, rows of the training data.
        distance: float32 `(N, k)`, Euclidean.
    """

    index: Tensor
    distance: Tensor

    @property
    def ratio(self) -> Tensor:
        """Nearest distance over the mean of the others, `(N,)` in [0, 1]; 0 is an exact copy."""
        others = self.distance[:, 1:].mean(1)
        return torch.where(others > 0, self.distance[:, 0] / others.clamp_min(1e-30), 0.0)


@dataclass(frozen=True)
class Copied:
    """How many samples are copies, in one space.

    Attributes:
        share: beyond what held-out rows show, in [0, 1].
        flagged: bool `(N,)`, samples at the threshold or below, some of them by chance.
        threshold: of the ratio.
        usual: share of held-out rows at the threshold or below.
    """

    share: Estimate
    flagged: Tensor
    threshold: float
    usual: float


@dataclass(frozen=True)
class Drawn:
    """Whether samples lie nearer to training rows than to held-out ones.

    Attributes:
        nearer: share of samples whose nearest row of both sets is a training row.
        expected: that share if nothing was copied: training rows over all rows.
        excess: (nearer − expected) / (1 − expected): 0 of new samples, 1 of copies.
        p: probability of so large a share, or a larger one, if nothing was copied.
        train_rows, held_out_rows: compared.
    """

    nearer: Estimate
    expected: float
    excess: Estimate
    p: float
    train_rows: int
    held_out_rows: int


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


def copied(samples: Nearest, held_out: Nearest, *, seed: int = 0) -> Copied:
    """The share of samples that are copies, beyond what new real data shows.

    Held-out rows that equal a training row do not set the threshold; they count as usual, since
    in some tables equal rows are.

    Args:
        samples, held_out: nearest training rows of each, equally many of them for each.
        seed: of the bootstrap: the interval allows for a threshold set by other held-out rows.
    """
    usual = held_out.ratio[held_out.distance[:, 0] > 0]
    if not len(usual):
        raise UserError(
            "Every held-out row is also in the training data, so copies cannot be told from new "
            "samples; split the data anew, each example into one part only."
        )
    threshold = float(_threshold(usual.numpy()))
    flagged = samples.ratio <= threshold
    real = wilson(int((held_out.ratio <= threshold).sum()), len(held_out.ratio))
    made = wilson(int(flagged.sum()), len(flagged))
    share = _beyond(made, real)
    low, high = _moved(samples.ratio.numpy(), usual.numpy(), real.value or 0.0, seed)
    assert share.low is not None and share.high is not None
    share = Estimate(share.value, min(low, share.low), max(high, share.high))
    return Copied(share, flagged, threshold, real.value or 0.0)


def _threshold(usual: np.ndarray) -> np.ndarray:
    """The ratio that few held-out rows `(…, N)` are below, `(…)`."""
    n = usual.shape[-1]
    at = min(n, max(round(USUAL * n), _AT_THE_THRESHOLD))
    return np.minimum(_LEAST_LIKE, np.partition(usual, at - 1, axis=-1)[..., at - 1])


def _moved(made: np.ndarray, usual: np.ndarray, chance: float, seed: int) -> tuple[float, float]:
    """Ends of the share over held-out rows drawn again, each time with their own threshold."""
    random, low, high = np.random.default_rng(seed), (1 - LEVEL) / 2, (1 + LEVEL) / 2
    rows = random.integers(len(usual), size=(_THRESHOLDS, len(usual)))
    limits = _threshold(usual[rows])
    shares = np.searchsorted(np.sort(made), limits, side="right") / len(made)
    again = random.binomial(len(made), shares) / len(made)
    beyond = np.clip((again - chance) / max(1e-9, 1 - chance), 0, 1)
    return float(np.quantile(beyond, low)), float(np.quantile(beyond, high))


def drawn_to_training(
    samples: Tensor, train: Dataset, held_out: Dataset, *, to_train: Nearest, seed: int = 0
) -> Drawn:
    """Whether samples are nearer to training rows than to held-out rows, by their values.

    Of held-out rows at most as many as training rows are taken. Not in feature space: features
    learnt from the training rows treat them unlike new ones.

    Args:
        samples: `(N, …)`.
        train, held_out: real data.
        to_train: nearest training rows of `samples`, by their values.
        seed: of the held-out rows, the ties and the bootstrap.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(held_out))[: len(train)])
    other = nearest_training(samples, held_out.subset(rows), k=1)
    apart = (to_train.distance[:, 0] - other.distance[:, 0]).numpy()
    ties = random.random(len(apart)) < len(train) / (len(train) + len(rows))
    ours = (apart < 0) | ((apart == 0) & ties)
    place = np.where(ours, to_train.index[:, 0].numpy(), len(train) + other.index[:, 0].numpy())
    counts = np.bincount(place, minlength=len(train) + len(rows))
    return _exchangeable(counts, len(train), random)


def _exchangeable(counts: np.ndarray, n: int, random: np.random.Generator) -> Drawn:
    """The test from how many samples fall nearest to each row, the n training rows first."""
    total, samples = len(counts), int(counts.sum())
    nearer, expected = float(counts[:n].sum() / samples), n / len(counts)
    # variance of the sum of n shares drawn without replacement out of all
    spread = expected * (1 - expected) / (total - 1) * (total * ((counts / samples) ** 2).sum() - 1)
    step = 0.5 / samples  # continuity
    beyond = (nearer - expected - step) / math.sqrt(spread) if spread > 0 else 0.0
    again = _drawn_again(counts, n, random)
    share = between_replicates(nearer, again)
    excess = between_replicates(
        (nearer - expected) / (1 - expected), (again - expected) / (1 - expected)
    )
    p = float(norm.sf(beyond))
    return Drawn(share, expected, excess, p, n, total - n)


def _drawn_again(counts: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Share of samples at training rows when rows, each with its samples, are drawn again."""
    hit = np.flatnonzero(counts)
    weights = random.poisson(1.0, size=(REPLICATES, len(hit))) * counts[hit]
    whole = weights.sum(1)
    return weights[:, hit < n].sum(1) / np.maximum(whole, 1)


def _beyond(made: Estimate, usual: Estimate) -> Estimate:
    """(made − usual) / (1 − usual); both ends add up as Newcombe (1998, method 10) has them."""
    assert made.value is not None and made.low is not None and made.high is not None
    assert usual.value is not None and usual.low is not None and usual.high is not None
    difference, room = made.value - usual.value, max(1e-9, 1 - usual.value)
    down = math.hypot(made.value - made.low, usual.high - usual.value)
    up = math.hypot(made.high - made.value, usual.value - usual.low)
    ends = (difference, difference - down, difference + up)
    return Estimate(*(min(1.0, max(0.0, end / room)) for end in ends))


def _flat(x: Tensor, extractor: FeatureExtractor | None) -> Tensor:
    return (x.float() if extractor is None else in_chunks(extractor, x)).flatten(1)


def _nearest_of(queries: Tensor, points: Tensor, k: int) -> Nearest:
    """The k nearest of a few points; candidates by products, their distances by differences."""
    k, parts = min(k, len(points)), []
    for some in queries.split(max(1, _NUMBERS // (k * points.shape[1]))):
        apart = torch.cdist(some, points, compute_mode="use_mm_for_euclid_dist")
        index = apart.topk(k, dim=1, largest=False).indices
        exact = (some[:, None] - points[index]).norm(dim=2)
        distance, order = exact.sort(dim=1, stable=True)
        parts.append((index.gather(1, order), distance))
    return Nearest(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
