"""How well single latents stand for single known factors: scores from codes and factors.

Every score is 1 at best. They answer different questions, and published values differ by protocol
(which factors, how many points, which classifier) more than by method (Locatello et al. 2019,
"Challenging common assumptions in the unsupervised learning of disentangled representations"):
compare figures of one protocol only. Ours comes back with the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor

from latentia.abilities import Encodes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, spread_rows
from latentia.metrics.factors import FactorTable, equal_width, factor_table
from latentia.metrics.intervention import TEST_VOTES, TRAIN_VOTES, beta_vae_score, factor_vae_score

BINS = 20
POINTS = 10_000
ENOUGH = 5_000  # test rows that stand on their own
TREES, DEPTH, LEAF = 20, 12, 5
_CHUNK = 256

Progress = Callable[[int, int], None]


def mutual_information(table: FactorTable, bins: int = BINS) -> np.ndarray:
    """I(z_i; v_j) in nats of codes cut into equal-width bins, `(d, F)`.

    The plug-in estimate from counts: with N rows it is too high by about
    (bins − 1)(classes − 1) / 2N, much the same for all latents of one factor.
    """
    cells = equal_width(table.codes, bins)
    return np.array(
        [
            [
                _information(_counts(cell, factor, (bins, size)))
                for factor, size in zip(table.classes.T, table.sizes, strict=True)
            ]
            for cell in cells.T
        ]
    )


def _counts(cell: np.ndarray, factor: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rows by cell and class, `shape`."""
    pairs = cell * shape[1] + factor
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _information(counts: np.ndarray) -> float:
    joint = counts / counts.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / apart[seen])).sum()))


def entropies(table: FactorTable) -> np.ndarray:
    """H(v_j) of the factors in these rows, nats, `(F,)`, > 0."""
    shares = [np.bincount(column) / len(table) for column in table.classes.T]
    return np.array([-float((p[p > 0] * np.log(p[p > 0])).sum()) for p in shares])


def gaps(scores: np.ndarray) -> np.ndarray:
    """Best minus second-best latent of every factor, `(d, F) -> (F,)`; one latent has no rival."""
    with_rival = np.vstack([np.zeros_like(scores[:1]), scores]) if len(scores) < 2 else scores
    ordered = np.sort(with_rival, axis=0)
    return np.asarray(ordered[-1] - ordered[-2])


def modularity(information: np.ndarray, active: np.ndarray) -> float | None:
    """Whether a latent tells of one factor only (Ridgeway & Mozer 2018, section 3), in [0, 1].

    1 − Σ_{j ≠ best} I_ij² / (I_i,best² (F − 1)), averaged over the active latents; 0 where none
    is active, None for a single factor.
    """
    squares = information[active] ** 2
    if information.shape[1] < 2:
        return None
    best = squares.max(1)
    others = (squares.sum(1) - best) / np.maximum(best * (squares.shape[1] - 1), 1e-300)
    return float((1 - others)[best > 0].mean()) if (best > 0).any() else 0.0


@dataclass(frozen=True)
class Dci:
    """Disentanglement, completeness, informativeness (Eastwood & Williams 2018, section 2).

    Attributes:
        importance: R `(d, F)`, each column sums to 1 (or is 0 where no latent helps).
        accuracy: of held-out rows, `(F,)`.
        chance: share of each factor's commonest class, `(F,)`.
    """

    importance: np.ndarray
    accuracy: np.ndarray
    chance: np.ndarray

    @property
    def disentanglement(self) -> float | None:
        """Each latent important for one factor? Weighted by importance (their D)."""
        weight = self.importance.sum(1)
        if self.importance.shape[1] < 2:
            return None
        scores = _peakedness(self.importance)
        return float((scores * weight).sum() / weight.sum()) if weight.any() else 0.0

    @property
    def completeness(self) -> np.ndarray:
        """Each factor captured by one latent? `(F,)`; 0 where no latent helps."""
        return _peakedness(self.importance.T)


def _peakedness(rows: np.ndarray) -> np.ndarray:
    """1 − entropy of every row in base its length; 0 for a row of zeros."""
    total = rows.sum(1, keepdims=True)
    shares = rows / np.where(total > 0, total, 1)
    logs = np.log(np.where(shares > 0, shares, 1))
    entropy = -(shares * logs).sum(1) / max(np.log(rows.shape[1]), 1e-300)
    return np.where(total[:, 0] > 0, 1 - entropy, 0.0)


