"""What an audit found, as lists that a program can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentia.audit.duplicates import Pair, groups_of
from latentia.audit.labels import LabelAudit
from latentia.audit.outliers import Strangeness
from latentia.audit.rarity import Region
from latentia.audit.subject import Subject
from latentia.audit.traits import common_traits
from latentia.audit.weights import Coverage, facts
from latentia.files import write_csv, write_json
from latentia.run import Run

FACTS_FILE, ROWS_FILE, WEIGHTS_FILE, PAGE_FILE = (
    "audit.json",
    "audit.csv",
    "weights.csv",
    "report.html",
)
FORMAT = 1


@dataclass(frozen=True)
class AuditResult:
    """What was found; rows are numbers in `subject.data`, those of `subject.test` count on.

    Attributes:
        folder: holds the report, the lists and the models.
        subject: what was audited.
        run: a model of all rows, kept to go on exploring.
        codes: latents of all rows, `(N, d)`.
        strangeness: of every row.
        outliers: rows that stand alone, the strangest first.
        exact: groups of rows with the same content.
        near: near-duplicate pairs, the surest first.
        labels: suspected labels; None without labels.
        regions: rare classes, then rare kinds.
        leaks: pairs of equal (share 0) and near-equal rows on two sides of a split; None where
            there are no two sides.
        coverage: of the latent space.
        weights: suggested for sampling, `(N,)`, mean 1.
        settings: that repeat the audit.
        versions: of Python and the libraries.
        seconds: it took.
    """

    folder: Path
    subject: Subject
    run: Run
    codes: np.ndarray
    strangeness: Strangeness
    outliers: tuple[int, ...]
    exact: tuple[tuple[int, ...], ...]
    near: tuple[Pair, ...]
    labels: LabelAudit | None
    regions: tuple[Region, ...]
    leaks: tuple[Pair, ...] | None
    coverage: Coverage
    weights: np.ndarray
    settings: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def near_groups(self) -> list[list[int]]:
        """Rows that hang together by near-duplicate pairs."""
        return groups_of(self.near)

    def counts(self) -> dict[str, int]:
        """How many findings of each kind."""
        return {
            "outliers": len(self.outliers),
            "exact_duplicates": len(self.exact),
            "near_duplicates": len(self.near),
            "label_issues": 0 if self.labels is None else len(self.labels.issues),
            "rare_regions": len(self.regions),
            "leakage": 0 if self.leaks is None else len(self.leaks),
        }

    def to_json(self) -> dict[str, Any]:
        """The content of `audit.json`."""
        subject = self.subject
        return {
            "format": FORMAT,
            "data": subject.data.spec.name,
            "examples": len(subject.data),
            "counts": self.counts(),
            "outliers": [self._outlier(i) for i in self.outliers],
            "exact_duplicates": [self._same(group) for group in self.exact],
            "near_duplicates": [self._near(pair) for pair in self.near],
            "label_issues": self._labels(),
            "rare_regions": [self._region(region) for region in self.regions],
            "leakage": None if self.leaks is None else [self._near(pair) for pair in self.leaks],
            "coverage": facts(self.coverage),
            "labels_foretold": None if self.labels is None else self.labels.accuracy,
            "weights": WEIGHTS_FILE,
            "rows": ROWS_FILE,
            "model": str(self.run.folder.relative_to(self.folder)),
            "notes": list(subject.notes),
            "settings": self.settings,
            "versions": self.versions,
            "seconds": round(self.seconds, 1),
        }

    def _outlier(self, row: int) -> dict[str, Any]:
        return {
            "name": self.subject.name(row),
            "row": row,
            "score": round(float(self.strangeness.total[row]), 3),
            "reason": self.strangeness.words(row),
            "by": self.strangeness.reason(row),
            "scores": {k: round(float(v[row]), 3) for k, v in self.strangeness.surprises.items()},
        }

    def _same(self, group: Sequence[int]) -> dict[str, Any]:
        return {
            "names": [self.subject.name(i) for i in group],
            "rows": list(group),
            "score": 1.0,
            "reason": "the same content",
        }

    def _near(self, pair: Pair) -> dict[str, Any]:
        return {
            "names": [self.subject.name(pair.first), self.subject.name(pair.second)],
            "rows": [pair.first, pair.second],
            "score": round(pair.score, 3),
            "reason": self.reason(pair),
            "mirrored": pair.mirrored,
        }

    def reason(self, pair: Pair) -> str:
        """Why two rows count as one, in words."""
        if pair.share == 0:
            return "the same content"
        what = "mirrored and aligned, " if pair.mirrored else ""
        if self.subject.image:
            what = what or "aligned, "
        times = f"{min(pair.score, 1000):,.0f} times"
        return f"{what}they differ {times} less than the nearest look-alikes usually do"

    def _labels(self) -> list[dict[str, Any]]:
        if self.labels is None:
            return []
        name = self.subject.class_name
        return [
            {
                "name": self.subject.name(issue.row),
                "row": issue.row,
                "given": name(issue.given),
                "looks_like": name(issue.likely),
                "score": round(issue.score, 3),
                "reason": f"it looks like {name(issue.likely)!r}: learned from the other examples, "
                f"that has a probability of {issue.likely_p:.0%} and {name(issue.given)!r} one of "
                f"{issue.given_p:.1%}",
            }
            for issue in self.labels.issues
        ]

    def _region(self, region: Region) -> dict[str, Any]:
        return {
            "kind": "cluster" if region.label is None else "class",
            "class": None if region.label is None else self.subject.class_name(region.label),
            "names": [self.subject.name(i) for i in region.rows],
            "rows": list(region.rows),
            "size": len(region.rows),
            "share": round(len(region.rows) / len(self.subject.data), 5),
            "score": round(region.score, 3),
            "reason": self.why_rare(region),
        }

    def why_rare(self, region: Region) -> str:
        """Why a region is listed, in words."""
        share = f"{len(region.rows) / len(self.subject.data):.1%} of the examples"
        if region.label is not None:
            return f"the class {self.subject.class_name(region.label)!r} has only {share}"
        traits = common_traits(self.subject, region.rows)
        return (
            f"a kind of its own with only {share}: {region.closed:.0%} of their nearest neighbours "
            f"are among them{f'; {traits}' if traits else ''}"
        )


def write(result: AuditResult) -> None:
    """Write `audit.json`, `audit.csv` and `weights.csv` into the folder."""
    head, *lines = rows_table(result)
    write_csv(result.folder / ROWS_FILE, head, lines)
    names = [result.subject.name(i) for i in range(len(result.weights))]
    rows = zip(names, result.weights.astype(float), strict=True)
    write_csv(result.folder / WEIGHTS_FILE, ("name", "weight"), rows)
    write_json(result.folder / FACTS_FILE, result.to_json())


def rows_table(result: AuditResult) -> list[list[Any]]:
    """A head, and one line for each example with all its scores and flags."""
    subject, strange = result.subject, result.strangeness
    outliers = set(result.outliers)
    issues = {} if result.labels is None else {i.row: i for i in result.labels.issues}
    same = {i: k for k, group in enumerate(result.exact) for i in group}
    near = {i: k for k, group in enumerate(result.near_groups) for i in group}
    region = {i: k for k, r in reversed(list(enumerate(result.regions))) for i in r.rows}
    leaked = {i for pair in result.leaks or () for i in (pair.first, pair.second)}
    labels = subject.data.labels
    head = ["row", "name", "label", "strangeness", "outlier", "reason"]
    head += [f"surprise_{name}" for name in strange.surprises]
    head += ["exact_group", "near_group", "looks_like", "rare_region", "leaked", "weight"]
    lines: list[list[Any]] = [
        [
            i,
            subject.name(i),
            "" if labels is None else subject.class_name(int(labels[i])),
            float(strange.total[i]),
            int(i in outliers),
            strange.reason(i),
            *(float(values[i]) for values in strange.surprises.values()),
            same.get(i, ""),
            near.get(i, ""),
            subject.class_name(issues[i].likely) if i in issues else "",
            region.get(i, ""),
            int(i in leaked),
            float(result.weights[i]),
        ]
        for i in range(len(subject.data))
    ]
    return [head, *lines]
