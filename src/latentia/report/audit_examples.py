"""Examples of an audit: pictures with names and words, or rows with what is unusual for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from latentia.audit.duplicates import Pair
from latentia.audit.result import AuditResult
from latentia.maths.chunks import spread_rows
from latentia.metrics.reconstruction import pca_baseline
from latentia.report.page import Figure
from latentia.report.tiles import Tile, tiles

_MOST_PAIRS = 24
_OFFENDING = 3
_USUAL_ROWS = 2000


def examples(
    found: AuditResult, rows: Sequence[int], words: Sequence[str], title: str = ""
) -> list[Figure]:
    """Pictures with their names and words below, or rows with what is unusual about them."""
    if not rows:
        return []
    subject = found.subject
    if not subject.image:
        return [rows_figure(found, rows, words, title)]
    values = values_of(found, rows)
    made = [
        Tile(values[k], subject.name(i), word)
        for k, (i, word) in enumerate(zip(rows, words, strict=True))
    ]
    alt = f"{len(rows)} {subject.thing}s: " + ", ".join(subject.name(i) for i in rows[:8])
    return [Figure(tiles(made, sound=subject.sound), alt, "", title)]


def values_of(found: AuditResult, rows: Sequence[int]) -> np.ndarray:
    """Pixels of rows, those of the second set included, `(N, C, H, W)`."""
    n = len(found.subject.data)
    mine, theirs = found.subject.data.values, found.subject.test
    return np.stack([mine[i] if i < n or theirs is None else theirs.values[i - n] for i in rows])


def rows_figure(
    found: AuditResult, rows: Sequence[int], words: Sequence[str], title: str
) -> Figure:
    """A table of rows with the columns that stand out most."""
    told = unusual(found, rows)
    lines = [
        Markup("<tr><th scope=row>{}</th><td>{}</td><td>{}</td></tr>").format(
            found.subject.name(i), what, word
        )
        for i, what, word in zip(rows, told, words, strict=True)
    ]
    html = Markup(
        "<div class=scroll><table><thead><tr><th>row</th><th>unusual for it</th><th>why</th></tr>"
        "</thead><tbody>{}</tbody></table></div>"
    ).format(Markup("").join(lines))
    return Figure(html, f"A table of {len(rows)} rows.", "", title)


def unusual(found: AuditResult, rows: Sequence[int]) -> list[str]:
    """For each row the columns that its other columns foretell worst, with their values."""
    subject = found.subject
    n = len(subject.data)
    pca = pca_baseline(subject.data, max(1, subject.data.spec.dims // 2))
    values = np.stack(
        [
            subject.data.values[i] if i < n or subject.test is None else subject.test.values[i - n]
            for i in rows
        ]
    ).astype(np.float64)
    usual = subject.data.values[spread_rows(n, _USUAL_ROWS).numpy()].astype(np.float64)
    scale = np.maximum((usual - pca.inverse_transform(pca.transform(usual))).std(0), 1e-6)
    off = np.abs(values - pca.inverse_transform(pca.transform(values))) / scale
    far = np.abs(values - usual.mean(0)) / np.maximum(usual.std(0), 1e-6)
    worst = np.argsort(-np.maximum(off, far), 1)
    return [_told(found, v, order) for v, order in zip(values, worst, strict=True)]


def _told(found: AuditResult, values: np.ndarray, order: np.ndarray) -> str:
    encoder = found.subject.encoder
    if encoder is None:
        return ", ".join(f"column {j} = {values[j]:.4g}" for j in order[:_OFFENDING])
    raw = encoder.inverse(values[None])
    names = list(dict.fromkeys(encoder.sources[j] for j in order))[:_OFFENDING]
    return ", ".join(f"{name} = {_cell(raw[name][0])}" for name in names)


def _cell(value: Any) -> str:
    return (
        f"{value:.6g}" if isinstance(value, float) else "missing" if value is None else str(value)
    )


def pairs(found: AuditResult, pairs: Sequence[Pair]) -> list[Figure]:
    shown = pairs[:_MOST_PAIRS]
    if not found.subject.image:
        head = ("rows", "why")
        names = [f"{found.subject.name(p.first)} = {found.subject.name(p.second)}" for p in shown]
        lines = [
            Markup("<tr><th scope=row>{}</th><td>{}</td></tr>").format(name, found.reason(p))
            for name, p in zip(names, shown, strict=True)
        ]
        html = Markup(
            "<div class=scroll><table><thead><tr><th>{}</th><th>{}</th></tr></thead>"
            "<tbody>{}</tbody></table></div>"
        ).format(*head, Markup("").join(lines))
        return [Figure(html, f"{len(shown)} pairs of rows.", more(len(pairs), len(shown)))]
    made = []
    for p in shown:
        both = values_of(found, [p.first, p.second])
        times = "the same" if p.share == 0 else f"{min(p.score, 1000):,.0f} times nearer than usual"
        name = f"{found.subject.name(p.first)} = {found.subject.name(p.second)}"
        made.append(
            Tile(np.concatenate(list(both), 2), name, times + (", mirrored" if p.mirrored else ""))
        )
    alt = f"{len(shown)} pairs of {found.subject.thing}s that look alike."
    return [Figure(tiles(made, wide=2), alt, more(len(pairs), len(shown)))]


def more(n: int, shown: int) -> str:
    return "" if n <= shown else f"The surest {shown} of {n:,}; audit.json lists them all."
