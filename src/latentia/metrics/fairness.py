"""Does a classifier treat groups of people, or of anything else, alike?

Groups serve only here, never in training. Shares have Wilson's interval; gaps and variances over
groups a bootstrap's, in which every group keeps its size.

The variance over groups has a floor: with n rows a group whose true share is p differs by chance
with variance p(1 − p)/n, even if all groups are treated alike. Next to the plain variance S² over
groups (divided by groups − 1) stands therefore S² − mean of p̂(1 − p̂)/(n − 1), an unbiased estimate
of the variance of the true shares (the moment estimator of Hedges and Olkin 1985, eq. 9.2). It may
come out below zero, which means: no more than chance. Its replicates are corrected twice, for the
noise of the sample and for that of drawing from it again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from latentia.errors import UserError
from latentia.metrics.intervals import (
    REPLICATES,
    UNKNOWN,
    Estimate,
    Share,
    between_replicates,
    figure,
    wilson,
)

BINS = 20
RATES = {
    "tpr": "positives found (true positive rate)",
    "fpr": "negatives taken for positives (false positive rate)",
    "accuracy": "judged right (accuracy)",
}
LEAST = 2
"""Groups with fewer rows are listed, and left out of gaps and variances."""
_CHANCE = 0.025


@dataclass(frozen=True)
class Group:
    """What a classifier did with one group.

    Attributes:
        name: e.g. "Black, Female".
        attributes: attribute -> value.
        n, positives: rows, and those of the positive class.
        tpr, fpr, accuracy: shares with counts; not known where the group has no such rows.
        histogram_positive, histogram_negative: rows by probability, in `BINS` equal bins of [0, 1].
    """

    name: str
    attributes: dict[str, str]
    n: int
    positives: int
    tpr: Share
    fpr: Share
    accuracy: Share
    histogram_positive: tuple[int, ...]
    histogram_negative: tuple[int, ...]

    def rate(self, name: str) -> Share:
        shares = {"tpr": self.tpr, "fpr": self.fpr, "accuracy": self.accuracy}
        return shares[name]


@dataclass(frozen=True)
class Spread:
    """How far apart groups are in one rate; all None with fewer than two groups of two rows.

    Attributes:
        rate: a name of `RATES`.
        groups: how many take part (at least `LEAST` rows that count for the rate).
        worst, best: names of the groups; the highest false positive rate is the worst.
        worst_share, best_share: their shares.
        gap: largest share minus smallest; the interval reaches 0 where chance can bring the gap.
        chance_gap: expected if all groups were treated alike.
        chance: probability of so large a gap, or a larger one, if all were treated alike.
        variance, deviation: S² over groups and its root, as published figures have it.
        noise: what of S² is expected from sampling alone.
        corrected: S² minus noise, with its interval; below 0 means no more than chance.
        corrected_deviation: its root, 0 where negative.
    """

    rate: str
    groups: int
    worst: str | None = None
    best: str | None = None
    worst_share: Share | None = None
    best_share: Share | None = None
    gap: Estimate = UNKNOWN
    chance_gap: float | None = None
    chance: float | None = None
    variance: float | None = None
    deviation: float | None = None
    noise: float | None = None
    corrected: Estimate = UNKNOWN
    corrected_deviation: float | None = None


@dataclass(frozen=True)
class Grouping:
    """All groups of one attribute, or of several crossed.

    Attributes:
        name: e.g. "race × gender".
        attributes: which.
        groups: those with rows, in the order of their names.
        empty: crossings that no row falls into.
        spreads: rate -> how far apart the groups are.
    """

    name: str
    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    empty: tuple[str, ...]
    spreads: dict[str, Spread]


@dataclass(frozen=True)
class GroupFigures:
    """Fairness figures of one classifier on one set of examples; `to_json` for files.

    Attributes:
        n, positives: rows, and those of the positive class.
        threshold: probabilities from here on count as "positive".
        overall: all rows as one group.
        groupings: every attribute alone, and all of them crossed, by name.
    """

    n: int
    positives: int
    threshold: float
    overall: Group
    groupings: dict[str, Grouping]

    @property
    def finest(self) -> Grouping:
        """All attributes crossed."""
        return list(self.groupings.values())[-1]

    @property
    def main_rate(self) -> str:
        """What bias is told by: positives found, or negatives taken for them without positives."""
        return "tpr" if self.positives else "fpr"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentences(self, rate: str | None = None) -> list[str]:
        """The answer in plain words, one rate, all attributes crossed."""
        rate = rate or self.main_rate
        whole = self.overall.rate(rate)
        told = [f"{_start(RATES[rate])}: {whole.shown()} of {whole.n:,}."]
        return told + spread_sentences(self.finest, rate)


def group_figures(
    probability: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, np.ndarray],
    *,
    threshold: float = 0.5,
    seed: int = 0,
) -> GroupFigures:
    """Accuracy, true and false positive rate of every group and of all attributes crossed.

    Args:
        probability: of the positive class, `(N,)` in [0, 1].
        labels: truth, `(N,)` bool or 0/1.
        groups: attribute -> value of each row, `(N,)` strings or numbers; rows with "", None or
            NaN belong to no group of that attribute, and still to the overall figures.
        threshold: probabilities from here on count as "positive".
        seed: of the bootstrap.

    Raises:
        UserError: arrays of different lengths, no rows, no attribute, values out of range.

    >>> found = group_figures(np.array([.9, .2]), np.array([1, 1]), {"hue": np.array(["a", "b"])})
    >>> [(group.name, group.tpr.value) for group in found.finest.groups]
    [('a', 1.0), ('b', 0.0)]
    """
    shares, truth, named = checked(probability, labels, groups)
    random = np.random.default_rng(seed)
    right = (shares >= threshold) == truth
    everyone = np.ones(len(truth), dtype=bool)
    groupings = {}
    for attributes in ways(list(named)):
        found, empty = members(named, attributes)
        rows = tuple(
            _group(name, dict(zip(attributes, values, strict=True)), shares, truth, right, mask)
            for name, (values, mask) in found.items()
        )
        spreads = {rate: _spread(rate, rows, random) for rate in RATES}
        name = " × ".join(attributes)
        groupings[name] = Grouping(name, attributes, rows, empty, spreads)
    overall = _group("all", {}, shares, truth, right, everyone)
    return GroupFigures(len(truth), int(truth.sum()), float(threshold), overall, groupings)


def spread_sentences(grouping: Grouping, rate: str) -> list[str]:
    """How far apart the groups are in one rate, in plain words."""
    spread = grouping.spreads[rate]
    if spread.worst_share is None or spread.best_share is None:
        return [f"{grouping.name}: fewer than two groups have rows enough to compare them."]
    assert spread.gap.value is not None and spread.chance is not None
    assert spread.variance is not None and spread.noise is not None
    points = Estimate(*(None if v is None else 100 * v for v in asdict(spread.gap).values()))
    told = [
        f"Worst off is {spread.worst} with {spread.worst_share.shown()}, best off {spread.best} "
        f"with {spread.best_share.shown()}: {points.shown(percent=False)} points apart, where "
        f"equal treatment would by chance leave {figure(100 * (spread.chance_gap or 0), False)}."
    ]
    if spread.chance > 2 * _CHANCE:
        told.append(
            "So large a gap can be chance with groups of this size "
            f"(probability {figure(spread.chance)} %)."
        )
    told.append(
        f"Variance over {spread.groups} groups: {spread.variance:.2g}, of which {spread.noise:.2g} "
        f"is the sampling noise expected; corrected for it "
        f"{spread.corrected.shown(percent=False)}."
    )
    if grouping.empty:
        told.append(f"No rows at all: {'; '.join(grouping.empty)}. Nothing is known about them.")
    return told


def checked(
    probability: np.ndarray, labels: np.ndarray, groups: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Float probabilities, bool labels and string groups ("" where missing), or a sentence."""
    shares, truth = np.asarray(probability, dtype=np.float64), np.asarray(labels)
    if not len(truth) or not groups:
        raise UserError("Fairness figures need at least one row and one attribute of groups.")
    for name, column in {"labels": truth, "probability": shares, **groups}.items():
        if np.asarray(column).shape != (len(truth),):
            raise UserError(
                f"{name!r} has shape {np.asarray(column).shape}; every array needs one entry for "
                f"each of the {len(truth):,} rows."
            )
    if not (np.isfinite(shares).all() and shares.min() >= 0 and shares.max() <= 1):
        raise UserError("Probabilities must lie between 0 and 1; some do not.")
    if not np.isin(truth, (0, 1)).all():
        raise UserError("Labels must be 1 for the positive class and 0 for the other.")
    named = {name: np.array([_text(v) for v in np.asarray(c)]) for name, c in groups.items()}
    return shares, truth.astype(bool), named


