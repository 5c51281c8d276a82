"""`report.html`: one self-contained page about a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentia.files import write_text
from latentia.recipes.registry import FAMILIES
from latentia.report import (
    gallery,
    health,
    listening,
    plane,
    story,
    study_page,
    translation,
    verdict,
)
from latentia.report.audit_page import write_audit as write_audit
from latentia.report.fairness_page import write_fairness as write_fairness
from latentia.report.page import Fact, Section, render
from latentia.report.subject import Subject
from latentia.run import Run
from latentia.study.outcome import PAGE_FILE, Study

FILE = "report.html"
SECTIONS: tuple[Callable[[Subject], Section | None], ...] = (
    story.what,
    gallery.samples,
    translation.translations,
    listening.listening,
    plane.clouds,
    plane.density,
    plane.score,
    gallery.reconstructions,
    plane.returned,
    gallery.latent,
    gallery.traversals,
    gallery.interpolations,
    verdict.metrics,
    gallery.memorised,
    health.health,
    story.losses,
    story.skipped,
    story.again,
)
"""In reading order; each gives None where the model or the data has nothing for it."""


def write_report(run: Run, *, quick: bool = False) -> Path:
    """Write `report.html` into the run folder.

    Sections follow from the model's abilities and the kind of data. One that fails is replaced by
    a sentence that says so.

    Args:
        run: with saved weights.
        quick: leave out what needs a feature extractor, and draw fewer samples.

    Returns:
        The file.

    Raises:
        UserError: the run has no weights that fit.
    """
    subject = Subject(run, quick)
    family = FAMILIES[run.family]
    subject.model.eval()  # raises before anything is drawn where there are no weights
    sections = [found for make in SECTIONS if (found := _made(make, subject)) is not None]
    title = f"{family.name} on {Path(run.spec.name).name or run.spec.name}"
    page = render(title, f"{family.title} · {family.paper}", _facts(subject), sections)
    write_text(run.folder / FILE, page)
    return run.folder / FILE


def write_study(study: Study[Any]) -> Path:
    """Write `study.html` into the study's folder; returns the file."""
    write_text(study.folder / PAGE_FILE, study_page.page(study))
    return study.folder / PAGE_FILE


def _made(make: Callable[[Subject], Section | None], subject: Subject) -> Section | None:
    try:
        return make(subject)
    except Exception as problem:  # one broken section must not cost the page
        name = make.__name__
        title = name.replace("_", " ").capitalize()
        return Section(name, title, missing=[f"Left out: {verdict.plain(problem)}"])


def _facts(subject: Subject) -> list[Fact]:
    try:
        return story.facts(subject)
    except Exception:
        return []
