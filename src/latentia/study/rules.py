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
    sizes: Sequence[int], errors: Errors, share: float, dims: int
) -> Recommendation:
    """The smallest size after which no larger one of the table lowers the error by `share`.

    A fall counts where it is beyond chance: over two standard errors of the difference.

    Args:
        sizes: rising.
        errors: of the models of these sizes.
        share: of the error, 0 to 1.
        dims: numbers in an example, beyond which nothing is compressed.
    """
    if len(sizes) == 1:
        return Recommendation(None, "single", "One size shows no trend: try two or more.")
    falls = [max(((errors.fall(i, j), j) for j in range(i + 1, len(sizes))), default=(0.0, i))
             for i in range(len(sizes))]  # fmt: skip
    chosen = next(
        i
        for i in range(len(sizes))
        if not any(
            errors.fall(i, j) >= share and errors.certain(i, j) for j in range(i + 1, len(sizes))
        )
    )
    gain, best = falls[chosen]
    if chosen == len(sizes) - 1:
        return _falling(sizes, errors, dims)
    if gain >= share:
        return _uncertain(sizes, chosen, gain, best, errors)
    rule = f"after which the error falls by less than {_percent(share)}"
    after = _after(sizes[best], gain)
    if chosen == 0:
        smaller = " Smaller sizes may do as well: try some." if sizes[0] > 1 else ""
        words = f"{_latents(sizes[0])}, the smallest size tried: {after}.{smaller}"
        return Recommendation(sizes[0], "flat", words)
    before = errors.fall(chosen - 1, chosen)
    words = (
        f"{_latents(sizes[chosen])}: the smallest size {rule}. From {sizes[chosen - 1]} to "
        f"{sizes[chosen]} it falls by {_percent(before)}; {after}."
    )
    return Recommendation(sizes[chosen], "knee", words)


def _falling(sizes: Sequence[int], errors: Errors, dims: int) -> Recommendation:
    last = len(sizes) - 1
    fall = _percent(errors.fall(last - 1, last))
    larger = min(2 * sizes[last], dims - 1)
    more = (
        f"To see where it levels off, add a larger size, e.g. --latent {_listed([*sizes, larger])}."
        if larger > sizes[last]
        else f"The data have {dims:,} numbers themselves, so more would compress nothing."
    )
    words = (
        f"No knee is visible: from {sizes[last - 1]} to {sizes[last]} latents, the largest size "
        f"tried, the error still falls by {fall}. Of these sizes take {sizes[last]} if the error "
        f"matters most. {more}"
    )
    return Recommendation(None, "falling", words)


def _uncertain(
    sizes: Sequence[int], chosen: int, gain: float, best: int, errors: Errors
) -> Recommendation:
    words = (
        f"{_latents(sizes[chosen])} at least. {sizes[best]} lower the error by {_percent(gain)}, "
        f"but on {errors.rows.shape[1]:,} test rows that is within chance (two standard errors): "
        "this table cannot tell. Measure on more data, or train longer."
    )
    return Recommendation(sizes[chosen], "uncertain", words)


def _after(best: int, gain: float) -> str:
    if gain <= 0:
        return "no larger size tried lowers it further"
    return f"more lower it by {_percent(gain)} at best (with {best})"


def doing_worse(sizes: Sequence[int], errors: Errors, share: float) -> str:
    """A warning where the largest size is clearly worse than the best; else empty."""
    last, best = len(sizes) - 1, int(errors.means.argmin())
    if best == last or errors.fall(last, best) < share or not errors.certain(last, best):
        return ""
    more = _percent(errors.means[last] / errors.means[best] - 1)
    return (
        f"{_latents(sizes[last])} did worse than {sizes[best]} (error {more} higher), although "
        "they could do as well: train longer, or take it as the chance of one training."
    )


def behind_pca(sizes: Sequence[int], errors: Sequence[float], pca: Sequence[float]) -> str:
    """A warning where plain PCA of the same size is better; else empty."""
    behind = [size for size, mine, plain in zip(sizes, errors, pca, strict=True) if plain < mine]
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
    return f"{value:.1f} %" if abs(value) < 2 else f"{value:.0f} %"


def _listed(sizes: Sequence[int]) -> str:
    return ",".join(map(str, sizes))