def _text(value: object) -> str:
    missing = value is None or (isinstance(value, float | np.floating) and np.isnan(value))
    return "" if missing else str(value)


def ways(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Every attribute alone, then all of them crossed."""
    return [(name,) for name in names] + ([tuple(names)] if len(names) > 1 else [])


def members(
    named: Mapping[str, np.ndarray], attributes: Sequence[str]
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], tuple[str, ...]]:
    """Group name -> (attribute values, bool rows); and the names of crossings without rows."""
    levels = [sorted(set(named[a]) - {""}) for a in attributes]
    found, empty = {}, []
    for values in itertools.product(*levels):
        same = [named[a] == value for a, value in zip(attributes, values, strict=True)]
        mask = np.logical_and.reduce(same)
        name = ", ".join(values)
        if mask.any():
            found[name] = (values, mask)
        else:
            empty.append(name)
    return found, tuple(empty)


def counted(rate: str, truth: np.ndarray) -> np.ndarray:
    """Rows that a rate is a share of, `(N,)` bool."""
    return {"tpr": truth, "fpr": ~truth, "accuracy": np.ones_like(truth)}[rate]


def _group(
    name: str,
    attributes: dict[str, str],
    probability: np.ndarray,
    truth: np.ndarray,
    right: np.ndarray,
    mask: np.ndarray,
) -> Group:
    positive, negative = mask & truth, mask & ~truth
    bins: list[tuple[int, ...]] = [
        tuple(np.histogram(probability[rows], BINS, (0, 1))[0].tolist())
        for rows in (positive, negative)
    ]
    return Group(
        name,
        attributes,
        int(mask.sum()),
        int(positive.sum()),
        wilson(int(right[positive].sum()), int(positive.sum())),
        wilson(int((~right)[negative].sum()), int(negative.sum())),
        wilson(int(right[mask].sum()), int(mask.sum())),
        bins[0],
        bins[1],
    )


def _spread(rate: str, rows: Sequence[Group], random: np.random.Generator) -> Spread:
    part = [row for row in rows if row.rate(rate).n >= LEAST]
    if len(part) < 2:
        return Spread(rate, len(part))
    shares = [row.rate(rate) for row in part]
    n, hits = (np.array([getattr(s, key) for s in shares]) for key in ("n", "hits"))
    p = hits / n
    order = np.argsort(-p if rate == "fpr" else p, kind="stable")
    worst, best = int(order[0]), int(order[-1])
    alike = random.binomial(n, hits.sum() / n.sum(), size=(REPLICATES, len(n))) / n
    gap, by_chance = float(np.ptp(p)), np.ptp(alike, axis=1)
    chance = (1 + int((by_chance >= gap - 1e-12).sum())) / (1 + REPLICATES)
    again = random.binomial(n, p, size=(REPLICATES, len(n))) / n
    variance, noise = float(p.var(ddof=1)), float(sampling_noise(p, n))
    replicates = again.var(axis=1, ddof=1) - 2 * sampling_noise(again, n)
    return Spread(
        rate,
        len(part),
        part[worst].name,
        part[best].name,
        shares[worst],
        shares[best],
        _gap(gap, np.ptp(again, axis=1), chance),
        float(by_chance.mean()),
        chance,
        variance,
        float(np.sqrt(variance)),
        noise,
        between_replicates(variance - noise, replicates),
        float(np.sqrt(max(0.0, variance - noise))),
    )


def sampling_noise(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Variance over groups that sampling alone brings: mean of p(1 − p)/(n − 1) over the last axis.

    >>> float(sampling_noise(np.array([0.5, 0.5]), np.array([26, 26])))
    0.01
    """
    return (p * (1 - p) / (n - 1)).mean(-1)


def _gap(gap: float, again: np.ndarray, chance: float) -> Estimate:
    """Drawing again widens a gap, so the lower end is reflected; 0 where chance can bring it."""
    drawn = between_replicates(gap, again)
    assert drawn.high is not None
    low = 0.0 if chance > _CHANCE else max(0.0, 2 * gap - drawn.high)
    return Estimate(gap, low, drawn.high)


def _start(words: str) -> str:
    return words[:1].upper() + words[1:]
