"""`report.html` of an audit: what a data set lacks, on one page, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Decodes
from latentia.audit.result import PAGE_FILE, WEIGHTS_FILE, AuditResult
from latentia.audit.weights import FAR, Latent
from latentia.data.spec import to_unit
from latentia.files import write_text
from latentia.maths.chunks import device_of
from latentia.report.audit_examples import examples, more, pairs, rows_figure, unusual, values_of
from latentia.report.draw_latents import histograms
from latentia.report.page import FULL_WIDTH, Fact, Figure, Section, Table, render
from latentia.report.story import picture
from latentia.training.budget import duration

MOST_TILES = 24
MOST_LINES = 40
_MOST_OF_A_REGION = 24
_STEPS = 7
_TAIL = 6


def write_audit(found: AuditResult) -> Path:
    """Write `report.html` into the audit's folder; returns the file."""
    write_text(found.folder / PAGE_FILE, page(found))
    return found.folder / PAGE_FILE


def page(found: AuditResult) -> str:
    """The whole page as HTML."""
    data = found.subject.data
    sections = [
        _answer(found),
        _outliers(found),
        _near(found),
        _exact(found),
        _labels(found),
        _regions(found),
        _coverage(found),
        _weights(found),
        _leaks(found),
        _again(found),
    ]
    name = Path(data.spec.name).name or data.spec.name
    return render(
        f"Audit of {name}",
        f"{len(data):,} {found.subject.thing}s, looked at before a model is trained on them",
        _facts(found),
        [section for section in sections if section is not None],
        by="latentia audit",
    )


def _facts(found: AuditResult) -> list[Fact]:
    counts = found.counts()
    facts = [
        Fact(f"{len(found.subject.data):,}", "examples"),
        Fact(f"{counts['outliers']:,}", "strange"),
        Fact(f"{counts['exact_duplicates'] + counts['near_duplicates']:,}", "duplicates"),
    ]
    if found.labels is not None:
        facts.append(Fact(f"{counts['label_issues']:,}", "suspected labels"))
    facts.append(Fact(f"{counts['rare_regions']:,}", "rare kinds"))
    if found.leaks is not None:
        facts.append(Fact(f"{counts['leakage']:,}", "on both sides of the split"))
    return [*facts, Fact(duration(found.seconds), "this audit took")]


def _answer(found: AuditResult) -> Section:
    """What to do, most pressing first."""
    counts = found.counts()
    advice = [
        (
            counts["leakage"],
            "leaks",
            "Remove what stands on both sides of the split: figures on "
            "the test set are too good as it is.",
        ),
        (counts["exact_duplicates"], "exact", "Keep one of each group of equal examples."),
        (
            counts["near_duplicates"],
            "near",
            "Look at the near-duplicates; keep pairs on one side of any split.",
        ),
        (
            counts["label_issues"],
            "labels",
            "Look at the suspected labels, the surest first, and mend those that are wrong.",
        ),
        (
            counts["outliers"],
            "outliers",
            "Look at the strange examples: remove what does not "
            "belong, and collect more of what does.",
        ),
        (
            counts["rare_regions"],
            "rare",
            "Collect more of the rare kinds, or draw them more often with the suggested weights.",
        ),
    ]
    rows = [(f"{n:,}", text) for n, _, text in advice if n]
    section = Section("answer", "What to do")
    if rows:
        section.tables.append(Table(("found", "what to do"), rows))
        section.lead = "Nothing has been changed. Every finding is a question to your eye."
    else:
        section.lead = "Nothing stands out. That is no proof, but a good sign."
    section.warnings += [f"{note}" for note in found.subject.notes]
    return section


# strange examples


def _outliers(found: AuditResult) -> Section:
    strange, listed = found.strangeness, list(found.outliers)
    thing = found.subject.thing
    section = Section("outliers", "Strange examples")
    if listed:
        stand = f"{thing} stands" if len(listed) == 1 else f"{thing}s stand"
        section.lead = (
            f"{len(listed):,} {stand} apart from all others, the strangest first. Each was "
            "judged by a model that has never seen it. The number is its strangeness in nats: one "
            "more means about e times rarer among usual examples."
        )
    else:
        section.lead = "No example is stranger than chance makes the strangest of this many."
    shown = listed[:MOST_TILES]
    if shown:
        section.figures += examples(found, shown, [_strange_words(found, i) for i in shown])
    grouped = {i for region in found.regions if region.label is None for i in region.rows}
    rest = [
        int(i)
        for i in np.argsort(-strange.total)
        if int(i) not in set(listed) and int(i) not in grouped
    ][: max(6, 12 - len(shown))]
    words = [_strange_words(found, i) for i in rest]
    section.figures += examples(found, rest, words, "The next strangest, which may be usual")
    return section


