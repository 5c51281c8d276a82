"""Two classifiers on the same examples: which treats groups more alike? And over several seeds.

The bootstrap is paired: in every group whole rows are drawn again, each with what both models said
of it, so that what is hard for both cancels. See `latentia.metrics.fairness` for the floor of the
variance over groups; both models have the same group sizes and nearly the same floor, so the plain
ratio of variances understates what a debiased model gains, and the corrected one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from latentia.errors import UserError
from latentia.metrics.fairness import (
    LEAST,
    RATES,
    GroupFigures,
    checked,
    counted,
    group_figures,
    members,
    sampling_noise,
    ways,
)
from latentia.metrics.intervals import (
    REPLICATES,
    UNKNOWN,
    Estimate,
    between_replicates,
    over_seeds,
    student,
)


@dataclass(frozen=True)
class Change:
    """What the second model changes in one rate over one grouping; differences are second − first.

    Attributes:
        rate: a name of `RATES`.
        groups: group -> difference of its share.
        worst_group: difference of the two models' worst shares, each of its own worst group.
        same_group: difference in the group that is the first model's worst.
        gap: difference of the gaps.
        variance_ratio: S² of the second over S² of the first; below 1 is more even.
        corrected_ratio: the same of variances corrected for sampling noise; not known where the
            first model's is not above zero, an end of the interval likewise.
        variance_difference: difference of the corrected variances.
    """

    rate: str
    groups: dict[str, Estimate]
    worst_group: Estimate = UNKNOWN
    same_group: Estimate = UNKNOWN
    gap: Estimate = UNKNOWN
    variance_ratio: Estimate = UNKNOWN
    corrected_ratio: Estimate = UNKNOWN
    variance_difference: Estimate = UNKNOWN


@dataclass(frozen=True)
class Comparison:
    """Two classifiers on the same examples; `to_json` for files.

    Attributes:
        names: of the two.
        first, second: figures of each.
        overall: rate -> difference over all rows, second − first.
        changes: grouping -> rate -> what changed.
    """

    names: tuple[str, str]
    first: GroupFigures
    second: GroupFigures
    overall: dict[str, Estimate]
    changes: dict[str, dict[str, Change]]

    @property
    def finest(self) -> dict[str, Change]:
        """Changes with all attributes crossed, by rate."""
        return self.changes[self.first.finest.name]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentences(self, rate: str | None = None) -> list[str]:
        """The answer in plain words, one rate, all attributes crossed."""
        rate = rate or self.first.main_rate
        old, new = (f.finest.spreads[rate] for f in (self.first, self.second))
        change = self.finest[rate]
        if old.worst_share is None or new.worst_share is None:
            return ["Fewer than two groups have rows enough to compare them."]
        return [
            f"Worst group, {RATES[rate]}: {old.worst_share.shown()} of the {self.names[0]} model "
            f"({old.worst}), {new.worst_share.shown()} of the {self.names[1]} model ({new.worst}); "
            f"a difference of {points(change.worst_group)}.",
            _variance(change, self.names[1]),
            f"Over all rows the difference is {points(self.overall[rate])}, in accuracy "
            f"{points(self.overall['accuracy'])}.",
        ]


def compare(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, np.ndarray],
    *,
    threshold: float | tuple[float, float] = 0.5,
    seed: int = 0,
    names: tuple[str, str] = ("plain", "debiased"),
) -> Comparison:
    """Fairness figures of two classifiers and the differences, by a paired bootstrap.

    Args:
        first, second: probability of the positive class by each model, `(N,)`.
        labels, groups: as in `group_figures`.
        threshold: of both models, or of each.
        seed: of the bootstrap.
        names: what the models are called in sentences.

    Raises:
        UserError: as in `group_figures`.
    """
    limits = threshold if isinstance(threshold, tuple) else (threshold, threshold)
    figures = [
        group_figures(p, labels, groups, threshold=limit, seed=seed)
        for p, limit in zip((first, second), limits, strict=True)
    ]
    _, truth, named = checked(first, labels, groups)
    said = [np.asarray(p) >= limit for p, limit in zip((first, second), limits, strict=True)]
    random, changes = np.random.default_rng(seed), {}
    for attributes in ways(list(named)):
        masks = {name: mask for name, (_, mask) in members(named, attributes)[0].items()}
        changes[" × ".join(attributes)] = {
            rate: _change(rate, _cells(rate, said, truth, masks), random) for rate in RATES
        }
    everyone = {"all": np.ones_like(truth)}
    overall = {
        rate: _change(rate, _cells(rate, said, truth, everyone), random).groups.get("all", UNKNOWN)
        for rate in RATES
    }
    return Comparison(names, figures[0], figures[1], overall, changes)


def _cells(
    rate: str, said: Sequence[np.ndarray], truth: np.ndarray, masks: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Group -> rows by what the two models said: (both, first only, second only, neither) hits."""
    a, b = ((s == truth) if rate == "accuracy" else s for s in said)
    rows = counted(rate, truth)
    cells = {}
    for name, mask in masks.items():
        of = mask & rows
        if of.any():
            hits = [(a & b), (a & ~b), (~a & b), (~a & ~b)]
            cells[name] = np.array([int((of & hit).sum()) for hit in hits])
    return cells


