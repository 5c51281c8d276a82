"""An outlier detector of pictures with the manners of scikit-learn: arrays in, scores out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.detection.maps import OutlierMaps
from latentia.detection.scorer import OutlierScorer, OutlierScores
from latentia.detection.signs import OutlierSigns
from latentia.errors import UserError
from latentia.fitting import fit

DEFAULT_MINUTES = 1.0
AUTO_CONTAMINATION = 0.01  # what "auto" lets normal pictures be called outliers
HELD_OUT = 0.1
FEWEST_HELD_OUT, MOST_HELD_OUT = 20, 2000
FEWEST = 40


class ImageOutlierDetector(OutlierSigns, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns what pictures look like, and how strange others are beside them.

    Trains a model of its own on the pictures (a tenth is held out to say how rare a score is) and
    combines the scores of `latentia.detection.scores`.

    Signs follow scikit-learn: `score_samples` and `decision_function` are lower for stranger
    pictures, and `predict` gives -1 for outliers and 1 for the others. `outlier_scores` is higher
    for stranger pictures. (PyOD's `decision_function` has the sign of `outlier_scores`, and its
    `predict` gives 1 for outliers and 0 for the others.)

    Args:
        minutes, examples: training budget of the model, one of the two; one minute where neither
            is given.
        model: a family that rebuilds pictures: `vae`, `autoencoder`, …
        settings: of the family; `latentia models NAME` lists them.
        feature_examples: pictures that the training of the features beside it sees (`Views`);
            None takes up to 60,000, about a minute for pictures of 64 x 64.
        scores: names from `SCORES`; where None, see `default_scores`.
        contamination: share of normal pictures that `predict` may call outliers; "auto": 0.01.
        random_state: seed of everything random.

    Attributes:
        scorer_: fitted scores.
        offset_: of `decision_function`: `score_samples` at the threshold.
        shape_: `(C, H, W)` of a picture.
        n_held_out_: pictures that p-values stand on.
    """

    def __init__(
        self,
        *,
        minutes: float | None = None,
        examples: int | None = None,
        model: str = "vae",
        settings: Mapping[str, Any] | None = None,
        feature_examples: int | None = None,
        scores: Sequence[str] | None = None,
        contamination: float | Literal["auto"] = "auto",
        random_state: int = 0,
    ) -> None:
        self.minutes, self.examples = minutes, examples
        self.model, self.settings, self.scores = model, settings, scores
        self.feature_examples = feature_examples
        self.contamination, self.random_state = contamination, random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from normal pictures.

        Args:
            X: uint8 (or floats in [0, 1] or [-1, 1]) of shape `(N, H, W)`, `(N, H, W, C)` or
                `(N, C, H, W)` with C 1 or 3; at least 40.
            y: not used.

        Raises:
            UserError: arrays that are no pictures, too few of them, settings that do not fit.
        """
        allowed = self._share()
        minutes = self.minutes
        if minutes is None and self.examples is None:
            minutes = DEFAULT_MINUTES
        train, held_out = self._split(_pictures(X))
        with tempfile.TemporaryDirectory() as folder:
            run = fit(
                train,
                model=self.model,
                minutes=minutes,
                examples=self.examples,
                out=Path(folder) / "run",
                seed=self.random_state,
                settings=self.settings,
                quiet=True,
            )
            model = run.model()
        self.scorer_ = OutlierScorer.fit(
            model,
            train,
            held_out,
            scores=self.scores,
            seed=self.random_state,
            examples=self.feature_examples,
        )
        self._maps = OutlierMaps.fit(model, train, held_out, seed=self.random_state)
        self.shape_, self.n_held_out_ = train.spec.shape, len(held_out)
        usual = self.scorer_.score(held_out).total
        self.offset_ = -float(np.quantile(usual, 1 - allowed))
        return self

    def scores_of(self, X: Any) -> OutlierScores:
        """Every score, p-values and reasons of pictures."""
        check_is_fitted(self)
        return self.scorer_.score(_pictures(X))

    def outlier_scores(self, X: Any) -> np.ndarray:
        """`(N,)`, nats, higher = stranger."""
        return self.scores_of(X).total

    def maps(self, X: Any) -> np.ndarray:
        """Where each picture is strange, `(N, H, W)` float32, nats, ≥ 0."""
        check_is_fitted(self)
        return self._maps.maps(_pictures(X))

    def _share(self) -> float:
        share = AUTO_CONTAMINATION if self.contamination == "auto" else self.contamination
        if isinstance(share, str) or not 0 < share <= 0.5:
            raise UserError(
                f'contamination={share!r} is neither "auto" nor a share above 0 and up to 0.5.'
            )
        return float(share)

    def _split(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """Rows to learn from, and rows that say how rare a score is."""
        if len(data) < FEWEST:
            raise UserError(f"{len(data)} pictures are too few to learn from; give {FEWEST}.")
        order = np.random.default_rng(self.random_state).permutation(len(data))
        held = max(FEWEST_HELD_OUT, min(MOST_HELD_OUT, round(HELD_OUT * len(data))))
        return data.subset(order[held:]), data.subset(order[:held])


def _pictures(X: Any) -> Dataset:
    """Arrays as a data set.

    Raises:
        UserError: no pictures.
    """
    data = open_data(np.asarray(X), split="all")
    if data.spec.kind != "image":
        raise UserError(
            f"X has shape {np.shape(X)}: pictures are (N, H, W), (N, H, W, C) or (N, C, H, W). "
            "For tables there is LatentOutlierDetector."
        )
    return data
