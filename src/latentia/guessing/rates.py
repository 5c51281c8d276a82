"""Error rates of those who guessed, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentia.guessing.answers import Answer, Protocol
from latentia.guessing.staircase import modal
from latentia.metrics.intervals import REPLICATES, UNKNOWN, Estimate, between_replicates, wilson

LEAST_SESSIONS = 5
"""With fewer, whole sessions drawn again say too little, and answers are drawn instead."""


@dataclass(frozen=True)
class Result:
    """What answers say of a model; 50 % wrong is what guessing gives, whoever guesses.

    Attributes:
        sessions, answers: how many.
        wrong: share of mistaken answers: HYPE-infinity.
        fakes: share of fakes taken for real.
        reals: share of real pictures taken for fakes.
        exposure: mean over sessions of the modal exposure of their later half, milliseconds:
            HYPE-time; unknown without a limit.
        seconds: median of what an answer took; None without answers.
    """

    sessions: int
    answers: int
    wrong: Estimate
    fakes: Estimate
    reals: Estimate
    exposure: Estimate
    seconds: float | None


def result(answers: Sequence[Answer], protocol: Protocol | None = None, seed: int = 0) -> Result:
    """The result of all answers, or of those of one protocol; `seed` is the bootstrap's."""
    kept = [a for a in answers if protocol in (None, a.protocol)]
    return Result(
        sessions=len({a.session for a in kept}),
        answers=len(kept),
        wrong=error_rate(kept, seed),
        fakes=error_rate([a for a in kept if not a.real], seed),
        reals=error_rate([a for a in kept if a.real], seed),
        exposure=_exposure(kept, seed),
        seconds=float(np.median([a.seconds for a in kept])) if kept else None,
    )


def error_rate(answers: Sequence[Answer], seed: int = 0) -> Estimate:
    """Share of mistaken answers with a bootstrap interval.

    Whole sessions are drawn again, since the answers of one person hang together; with fewer than
    `LEAST_SESSIONS` of them, single answers. Where none or all are mistaken a bootstrap knows no
    spread, and Wilson's interval takes its place.
    """
    wrong, n = _by_session(answers)
    hits, total = int(wrong.sum()), int(n.sum())
    if not total:
        return UNKNOWN
    if hits in (0, total):
        return wilson(hits, total)
    random = np.random.default_rng(seed)
    if len(n) < LEAST_SESSIONS:
        again = random.binomial(total, hits / total, REPLICATES) / total
    else:
        rows = random.integers(0, len(n), (REPLICATES, len(n)))
        again = wrong[rows].sum(1) / n[rows].sum(1)
    return between_replicates(hits / total, again)


def _by_session(answers: Sequence[Answer]) -> tuple[np.ndarray, np.ndarray]:
    """Mistakes and answers of each session, `(S,)` both."""
    counts: dict[str, list[int]] = {}
    for answer in answers:
        count = counts.setdefault(answer.session, [0, 0])
        count[0] += answer.wrong
        count[1] += 1
    table = np.array(list(counts.values()), np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _exposure(answers: Sequence[Answer], seed: int) -> Estimate:
    """Mean modal exposure; its interval draws sessions again, and asks for two."""
    shown: dict[str, list[int]] = {}
    for answer in answers:
        if answer.exposure is not None:
            shown.setdefault(answer.session, []).append(answer.exposure)
    found = np.array([modal(e[len(e) // 2 :]) for e in shown.values()], np.float64)
    if not len(found):
        return UNKNOWN
    if len(found) == 1:
        return Estimate(float(found[0]))
    rows = np.random.default_rng(seed).integers(0, len(found), (REPLICATES, len(found)))
    return between_replicates(float(found.mean()), found[rows].mean(1))


def verdict(found: Result) -> str:
    """The error rate in a sentence."""
    wrong = found.wrong
    if wrong.value is None:
        return "No answers yet."
    text = f"{wrong.shown()} of {found.answers} answers were wrong"
    if wrong.low is None or wrong.high is None:
        return f"{text}."
    if wrong.low <= 0.5 <= wrong.high:
        return f"{text}: not told apart from guessing, which gives 50 %."
    if wrong.high < 0.5:
        return f"{text}: fewer than guessing gives (50 %), so the difference is seen."
    return f"{text}: more than guessing gives (50 %), so fakes look more real than the data."
