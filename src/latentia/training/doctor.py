"""The training doctor: names what goes wrong in a game, from the figures of its check-ups.

Pure rules over a list of check-ups (`latentia.training.checkup`), so that a diagnosis can be
made again at any time from the diary of a run. A finding opens when its rule holds at two
check-ups in a row and closes when it fails at four in a row; the first tenth of the budget, in
which every generator is alike to noise, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from latentia.training.remedies import Settings, remedy

Checkup = Mapping[str, Any]
Figures = dict[str, float]

GRACE = 0.1
"""Share of the budget that is not judged: untrained samples are alike, untrained critics lost."""
PATIENCE = 4
"""Check-ups in a row at which a rule fails before its finding is closed: a tenth of the budget."""
WINDOW = 6
"""Check-ups that a slow trouble is seen in: 15 % of the budget where all 40 are made."""

SPREAD = 0.45
"""Healthy runs have 0.85 to 1.1 of the data's spread after the grace, collapsed ones 0 to 0.4."""
REPEATS = 0.25
"""Twins beyond those of the data: healthy runs have at most 0.07, collapsed ones 0.5 to 1."""
DROPPED = 0.5
"""Good samples (precision) that leave data uncovered; healthy runs stay below 0.42."""
CERTAIN = 0.99
"""Of pairs of a real and a generated example that the critic orders rightly."""
IDLE = 0.05
"""Of a loss's pull on the answers at the start: a critic below it has next to nothing to learn."""
FAINT = 0.1
"""The generator's pull below which minimax training stalls; at 0.25 it still recovered."""
NO_GRADIENT = 1e-3
"""Of a player's usual gradient norm; converged healthy players keep more than 0.02 of it."""
HEART = 0.68
"""Seen rows that beat unseen ones: 0.5 is chance; healthy runs on 1,400 pictures reach 0.6."""
LEAK = 0.35
"""Share of the critic's gap between data and fakes that it owes to having seen the data."""
RESTLESS = 0.1
"""Energy distance the samples move between check-ups; healthy runs stay below 0.06."""
FAR = 0.1
"""Energy distance from the data; chance is within 0.03 at 64 rows, provoked circles keep 0.2."""
ONE = (0.05, 0.8)
"""Spread below, or repeats above, at which samples are all the same, wherever they leap."""


@dataclass(frozen=True)
class Finding:
    """One thing that goes, or went, wrong.

    Attributes:
        name: "collapse", "critic saturation", "vanishing gradient", "critic overfit" or
            "oscillation".
        word: a few words for the progress line.
        since, until: shares of the budget; `until` is None where it goes on.
        evidence: the figures that it rests on, when last seen.
        sentence: what happens, in plain words.
        advice: the next thing to try, with the setting and a value.
    """

    name: str
    word: str
    since: float
    until: float | None
    evidence: Figures
    sentence: str
    advice: str

    @property
    def ongoing(self) -> bool:
        """Whether it was still there at the last check-up."""
        return self.until is None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """What a trouble looks like.

    Attributes:
        name, word: as in `Finding`.
        holds: the figures that show it at the last of some check-ups, or None.
        sentence: what they mean.
        hides: troubles that follow from this one, and are not named beside it.
    """

    name: str
    word: str
    holds: Callable[[Sequence[Checkup]], Figures | None]
    sentence: Callable[[Figures], str]
    hides: tuple[str, ...] = ()


def diagnose(history: Sequence[Checkup], settings: Settings | None = None) -> list[Finding]:
    """What goes wrong, and what went wrong for a while, in order of appearance.

    Args:
        history: check-ups in order of time.
        settings: those of the run, so that the advice can name values.
    """
    judged = [h for h in history if h["progress"] >= GRACE]
    spans = {rule.name: _spans(rule, judged, history) for rule in RULES}
    found: list[Finding] = []
    for rule in RULES:
        for since, until, evidence in spans[rule.name]:
            if not _hidden(rule.name, since, spans):
                sentence, advice = rule.sentence(evidence), remedy(rule.name, settings)
                found.append(
                    Finding(rule.name, rule.word, since, until, evidence, sentence, advice)
                )
    return sorted(found, key=lambda f: f.since)


def words(findings: Sequence[Finding]) -> str:
    """The ongoing ones for the progress line, "" where all is well."""
    return "  ".join(f"! {f.word}" for f in findings if f.ongoing)


