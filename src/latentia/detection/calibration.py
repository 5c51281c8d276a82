"""Scores of strangeness to p-values, and many scores to one.

Scores live on scales of their own: nats, squared distances, norms of gradients. What makes them
comparable is how rarely *normal* data, held out from training, score as high. That is a p-value;
its surprise −log p (nats) grows by one whenever the score becomes e times rarer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np

from latentia.errors import UserError, nearest

Rule = Literal["fisher", "harmonic"]

TAIL_SHARE = 0.1  # of the held-out rows, those that the fitted tail stands on
FEWEST_IN_TAIL = 8
MOST_SHAPE = 0.5  # heavier tails than this are a few rows' accident
SHAPE_PRIOR = 10  # exceedances' worth of belief in an exponential tail
MOST_KNOTS = 512  # of the distribution below the tail: a file of some kilobytes
FEWEST_ROWS = 5
RAMP = 0.01  # of the tail's scale, over which it is entered: rounding must not jump
SMALLEST_STEP = 1e-6  # relative: departures below it are rounding, not strangeness


@dataclass(frozen=True)
class Margin:
    """How rarely one score is as high on normal data.

    Up to the threshold the p-value is the conformal rank (1 + number of held-out scores at least
    as high) / (n + 1), interpolated. Above it a generalised Pareto tail carries on (Pickands 1975)
    whose shape is kept from falling below 0, so that no score, however far, meets an end point
    and the order of strange rows is never lost.

    Attributes:
        knots: some held-out scores, ascending.
        surprise: −log p at the knots, nats.
        start: −log p where the tail begins; more than the last knot's where scores tie there.
        scale, shape: of the tail above the last knot.
    """

    knots: tuple[float, ...]
    surprise: tuple[float, ...]
    start: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, scores: np.ndarray) -> Self:
        """The margin of held-out normal scores `(N,)`."""
        ordered = np.sort(np.asarray(scores, float))
        n = len(ordered)
        above = min(n - 1, max(FEWEST_IN_TAIL, math.ceil(TAIL_SHARE * n)))
        threshold = ordered[n - 1 - above]
        knots, first = np.unique(ordered[ordered <= threshold], return_index=True)
        surprise = np.log((n + 1) / (1 + n - first))
        kept = np.unique(np.linspace(0, len(knots) - 1, MOST_KNOTS).astype(int))
        excess = ordered[ordered > threshold] - threshold
        scale, shape = _pareto(excess)
        smallest = SMALLEST_STEP * (max(abs(threshold), float(np.ptp(ordered))) or 1.0)
        return cls(
            tuple(knots[kept].tolist()),
            tuple(surprise[kept].tolist()),
            math.log((n + 1) / (1 + len(excess))),
            max(scale, smallest),
            shape,
        )

    def surprises(self, scores: np.ndarray) -> np.ndarray:
        """−log p of each score, `(N,)` nats, 0 or more."""
        scores = np.asarray(scores, float)
        body = np.interp(scores, self.knots, self.surprise)
        beyond = np.maximum(scores - self.knots[-1], 0) / self.scale
        jump = (self.start - self.surprise[-1]) * np.minimum(beyond / RAMP, 1)
        if self.shape > 0:
            beyond = np.log1p(self.shape * beyond) / self.shape
        return body + jump + beyond


def _pareto(excess: np.ndarray) -> tuple[float, float]:
    """Scale and shape by probability-weighted moments (Hosking & Wallis 1987, section 3)."""
    n = len(excess)
    mean = float(excess.mean()) if n else 0.0
    if n < 2 or mean <= 0:
        return mean, 0.0
    weights = 1 - (np.arange(1, n + 1) - 0.35) / n
    weighted = float((weights * np.sort(excess)).mean())
    raw = 2 - mean / max(mean - 2 * weighted, 1e-12 * mean)
    shape = min(max(raw * n / (n + SHAPE_PRIOR), 0.0), MOST_SHAPE)
    return mean * (1 - shape), shape  # the scale that keeps the mean excess


@dataclass(frozen=True)
class Calibration:
    """p-values of several scores, and one number that combines them.

    The combination rules, on the surprises s_k = −log p_k of K scores:

    * "harmonic": log mean exp s_k, that is the harmonic mean of the p-values (Wilson 2019). The
      rarest score decides, whatever the others say and however they depend on each other: a score
      that is blind to a kind of outlier costs at most log K nats.
    * "fisher": the mean of the s_k (Fisher 1932), which gathers weak evidence from scores that
      agree; scores that copy each other count as often as they are copied.

    A weight of 2 counts a score twice (of the harmonic mean: Wilson 2019, eq. 1).

    Neither has its textbook distribution when scores are correlated, and they are. So the
    combined number is calibrated once more on the same held-out rows.

    Attributes:
        margins: of every score.
        rule: how they are combined.
        total: margin of the combined number.
        rows: held-out rows it stands on; no p-value below about 1 / rows is more than the
            tail's extrapolation.
        weights: of the scores that do not count once.

    >>> normal = np.random.default_rng(0).normal(size=(2, 500)) ** 2
    >>> held_out = {"distance": normal[0], "error": normal[1]}
    >>> calibration = Calibration.fit(held_out)
    >>> p = calibration.combined_p({"distance": np.array([0.1, 60.0]), "error": np.ones(2)})
    >>> bool(p[0] > 0.2), bool(p[1] < 0.001)
    (True, True)
    """

    margins: Mapping[str, Margin]
    rule: Rule
    total: Margin
    rows: int
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        scores: Mapping[str, np.ndarray],
        rule: Rule = "harmonic",
        weights: Mapping[str, float] | None = None,
    ) -> Self:
        """Learn the margins from scores of held-out normal rows.

        Args:
            scores: `(N,)` each, higher = stranger; of rows that no model was trained on.
            rule: how to combine them.
            weights: > 0, of scores that do not count once.

        Raises:
            UserError: no scores, unequal or too short ones, values that are not finite, an
                unknown rule.
        """
        found = _checked(scores)
        rows = len(next(iter(found.values())))
        if rows < FEWEST_ROWS:
            raise UserError(
                f"Scores of {rows} held-out rows cannot be calibrated: {FEWEST_ROWS} are the least."
            )
        if rule not in get_args(Rule):
            raise UserError(f"Unknown rule {rule!r}: {nearest(str(rule), get_args(Rule))}")
        margins = {name: Margin.fit(values) for name, values in found.items()}
        surprises = [margins[name].surprises(values) for name, values in found.items()]
        chosen = {name: w for name, w in (weights or {}).items() if name in found}
        counts = [chosen.get(name, 1.0) for name in found]
        return cls(margins, rule, Margin.fit(combined(surprises, rule, counts)), rows, chosen)

    def surprises(self, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """−log p by score, `(N,)` each, nats.

        Raises:
            UserError: a score is missing, or its values do not fit.
        """
        missing = [name for name in self.margins if name not in scores]
        if missing:
            raise UserError(f"The score {missing[0]!r} was calibrated but is not given.")
        found = _checked({name: scores[name] for name in self.margins})
        return {name: self.margins[name].surprises(values) for name, values in found.items()}

    def p_values(self, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """How often normal data score as high, by score, `(N,)` each in [0, 1].

        Far outliers underflow to 0 where `surprises` still tells them apart.
        """
        return {name: np.exp(-values) for name, values in self.surprises(scores).items()}

    def combined(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """One number per row, `(N,)` nats, higher = stranger."""
        counts = [self.weights.get(name, 1.0) for name in self.margins]
        return combined(list(self.surprises(scores).values()), self.rule, counts)

    def combined_p(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """How often normal data are as strange all in all, `(N,)` in [0, 1]."""
        return np.exp(-self.total.surprises(self.combined(scores)))

    def to_json(self) -> dict[str, Any]:
        """Numbers and words only."""
        return {
            "rule": self.rule,
            "rows": self.rows,
            "weights": dict(self.weights),
            "margins": {name: _facts(margin) for name, margin in self.margins.items()},
            "total": _facts(self.total),
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        margins = {name: _margin(found) for name, found in facts["margins"].items()}
        weights = facts.get("weights", {})
        return cls(margins, facts["rule"], _margin(facts["total"]), facts["rows"], weights)


def combined(
    surprises: Sequence[np.ndarray], rule: Rule, weights: Sequence[float] | None = None
) -> np.ndarray:
    """The rules of `Calibration` on surprises `(N,)` each."""
    together = np.stack(surprises)
    counts = np.ones(len(together)) if weights is None else np.asarray(weights, float)
    shares = (counts / counts.sum())[:, None]
    if rule == "fisher":
        return np.asarray((shares * together).sum(0))
    return np.asarray(np.logaddexp.reduce(together + np.log(shares), axis=0))


def _facts(margin: Margin) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(margin).items()}


def _margin(facts: Mapping[str, Any]) -> Margin:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    return Margin(**known)


def _checked(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float64 copies of equal length."""
    found = {name: np.asarray(values, float) for name, values in scores.items()}
    if not found:
        raise UserError("There are no scores to calibrate.")
    if len({values.shape for values in found.values()}) > 1 or next(iter(found.values())).ndim != 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in found.items())
        raise UserError(f"Scores need one number for each row, all of the same rows, not {shapes}.")
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise UserError(
                f"The score {name!r} is not finite for row {int(np.argmin(np.isfinite(values)))}."
            )
    return found
