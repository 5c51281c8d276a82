"""An outlier detector of tables with the manners of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from latentia.data.cells import Table, as_table, factorised
from latentia.data.tables import TableEncoder
from latentia.detection.calibration import FEWEST_ROWS, Calibration, Rule
from latentia.detection.signs import OutlierSigns
from latentia.detection.table_vae import Network
from latentia.detection.tabular import (
    DEFAULT_SCORES,
    LEAST_SCALE,
    REASONS,
    Memory,
    Rows,
    TableScores,
)

AUTO_RARITY = 100  # "auto" calls a row an outlier if fewer than 1 in so many normal rows are as odd
_OR_NONE: list[Any] = [Interval(Integral, 1, None, closed="left")]


@dataclass(frozen=True)
class Explanation:
    """Why a row is strange.

    Attributes:
        score: the score that it stands out most by.
        p_value: share of normal rows that are as strange all in all; below 1 / `rows` it is an
            extrapolation.
        rows: that the detector learned from.
        column: whose value, changed, would calm the row most.
        value: what stands there; None where it is missing.
        usual: what the most similar known row has there.
    """

    score: str
    p_value: float
    rows: int
    column: str
    value: Any
    usual: Any

    def __str__(self) -> str:
        if self.p_value > 1 / AUTO_RARITY:
            return f"Nothing unusual: about 1 in {1 / self.p_value:.0f} normal rows is as strange."
        known = self.p_value * self.rows >= 1
        start = (
            f"Only about 1 in {1 / self.p_value:,.0f} normal rows is as strange"
            if known
            else f"Stranger than the {self.rows:,} rows that the detector learned from"
        )
        named = f"column {self.column}" if self.column.isdecimal() else self.column
        return (
            f"{start}, because {REASONS[self.score]}. What stands out most is {named} = "
            f"{_said(self.value)}; a similar row has {_said(self.usual)}."
        )


class LatentOutlierDetector(OutlierSigns, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Finds the rows of a table that do not belong, from normal rows alone or mostly normal ones.

    Variational autoencoders, a mixture of Gaussians, marginal densities and distances to known
    rows judge every row in several ways; each score becomes a p-value by rows that its model has
    not seen, and the p-values are combined, so that a row counts as strange if *any* score finds
    it rare. Everything is fitted by cross-fitting (see `latentia.detection.tabular`), so that a
    hundred rows are enough to work with; a training row given to `predict` again is judged by
    the models that have not seen it.

    Signs follow scikit-learn: in `score_samples` and `decision_function` higher is *more normal*,
    `predict` says −1 for outliers. `outlier_scores` has the opposite sign, higher = stranger, as
    PyOD has it: its `decision_function(X)` corresponds to `outlier_scores(X)` here, and its
    `predict(X)`, 1 for outliers, to `(predict(X) == -1)`.

    Tables may be arrays of numbers (NaN is a missing value), arrays of objects, or data frames
    with numbers, categories and gaps; see `latentia.data.tables.TableEncoder`.

    Args:
        contamination: "auto" calls a row an outlier if fewer than 1 in 100 normal rows are as
            strange; a share in (0, 0.5] calls so many of the training rows outliers.
        scores: names from `latentia.detection.tabular.REASONS`; None takes `DEFAULT_SCORES`.
        rule: "harmonic" or "fisher", how p-values are combined; see `Calibration`.
        folds: models of each kind, at least 2.
        latent: dimensions of the autoencoders' latent space; None takes as many as the encoded
            table has columns, at most 16.
        hidden: width of their layers.
        steps: of their training.
        smoothing: noise over training rows, in standard deviations of the columns.
        random_state: seed of folds, weights and noise; None draws one.

    Attributes:
        encoder_: how the table became numbers.
        calibration_: of the scores, by training rows held out in turn.
        offset_: `decision_function` is `score_samples` less this.
        n_features_in_, feature_names_in_: of the table that was fitted.

    Raises:
        ValueError: (`UserError` for scores and tables) fewer than 5 rows, no usable column,
            unknown scores or parameters out of range.

    >>> rng = np.random.default_rng(0)
    >>> height = rng.normal(170, 8, 200)
    >>> people = np.column_stack([height, 0.9 * height - 90 + rng.normal(0, 3, 200)])
    >>> detector = LatentOutlierDetector(steps=100, random_state=0).fit(people)
    >>> strangers = np.array([[172.0, 65.0], [190.0, 45.0], [171.0, 400.0]])
    >>> detector.predict(strangers)
    array([ 1, -1, -1])
    >>> bool(np.all(detector.outlier_scores(strangers) == -detector.score_samples(strangers)))
    True
    >>> detector.explain(strangers)[2].column
    '1'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "scores": ["array-like", None],
        "rule": [StrOptions(set(get_args(Rule)))],
        "folds": [Interval(Integral, 2, None, closed="left")],
        "latent": [*_OR_NONE, None],
        "hidden": _OR_NONE,
        "steps": _OR_NONE,
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        contamination: float | Literal["auto"] = "auto",
        scores: Sequence[str] | None = None,
        rule: Rule = "harmonic",
        folds: int = 5,
        latent: int | None = None,
        hidden: int = 64,
        steps: int = 500,
        smoothing: float = 0.05,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.contamination = contamination
        self.scores = scores
        self.rule = rule
        self.folds = folds
        self.latent = latent
        self.hidden = hidden
        self.steps = steps
        self.smoothing = smoothing
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is normal.

        Args:
            X: `(N, columns)`, N ≥ 5; the more of them normal, the better.
            y: not used.
        """
        self._validate_params()
        table = self._table(X, fitting=True)
        random = check_random_state(self.random_state)
        self.encoder_ = TableEncoder.fit(table)
        encoded = self.encoder_.transform(table)
        self._center = encoded.mean(0, dtype=np.float64)
        self._scale = np.maximum(encoded.std(0, dtype=np.float64), LEAST_SCALE)
        fold = random.permutation(len(encoded)) % min(self.folds, len(encoded))
        names = DEFAULT_SCORES if self.scores is None else self.scores
        network = Network(self.latent, self.hidden, self.steps, self.smoothing)
        seed = int(random.randint(2**31 - 1))
        self._memory = Memory(encoded)
        self._scores = TableScores.fit(Rows(self._scaled(encoded), fold), names, network, seed)
        self.calibration_ = Calibration.fit(self._scores.held_out, self.rule)
        self.offset_ = self._threshold()
        return self

    def outlier_scores(self, X: Any) -> np.ndarray:
        """How strange each row is, `(N,)` nats, ≥ 0, higher = stranger.

        A score of s means that about one in e^s normal rows is as strange: 4.6 is one in 100.
        """
        return self._strangeness(self._measured(self._encoded(X)))

    def p_values(self, X: Any) -> dict[str, np.ndarray]:
        """How often normal rows are as strange, `(N,)` in [0, 1]: by each score, and "total"."""
        measured = self._measured(self._encoded(X))
        total = self.calibration_.combined_p(measured)
        return {**self.calibration_.p_values(measured), "total": total}

    def explain(self, X: Any) -> list[Explanation]:
        """Why each row is strange; `str` of an explanation is a sentence or two.

        For the column, every value in turn is replaced by that of the most similar known row
        (by the other columns), and the replacement that calms the row most is told.
        """
        check_is_fitted(self)
        table = self._table(X, fitting=False)
        encoded = self.encoder_.transform(table)
        measured = self._measured(encoded)
        surprises = self.calibration_.surprises(measured)
        total = np.exp(-self._strangeness(measured))
        names = list(surprises)
        strongest = np.stack([surprises[name] for name in names]).argmax(0)
        found = []
        for i, row in enumerate(encoded):
            column, usual = self._culprit(row)
            value, rows = _plain(table.columns[column][i]), self.calibration_.rows
            score = names[strongest[i]]
            found.append(Explanation(score, float(total[i]), rows, column, value, usual))
        return found

    # inside

    def _culprit(self, row: np.ndarray) -> tuple[str, Any]:
        """Column and usual value of the change that calms an encoded row most."""
        sources = np.array(self.encoder_.sources)
        columns = list(dict.fromkeys(sources.tolist()))
        changed = np.repeat(row[None], len(columns), 0)
        apart = np.square(self._scaled(self._memory.rows) - self._scaled(row[None]))
        for j, column in enumerate(columns):
            mine = sources == column
            similar = int(np.argmin(apart[:, ~mine].sum(1)))
            changed[j, mine] = self._memory.rows[similar][mine]
        calmest = int(np.argmin(self._strangeness(self._measured(changed))))
        column = columns[calmest]
        return column, self.encoder_.inverse(changed[calmest][None])[column][0]

    def _table(self, X: Any, *, fitting: bool) -> Table:
        """X checked as scikit-learn checks it, its columns kept apart."""
        least = FEWEST_ROWS if fitting else 1
        dtype = None if _has_words(X) else np.float64
        checked = check_array(
            X, dtype=dtype, ensure_all_finite="allow-nan", ensure_min_samples=least, estimator=self
        )
        validate_data(self, X, skip_check_array=True, reset=fitting)
        return as_table(X if hasattr(X, "columns") else checked)

    def _encoded(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.encoder_.transform(self._table(X, fitting=False))

    def _scaled(self, encoded: np.ndarray) -> np.ndarray:
        return (encoded.astype(np.float64) - self._center) / self._scale

    def _measured(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        """Every score; those of training rows by the models that have not seen them."""
        places = self._memory.places(encoded)
        known = places >= 0
        found = {name: values[places] for name, values in self._scores.held_out.items()}
        if not known.all():
            fresh = self._scores.measured(self._scaled(encoded[~known]))
            for name, values in fresh.items():
                found[name][~known] = values
        return found

    def _strangeness(self, measured: dict[str, np.ndarray]) -> np.ndarray:
        return self.calibration_.total.surprises(self.calibration_.combined(measured))

    def _threshold(self) -> float:
        if self.contamination == "auto":
            return -math.log(AUTO_RARITY)
        normality = -self._strangeness(dict(self._scores.held_out))
        return float(np.percentile(normality, 100.0 * self.contamination))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _has_words(X: Any) -> bool:
    """Whether a table may hold anything but numbers."""
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        return not all(getattr(dtype, "kind", "O") in "buif" for dtype in X.dtypes)
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    return (np.asarray(X).dtype.kind if kind is None else kind) in "OUS"


def _plain(cell: Any) -> Any:
    """A cell without NumPy's types; None for a gap."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    return None if factorised(np.array([value], object))[1][0] < 0 else value


def _said(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
