"""What is rare: small kinds of examples that keep to themselves, and classes with few rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from torch import Tensor

from latentia.audit.describe import nearest

MOST_ROWS = 4000  # in the tree of clusters; others join the region of their neighbours
SMALLEST, SMALLEST_SHARE, LARGEST_SHARE = 8, 0.004, 0.03
MOST_REGIONS = 8
LEAST_ISOLATION = 0.2
LEAST_CLOSED = 0.7
_NEAR = 5
_JOINING = 10
_RARE_CLASS = 0.25  # of an equal share of the rows, below which a class is rare


@dataclass(frozen=True)
class Region:
    """Rows of a rare kind.

    Attributes:
        rows: rising.
        isolation: how much farther the nearest others are than the nearest of the same region,
            as a share of the farther, 0…1 (a silhouette of neighbours); for classes 1 − rows over
            an equal share.
        closed: share of the members' nearest neighbours that are members too.
        label: the class where the region is a class, else None.
    """

    rows: tuple[int, ...]
    isolation: float
    closed: float
    label: int | None = None

    @property
    def score(self) -> float:
        """Higher = rarer and better separated."""
        return self.isolation + self.closed


def rare_classes(labels: np.ndarray) -> list[Region]:
    """Classes with less than a quarter of an equal share of the rows, the smallest first."""
    kinds, counts = np.unique(labels, return_counts=True)
    fair = len(labels) / len(kinds)
    return [
        Region(
            tuple(np.flatnonzero(labels == kinds[k]).tolist()),
            1 - counts[k] / fair,
            1.0,
            int(kinds[k]),
        )
        for k in np.argsort(counts, kind="stable")
        if counts[k] < _RARE_CLASS * fair
    ]


def rare_regions(points: Tensor, *, seed: int = 0, most: int = MOST_REGIONS) -> list[Region]:
    """Small groups of alike rows that lie apart from all others, the best separated first.

    Every branch of an average-linkage tree with 0.4 % to 3 % of the rows (and 8 or more) is a
    candidate. It counts where its members' neighbours are mostly members, and where others are
    clearly farther; of branches that overlap the better one stays.

    Args:
        points: `(N, d)`, alike rows near.
        seed: of the sample that the tree is made of where there are over 4,000 rows.
        most: regions at most.
    """
    n = len(points)
    order = np.random.default_rng(seed).permutation(n)
    sample = np.sort(order[:MOST_ROWS])
    inner = points[torch.from_numpy(sample)].double()
    smallest = max(SMALLEST, round(SMALLEST_SHARE * len(inner)))
    largest = max(smallest, round(LARGEST_SHARE * len(inner)))
    if len(inner) < 4 * smallest:
        return []
    apart = torch.cdist(inner, inner).numpy()
    found = [_region(members, apart) for members in _branches(apart, smallest, largest)]
    found = [r for r in found if r.isolation >= LEAST_ISOLATION and r.closed >= LEAST_CLOSED]
    chosen: list[Region] = []
    # of branches about as good as each other the larger, not the core of a kind
    for region in sorted(found, key=lambda r: (-round(r.score, 1), -len(r.rows))):
        if all(not set(region.rows) & set(other.rows) for other in chosen):
            chosen.append(region)
    chosen = chosen[:most]
    named = [tuple(sample[list(r.rows)].tolist()) for r in chosen]
    if len(sample) < n:
        named = _joined(points, sample, named)
    return [Region(rows, r.isolation, r.closed) for rows, r in zip(named, chosen, strict=True)]


def _branches(apart: np.ndarray, smallest: int, largest: int) -> list[list[int]]:
    """Members of all branches of a tree with `smallest` to `largest` leaves."""
    n = len(apart)
    upper = apart[np.triu_indices(n, 1)]
    members: dict[int, list[int]] = {i: [i] for i in range(n)}
    found = []
    for k, (a, b, _, size) in enumerate(linkage(upper, "average")):
        left, right = members.pop(int(a), None), members.pop(int(b), None)
        if size > largest or left is None or right is None:
            continue
        members[n + k] = left + right
        if size >= smallest:
            found.append(left + right)
    return found


def _region(members: list[int], apart: np.ndarray) -> Region:
    rows = np.sort(members)
    others = np.ones(len(apart), bool)
    others[rows] = False
    near = min(_NEAR, len(rows) - 1)
    inside = np.sort(apart[np.ix_(rows, rows)], 1)[:, 1 : near + 1].mean(1)
    outside = np.sort(apart[rows][:, others], 1)[:, :near].mean(1)
    k = min(_JOINING, len(rows) - 1)
    first = np.argsort(apart[rows], 1, kind="stable")[:, : k + 1]
    closed = (np.isin(first, rows).sum(1) - 1) / k
    isolation = ((outside - inside) / np.maximum(np.maximum(outside, inside), 1e-12)).mean()
    return Region(tuple(rows.tolist()), float(isolation), float(closed.mean()))


def _joined(
    points: Tensor, sample: np.ndarray, regions: list[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Regions of sampled rows with the other rows most of whose sampled neighbours are in them."""
    rest = np.setdiff1d(np.arange(len(points)), sample)
    near = nearest(
        points[torch.from_numpy(rest)], points[torch.from_numpy(sample)], _NEAR, same=False
    )[1].numpy()
    of_row = np.full(len(points), -1)
    for k, rows in enumerate(regions):
        of_row[list(rows)] = k
    votes = of_row[sample[near]]
    grown = []
    for k, rows in enumerate(regions):
        more = rest[(votes == k).sum(1) > _NEAR / 2]
        grown.append(tuple(np.sort(np.concatenate([rows, more])).astype(int).tolist()))
    return grown
