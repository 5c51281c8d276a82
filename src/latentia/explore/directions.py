"""Directions of latent space that change one attribute, and arithmetic on encodings.

All directions here are one formula with different ideas of what the attributes share. With codes
z `(N, d)`, attributes a `(N, A)` and their linear predictions â from z, a direction for attribute
t is the t-th column of Cov(z, a) M⁻¹:

- difference: M = diag Var(a), the difference of the two groups' means (Larsen et al. 2016,
  section 3.2). Whatever else differs between the groups comes along.
- partial: M = Cov(a), the coefficients of z regressed on all attributes: what changes where only
  the label does. Labels that say little of z (glasses, a name tag) still dilute it.
- least: M = Cov(â), the smallest movement, measured by the covariance of the codes, that changes
  the linear score of the target and of no other attribute.

On faces no one direction separated a smile from what classifiers tie to it, cheekbones and an open
mouth; moves guided per face did (docs/benchmarks.md, `explore.guided`). "partial" is the one to
start with; "least" keeps linear scores of the others, but moves further.
Between the last two, M = Cov(â) + s · Cov(a − â) with slack s in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from latentia.abilities import Decodes, Encodes
from latentia.data.attributes import Attributes
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest
from latentia.explore.latent import Autoencodes, decode, encode
from latentia.maths.chunks import spread_rows, stacked

Method = Literal["partial", "least", "difference"]
METHODS: tuple[Method, ...] = get_args(Method)
SLACK = 0.1
MOST_ROWS = 20_000  # that a direction is learned from
_RIDGE = 1e-3  # of the mean variance, against latents that never vary


@dataclass(frozen=True)
class Scores:
    """Linear predictions of attributes from codes, by least squares.

    Attributes:
        normals: `(A, d)`.
        offsets: `(A,)`; a score near 0 says "without", near 1 "with".
        covariance: of codes and attributes, `(d, A)`.
        predicted, missed: covariance of the predictions and of what they miss, `(A, A)`.
    """

    normals: Tensor
    offsets: Tensor
    covariance: Tensor
    predicted: Tensor
    missed: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B, A)`, float64."""
        return z.double() @ self.normals.T + self.offsets


def labelled_codes(
    model: Encodes, data: Dataset, attributes: Attributes, most: int = MOST_ROWS
) -> tuple[Tensor, Tensor]:
    """Codes `(N, d)` and attributes, bool `(N, A)`, of at most `most` rows, evenly apart."""
    rows = spread_rows(len(data), most)
    codes = stacked(encode(model, data.batch(chunk).x) for chunk in rows.split(1000))
    return codes, torch.from_numpy(attributes.values)[rows]


def linear_scores(z: Tensor, attributes: Tensor) -> Scores:
    """Fit `Scores`.

    Args:
        z: codes `(N, d)`.
        attributes: bool `(N, A)`.

    Raises:
        UserError: an attribute that all rows have, or none.
    """
    z, a = z.double(), attributes.double()
    lonely = ((a.mean(0) == 0) | (a.mean(0) == 1)).nonzero().flatten().tolist()
    if lonely:
        raise UserError(
            f"Of {len(a)} rows all have attribute number {lonely[0]}, or none has: "
            "no direction leads from one group to the other."
        )
    about_z, about_a = z - z.mean(0), a - a.mean(0)
    spread = about_z.T @ about_z / len(z)
    ridge = _RIDGE * spread.diagonal().mean() * torch.eye(z.shape[1], dtype=z.dtype)
    covariance = about_z.T @ about_a / len(z)
    normals = torch.linalg.solve(spread + ridge, covariance).T
    guesses = about_z @ normals.T
    missed = about_a - guesses
    return Scores(
        normals=normals,
        offsets=a.mean(0) - normals @ z.mean(0),
        covariance=covariance,
        predicted=guesses.T @ guesses / len(z),
        missed=missed.T @ missed / len(z),
    )


def mean_difference(z: Tensor, has: Tensor) -> Tensor:
    """Mean of the codes with an attribute minus mean of those without; `(N, d), (N,) -> (d,)`.

    Larsen et al. 2016, "Autoencoding beyond pixels", section 3.2.
    """
    return linear_scores(z, has[:, None]).covariance[:, 0].div(has.double().var(correction=0)).to(z)