def _strange_words(found: AuditResult, row: int) -> str:
    return f"{found.strangeness.total[row]:.1f} · {found.strangeness.words(row)}"


# the same twice


def _near(found: AuditResult) -> Section:
    section = Section("near", "Nearly the same")
    if not found.near:
        section.lead = "No two examples are nearly the same."
        return section
    groups = found.near_groups
    section.lead = (
        f"{len(found.near):,} pairs in {len(groups):,} groups differ far less than look-alikes in "
        "these data usually do, once they are laid over each other. On two sides of a split they "
        "let a model be tested on what it has learnt by heart."
    )
    section.figures += pairs(found, found.near)
    return section


def _exact(found: AuditResult) -> Section:
    section = Section("exact", "The same content")
    if not found.exact:
        section.lead = "No two examples have the same content."
        return section
    surplus = sum(len(group) - 1 for group in found.exact)
    section.lead = (
        f"{len(found.exact):,} groups of equal examples: {surplus:,} could go without a loss."
    )
    ordered = sorted(found.exact, key=len, reverse=True)
    rows = [
        (
            f"{len(group)}",
            ", ".join(found.subject.name(i) for i in group[:12]) + (", …" if group[12:] else ""),
        )
        for group in ordered[:MOST_LINES]
    ]
    section.tables.append(Table(("times", "examples"), rows, more(len(ordered), len(rows))))
    if found.subject.image:
        first = [group[0] for group in ordered[:12]]
        words = [f"{len(group)} times" for group in ordered[:12]]
        section.figures += examples(found, first, words)
    return section


# labels and rare kinds


def _labels(found: AuditResult) -> Section | None:
    if found.subject.data.labels is None:
        return None
    section = Section("labels", "Suspected labels")
    if found.labels is None:
        section.lead = "The labels cannot be checked: fewer than two classes have five examples."
        return section
    issues = found.labels.issues
    judged = found.labels.accuracy
    section.lead = (
        f"Labels: {found.subject.labelled}. From the other examples alone, {judged:.0%} of the "
        "labels are foretold. "
    )
    if judged < 0.8:
        section.warnings.append(
            "The labels are hard to foretell here, so many of these are hard examples rather than "
            "wrong labels; the first are the surest."
        )
    if not issues:
        section.lead += "None is clearly contradicted."
        return section
    section.lead += (
        f"{len(issues):,} look wrong: a classifier that never saw the example and its nearest "
        "neighbours agree on another label. The surest come first."
    )
    name = found.subject.class_name
    shown = issues[:MOST_TILES]
    words = [f"labelled {name(i.given)}, looks like {name(i.likely)}" for i in shown]
    section.figures += examples(found, [i.row for i in shown], words)
    if len(issues) > len(shown):
        section.missing.append(more(len(issues), len(shown)))
    return section


