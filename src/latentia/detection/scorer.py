"""Outlier scores of whole data sets: several scores, calibrated on held-out normal rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from latentia.data.spec import Dataset
from latentia.detection.calibration import Calibration, Rule
from latentia.detection.scores import SCORES, Fitting, Measure, chosen_scores, seen_chunks
from latentia.errors import UserError


@dataclass(frozen=True)
class OutlierScores:
    """How strange N rows are.

    Attributes:
        total: `(N,)`, nats, higher = stranger; ranks rows.
        p_value: `(N,)` in [0, 1], how often normal rows are as strange all in all.
        parts: each score, `(N,)`, in its own units, higher = stranger.
        p_values: of each score, `(N,)`.
        surprises: −log p of each score, `(N,)`, nats; tells apart what p-values round to 0.
    """

    total: np.ndarray
    p_value: np.ndarray
    parts: Mapping[str, np.ndarray]
    p_values: Mapping[str, np.ndarray]
    surprises: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.total)

    def reason(self, i: int) -> str:
        """Name of the score that row i stands out most by."""
        return max(self.surprises, key=lambda name: float(self.surprises[name][i]))

    def words(self, i: int) -> str:
        """That reason as words that go on after "strange because …"."""
        return SCORES[self.reason(i)].reason

    def order(self) -> np.ndarray:
        """Row numbers from the strangest on, int64 `(N,)`."""
        return np.argsort(-self.total, kind="stable")


@dataclass(frozen=True)
class OutlierScorer:
    """Scores of a model, fitted to training rows and calibrated on held-out normal ones.

    Scores of one family (`Score.family`) are combined first, then the families: six scores that
    one network gives would else outvote a single score of another kind. Of pictures with colours
    the shape counts twice: of those its network learns more, see `Views`.

    Attributes:
        model: what judges.
        shape: of a row.
        measures: the fitted scores by name.
        calibrations: of the scores of each family.
        total: calibration of the families' combined numbers.
        seed: of every draw.
    """

    model: Any
    shape: tuple[int, ...]
    measures: Mapping[str, Measure]
    calibrations: Mapping[str, Calibration]
    total: Calibration
    seed: int

    @classmethod
    def fit(
        cls,
        model: Any,
        train: Dataset,
        held_out: Dataset,
        *,
        scores: Sequence[str] | None = None,
        rule: Rule = "harmonic",
        seed: int = 0,
        examples: int | None = None,
    ) -> Self:
        """Fit scores to `train` and calibrate them on `held_out`.

        Args:
            model: trained, with any of the abilities that `SCORES` name; None takes the scores
                that look at the pictures alone.
            train: rows that the model was trained on.
            held_out: normal rows that it was not trained on, at least 5.
            scores: names from `SCORES`; where None, see `default_scores`.
            rule: how scores are combined, see `Calibration`.
            seed: of every draw.
            examples: pictures that the training of `Views` sees, kept on the disk for the next
                time; None takes 60,000, fewer of large or few pictures; 10,000 are a quick look.

        Raises:
            UserError: unknown scores, a model that can give none, too few held-out rows.
        """
        chosen = chosen_scores(scores, model, train.spec.shape)
        how = Fitting(seed, examples)
        measures = {name: score.fit(model, train, how) for name, score in chosen.items()}
        normal = _measured(model, measures, held_out, seed)
        families = _families(normal)
        calibrations = {name: Calibration.fit(parts, rule) for name, parts in families.items()}
        together = {name: calibrations[name].combined(parts) for name, parts in families.items()}
        coloured = len(train.spec.shape) == 3 and train.spec.shape[0] == 3
        total = Calibration.fit(together, rule, {"shape": 2.0} if coloured else None)
        return cls(model, train.spec.shape, measures, calibrations, total, seed)

    def score(self, data: Dataset) -> OutlierScores:
        """Scores of every row, up to rounding the same whatever rows stand beside it.

        Raises:
            UserError: rows of another shape than the model's.
        """
        if data.spec.shape != self.shape:
            raise UserError(
                f"{data.spec.name} has rows of shape {data.spec.shape}; the scores were fitted to "
                f"rows of shape {self.shape}."
            )
        parts = _measured(self.model, self.measures, data, self.seed)
        families = _families(parts)
        found = {name: self.calibrations[name] for name in families}
        together = {name: found[name].combined(of) for name, of in families.items()}
        surprises = {k: v for name in families for k, v in found[name].surprises(parts).items()}
        return OutlierScores(
            total=self.total.combined(together),
            p_value=self.total.combined_p(together),
            parts=parts,
            p_values={name: np.exp(-values) for name, values in surprises.items()},
            surprises=surprises,
        )


def _families(parts: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The parts by family, in order of first appearance."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, values in parts.items():
        found.setdefault(SCORES[name].family, {})[name] = values
    return found


def _measured(
    model: Any, measures: Mapping[str, Measure], data: Dataset, seed: int
) -> dict[str, np.ndarray]:
    """Every measure of every row, `(N,)` float64."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in measures}
    for seen in seen_chunks(model, data, seed):
        for name, measure in measures.items():
            found[name].append(measure(seen))
    return {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in found.items()}