def attribute_direction(
    z: Tensor,
    attributes: Tensor,
    target: int,
    *,
    method: Method = "partial",
    slack: float = SLACK,
) -> Tensor:
    """The direction that adds an attribute; see the head of this file.

    Its length is such that strength 1 raises the attribute's linear score by the difference of the
    two groups' mean scores, whatever the method: what the difference of means does by itself.

    Args:
        z: codes `(N, d)`.
        attributes: all that is known, bool `(N, A)`; what shall stay is told by it.
        target: number of the attribute to add.
        method: "partial", "least" or "difference".
        slack: of "least", 0 to 1; 0 keeps the other scores exactly, 1 is "partial".

    Returns:
        `(d,)`.

    Raises:
        UserError: an unknown method, a slack outside 0 to 1, an attribute all rows or none have.
    """
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}; {nearest(method, METHODS)}")
    if not 0 <= slack <= 1:
        raise UserError(f"slack={slack:g} is outside 0 to 1.")
    scores = linear_scores(z, attributes)
    raw = mean_difference(z, attributes[:, target]).double()
    if method == "difference":
        return raw.to(z)
    share = 1.0 if method == "partial" else slack
    between = scores.predicted + share * scores.missed
    ridge = _RIDGE * between.diagonal().mean() * torch.eye(len(between), dtype=between.dtype)
    wanted = torch.zeros(len(between), dtype=between.dtype)
    wanted[target] = 1
    found = scores.covariance @ torch.linalg.solve(between + ridge, wanted)
    normal = scores.normals[target]
    return (found * (normal @ raw) / (normal @ found)).to(z)


def separability(scores: Tensor, has: Tensor) -> float:
    """How well scores `(N,)` tell rows with an attribute from those without: area under the ROC.

    0.5 for guessing, 1 for a clean cut; NaN where all rows are of one kind.
    """
    if has.all() or not has.any():
        return float("nan")
    return float(roc_auc_score(has.numpy(), scores.numpy()))


def move(model: Autoencodes, x: Tensor, direction: Tensor, strengths: Sequence[float]) -> Tensor:
    """Examples moved along a direction by several strengths, `(B, …) -> (B, S, …)`.

    Strength 0 is the reconstruction.
    """
    return decode(model, moved(encode(model, x), direction, strengths))


def moved(z: Tensor, direction: Tensor, strengths: Sequence[float]) -> Tensor:
    """Codes moved along a direction, `(B, d), (d,) -> (B, S, d)`."""
    steps = torch.as_tensor(strengths, dtype=z.dtype)
    return z[:, None] + steps[:, None] * direction.to(z)


def strength_for(
    model: Decodes,
    z: Tensor,
    direction: Tensor,
    judge: Callable[[Tensor], Tensor],
    goal: float,
    *,
    most: float = 8.0,
    steps: int = 16,
) -> float | None:
    """The smallest strength at which the judge's mean over decoded codes reaches a goal.

    Args:
        model: decodes.
        z: codes `(B, d)`.
        direction: `(d,)`.
        judge: decoded examples `(B, …)` to probabilities `(B,)`.
        goal: mean probability to reach.
        most: the largest strength tried.
        steps: even steps up to `most`, before the last is halved ten times.

    Returns:
        The strength, or None where the goal is out of reach.
    """

    def reached(strength: float) -> bool:
        return float(judge(decode(model, z + strength * direction.to(z))).mean()) >= goal

    ladder = [most * k / steps for k in range(steps + 1)]
    high = next((strength for strength in ladder if reached(strength)), None)
    if not high:
        return high
    low = high - most / steps
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def mean_code(model: Encodes, x: Tensor) -> Tensor:
    """Mean encoding of a group of examples, `(B, …) -> (d,)`."""
    return encode(model, x).mean(0)


def arithmetic(model: Autoencodes, plus: Sequence[Tensor], minus: Sequence[Tensor] = ()) -> Tensor:
    """Decode a sum of encodings: mean(smiling women) - mean(women) + mean(men).

    Each group is averaged before it counts, which leaves of single examples what they share
    (Radford, Metz and Chintala 2016, section 6.3.2).

    Args:
        model: encodes and decodes.
        plus, minus: groups of examples `(B, …)` each.

    Returns:
        `(1, …)`.

    Raises:
        UserError: nothing to add.
    """
    if not len(plus):
        raise UserError("Arithmetic on encodings needs at least one example to add.")
    total = sum((mean_code(model, x) for x in plus[1:]), mean_code(model, plus[0]))
    for x in minus:
        total = total - mean_code(model, x)
    return decode(model, total[None])