def worst(findings: Sequence[Finding], most: int = 2) -> list[Finding]:
    """Those worth a sentence at the end: what goes on, then what went on longest."""
    return sorted(findings, key=lambda f: (not f.ongoing, f.since - (f.until or 1.0)))[:most]


def span_of(finding: Finding) -> str:
    """When it was there, e.g. "from 20% of the budget on".

    >>> span_of(Finding("collapse", "", 0.2, None, {}, "", ""))
    'from 20% of the budget on'
    """
    if finding.until is None:
        return f"from {finding.since:.0%} of the budget on"
    return f"from {finding.since:.0%} to {finding.until:.0%} of the budget"


def unknown(history: Sequence[Checkup]) -> list[str]:
    """What the doctor could not look at."""
    last = history[-1]
    if "right" not in last:
        return [
            "This family has no critic, so the doctor watched its gradients only; the other "
            "figures of a report say how good the model is."
        ]
    if "seen" not in last:
        return [
            "There were no held-out examples, so the doctor cannot know whether the critic "
            "learned the training examples by heart."
        ]
    return []


_Span = tuple[float, float | None, Figures]


def _spans(rule: Rule, judged: Sequence[Checkup], history: Sequence[Checkup]) -> list[_Span]:
    """When a rule held, as (since, until, evidence)."""
    spans: list[_Span] = []
    before: Figures | None = None
    misses = 0
    skipped = len(history) - len(judged)
    for i, checkup in enumerate(judged):
        here, at = rule.holds(history[: skipped + i + 1]), float(checkup["progress"])
        is_open = bool(spans) and spans[-1][1] is None
        if here is not None and is_open:
            spans[-1] = (spans[-1][0], None, here)
        elif here is not None and before is not None:
            spans.append((float(judged[i - 1]["progress"]), None, here))
        misses = misses + 1 if here is None else 0
        if is_open and misses == PATIENCE:
            spans[-1] = (spans[-1][0], at, spans[-1][2])
        before = here
    return spans


def _hidden(name: str, since: float, spans: Mapping[str, list[_Span]]) -> bool:
    """Whether another trouble that was there first explains this one."""
    order = [rule.name for rule in RULES]
    return any(
        (start, order.index(rule.name)) < (since, order.index(name))
        and (end is None or end >= since)
        for rule in RULES
        if name in rule.hides
        for start, end, _ in spans[rule.name]
    )


# the rules


