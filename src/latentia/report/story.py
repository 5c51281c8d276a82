"""The sections that tell what happened: the data, the training, the files, the way to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from latentia.data.parts import in_colour, part, pictures
from latentia.data.spec import DataSpec
from latentia.recipes.registry import FAMILIES
from latentia.report.draw import curves
from latentia.report.page import Fact, Figure, Section, Table, img
from latentia.report.subject import Subject, columns_for, sheet
from latentia.training.budget import duration

MOST_SKIPPED = 50


def facts(subject: Subject) -> list[Fact]:
    """The large figures at the top."""
    rows = subject.run.history()
    found = [Fact(f"{subject.spec.n:,}", "training examples")]
    if rows:
        last = rows[-1]
        found += [
            Fact(f"{last['examples']:,}", "examples seen"),
            Fact(duration(last["seconds"]), "of training"),
            Fact(f"{last['examples'] / max(last['seconds'], 1e-9):,.0f}/s", "examples per second"),
            Fact(f"{waiting_share(rows):.1%}", "of it waiting for data"),
        ]
    parameters = sum(p.numel() for p in subject.model.parameters())
    return [*found, Fact(compact(parameters), "parameters")]


def compact(count: int) -> str:
    """1.2 M instead of 1,203,456."""
    if count >= 1_000_000:
        return f"{count / 1e6:.2f} M"
    return f"{count / 1e3:.0f} k" if count >= 10_000 else f"{count:,}"


def waiting_share(rows: list[dict[str, Any]]) -> float:
    """Share of the training time spent waiting for data."""
    at = np.array([row["seconds"] for row in rows])
    spans = np.diff(at, prepend=0.0).clip(min=0)
    waits = np.array([row["waiting"] for row in rows])
    return float((spans * waits).sum() / max(spans.sum(), 1e-9))


def what(subject: Subject) -> Section:
    """What was trained on what."""
    run, spec, family = subject.run, subject.spec, FAMILIES[subject.run.family]
    data = f"{spec.name}: {spec.n:,} {kind_of(spec)} of shape {_shape(spec.shape)} to train on"
    rows = [
        ("Model", f"{family.title}, after {family.paper}"),
        ("It can", ", ".join(family.abilities)),
        ("Data", data),
        ("Labels", _classes(spec.classes)),
        ("Content hash", spec.hash),
        ("Budget", _budget(run.budget.to_json()) + ("" if run.finished else ", not yet spent")),
    ]
    section = Section("what", "What was trained on what", tables=[Table((), rows)])
    if spec.kind == "image" and spec.pair is not None:
        section.figures.append(_pairs(subject, spec.pair["names"]))
    elif spec.kind == "image":
        columns = columns_for(spec)
        n = 2 * columns
        shown = subject.train.batch(range(min(n, len(subject.train)))).x
        alt = f"A grid of {len(shown)} real training images."
        section.figures.append(
            picture(
                shown,
                columns,
                alt,
                f"The first {len(shown)} training images, as the model sees them.",
                "Real data",
            )
        )
    return section


def _pairs(subject: Subject, names: Sequence[str]) -> Figure:
    """The first training pairs, one side above the other."""
    few = subject.train.subset(slice(0, columns_for(subject.spec)))
    shown = torch.cat([in_colour(pictures(part(few, name))) for name in names])
    alt = f"{len(few)} real training pairs: {names[0]} above {names[1]}."
    caption = f"The first {len(few)} training pairs: {names[0]} above, {names[1]} below."
    return picture(shown, len(few), alt, caption, "Real data")


def kind_of(spec: DataSpec) -> str:
    """What the rows are, in the plural."""
    if spec.pair is not None:
        return f"pairs of images ({' and '.join(spec.pair['names'])})"
    if spec.sound is not None:
        return "recordings, as pictures of loudness over time and pitch,"
    if spec.columns is not None:
        return "rows of a table, as numbers,"
    return "images" if spec.kind == "image" else "vectors"


def picture(images: Any, columns: int, alt: str, caption: str, title: str = "") -> Figure:
    """A grid of images as a figure."""
    image = sheet(images, columns)
    side = max(images.shape[-2:])
    return Figure(img(image, alt=alt, small=side < 64), alt, caption, title)


def losses(subject: Subject) -> Section:
    """One chart for each player, one for what else was watched."""
    rows = [row for row in subject.run.history() if row["terms"]]
    section = Section("losses", "Losses")
    if not rows:
        section.missing.append("The diary holds no losses yet.")
        return section
    names = sorted({name for row in rows for name in row["terms"]})
    players = sorted({name.partition("/")[0] for name in names})
    for player in players:
        section.figures.append(_chart(rows, "terms", player, names))
    notes = sorted({name for row in rows for name in row["notes"]})
    if notes:
        section.figures.append(_chart(rows, "notes", "", notes))
    section.lead = (
        f"{len(players)} {'player' if len(players) == 1 else 'players'}; each descends on the sum "
        "of its terms. Every point is a mean over about a second of training."
    )
    return section


def _chart(rows: list[dict[str, Any]], part: str, player: str, names: list[str]) -> Figure:
    own = [n for n in names if not player or n.partition("/")[0] == player]
    title = f"Player “{player}”" if player else "Also watched"
    series = {}
    for name in own:
        points = [(r["examples"], r[part][name]) for r in rows if r[part].get(name) is not None]
        x, y = np.array(points, dtype=float).reshape(-1, 2).T
        series[name.partition("/")[2] if player else name] = (x, y)
    last = ", ".join(f"{name} {y[-1]:.4g}" for name, (_, y) in series.items() if len(y))
    alt = f"{title}: {', '.join(series)} over examples seen; at the end {last}."
    html = curves(series, x_label="examples seen", alt=alt)
    return Figure(html, alt, f"At the end: {last}.", title)


def skipped(subject: Subject) -> Section | None:
    """Unreadable files, where there were any."""
    names = subject.run.skipped
    if not names:
        return None
    rows = [line.partition("\t")[::2] for line in names[:MOST_SKIPPED]]
    lead = f"{len(names):,} files could not be read and were left out."
    if len(names) > MOST_SKIPPED:
        lead += f" The first {MOST_SKIPPED} are listed; all are in skipped.txt of the run folder."
    return Section("skipped", "Skipped files", lead, tables=[Table(("file", "reason"), rows)])


def again(subject: Subject) -> Section:
    """How to repeat the run, and how to use it."""
    run = subject.run
    code = f"{run.command}\n\nimport latentia\nmodel = latentia.load({str(run.folder)!r})"
    if "sample" in FAMILIES[run.family].abilities:
        code += "\nmodel.sample(seeds=range(64))"
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    rows = [
        ("Versions", versions),
        ("Seed", str(run.seed)),
        ("Data", f"{run.source or 'handed in from Python'}, content hash {run.spec.hash}"),
        ("Run folder", str(run.folder.resolve())),
    ]
    return Section(
        "again",
        "How to reproduce it",
        "The command repeats the training; a budget in examples repeats it bit for bit on the same "
        "machine and versions, one in minutes sees as many examples as the machine allows.",
        code=code,
        tables=[Table((), rows), _settings(subject)],
    )


def _settings(subject: Subject) -> Table:
    settings = subject.run.settings
    fields = type(settings).model_fields
    rows = []
    for name, field in fields.items():
        value = getattr(settings, name)
        shown = str(value) if value == field.default else f"{value} (default {field.default})"
        rows.append((name, shown, field.description or ""))
    rows.sort(key=lambda row: "(default" not in row[1])
    return Table(("setting", "value", "what it does"), rows, "All settings", folded=True)


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _classes(classes: tuple[str, ...]) -> str:
    if not classes:
        return "none"
    names = ", ".join(classes[:12]) + (", …" if len(classes) > 12 else "")
    return f"{len(classes)} classes: {names}"


def _budget(facts: dict[str, float | int]) -> str:
    ((unit, amount),) = facts.items()
    return f"{amount:,} {unit}" if unit == "examples" else f"{amount:g} {unit}"
