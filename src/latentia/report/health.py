"""The section on the health of the training: what the doctor found, and the curves it saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentia.fitting import about_settings
from latentia.report.draw_lines import Line, lines
from latentia.report.page import Figure, Section
from latentia.report.subject import Subject
from latentia.training.checkup import checkups_of
from latentia.training.doctor import Finding, diagnose, span_of, unknown

_CHARTS: tuple[tuple[str, dict[str, str], str], ...] = (
    (
        "What the critic answers",
        {"on_real": "training examples", "on_held": "held-out examples", "on_fake": "samples"},
        "Mean logit of being real. Healthy: training and held-out examples run together, and "
        "samples not far below.",
    ),
    (
        "What the critic gets right",
        {
            "right": "training example or sample",
            "right_held": "held-out example or sample",
            "seen": "training or held-out example",
        },
        "Share of pairs that the critic orders rightly; one half is chance. The last line leaves "
        "one half where it learns the training examples by heart.",
    ),
    (
        "Variety of the samples",
        {
            "spread": "spread beside the data's",
            "average_spread": "the same, averaged model",
            "coverage": "share of the data covered",
            "repeats": "samples with a near twin",
        },
        "A collapsed generator has little spread, or many twins.",
    ),
    (
        "How far the samples are, and how far they move",
        {"distance": "from the data", "moved": "since the last check-up"},
        "Energy distance in units of the data's spread, on fixed noise. Circles keep both large.",
    ),
    (
        "What is left of the losses' pull",
        {"critic_pull": "critic", "generator_pull": "generator"},
        "Size of the loss's slope beside that of an undecided critic. Near nothing, that player "
        "has stopped learning.",
    ),
)


def health(subject: Subject) -> Section | None:
    """Findings with their advice, and the curves behind them; None without check-ups."""
    history = checkups_of(subject.run.history())
    if not history:
        return None
    findings = diagnose(history, about_settings(subject.run))
    section = Section("health", "Health of the training", _lead(history, findings))
    section.warnings = [f"{said(finding)} {finding.advice}" for finding in findings]
    for title, names, caption in _CHARTS:
        series = {label: _series(history, key) for key, label in names.items()}
        _add(section, title, series, caption, findings)
    players = sorted({player for h in history for player in h["gradients"]})
    norms = {player: _gradients(history, player) for player in players}
    _add(section, "Gradient norms", norms, "Mean norm of each player's gradient.", findings, True)
    section.missing = unknown(history)
    return section


def said(finding: Finding) -> str:
    """The finding's sentence with its time."""
    return f"{finding.sentence} This was so {span_of(finding)}."


def _lead(history: Sequence[dict[str, Any]], findings: Sequence[Finding]) -> str:
    looked = f"{len(history)} check-ups" if len(history) > 1 else "One check-up"
    if not findings:
        return f"{looked}, and nothing that looks wrong."
    ongoing = sum(f.ongoing for f in findings)
    count = "One trouble" if len(findings) == 1 else f"{len(findings)} troubles"
    still = {0: "gone by the end", len(findings): "still there at the end"}
    return f"{looked}. {count}, {still.get(ongoing, f'{ongoing} still there at the end')}."


def _series(history: Sequence[dict[str, Any]], key: str) -> Line:
    points = [(100 * h["progress"], h[key]) for h in history if h.get(key) is not None]
    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    return x, y


def _gradients(history: Sequence[dict[str, Any]], player: str) -> Line:
    flat = [{"progress": h["progress"], "norm": h["gradients"].get(player)} for h in history]
    return _series(flat, "norm")


def _add(
    section: Section,
    title: str,
    series: dict[str, Line],
    caption: str,
    findings: Sequence[Finding],
    logarithmic: bool = False,
) -> None:
    """A chart, where there is anything to draw; the times of trouble are shaded."""
    series = {label: line for label, line in series.items() if len(line[0])}
    if not series:
        return
    last = ", ".join(f"{label} {y[-1]:.3g}" for label, (_, y) in series.items())
    alt = f"{title}, over the budget; at the end: {last}."
    shaded = [(100 * f.since, 100 * (f.until or 1.0)) for f in findings]
    html = lines(series, shaded, x_label="% of the budget", alt=alt, logarithmic=logarithmic)
    section.figures.append(Figure(html, alt, f"{caption} At the end: {last}.", title))
