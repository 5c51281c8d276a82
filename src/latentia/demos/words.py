"""What a frame shows, in plain words that follow the figures and not the clock."""

from __future__ import annotations

from collections.abc import Sequence

from latentia.demos.film import PROBABILITY, Figures
from latentia.objectives.adversarial import Loss

EVEN = 0.05
"""Mean distance of D from 1/2 on real points below which it says "I cannot tell"."""
_SURE, _NEARLY = 0.8, 0.1
_BEHIND = 2.0  # times that the best answer is further from 1/2 than D


def captions(figures: Sequence[Figures], loss: Loss) -> list[str]:
    """A sentence or two for every frame."""
    return [_caption(f, loss, i == 0, i == len(figures) - 1) for i, f in enumerate(figures)]


def _caption(f: Figures, loss: Loss, first: bool, last: bool) -> str:
    if first:
        return (
            "Before the game: the generator turns noise into fakes that lie in one heap, and the "
            "discriminator has not seen a point yet."
        )
    if last:
        return ending(f, loss)
    if loss not in PROBABILITY:
        return (
            "With this loss the discriminator gives scores, not probabilities: only its slope "
            "counts, and the fakes move uphill."
        )
    if f.right > _SURE:
        return (
            "The discriminator is sure: it tells nearly all real points from the fakes. Its "
            "slope shows every fake which way to go."
        )
    if f.best_mean > max(_NEARLY, _BEHIND * f.apart_mean):
        return (
            "The discriminator lags behind: the best answer would tell far more apart than D does "
            "yet. The generator can only learn what D has seen." + _modes(f)
        )
    if f.apart_mean > _NEARLY:
        return (
            "They push each other: where fakes are too many, D falls below ½ and drives them off; "
            "where they are too few, it rises and draws them in." + _modes(f)
        )
    if f.apart_mean > EVEN:
        return (
            "It gets hard to tell: the fakes lie nearly as the real points do, and D comes down "
            "to ½." + _modes(f)
        )
    return "D hardly moves from ½ any more. What is left to learn is the fine shape." + _modes(f)


def ending(f: Figures, loss: Loss) -> str:
    """How the game ended, with the figures; nothing is said that they do not show."""
    lost = f" {f.of_modes - f.modes} of {f.of_modes} heaps were lost." if _lost(f) else ""
    if loss not in PROBABILITY:
        return f"The end. This loss has no probability that could come to rest at ½.{lost}"
    numbers = f"|D − ½| is {f.apart_mean:.3f} on average over the real points"
    most = f"and below {max(f.apart_most, 0.001):.3f} for 95\u00a0% of them"
    if f.apart_mean > EVEN:
        return (
            f"The end, but no draw: {numbers} {most}. More steps, or another loss, would be "
            f"needed.{lost}"
        )
    if _lost(f):
        return f"The end: {numbers}, and yet it is no success.{lost}"
    if f.best_mean > _NEARLY:
        return (
            f"The end: {numbers} {most}. But the best answer would still tell them apart, by "
            f"{f.best_mean:.3f}: the discriminator has not seen all there is to see."
        )
    if max(f.apart_most / 2, f.best_mean) > EVEN:
        return (
            f"Nearly a draw: {numbers} {most}. The best answer (D*) would be {f.best_mean:.3f} "
            "away: what is left are fine shapes, and bridges that a smooth generator cannot cut."
        )
    found = f" All {f.of_modes} heaps are found." if f.of_modes else ""
    return (
        f"A draw. The fakes lie where the real points lie, and the best that D can say is ½: "
        f"{numbers} {most}.{found}"
    )


def _lost(f: Figures) -> bool:
    return f.modes < f.of_modes


def _modes(f: Figures) -> str:
    return f" Heaps found: {f.modes} of {f.of_modes}." if _lost(f) else ""