def dci(table: FactorTable, seed: int = 0) -> Dci:
    """Importance of every latent for every factor, and how well all of them predict it.

    Extremely randomised trees (Geurts et al. 2006) stand in for the paper's regressors: 20 trees
    of depth 12 at most, 5 rows or more in a leaf, all latents tried at each split; importance is
    the entropy that splits on a latent take away. Fitted on one half of the rows, scored on the
    other.
    """
    fit, score = table.halves(seed)
    importance, accuracy, chance = [], [], []
    for column in table.classes.T:
        trees = ExtraTreesClassifier(
            TREES,
            criterion="entropy",
            max_depth=DEPTH,
            min_samples_leaf=LEAF,
            max_features=None,
            random_state=seed,
        ).fit(table.codes[fit], column[fit])
        importance.append(trees.feature_importances_)
        accuracy.append(trees.score(table.codes[score], column[score]))
        chance.append((column[score] == np.bincount(column[fit]).argmax()).mean())
    return Dci(np.array(importance).T, np.array(accuracy), np.array(chance))


def threshold_accuracy(table: FactorTable, seed: int = 0) -> np.ndarray:
    """How well each latent alone tells each factor's classes apart, `(d, F)` in [0, 1].

    The discrete case of Kumar et al. (2018), section 3: thresholds on one latent, here the
    quantiles of one half of the rows (four cells per class, 20 to a tenth of these rows); a cell
    answers with the class most concentrated in it; the balanced accuracy on the other half.
    """
    fit, score = table.halves(seed)
    return np.array(
        [
            [
                _one_by_one(table.codes[:, i], table.classes[:, j], fit, score)
                for j in range(len(table.names))
            ]
            for i in range(table.dims)
        ]
    )


