"""`fairness.html`: how one classifier, or two, treat every group; and the figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from latentia.files import write_json, write_text
from latentia.metrics.fairness import RATES, Group, GroupFigures, Grouping, spread_sentences
from latentia.metrics.fairness_compare import Comparison, SeedSummary, points
from latentia.metrics.intervals import Share
from latentia.report.draw_groups import histograms, share_bars
from latentia.report.page import Fact, Figure, Section, Table, render

PAGE, FIGURES = "fairness.html", "fairness.json"
_MOST_PANELS = 24
_HOW = (
    "Lines and brackets are 95 % intervals: Wilson's for shares, drawing rows again for gaps and "
    "variances. The groups served only here, not in training."
)

Models = Mapping[str, GroupFigures]


def write_fairness(
    folder: Path,
    found: Comparison | GroupFigures,
    *,
    seeds: SeedSummary | None = None,
    title: str = "Are groups treated alike?",
    subtitle: str = "",
    more: Sequence[Section] = (),
    by: str = "latentia debias",
) -> Path:
    """Write `fairness.html`, one self-contained page, and `fairness.json` beside it.

    Args:
        folder: where to.
        found: one model, or two on the same examples.
        seeds: the comparison over several training seeds, told first.
        title, subtitle: of the page.
        more: further sections, set between the answer and the figures of groups.
        by: the command that the page names.

    Returns:
        The page.
    """
    sections = fairness_sections(found, seeds)
    page = render(title, subtitle or _HOW, _facts(found), [sections[0], *more, *sections[1:]], by)
    write_text(folder / PAGE, page)
    facts = {"figures": found.to_json(), "seeds": seeds.to_json() if seeds else None}
    write_json(folder / FIGURES, facts)
    return folder / PAGE


def fairness_sections(
    found: Comparison | GroupFigures, seeds: SeedSummary | None = None
) -> list[Section]:
    """The answer in words, then a section for every grouping, for any report."""
    models = _models(found)
    first = next(iter(models.values()))
    rates = [name for name in RATES if first.overall.rate(name).n]
    answer = Section("answer", "The answer", " ".join(found.sentences()))
    if seeds is not None:
        answer.lead = f"{' '.join(seeds.sentences())} The first seed alone: {answer.lead}"
    if isinstance(found, Comparison):
        answer.tables.append(_changes(found, rates))
    return [answer, *(_grouping(models, name, rates) for name in first.groupings)]


def _models(found: Comparison | GroupFigures) -> Models:
    if isinstance(found, Comparison):
        return dict(zip(found.names, (found.first, found.second), strict=True))
    return {"the model": found}


def _facts(found: Comparison | GroupFigures) -> list[Fact]:
    facts = [Fact(f"{next(iter(_models(found).values())).n:,}", "examples judged")]
    for name, figures in _models(found).items():
        spread = figures.finest.spreads[figures.main_rate]
        worst = spread.worst_share.value if spread.worst_share else None
        if worst is not None:
            facts.append(Fact(f"{100 * worst:.0f} %", f"worst group, {name} ({spread.worst})"))
    return facts


def _changes(found: Comparison, rates: Sequence[str]) -> Table:
    rows = []
    for rate in rates:
        change = found.finest[rate]
        ratios = [r.shown(False) for r in (change.variance_ratio, change.corrected_ratio)]
        rows.append((RATES[rate], points(found.overall[rate]), points(change.worst_group), *ratios))
    head = ("", "all rows", "worst group", "variance, times", "corrected, times")
    caption = (
        f"What changes from the {found.names[0]} to the {found.names[1]} model, over "
        f"{found.first.finest.name}; a ratio below 1 is more even. Corrected: without the "
        "variance that sampling alone brings with groups of these sizes."
    )
    return Table(head, rows, caption)


def _grouping(models: Models, name: str, rates: Sequence[str]) -> Section:
    groupings = {model: figures.groupings[name] for model, figures in models.items()}
    first, main = next(iter(groupings.values())), next(iter(models.values())).main_rate
    section = Section(f"by-{name.replace(' × ', '-')}", f"By {name}")
    told = [(model, spread_sentences(grouping, main)) for model, grouping in groupings.items()]
    alone = len(models) == 1
    section.lead = " ".join(
        sentence if alone or i else f"The {model} model: {sentence}"
        for model, sentences in told
        for i, sentence in enumerate(sentences)
    )
    section.figures = [_bars(groupings, first, main), _histograms(models, groupings, first)]
    section.tables = [
        _table(model, grouping, rates, folded=not alone) for model, grouping in groupings.items()
    ]
    return section


def _bars(groupings: Mapping[str, Grouping], first: Grouping, rate: str) -> Figure:
    names = [f"{group.name} (n = {group.rate(rate).n:,})" for group in first.groups]
    shares = {m: [group.rate(rate) for group in g.groups] for m, g in groupings.items()}
    told = "; ".join(
        f"{group.name}: " + ", ".join(f"{m} {row[i].shown()}" for m, row in shares.items())
        for i, group in enumerate(first.groups)
    )
    alt = f"Bars of the share of {RATES[rate]} by group. {told}."
    html = share_bars(names, shares, x_label=RATES[rate], alt=alt)
    return Figure(html, alt, "Bars: shares; lines: 95 % intervals.", RATES[rate].capitalize())


def _histograms(models: Models, groupings: Mapping[str, Grouping], first: Grouping) -> Figure:
    figures = next(iter(models.values()))
    kind = "positive" if figures.positives else "negative"
    shown = first.groups[:_MOST_PANELS]
    panels = {
        group.name: {m: _counts(g.groups[i], kind) for m, g in groupings.items()}
        for i, group in enumerate(shown)
    }
    alt = (
        f"Histograms of the probability given to {kind}s, a panel for each of {len(shown)} groups."
    )
    label = "probability of the positive class"
    html = histograms(panels, figures.threshold, x_label=label, alt=alt)
    left = len(first.groups) - len(shown)
    caption = (
        f"Only {kind} examples. What lies left of the dashed line (the threshold "
        f"{figures.threshold:g}) is taken for negative."
        + (f" The first {len(shown)} groups; {left} more are in the table." if left else "")
    )
    return Figure(html, alt, caption, "How sure the model is")


def _counts(group: Group, kind: str) -> Sequence[int]:
    return group.histogram_positive if kind == "positive" else group.histogram_negative


def _table(model: str, grouping: Grouping, rates: Sequence[str], folded: bool) -> Table:
    heads = [grouping.name, "n", *(RATES[rate] for rate in rates)]
    rows = [
        (group.name, f"{group.n:,}", *(_cell(group.rate(rate)) for rate in rates))
        for group in grouping.groups
    ]
    return Table(heads, rows, f"Every group in figures: {model}", folded=folded)


def _cell(share: Share) -> str:
    return share.shown() if share.n else "not known (no such rows)"
