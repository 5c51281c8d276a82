"""Scores of strangeness of table rows, each worked out by models that have not seen the row.

Rows fall into K folds, and every model is fitted K times, each time without one fold. A training
row is judged by the one model that has not seen it: these scores, as good as held out, calibrate,
and no row is lost to a hold-out set, which few rows could not spare. A new row is judged by all K
models, and their scores are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np

from latentia.detection.densities import Linear, Marginals, Mixture, neighbour_distance
from latentia.detection.measures import likelihood_ratio, typicality
from latentia.detection.scores import SCORES
from latentia.detection.table_vae import FoldVAEs, Network
from latentia.errors import UserError, nearest

MOST_NEIGHBOURS = 5000  # reference rows; more say little that is new and take time
MOST_FITTED = 20_000  # rows that mixtures and marginals are fitted to
KINDS = 4
RIDGE = 0.01
PASSES = 15
NARROWEST = 0.1  # bandwidth of the marginals, in deviations of a column
LEAST_SCALE = 0.3  # rare 0/1 columns are not blown up to unit variance

REASONS: dict[str, str] = {
    **{
        name: SCORES[name].reason
        for name in (
            "reconstruction",
            "negative_elbo",
            "latent_distance",
            "typicality",
            "gradient_norm",
        )
    },
    "likelihood_ratio": "its values may be ordinary one by one, but they do not go together",
    "neighbour_distance": "no known row is close to it",
    "mixture": "it fits none of the kinds of rows that there are",
    "marginal": "it has values that are rare by themselves",
    "linear_error": "it breaks the straight-line relations between the columns",
    "linear_latent": "it goes too far along the straight-line relations between the columns",
}
"""Every score by name, with what a high value means; ends "… because"."""

DEFAULT_SCORES = (
    "reconstruction",
    "negative_elbo",
    "likelihood_ratio",
    "gradient_norm",
    "neighbour_distance",
    "mixture",
    "marginal",
)
"""One for every way of being strange that the others may miss."""

_MEMBERS = {
    "vae": ("reconstruction", "negative_elbo", "latent_distance", "gradient_norm"),
    "linear": ("linear_error", "linear_latent"),
    "mixture": ("mixture",),
    "marginal": ("marginal",),
}
_ALSO = {"likelihood_ratio": ("negative_elbo", "marginal"), "typicality": ("negative_elbo",)}


class Member(Protocol):
    """K models of one kind, the k-th fitted without fold k."""

    def measures(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Scores by name, `(N, K)` each."""
        ...


@dataclass(frozen=True)
class Rows:
    """Scaled training rows `(N, d)` and the fold of each `(N,)`."""

    values: np.ndarray
    fold: np.ndarray

    def some(self, most: int) -> Rows:
        """At most `most` of them, evenly spread."""
        chosen = np.unique(np.linspace(0, len(self.values) - 1, most).astype(int))
        return Rows(self.values[chosen], self.fold[chosen])


@dataclass(frozen=True)
class TableScores:
    """Fitted scores of rows.

    Attributes:
        names: of the scores.
        members: models by kind.
        reference: rows that neighbours are looked for in, `(M, d)`.
        usual: mean −ELBO of training rows by the models that have not seen them.
        held_out: each score of the training rows, `(N,)`, by models that have not seen them.
    """

    names: tuple[str, ...]
    members: Mapping[str, Member]
    reference: np.ndarray
    usual: float
    held_out: Mapping[str, np.ndarray]

    @classmethod
    def fit(cls, rows: Rows, names: Sequence[str], network: Network, seed: int) -> Self:
        """Fit what the named scores need.

        Raises:
            UserError: an unknown score, or none.
        """
        _require_known(names)
        members = _fitted(rows, _with_parts(names), network, seed)
        own = np.arange(len(rows.values))
        parts = {
            name: values[own, rows.fold][:, None]
            for member in members.values()
            for name, values in member.measures(rows.values).items()
        }
        usual = float(parts["negative_elbo"].mean()) if "negative_elbo" in parts else 0.0
        reference, places = _reference(rows.values)
        fitted = cls(tuple(names), members, reference, usual, {})
        held_out = fitted._named(rows.values, parts, places)
        return cls(tuple(names), members, reference, usual, held_out)

    def measured(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each score of new rows, `(N,)`."""
        members = self.members.values()
        parts = {k: v for member in members for k, v in member.measures(rows).items()}
        return self._named(rows, parts, None)

    def _named(
        self, rows: np.ndarray, parts: dict[str, np.ndarray], places: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The scores asked for, from parts `(N, members that judge)`."""
        found = {}
        for name in self.names:
            if name == "neighbour_distance":
                found[name] = neighbour_distance(rows, self.reference, places)
                continue
            if name == "likelihood_ratio":
                values = likelihood_ratio(parts["negative_elbo"], parts["marginal"])
            elif name == "typicality":
                values = typicality(parts["negative_elbo"], self.usual)
            else:
                values = parts[name]
            found[name] = values.mean(1)
        return found


@dataclass(frozen=True)
class Memory:
    """The training rows, to know them again.

    Attributes:
        rows: as encoded, `(N, d)`.
    """

    rows: np.ndarray

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {row.tobytes(): i for i, row in enumerate(self.rows)}

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Place of the same row in training, `(N,)`; −1 for rows that were not there."""
        return np.array([self._places.get(row.tobytes(), -1) for row in rows], np.int64)


def _require_known(names: Sequence[str]) -> None:
    if isinstance(names, str) or not len(names):
        raise UserError(f"scores must be a list of names, not {names!r}: {nearest('', REASONS)}.")
    for name in names:
        if name not in REASONS:
            raise UserError(f"There is no score {name!r} of tables: {nearest(str(name), REASONS)}")


def _with_parts(names: Sequence[str]) -> set[str]:
    return {part for name in names for part in _ALSO.get(name, (name,))}


def _fitted(rows: Rows, wanted: set[str], network: Network, seed: int) -> dict[str, Member]:
    """The members that give the wanted scores."""
    some, found = rows.some(MOST_FITTED), dict[str, Member]()
    needed = {kind for kind, gives in _MEMBERS.items() if wanted & set(gives)}
    if "vae" in needed:
        found["vae"] = FoldVAEs.fit(rows.values, rows.fold, network, seed)
    if "linear" in needed:
        found["linear"] = Linear.fit(rows.values, rows.fold)
    if "mixture" in needed:
        found["mixture"] = Mixture.fit(some.values, some.fold, KINDS, RIDGE, PASSES, seed)
    if "marginal" in needed:
        found["marginal"] = Marginals.fit(some.values, some.fold, NARROWEST)
    return found


def _reference(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spread reference rows, and the place of every row among them or −1."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, MOST_NEIGHBOURS).astype(int))
    places = np.full(len(rows), -1)
    places[chosen] = np.arange(len(chosen))
    return rows[chosen], places