def _one_by_one(code: np.ndarray, factor: np.ndarray, fit: np.ndarray, score: np.ndarray) -> float:
    size = int(factor.max()) + 1
    cells = min(max(20, 4 * size), max(2, len(fit) // 10))
    edges = np.unique(np.quantile(code[fit], np.linspace(0, 1, cells + 1)[1:-1], method="nearest"))
    shape = (len(edges) + 1, size)

    def counts(rows: np.ndarray) -> np.ndarray:
        found = _counts(np.searchsorted(edges, code[rows], side="right"), factor[rows], shape)
        return np.asarray(found / np.maximum(found.sum(0), 1))  # classes weigh alike

    seen, tried = counts(fit), counts(score)
    right = tried[np.arange(shape[0]), seen.argmax(1)].sum()
    return float(right / max(1, (tried.sum(0) > 0).sum()))


def scores(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    *,
    bins: int = BINS,
    votes: tuple[int, int] = (TRAIN_VOTES, TEST_VOTES),
    seed: int = 0,
) -> dict[str, Any]:
    """All scores of a table of codes.

    Args:
        codes: `(N, d)`, one code per row; mean codes where q(z|x) is a distribution.
        factors: name -> `(N,)` values of the factors that generated the rows.
        bins: equal-width bins of the mutual information.
        votes: training and test votes of the two scores that fix a factor.
        seed: of halves, trees and votes: the same seed, the same figures.

    Returns:
        `mig` (mutual information gap; Chen et al. 2018, eq. 6), `dci_disentanglement`,
        `dci_completeness`, `dci_informativeness` (accuracy, and by `chance`; Eastwood & Williams
        2018), `sap` (Kumar et al. 2018), `modularity` (Ridgeway & Mozer 2018), `factor_vae`
        (Kim & Mnih 2018) and `beta_vae` (Higgins et al. 2017) with their `vote_chance`; scores
        that compare factors are None for a single factor. `factors`: by name its `classes`,
        `entropy_nats`, `best_latent` and `second_latent` with their share of the factor's entropy
        (`best`, `second`), `sap`, `completeness`, `accuracy`, `chance`. `information`: by name
        the share of the factor's entropy that each latent tells, `(d,)`. `active_latents`,
        `latent_dim`, `points`, `bins`, `votes`, `constant_factors`, `cut_factors`, `seed`.

    Raises:
        UserError: as `factor_table`; bins below 2, votes below 1.
    """
    if bins < 2 or min(votes) < 1:
        raise UserError(f"bins={bins}, votes={votes}: use 2 or more bins and 1 or more votes.")
    table = factor_table(codes, factors)
    information = mutual_information(table, bins)
    shares = information / entropies(table)
    by_trees, by_threshold = dci(table, seed), gaps(threshold_accuracy(table, seed))
    return {
        "mig": float(gaps(shares).mean()),
        "dci_disentanglement": by_trees.disentanglement,
        "dci_completeness": float(by_trees.completeness.mean()),
        "dci_informativeness": float(by_trees.accuracy.mean()),
        "chance": float(by_trees.chance.mean()),
        "sap": float(by_threshold.mean()),
        "modularity": modularity(information, table.active),
        **_by_votes(table, votes, seed),
        "factors": _by_factor(table, shares, by_trees, by_threshold),
        "information": dict(zip(table.names, shares.T.tolist(), strict=True)),
        "active_latents": int(table.active.sum()),
        "latent_dim": table.dims,
        "points": len(table),
        "bins": bins,
        "constant_factors": list(table.constant),
        "cut_factors": list(table.cut),
        "seed": seed,
    }


def _by_votes(table: FactorTable, votes: tuple[int, int], seed: int) -> dict[str, Any]:
    several = len(table.names) > 1
    return {
        "factor_vae": factor_vae_score(table, votes=votes, seed=seed) if several else None,
        "beta_vae": beta_vae_score(table, votes=votes, seed=seed) if several else None,
        "vote_chance": 1 / len(table.names) if several else None,
        "votes": list(votes),
    }


def _by_factor(
    table: FactorTable, shares: np.ndarray, by_trees: Dci, by_threshold: np.ndarray
) -> dict[str, dict[str, Any]]:
    order = np.argsort(-shares, axis=0, kind="stable")
    facts = {}
    for j, name in enumerate(table.names):
        first, second = int(order[0, j]), int(order[1, j]) if table.dims > 1 else None
        facts[name] = {
            "classes": table.sizes[j],
            "entropy_nats": float(entropies(table)[j]),
            "best_latent": first,
            "best": float(shares[first, j]),
            "second_latent": second,
            "second": 0.0 if second is None else float(shares[second, j]),
            "sap": float(by_threshold[j]),
            "completeness": float(by_trees.completeness[j]),
            "accuracy": float(by_trees.accuracy[j]),
            "chance": float(by_trees.chance[j]),
        }
    return facts


def disentanglement(
    model: object,
    train: Dataset,
    test: Dataset,
    *,
    points: int = POINTS,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The scores of a model's codes of rows with known factors.

    Args:
        model: encodes; the mean code where q(z|x) is a distribution.
        train, test: with `factors`. Test rows are taken where there are 5,000 or more, else
            training rows if those are more.
        points: rows at most, evenly apart.
        seed: as in `scores`.
        progress: called with (rows encoded, of how many).

    Returns:
        As `scores`, and `split` ("test" or "train"), `codes` (what they are) and `seconds`.

    Raises:
        UserError: a model that does not encode, and as `scores`.
    """
    if not isinstance(model, Encodes):
        raise UserError(f"{type(model).__name__} does not encode, so it has no codes to judge.")
    begin = time.perf_counter()
    own = bool(test.factors) and len(test) >= min(ENOUGH, len(train))
    split = "test" if own else "train"
    data = test if split == "test" else train
    rows = spread_rows(len(data), points)
    codes = _codes(model, data, rows, progress).flatten(1).double().numpy()
    factors = {name: values[rows.numpy()] for name, values in (data.factors or {}).items()}
    return {
        **scores(codes, factors, seed=seed),
        "split": split,
        "codes": "mean" if hasattr(model, "posterior") else "deterministic",
        "seconds": time.perf_counter() - begin,
    }


def _codes(model: Encodes, data: Dataset, rows: Tensor, progress: Progress | None) -> Tensor:
    """`(len(rows), …)`, float32 on the CPU; examples are scaled a chunk at a time."""
    device, chunks = device_of(model), []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        with torch.no_grad():
            chunks.append(model.encode(data.batch(chunk, str(device)).x).float().cpu())
        if progress is not None:
            progress(start + len(chunk), len(rows))
    return torch.cat(chunks)