def _regions(found: AuditResult) -> Section:
    section = Section("rare", "Rare kinds")
    if not found.regions:
        section.lead = "No small group of examples keeps to itself, and no class is rare."
        return section
    section.lead = (
        "Small groups of alike examples that lie apart from the others. A model sees few of them "
        "and will do worse on them; whether that matters is for you to say."
    )
    for number, region in enumerate(found.regions, 1):
        rows = list(region.rows)
        title = f"{number}. {len(rows):,} examples"
        if region.label is not None:
            title += f": the class {found.subject.class_name(region.label)}"
        caption = found.why_rare(region).capitalize() + "."
        if found.subject.image:
            values = values_of(found, rows[:_MOST_OF_A_REGION])
            alt = f"{len(values)} {found.subject.thing}s of a rare kind."
            columns = max(1, min(12, FULL_WIDTH // (values.shape[-1] + 2)))
            section.figures.append(picture(torch.from_numpy(values), columns, alt, caption, title))
        else:
            shown = rows[:6]
            figure = rows_figure(found, shown, [""] * len(shown), title)
            section.figures.append(Figure(figure.html, figure.alt, caption, title))
    return section


# coverage and weights


def _coverage(found: AuditResult) -> Section:
    latents = found.coverage.latents
    section = Section("coverage", "How evenly the data are spread")
    section.lead = (
        f"The model describes every example by {found.codes.shape[1]} numbers; these are the "
        f"{len(latents)} that tell most. Sampled evenly over them, the data are worth "
        f"{found.coverage.effective:.0%} of their number: the rest repeats what is common."
    )
    panels = {f"latent {latent.number}": np.array(latent.counts) for latent in latents}
    told = "; ".join(
        f"latent {latent.number}: {len(latent.low)} below −2, {len(latent.high)} above 2"
        for latent in latents
    )
    alt = f"Histograms of {len(latents)} latents. {told}."
    caption = (
        "Examples by value, in standard deviations from the middle; the last bars hold what lies "
        "beyond."
    )
    section.figures.append(Figure(histograms(panels, span=3.0, alt=alt), alt, caption))
    model: Any = found.run.model()
    if isinstance(model, Decodes) and found.subject.image:
        section.figures += [_tails(found, model, latent) for latent in latents]
    else:
        section.tables.append(_tail_table(found))
    return section


def _tails(found: AuditResult, model: Decodes, latent: Latent) -> Figure:
    """A walk along one latent, with the real examples at its two ends."""
    z = torch.from_numpy(found.codes.mean(0)).float().repeat(_STEPS, 1)
    offsets = torch.linspace(-3, 3, _STEPS)
    z[:, latent.number] = latent.center + latent.spread * offsets
    with torch.no_grad():
        walk = model.decode(z.to(device_of(model))).float().cpu()
    ends = _end(found, latent.low), _end(found, latent.high)
    gap = torch.ones_like(walk[:1])
    shown = torch.cat([*(t if len(t) else gap[:0] for t in (ends[0],)), gap, walk, gap, ends[1]])
    order = {"low": "left", "high": "right"}[latent.rare]
    fewer, larger = sorted((len(latent.low), len(latent.high)))
    caption = (
        f"In the middle what the model draws from −3 to 3 deviations; at the ends real examples "
        f"from the tails: {len(latent.low):,} lie below −{FAR:g}, {len(latent.high):,} above "
        f"{FAR:g}."
    )
    if fewer < 0.5 * larger:
        caption += f" The {order} end is the rare one."
    alt = f"Decoded pictures along latent {latent.number}, and examples at both ends."
    return picture(shown, len(shown), alt, caption, f"Latent {latent.number}")


def _end(found: AuditResult, rows: Sequence[int]) -> Tensor:
    few = list(rows[: _TAIL // 2])
    if not few:
        return torch.empty(0, *found.subject.data.spec.shape)
    return to_unit(torch.from_numpy(values_of(found, few)))


def _tail_table(found: AuditResult) -> Table:
    rows = []
    for latent in found.coverage.latents:
        ends = [
            "; ".join(unusual(found, list(side[:1]))) if side else "none"
            for side in (latent.low, latent.high)
        ]
        rows.append(
            (f"{latent.number}", f"{len(latent.low):,}", ends[0], f"{len(latent.high):,}", ends[1])
        )
    head = ("latent", "below −2", "the farthest", "above 2", "the farthest")
    return Table(head, rows, "Rows in the tails of each latent")


SNIPPET = """import csv, torch
with open({path!r}) as file:
    weights = torch.tensor([float(row["weight"]) for row in csv.DictReader(file)])
sampler = torch.utils.data.WeightedRandomSampler(weights, num_samples=len(weights))
loader = torch.utils.data.DataLoader(dataset, batch_size=64, sampler=sampler)"""


def _weights(found: AuditResult) -> Section:
    weights = found.weights
    top = np.argsort(-weights)[:12]
    section = Section("weights", "Suggested sampling weights")
    section.lead = (
        f"{WEIGHTS_FILE} has a weight for every example, in the order of the data: from "
        f"{weights.min():.2f} to {weights.max():.1f}, 1 on average. Rare mixtures of features are "
        "drawn more often (Amini et al. 2019). Strange examples and suspected labels weigh no more "
        "than usual ones until you have looked at them, and duplicates share one weight. With any "
        "training loop whose dataset is in the same order:"
    )
    section.code = SNIPPET.format(path=str(found.folder / WEIGHTS_FILE))
    words = [f"weight {weights[i]:.1f}" for i in top]
    title = "Those with the largest weights"
    section.figures += examples(found, [int(i) for i in top], words, title)
    return section


def _leaks(found: AuditResult) -> Section | None:
    if found.leaks is None:
        return None
    section = Section("leaks", "Train and test")
    if not found.leaks:
        section.lead = "No example stands, even nearly, on both sides of the split."
        return section
    section.lead = (
        f"{len(found.leaks):,} pairs stand on two sides of the split: a model that learns by heart "
        "is rewarded for it. Remove one of each pair, best from the training side."
    )
    section.figures += pairs(found, found.leaks)
    return section


def _again(found: AuditResult) -> Section:
    lead = (
        "The same command takes up the trained models. The model of all examples is a run of its "
        "own, for explore, reconstruct, traverse and report."
    )
    versions = ", ".join(f"{name} {number}" for name, number in found.versions.items())
    rows = [
        ("Model", str(found.run.folder)),
        ("Data", f"{found.subject.data.spec.name}, content hash {found.subject.data.spec.hash}"),
        ("Strange above", f"{found.strangeness.threshold:.2f} nats"),
        ("Versions", versions),
    ]
    code = found.settings["command"]
    return Section("again", "How to repeat it", lead, code=code, tables=[Table((), rows)])
