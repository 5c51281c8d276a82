"""Examples that are there twice: the same, or the same but for a small change."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentia.audit.alignment import mismatch
from latentia.audit.describe import Description, nearest

CANDIDATES = 5
USUAL_RANK = 3  # the look-alike (counted from 0) that says what is usual: groups up to 4 are seen
LARGEST_SHARE = 0.2
"""What may be left of the usual difference to a look-alike (at most) in a near-duplicate."""
LARGEST_LEFT = 0.3  # of a picture's own variance: two that share less are not one picture
_PROMISING = 0.35  # of the pairs, those that are laid over each other with care
_SPURIOUS = 0.5  # near pairs of vectors that chance may bring in the whole set


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates.

    Attributes:
        first, second: rows, the first the lower.
        left: how much of one the other does not account for: for pictures the share of its
            variance after the best alignment, for vectors their distance.
        share: `left` relative to what is usual between look-alikes of these two; lower = surer,
            and 0 only for equal rows.
        mirrored: one is the other flipped left to right.
    """

    first: int
    second: int
    left: float
    share: float
    mirrored: bool = False

    @property
    def score(self) -> float:
        """Higher = surer: how many times nearer than usual."""
        return 1 / max(self.share, 1e-6)


def same_content(values: np.ndarray) -> list[list[int]]:
    """Groups of rows with equal values, `(N, …)`, in order of their first row."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, row in enumerate(values):
        groups[hashlib.sha256(row.tobytes()).digest()].append(i)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(
    found: Description, *, skip: Iterable[int] = (), flips: bool = True
) -> list[Pair]:
    """Pairs that are nearer to each other than look-alikes usually are, the surest first.

    What is usual is learned from the data around each pair: two ones of a set of digits must be
    nearer than the ones among each other are, two street scenes nearer than other scenes.

    Args:
        found: the rows.
        skip: rows left out, such as all but one of equal rows.
        flips: also look for pictures flipped left to right.
    """
    keep = np.setdiff1d(np.arange(len(found)), np.fromiter(skip, int))
    if len(keep) < USUAL_RANK + 2:
        return []
    rows = torch.from_numpy(keep)
    pairs = (
        _near_vectors(found.points[rows])
        if found.small is None
        else _near_pictures(found, rows, flips)
    )
    names = keep.tolist()  # rising, so that the first row of a pair stays the lower
    named = [replace(p, first=names[p.first], second=names[p.second]) for p in pairs]
    return sorted(named, key=lambda pair: pair.share)


def groups_of(pairs: Iterable[Pair]) -> list[list[int]]:
    """Rows that hang together by pairs, each group rising, the largest group first."""
    leader: dict[int, int] = {}

    def root(i: int) -> int:
        while leader.setdefault(i, i) != i:
            i = leader[i]
        return i

    for pair in pairs:
        leader[root(pair.second)] = root(pair.first)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(leader):
        groups[root(i)].append(i)
    return sorted(groups.values(), key=len, reverse=True)


# pictures


def _near_pictures(found: Description, rows: Tensor, flips: bool) -> list[Pair]:
    assert found.small is not None
    small, thumbs = found.small[rows], found.thumbs[rows]
    plain = _pairs(
        len(rows),
        nearest(thumbs, thumbs, CANDIDATES, same=True)[1],
        nearest(found.points[rows], found.points[rows], CANDIDATES, same=True)[1],
    )
    left = _left(small, plain, mirrored=False)
    usual = _usual(len(rows), plain, left)
    near = _judged(plain, left, usual, mirrored=False)
    if flips:
        seen = {(p.first, p.second) for p in near}
        other = _pairs(len(rows), nearest(thumbs, found.mirrored_thumbs[rows], 2, same=True)[1])
        turned = _judged(other, _left(small, other, mirrored=True), usual, mirrored=True)
        near += [p for p in turned if (p.first, p.second) not in seen]
    return near


def _pairs(n: int, *neighbours: Tensor) -> Tensor:
    """Different pairs `(P, 2)` of rows and their neighbours, the lower row first."""
    every = []
    for rows in neighbours:
        own = torch.arange(n)[:, None].expand_as(rows)
        every.append(torch.stack([torch.minimum(own, rows), torch.maximum(own, rows)], -1))
    return torch.cat([pairs.flatten(0, 1) for pairs in every]).unique(dim=0)


def _left(small: Tensor, pairs: Tensor, *, mirrored: bool) -> Tensor:
    """`mismatch` of pairs: of all in one direction, of the promising ones in the other too."""
    first, second = pairs.T
    left = mismatch(small, first, second, mirrored=mirrored)
    best = left.argsort()[: max(1, int(_PROMISING * len(left)))]
    left[best] = torch.minimum(
        left[best], mismatch(small, second[best], first[best], mirrored=mirrored)
    )
    return left


def _usual(n: int, pairs: Tensor, left: Tensor) -> Tensor:
    """What is left of each row by its fourth-best look-alike, `(n,)`."""
    by_row: list[list[float]] = [[] for _ in range(n)]
    for (i, j), value in zip(pairs.tolist(), left.tolist(), strict=True):
        by_row[i].append(value)
        by_row[j].append(value)
    return torch.tensor([sorted(v)[min(USUAL_RANK, len(v) - 1)] if v else 1.0 for v in by_row])


def _judged(pairs: Tensor, left: Tensor, usual: Tensor, *, mirrored: bool) -> list[Pair]:
    first, second = pairs.T
    share = left / torch.minimum(usual[first], usual[second]).clamp(min=1e-6)
    near = (share <= LARGEST_SHARE) & (left <= LARGEST_LEFT)
    return [
        Pair(int(i), int(j), float(v), max(float(s), 1e-6), mirrored)
        for i, j, v, s in zip(first[near], second[near], left[near], share[near], strict=True)
    ]


# vectors


def _near_vectors(points: Tensor) -> list[Pair]:
    """Pairs whose distance is a small share of the usual one, smaller in few dimensions.

    In d dimensions the nearest of many random points is t times nearer than the fourth with a
    probability of about 3 t^d, so t is chosen to let half a pair pass by chance. d is the data's
    own (Facco et al. 2017, "Estimating the intrinsic dimension of datasets").
    """
    distance, neighbour = nearest(points, points, USUAL_RANK + 1, same=True)
    usual = distance[:, -1]
    share = distance[:, 0] / torch.minimum(usual, usual[neighbour[:, 0]]).clamp(min=1e-12)
    dims = intrinsic_dimension(distance)
    most = min(LARGEST_SHARE, (_SPURIOUS / (3 * len(points))) ** (1 / dims))
    near = {
        (min(i, j), max(i, j)): Pair(
            min(i, j), max(i, j), float(distance[i, 0]), max(float(share[i]), 1e-6)
        )
        for i, j in enumerate(neighbour[:, 0].tolist())
        if share[i] <= most and usual[i] > 0
    }
    return list(near.values())


def intrinsic_dimension(distance: Tensor) -> float:
    """Of data, from the first two columns of neighbour distances `(N, ≥ 2)`; at least 1."""
    first, second = distance[:, 0].double(), distance[:, 1].double()
    apart = (first > 0) & (second > first)
    if not bool(apart.any()):
        return 1.0
    ratio = (second[apart] / first[apart]).log()
    kept = ratio.sort().values[: max(1, int(0.9 * len(ratio)))]  # duplicates make a heavy tail
    shares = torch.arange(1, len(kept) + 1) / len(ratio)
    rises = -(1 - shares.clamp(max=1 - 1e-9)).log()
    return max(1.0, float((kept * rises).sum() / kept.square().sum()))