def _change(rate: str, cells: Mapping[str, np.ndarray], random: np.random.Generator) -> Change:
    """Differences with the intervals of rows drawn again, whole, in every group."""
    if not cells:
        return Change(rate, {})
    n = np.array([counts.sum() for counts in cells.values()])
    drawn = np.stack(
        [random.multinomial(c.sum(), c / c.sum(), size=REPLICATES) for c in cells.values()], 1
    )
    now, again = _shares(np.stack(list(cells.values())), n), _shares(drawn, n)
    groups = {
        name: between_replicates(float(now[1][i] - now[0][i]), again[1][:, i] - again[0][:, i])
        for i, name in enumerate(cells)
    }
    part = n >= LEAST
    if part.sum() < 2:
        return Change(rate, groups)
    n, now, again = n[part], [p[part] for p in now], [p[:, part] for p in again]
    worst = np.max if rate == "fpr" else np.min
    at = int(np.argmax(now[0]) if rate == "fpr" else np.argmin(now[0]))

    def between(figure: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        value = float(figure(now[1]) - figure(now[0]))
        return between_replicates(value, figure(again[1]) - figure(again[0]))

    return Change(
        rate,
        groups,
        between(lambda p: worst(p, axis=-1)),
        groups[[name for name, counts in cells.items() if counts.sum() >= LEAST][at]],
        between(lambda p: np.ptp(p, axis=-1)),
        *_variances(now, again, n),
    )


def _shares(cells: np.ndarray, n: np.ndarray) -> list[np.ndarray]:
    """Shares of both models, each `(…, groups)`, from counts `(…, groups, 4)`."""
    both, first, second = cells[..., 0], cells[..., 1], cells[..., 2]
    return [(both + first) / n, (both + second) / n]


def _variances(
    now: Sequence[np.ndarray], again: Sequence[np.ndarray], n: np.ndarray
) -> tuple[Estimate, Estimate, Estimate]:
    """Ratio of plain variances, ratio and difference of corrected ones."""

    def spread(p: np.ndarray, corrections: int) -> np.ndarray:
        return p.var(axis=-1, ddof=1) - corrections * sampling_noise(p, n)

    plain = _ratio(
        [float(spread(p, 0)) for p in now],
        # drawing again adds the noise of the sample once more
        [np.maximum(spread(p, 1), 0) for p in again],
    )
    corrected = _ratio(
        [float(spread(p, 1)) for p in now], [np.maximum(spread(p, 2), 0) for p in again]
    )
    difference = float(spread(now[1], 1) - spread(now[0], 1))
    return (
        plain,
        corrected,
        between_replicates(difference, spread(again[1], 2) - spread(again[0], 2)),
    )


def _ratio(now: Sequence[float], again: Sequence[np.ndarray]) -> Estimate:
    """Second over first; not known where the first is not above zero."""
    if now[0] <= 0:
        return UNKNOWN
    above = again[0] > 0
    ratios = np.where(above, again[1] / np.where(above, again[0], 1), np.inf)
    return between_replicates(max(0.0, now[1]) / now[0], ratios)


def points(difference: Estimate) -> str:
    """A difference of shares in percentage points."""
    ends = (difference.value, difference.low, difference.high)
    scaled = Estimate(*(None if end is None else 100 * end for end in ends))
    return f"{scaled.shown(percent=False)} points" if scaled.value is not None else "not known"


def _variance(change: Change, name: str) -> str:
    ratio, corrected = change.variance_ratio, change.corrected_ratio
    if ratio.value is None:
        return "The variance over groups cannot be compared: the first model shows none."
    told = f"The variance over groups under the {name} model is {ratio.shown(False)} times that"
    if corrected.value is None:
        return told + " of the first, whose variance is no more than the sampling noise expected."
    return told + f" of the first; corrected for sampling noise, {corrected.shown(False)} times."


@dataclass(frozen=True)
class SeedSummary:
    """One rate and grouping over several training seeds: means with Student's interval.

    Attributes:
        rate, grouping: which.
        seeds: how many runs.
        figures: figure -> (first model, second model): "overall", "accuracy", "worst", "gap",
            "variance", "corrected", "deviation".
        differences: the same figures, second − first, by seed and then averaged.
        variance_ratio, corrected_ratio: ratio of the means over seeds, with a jackknife interval.
        names: of the models.
    """

    rate: str
    grouping: str
    seeds: int
    figures: dict[str, tuple[Estimate, Estimate]]
    differences: dict[str, Estimate]
    variance_ratio: Estimate
    corrected_ratio: Estimate
    names: tuple[str, str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentences(self) -> list[str]:
        """The answer in plain words."""
        first, second = self.names
        old, new = self.figures["worst"]
        ratio, corrected = self.variance_ratio.shown(False), self.corrected_ratio.shown(False)
        return [
            f"Means over {self.seeds} seeds with 95 % intervals. Worst group of {self.grouping}, "
            f"{RATES[self.rate]}: {first} {old.shown()}, {second} {new.shown()}, a difference of "
            f"{points(self.differences['worst'])}.",
            f"Variance over groups: {ratio} times that of the {first} model; corrected for "
            f"sampling noise {corrected} times.",
            f"Accuracy over all rows: a difference of {points(self.differences['accuracy'])}.",
        ]


def over_comparisons(
    comparisons: Sequence[Comparison], *, rate: str | None = None, grouping: str | None = None
) -> SeedSummary:
    """Comparisons of several training seeds on the same examples, summed up.

    Args:
        comparisons: one for each seed.
        rate: a name of `RATES`; None takes the main one.
        grouping: its name; None takes all attributes crossed.

    Raises:
        UserError: no comparison.
    """
    if not comparisons:
        raise UserError("There is no comparison to sum up; give one for each seed.")
    rate = rate or comparisons[0].first.main_rate
    grouping = grouping or comparisons[0].first.finest.name
    table = {
        name: [
            (value(c.first, rate, grouping), value(c.second, rate, grouping)) for c in comparisons
        ]
        for name, value in _FIGURES.items()
    }
    means = {
        name: (over_seeds([a for a, _ in v]), over_seeds([b for _, b in v]))
        for name, v in table.items()
    }
    differences = {
        name: over_seeds([None if a is None or b is None else b - a for a, b in pairs])
        for name, pairs in table.items()
    }
    ratios = [_mean_ratio(table[name]) for name in ("variance", "corrected")]
    names = comparisons[0].names
    return SeedSummary(
        rate, grouping, len(comparisons), means, differences, ratios[0], ratios[1], names
    )


_FIGURES: dict[str, Callable[[GroupFigures, str, str], float | None]] = {
    "overall": lambda f, rate, _: f.overall.rate(rate).value,
    "accuracy": lambda f, rate, _: f.overall.accuracy.value,
    "worst": lambda f, rate, by: _worst(f, rate, by),
    "gap": lambda f, rate, by: f.groupings[by].spreads[rate].gap.value,
    "variance": lambda f, rate, by: f.groupings[by].spreads[rate].variance,
    "corrected": lambda f, rate, by: f.groupings[by].spreads[rate].corrected.value,
    "deviation": lambda f, rate, by: f.groupings[by].spreads[rate].deviation,
}


def _worst(figures: GroupFigures, rate: str, grouping: str) -> float | None:
    share = figures.groupings[grouping].spreads[rate].worst_share
    return None if share is None else share.value


def _mean_ratio(pairs: Sequence[tuple[float | None, float | None]]) -> Estimate:
    """Mean of the second over mean of the first; interval by leaving out one seed at a time."""
    table = np.array(pairs, dtype=np.float64)
    if not np.isfinite(table).all() or table[:, 0].mean() <= 0:
        return UNKNOWN
    ratio = float(table[:, 1].mean() / table[:, 0].mean())
    n = len(table)
    if n < 2:
        return Estimate(ratio)
    left = (table.sum(0) - table) / (n - 1)
    if (left[:, 0] <= 0).any():
        return Estimate(ratio)
    others = left[:, 1] / left[:, 0]
    error = float(np.sqrt((n - 1) / n * ((others - others.mean()) ** 2).sum()))
    return Estimate(ratio, max(0.0, ratio - student(n) * error), ratio + student(n) * error)