def _collapse(history: Sequence[Checkup]) -> Figures | None:
    keys = ("spread", "repeats", "real_repeats", "coverage", "precision")
    last = history[-1]
    if "spread" in last and (last["spread"] < ONE[0] or _twins(last) > ONE[1]):
        return {key: float(last[key]) for key in keys}
    recent = _recent(history, "moved", WINDOW // 2)
    if len(recent) < WINDOW // 2 or _restless(history):
        return None  # samples that leap from one kind to another are a matter of oscillation
    found = {key: median(float(h[key]) for h in recent) for key in keys}
    alike = found["spread"] < SPREAD or _twins(found) > REPEATS
    dropped = found["precision"] > 0.6 and found["precision"] - found["coverage"] > DROPPED
    return found if alike or dropped else None


def _twins(figures: Checkup) -> float:
    """Share of samples with a near twin, beyond that in the data."""
    return float(figures["repeats"]) - float(figures["real_repeats"])


def _say_collapse(found: Figures) -> str:
    if found["spread"] < SPREAD or _twins(found) > REPEATS:
        return (
            f"The generator has collapsed: its samples vary {found['spread']:.0%} as much as the "
            f"data, and {found['repeats']:.0%} of them have a near twin among the others."
        )
    return (
        f"The generator has dropped kinds of examples: its samples look right "
        f"({found['precision']:.0%} lie among the data) but cover only "
        f"{found['coverage']:.0%} of the data."
    )


def _saturation(history: Sequence[Checkup]) -> Figures | None:
    last = history[-1]
    if "critic_pull" not in last or last["generator_pull"] < FAINT:
        return None
    found = {key: float(last[key]) for key in ("right", "critic_pull")}
    sure = found["right"] > CERTAIN and last.get("right_held", 1.0) > CERTAIN
    return found if sure and found["critic_pull"] < IDLE else None


def _say_saturation(found: Figures) -> str:
    return (
        f"The critic is saturated: it tells {found['right']:.1%} of real examples from generated "
        f"ones, {found['critic_pull']:.1%} of its loss's pull is left, and so it has stopped "
        "learning and gives the generator no direction worth following."
    )


def _vanishing(history: Sequence[Checkup]) -> Figures | None:
    last = history[-1]
    if last.get("generator_pull", 1.0) < FAINT and last["right"] > 0.9:
        return {key: float(last[key]) for key in ("generator_pull", "right")}
    for player, norm in last["gradients"].items():
        early = [
            h["gradients"][player]
            for h in history[: len(history) // 2 or 1]
            if player in h["gradients"]
        ]
        usual = median(early) if early else 0.0
        if norm < NO_GRADIENT * usual or (norm == 0 and not usual):
            return {f"gradient of the {player}": norm, "its usual norm": usual}
    return None


def _say_vanishing(found: Figures) -> str:
    if "generator_pull" in found:
        return (
            f"The generator's gradient vanishes: the critic is so sure ({found['right']:.1%} "
            f"right) that {found['generator_pull']:.1%} of the loss's pull reaches the generator."
        )
    (name, norm), (_, usual) = found.items()
    return f"The {name} vanishes: its norm is {norm:.1e}, where {usual:.1e} was usual."


def _overfit(history: Sequence[Checkup]) -> Figures | None:
    last = history[-1]
    if "seen" not in last:
        return None
    # on few rows chance alone is further from one half: four standard errors at least
    rows = min(int(last["rows"]), int(last["held_rows"]))
    limit = max(HEART, 0.5 + 4 * (2 / (12 * max(rows, 1))) ** 0.5)
    found = {key: float(last[key]) for key in ("seen", "leak", "right", "right_held")}
    return found if found["seen"] > limit and found["leak"] > LEAK else None


def _say_overfit(found: Figures) -> str:
    return (
        "The critic learns the training examples by heart: it finds those it has seen more real "
        f"than held-out ones in {found['seen']:.0%} of pairs (50% would be chance), and "
        f"{found['leak']:.0%} of its confidence in data comes from that."
    )


def _oscillation(history: Sequence[Checkup]) -> Figures | None:
    recent = _recent(history, "moved", WINDOW)
    if len(recent) < WINDOW or not _restless(history):
        return None
    keys = ("moved", "distance", "spread")
    found = {key: median(float(h[key]) for h in recent) for key in keys}
    half = WINDOW // 2
    older, newer = (median(h["distance"] for h in part) for part in (recent[:half], recent[half:]))
    comes_nearer = newer < 0.6 * older
    return found if found["distance"] > FAR and not comes_nearer else None


def _say_oscillation(found: Figures) -> str:
    leaps = (
        f" They vary {found['spread']:.0%} as much as the data, and leap from one kind to another."
        if found["spread"] < 0.5
        else ""
    )
    return (
        "The game goes in circles: from one check-up to the next the samples move by "
        f"{found['moved']:.2f} (energy distance, in units of the data's spread) but stay "
        f"{found['distance']:.2f} away from the data.{leaps}"
    )


def _restless(history: Sequence[Checkup]) -> bool:
    """Whether the samples move about as far between check-ups as they are from the data."""
    recent = _recent(history, "moved", WINDOW)
    if len(recent) < WINDOW // 2:
        return False
    moved, far = (median(float(h[key]) for h in recent) for key in ("moved", "distance"))
    return moved > max(RESTLESS, 0.3 * far)


def _recent(history: Sequence[Checkup], key: str, most: int) -> list[Checkup]:
    """The last check-ups after the grace that have a figure."""
    return [h for h in history[-most:] if key in h and h["progress"] >= GRACE]


RULES = (
    Rule(
        "collapse",
        "collapse: samples repeat",
        _collapse,
        _say_collapse,
        hides=("critic saturation", "vanishing gradient"),
    ),
    Rule(
        "critic saturation", "saturation: the critic is always right", _saturation, _say_saturation
    ),
    Rule(
        "vanishing gradient",
        "vanishing gradient: the generator learns nothing",
        _vanishing,
        _say_vanishing,
        hides=("critic saturation",),
    ),
    Rule(
        "critic overfit",
        "overfit: the critic learns the data by heart",
        _overfit,
        _say_overfit,
        hides=("critic saturation",),
    ),
    Rule(
        "oscillation",
        "oscillation: the game goes in circles",
        _oscillation,
        _say_oscillation,
    ),
)
