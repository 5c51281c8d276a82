"""What a study recommends: rules on tables of errors, and the sentences that explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal[
    "knee", "flat", "falling", "uncertain", "single", "untrained", "balance", "free", "costly"
]
_SIGMAS = 2.0
_WORSE, _WORSE_BY = 0.1, 0.01  # shares of the error, and of the data's variance


@dataclass(frozen=True)
class Recommendation:
    """What to take, and why.

    Attributes:
        value: the size or β; None where the table does not show one.
        kind: which case of the rule it was.
        words: the rule and the case in plain words.
    """

    value: float | None
    kind: Kind
    words: str


@dataclass(frozen=True)
class Errors:
    """Errors of K models on the same N rows, with chance told from difference.

    Attributes:
        rows: `(K, N)`, squared error of every row.
    """

    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def means(self) -> np.ndarray:
        """`(K,)`."""
        return np.asarray(self.rows.mean(1))

    def fall(self, a: int, b: int) -> float:
        """Share by which the error of b is below that of a."""
        means = self.means
        return float(1 - means[b] / means[a]) if means[a] > 0 else 0.0

    def certain(self, a: int, b: int) -> bool:
        """Whether a and b differ by over two standard errors of their difference, row by row."""
        gaps = self.rows[a] - self.rows[b]
        error = gaps.std(ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
        return bool(abs(gaps.mean()) > _SIGMAS * error)


def smallest_enough(
    sizes: Sequence[int], errors: Errors, variance: float, share: float, dims: int
) -> Recommendation:
    """The smallest size after which the error falls by less than a share of the variance.

    No larger size of the table may lower the error by that much. A fall counts where it is beyond
    chance: over two standard errors of the difference.

    Args:
        sizes: rising.
        errors: of the models of these sizes.
        variance: of the data, in the units of the errors.
        share: of the variance, 0 to 1.
        dims: numbers in an example, beyond which nothing is compressed.
    """
    if len(sizes) == 1:
        return Recommendation(None, "single", "One size shows no trend: try two or more.")
    explained = 1 - errors.means / max(variance, 1e-12)
    last = len(sizes) - 1

    def larger(i: int, proven: bool) -> list[int]:
        """Larger sizes that are worth it."""
        after = [j for j in range(i + 1, last + 1) if explained[j] - explained[i] >= share]
        return [j for j in after if errors.certain(i, j)] if proven else after

    chosen = next(i for i in range(len(sizes)) if not larger(i, proven=True))
    kept, name = _percent(explained[chosen]), _latents(sizes[chosen])
    if chosen == last:
        return _falling(sizes, explained, dims)
    if doubtful := larger(chosen, proven=False):
        words = (
            f"{name} at least. {sizes[doubtful[-1]]} explain {_percent(explained[doubtful[-1]])} "
            f"of the variance instead of {kept}, but on {errors.rows.shape[1]:,} test rows that is "
            "within chance (two standard errors): this table cannot tell. Measure on more data."
        )
        return Recommendation(sizes[chosen], "uncertain", words)
    best = chosen + 1 + int(explained[chosen + 1 :].argmax())
    rule = f"lowers the error by another {_percent(share)} of the data's variance"
    shown = sorted({max(0, chosen - 1), chosen, best})
    told = [f"{_percent(explained[i])} with {sizes[i]}" for i in shown]
    back = f"Of the variance {', '.join(told[:-1])} and {told[-1]} latents comes back."
    if chosen == 0:
        smaller = " Smaller sizes may do as well: try some." if sizes[0] > 1 else ""
        words = f"{name}, the smallest size tried: no larger one {rule}. {back}{smaller}"
        return Recommendation(sizes[0], "flat", words)
    words = f"{name}: the smallest size after which no larger one {rule}. {back}"
    return Recommendation(sizes[chosen], "knee", words)


def _falling(sizes: Sequence[int], explained: np.ndarray, dims: int) -> Recommendation:
    *_, before, last = sizes
    words = (
        f"No knee is visible: with {last} latents, the largest size tried, "
        f"{_percent(explained[-1])} of the variance comes back, and with {before} only "
        f"{_percent(explained[-2])}. Of these sizes take {last} if the error matters most. "
    )
    if 2 * last < dims:
        listed = _listed([*sizes, 2 * last])
        words += f"To see where it levels off, add a larger size, e.g. --latent {listed}."
    else:
        words += f"The data are {dims:,} numbers themselves: much more would not compress them."
    return Recommendation(None, "falling", words)


def doing_worse(sizes: Sequence[int], errors: Errors, variance: float) -> str:
    """A warning where the largest size is clearly worse than the best; else empty."""
    last, best = len(sizes) - 1, int(errors.means.argmin())
    gap = errors.means[last] - errors.means[best]
    little = errors.fall(last, best) < _WORSE or gap < _WORSE_BY * variance
    if best == last or little or not errors.certain(last, best):
        return ""
    more = _percent(errors.means[last] / errors.means[best] - 1)
    return (
        f"{_latents(sizes[last])} did worse than {sizes[best]} (error {more} higher), although "
        "they could do as well: train longer, or take it as the chance of one training."
    )


def behind_pca(behind: Sequence[int]) -> str:
    """A warning about sizes at which plain PCA is better; empty without any."""
    if not behind:
        return ""
    return (
        f"PCA of the same size reconstructs better (latents: {_listed(behind)}): the model has not "
        "been trained enough there, or is held back by its KL. Give it more minutes before "
        "believing the table."
    )


def largest_affordable(
    betas: Sequence[float], errors: Errors, carries: Sequence[bool], share: float
) -> Recommendation:
    """The largest β > 0 whose error is at most `share` above the lowest of the table.

    Args:
        betas: rising.
        errors: of the models trained with them.
        carries: whether any latent carries information.
        share: of the lowest error, 0 or more.
    """
    usable = [i for i, beta in enumerate(betas) if beta > 0]
    if len(betas) == 1 or not usable:
        words = "This shows no trade: try two or more values of β, some above 0."
        return Recommendation(None, "single", words)
    means = errors.means
    best = int(means.argmin())
    cost = means / max(float(means[best]), 1e-12) - 1
    fine = [i for i in usable if carries[i] and (cost[i] <= share or not errors.certain(i, best))]
    if not fine:
        first = usable[0]
        words = (
            f"Every β above 0 costs more than {_percent(share)} of reconstruction; the cheapest, "
            f"β = {betas[first]:g}, raises the error by {_percent(cost[first])}. Try smaller "
            "values, or train longer."
        )
        return Recommendation(betas[first] if carries[first] else None, "costly", words)
    chosen = fine[-1]
    price = (
        f"its error is {_percent(cost[chosen])} above the lowest"
        if chosen != best
        else "its error is the lowest"
    )
    if chosen == len(betas) - 1:
        words = (
            f"β = {betas[chosen]:g}, the largest tried: {price}. It may bear more: try "
            f"β = {2 * betas[chosen]:g}."
        )
        return Recommendation(betas[chosen], "free", words)
    after = chosen + 1
    next_words = (
        f"β = {betas[after]:g} raises it by {_percent(cost[after])}"
        if carries[after]
        else f"at β = {betas[after]:g} all latents have collapsed"
    )
    words = (
        f"β = {betas[chosen]:g}: the largest whose reconstruction error stays within "
        f"{_percent(share)} of the lowest (at β = {betas[best]:g}); {price}, {next_words}. More β "
        "means latents nearer to the prior, so that samples and walks stay on known ground."
    )
    return Recommendation(betas[chosen], "balance", words)


def _latents(size: int) -> str:
    return f"{size} latent" + ("s" if size != 1 else "")


def _percent(share: float) -> str:
    value = 100 * float(share)
    return f"{value:.{1 if abs(value) < 2 else 0}f}\N{NO-BREAK SPACE}%"


def _listed(sizes: Sequence[int]) -> str:
    return ",".join(map(str, sizes))
