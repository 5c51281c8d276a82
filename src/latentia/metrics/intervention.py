"""Scores that hold one factor still and look which latents hold still with it.

The papers render new pictures with one factor fixed. Here groups that share a factor's value are
drawn from the data set's own rows, so that any data with known factors can be judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from latentia.errors import UserError
from latentia.metrics.factors import FactorTable

TRAIN_VOTES, TEST_VOTES = 10_000, 5_000
GROUP = 64  # rows (or pairs of rows) behind one vote
LEAST_GROUP = 10
_AT_ONCE = 500  # votes; the gathered codes stay within some MB


def factor_vae_score(
    table: FactorTable,
    *,
    votes: tuple[int, int] = (TRAIN_VOTES, TEST_VOTES),
    group: int = GROUP,
    seed: int = 0,
) -> float:
    """Share of held-out votes that a majority-vote classifier gets right (Kim & Mnih 2018, §4).

    A vote: fix one factor, take `group` rows that share its value, and name the active latent
    whose variance, relative to its variance over all rows, is least. The classifier answers each
    latent with the factor that most often voted for it. Inactive latents are left out (their
    section 4: else noise wins); without any active latent all votes name the same one.

    Args:
        table: codes and factors.
        votes: to learn the majorities from, and to score.
        group: rows per vote, drawn with replacement.
        seed: of the draws.

    Returns:
        In [0, 1]; 1 / F by chance.

    Raises:
        UserError: no value of some factor has 10 rows.
    """
    z = table.codes[:, table.active]
    if not z.shape[1]:
        z = np.zeros((len(table), 1))
    z = (z - z.mean(0)) / np.maximum(z.std(0), 1e-300)

    def least_varied(draw: _Draws) -> np.ndarray:
        return np.asarray(z[draw.rows(group)].var(1).argmin(1))

    draws = _Groups(table, np.random.default_rng(seed))
    latent, factor = draws.each(votes[0], least_varied)
    counts = np.bincount(latent * draws.size + factor, minlength=z.shape[1] * draws.size)
    answers = counts.reshape(-1, draws.size).argmax(1)
    latent, factor = draws.each(votes[1], least_varied)
    return float((answers[latent] == factor).mean())


def beta_vae_score(
    table: FactorTable,
    *,
    votes: tuple[int, int] = (TRAIN_VOTES, TEST_VOTES),
    group: int = GROUP,
    seed: int = 0,
) -> float:
    """Held-out accuracy of a linear classifier that names the fixed factor (Higgins et al. 2017).

    A point: fix one factor, draw `group` pairs of rows, each pair sharing its value, and take the
    mean of |z − z'| over the pairs (their section 3). The classifier is a logistic regression on
    standardised points.

    Args, Returns, Raises:
        As `factor_vae_score`.
    """

    def mean_difference(draw: _Draws) -> np.ndarray:
        one, two = draw.pairs(group)
        return np.asarray(np.abs(table.codes[one] - table.codes[two]).mean(1))

    draws = _Groups(table, np.random.default_rng(seed))
    points, factor = draws.each(votes[0], mean_difference)
    scale = StandardScaler().fit(points)
    if len(np.unique(factor)) < 2:  # too few votes to learn anything from
        return 1 / draws.size
    linear = LogisticRegression(max_iter=200).fit(scale.transform(points), factor)
    points, factor = draws.each(votes[1], mean_difference)
    return float(linear.score(scale.transform(points), factor))


@dataclass
class _Groups:
    """Rows of a table by factor and value, values of fewer than 10 rows left out."""

    table: FactorTable
    random: np.random.Generator

    @property
    def size(self) -> int:
        """Factors."""
        return len(self.table.names)

    @cached_property
    def by_value(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of every factor: its usable rows in order of value, first place and count by row."""
        found = []
        for name, column in zip(self.table.names, self.table.classes.T, strict=True):
            order = np.argsort(column, kind="stable")
            counts = np.bincount(column)
            order = order[counts[column[order]] >= LEAST_GROUP]
            if not len(order):
                raise UserError(
                    f"No value of the factor {name!r} has {LEAST_GROUP} rows; give more rows."
                )
            first = np.searchsorted(column[order], column[order])
            found.append((order, first, counts[column[order]]))
        return found

    def each(
        self, votes: int, answer: Callable[[_Draws], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """`answer` of every vote, and the factor it fixed, `(votes, …)` and `(votes,)`."""
        answers, fixed = [], []
        for start in range(0, votes, _AT_ONCE):
            factor = self.random.integers(0, self.size, min(_AT_ONCE, votes - start))
            for j in range(self.size):
                n = int((factor == j).sum())
                answers.append(answer(_Draws(*self.by_value[j], n, self.random)))
                fixed.append(np.full(n, j))
        return np.concatenate(answers), np.concatenate(fixed)


@dataclass(frozen=True)
class _Draws:
    """Draws for `n` votes that fix one factor."""

    order: np.ndarray
    first: np.ndarray
    count: np.ndarray
    n: int
    random: np.random.Generator

    def rows(self, group: int) -> np.ndarray:
        """`(n, group)`: rows that share one value, that of a random row."""
        value = self.random.integers(0, len(self.order), (self.n, 1))
        return self._mates(np.broadcast_to(value, (self.n, group)))

    def pairs(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """`(n, group)` twice: the rows of a pair share a value, each pair its own."""
        value = self.random.integers(0, len(self.order), (self.n, group))
        return self.order[value], self._mates(value)

    def _mates(self, place: np.ndarray) -> np.ndarray:
        share = self.random.random(place.shape)
        return self.order[self.first[place] + (share * self.count[place]).astype(np.int64)]
