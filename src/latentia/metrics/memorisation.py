"""Does a model repeat or give away its training data, and does it miss parts of what there is?

Puts together copies among samples (`copies.py`), membership inference (`membership.py`) and the
coverage of held-out data, and says in words what follows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.metrics.copies import (
    NEIGHBOURS,
    Copied,
    Drawn,
    Nearest,
    copied,
    drawn_to_training,
    nearest_training,
)
from latentia.metrics.features import FeatureExtractor, features_of
from latentia.metrics.intervals import Estimate, wilson
from latentia.metrics.manifold import NEIGHBOURS as RADIUS
from latentia.metrics.manifold import distances, radii
from latentia.metrics.membership import ROWS, Membership, membership

LIMIT = 1000
_LEAST = 20
_COPIES = 0.02  # copied share that the interval must lie above
_DRAWN, _CHANCE = 0.1, 1e-3
_TOLD_APART = 0.6
_PAIRS = 24
_COVERED_ROWS = 1000


@dataclass(frozen=True)
class Findings:
    """What samples of a model show; see `copies.py`.

    Attributes:
        spaces: "pixels" and, with an extractor, "features" -> copies there.
        distance: median distance of samples to the nearest training row, by space.
        test_distance: the same of held-out rows.
        drawn: whether samples keep nearer to training than to held-out rows.
        pairs: (sample, training row, ratio) of the samples most like single rows, by values.
        leaked: held-out rows looked at that equal a training row.
        repeated: different training rows among the copies.
    """

    spaces: dict[str, Copied]
    distance: dict[str, float]
    test_distance: dict[str, float]
    drawn: Drawn
    pairs: list[tuple[int, int, float]]
    leaked: int
    repeated: int

    @property
    def copied(self) -> Estimate:
        """The larger share of the two spaces."""
        return max((space.share for space in self.spaces.values()), key=lambda s: s.low or 0.0)

    @property
    def verdict(self) -> str:
        """ "copies", "drawn" (nearer to training data than it should be) or "none"."""
        if (self.copied.low or 0.0) > _COPIES:
            return "copies"
        sure = self.drawn.p < _CHANCE and (self.drawn.excess.low or 0.0) > _DRAWN
        return "drawn" if sure else "none"


def memorisation(
    model: object,
    train: Dataset,
    test: Dataset,
    *,
    samples: Tensor | None = None,
    extractor: FeatureExtractor | None = None,
    limit: int = LIMIT,
    rows: int = ROWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Copies among samples, membership inference, coverage of held-out data; and a verdict.

    Args:
        model: anything with abilities.
        train: what it was trained on.
        test: held-out rows of the same source, in no part of training.
        samples: of the model, `(N, …)`; without, membership alone is measured.
        extractor: a second space for copies and that of coverage; else values alone.
        limit: samples looked at, of held-out rows at least `LIMIT` where there are so many.
        rows: training and held-out rows for membership, each.
        seed: of everything random.

    Returns:
        `verdict` ("copies", "drawn", "none", or None without samples or with too few held-out
        rows), `sentences`, `copied` (share with its interval), `spaces`, `drawn`, `membership`
        (score -> AUC), `strongest` (the one that gives most away), `coverage`, `pairs`, `leaked`,
        `repeated`, `samples`, `test_rows`, `train_rows`, `extractor`.

    Raises:
        UserError: less than two training rows or no test rows.
    """
    if len(train) < 2 or not len(test) or (samples is not None and not len(samples)):
        raise UserError("Looking for copies needs samples, test rows and two training rows.")
    asked = None if samples is None else samples[:limit].cpu()
    told = membership(model, train, test, samples=samples, rows=rows, seed=seed)
    enough = asked is not None and len(test) >= _LEAST
    found, why = None, []
    if asked is not None and enough:
        try:
            found = look(asked, train, test, extractor, seed=seed)
        except UserError as problem:  # nothing new to compare with: membership still tells
            why = [str(problem)]
    strongest = told.strongest
    return {
        "verdict": found.verdict if found else None,
        "sentences": [*why, *sentences(found, told, len(test))],
        "copied": asdict(found.copied) if found else None,
        **_findings(found),
        "membership": {name: asdict(score) for name, score in told.scores.items()},
        "membership_rows": [told.rows, told.held_out_rows],
        "strongest": strongest[0] if strongest else None,
        "coverage": None if samples is None else coverage(samples, test, extractor, seed=seed),
        "samples": 0 if asked is None else len(asked),
        "test_rows": min(len(test), max(LIMIT, limit)),
        "train_rows": len(train),
        "extractor": None
        if extractor is None
        else {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def look(
    samples: Tensor,
    train: Dataset,
    test: Dataset,
    extractor: FeatureExtractor | None = None,
    *,
    seed: int = 0,
) -> Findings:
    """Nearest training rows of samples and of held-out rows, and what they show.

    Args:
        samples: `(N, …)`.
        train, test: real data.
        extractor: the second space, besides the values themselves.
        seed: of the rows drawn and the bootstrap.
    """
    real = test.batch(spread_rows(len(test), max(LIMIT, len(samples)))).x
    ways = {"pixels": None} | ({} if extractor is None else {"features": extractor})
    near = {space: _both(samples, real, train, by) for space, by in ways.items()}
    spaces = {space: copied(*pair, seed=seed) for space, pair in near.items()}
    ours, theirs = near["pixels"]
    flagged = torch.stack([space.flagged for space in spaces.values()]).any(0)
    return Findings(
        spaces,
        {space: float(made.distance[:, 0].median()) for space, (made, _) in near.items()},
        {space: float(usual.distance[:, 0].median()) for space, (_, usual) in near.items()},
        drawn=drawn_to_training(samples, train, test, to_train=ours, seed=seed),
        pairs=[
            (int(i), int(ours.index[i, 0]), float(ours.ratio[i]))
            for i in ours.ratio.argsort()[:_PAIRS]
        ],
        leaked=int((theirs.distance[:, 0] == 0).sum()),
        repeated=len(ours.index[flagged, 0].unique()),
    )


def coverage(
    samples: Tensor,
    test: Dataset,
    extractor: FeatureExtractor | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Which share of held-out neighbourhoods holds a sample (Naeem et al. 2020, eq. 4).

    Half of the held-out rows are looked at; the others stand in for a perfect model.

    Args:
        samples: `(N, …)`.
        test: held-out rows; with labels the least covered class is named.
        extractor: what distances are measured in; else the values.
        seed: of the halves.

    Returns:
        `share` and `real` (with intervals), `class` and `class_share` (the least covered, or
        None), `rows`; None with too few rows.
    """
    n = min(len(samples), len(test) // 2, _COVERED_ROWS)
    if n < _LEAST:
        return None
    order = np.random.default_rng(seed).permutation(len(test))
    halves = [np.sort(order[:n]), np.sort(order[n : 2 * n])]
    real, other = (_features(test, rows, extractor) for rows in halves)
    made = samples[:n].cpu()
    ours = covered(real, made.float().flatten(1) if extractor is None else extractor(made))
    theirs = covered(real, other)
    name, least = _least_covered(ours, test, halves[0])
    return {
        "share": asdict(wilson(int(ours.sum()), n)),
        "real": asdict(wilson(int(theirs.sum()), n)),
        "class": name,
        "class_share": least,
        "rows": n,
    }


def covered(real: Tensor, made: Tensor, *, k: int = RADIUS) -> np.ndarray:
    """Whether the ball about each real row, up to its k-th neighbour, holds a made row; `(N,)`."""
    x, y = real.double().numpy(), made.double().numpy()
    radius = radii(x, min(k, len(x) - 1))
    inside = [(apart.min(1) <= radius[at : at + len(apart)]) for at, apart in distances(x, y)]
    return np.concatenate(inside)


def sentences(found: Findings | None, told: Membership, test_rows: int) -> list[str]:
    """The verdict in plain words."""
    said = [_on_copies(found)] if found else []
    if found is None and test_rows < _LEAST:
        said.append(
            f"Whether the model copies is not known: {test_rows} held-out examples are too few "
            f"to compare with. Keep at least {_LEAST} aside."
        )
    if found and found.leaked:
        said.append(
            f"{found.leaked:,} of the held-out examples looked at are themselves in the training "
            "data: the two parts were not split cleanly, or equal examples are usual here."
        )
    return said + _on_membership(told)


def _on_copies(found: Findings) -> str:
    share, drawn = found.copied, found.drawn
    near = (
        f"{drawn.nearer.shown()} of samples lie nearer to a training example than to any of "
        f"{drawn.held_out_rows:,} held-out ones; {100 * drawn.expected:.0f} % would by chance."
    )
    if found.verdict == "copies":
        different = f"{found.repeated:,} different" if found.repeated > 1 else "a single one"
        return (
            f"This model copies: {share.shown()} of its samples are copies of training examples "
            f"({different}), beyond what new real data shows. {near} Do not publish samples where "
            "the training data must stay private. More data, a smaller model or a shorter "
            "training copies less."
        )
    if found.verdict == "drawn":
        return (
            f"The samples keep too near to the training data: {near} Few are outright copies "
            f"({share.shown()}), but treat them as partly memorised."
        )
    return (
        f"No sign of copying: {share.shown()} of samples are copies beyond what new real data "
        f"shows. {near}"
    )


def _on_membership(told: Membership) -> list[str]:
    if told.strongest is None:
        return []
    name, score = told.strongest
    how = {"nearest sample": "the distance to its nearest sample"}.get(name, f"its {name}")
    holder = "its samples" if name == "nearest sample" else "the model"
    pairs = f"in {score.shown()} of pairs, where guessing gives 50 %"
    if (score.low or 0.0) > _TOLD_APART:
        return [
            "The model gives away what it was trained on: "
            f"{how} ranks a training example above a new one {pairs}. Whoever has {holder} can "
            "find out whether an example was in the training data."
        ]
    return [
        "The model hardly gives away what it was trained on: "
        f"{how} ranks a training example above a new one {pairs}."
    ]


def _findings(found: Findings | None) -> dict[str, Any]:
    if found is None:
        return {"spaces": {}, "drawn": None, "pairs": [], "leaked": None, "repeated": None}
    return {
        "spaces": {
            space: {
                "distance": found.distance[space],
                "test_distance": found.test_distance[space],
                "share": asdict(facts.share),
                "threshold": facts.threshold,
                "usual": facts.usual,
            }
            for space, facts in found.spaces.items()
        },
        "drawn": asdict(found.drawn),
        "pairs": [list(pair) for pair in found.pairs],
        "leaked": found.leaked,
        "repeated": found.repeated,
    }


def _both(
    samples: Tensor, real: Tensor, train: Dataset, extractor: FeatureExtractor | None
) -> tuple[Nearest, Nearest]:
    # One pass over the training data serves both; its reading is what costs.
    both = nearest_training(torch.cat([samples, real]), train, extractor=extractor, k=NEIGHBOURS)
    n = len(samples)
    return (
        Nearest(both.index[:n], both.distance[:n]),
        Nearest(both.index[n:], both.distance[n:]),
    )


def _features(data: Dataset, rows: np.ndarray, extractor: FeatureExtractor | None) -> Tensor:
    if extractor is None:
        return data.batch(rows).x.flatten(1)
    return features_of(data, extractor, rows)


def _least_covered(
    mask: np.ndarray, data: Dataset, rows: np.ndarray
) -> tuple[str | None, float | None]:
    """The class whose held-out rows are covered least, and that share."""
    if data.labels is None:
        return None, None
    labels, names = data.labels[rows], data.spec.classes
    shares = {int(c): float(mask[labels == c].mean()) for c in np.unique(labels)}
    if len(shares) < 2:
        return None, None
    worst = min(shares, key=lambda c: shares[c])
    return (names[worst] if worst < len(names) else str(worst)), shares[worst]
