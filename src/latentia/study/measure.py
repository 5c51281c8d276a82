"""Every model of a series on the same held-out rows, and what the series comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.explore.latent import reconstruct
from latentia.files import write_json
from latentia.metrics.reconstruction import Returned, returned
from latentia.run import Run
from latentia.study.outcome import GRID_FILE, STUDY_FILE, Row, Study
from latentia.study.pictures import ORIGINALS, save_labelled_grid, shown_rows
from latentia.study.rules import Errors, Recommendation
from latentia.study.series import Series


@dataclass(frozen=True)
class Subject:
    """A finished run of a series, and what it is measured on.

    Attributes:
        value: of the setting that differs.
        run, model: the run and its trained model.
        returned: test rows there and back.
        train, test: the data.
    """

    value: float
    run: Run
    model: Any
    returned: Returned
    train: Dataset
    test: Dataset


@dataclass(frozen=True)
class Table(Generic[Row]):
    """The rows of a series, and the errors of their models on the same test rows."""

    rows: list[Row]
    errors: Errors
    dims: int
    variance: float


Judge = Callable[[Table[Row]], tuple[Recommendation, list[str]]]
"""A recommendation and notes, from a table of at least one row."""


def conclude(
    series: Series,
    runs: Mapping[float, Run],
    name: Callable[[float], str],
    make_row: Callable[[Subject], Row],
    judge: Judge[Row],
    share: float,
) -> Study[Row]:
    """Measure finished runs, draw their picture, judge them, and write study.json.

    Args:
        series: what was to be trained.
        runs: what is finished, by value.
        name: of a value, beside its row of the picture.
        make_row: the figures of one model.
        judge: the rule.
        share: its measure.
    """
    subjects = _subjects(series, runs)
    rows = [make_row(subject) for subject in subjects]
    _draw(series, subjects, name)
    advice, notes = None, list[str]()
    if subjects:
        errors = Errors(torch.stack([s.returned.errors for s in subjects]).numpy())
        advice, notes = judge(
            Table(rows, errors, subjects[0].test.spec.dims, subjects[0].returned.variance)
        )
    minutes = series.budget.minutes
    study = Study(
        folder=series.folder,
        varied=series.varied,
        data=series.source or "data from Python",
        model=series.model,
        seed=series.seed,
        settings=dict(series.settings),
        budget=series.budget.to_json(),
        test_rows=len(subjects[0].returned.errors) if subjects else 0,
        share=share,
        rows=tuple(rows),
        missing=tuple(value for value in series.values if value not in runs),
        recommendation=advice,
        notes=tuple(note for note in notes if note),
        command=series.command(None if minutes is None else minutes * len(series.values)),
    )
    write_json(study.folder / STUDY_FILE, study.to_json())
    return study


def _subjects(series: Series, runs: Mapping[float, Run]) -> list[Subject]:
    train, test = series.opened("train"), series.opened("test")
    subjects = []
    for value, run in runs.items():
        model = run.model()
        there_and_back = returned(model, train, test, seed=series.seed)
        subjects.append(Subject(value, run, model, there_and_back, train, test))
    return subjects


def _draw(series: Series, subjects: list[Subject], name: Callable[[float], str]) -> None:
    if not subjects or subjects[0].test.spec.kind != "image":
        return
    shown = shown_rows(subjects[0].test)
    pictures: dict[str, Tensor] = {name(s.value): reconstruct(s.model, shown) for s in subjects}
    save_labelled_grid({**pictures, ORIGINALS: shown}, series.folder / GRID_FILE)


def effort(run: Run) -> dict[str, Any]:
    """What a run's training took, and where it lies."""
    last = run.history()[-1]
    return {"examples_seen": last["examples"], "seconds": last["seconds"], "run": str(run.folder)}


def check_share(share: float) -> None:
    """Refuse a share that is none."""
    if not 0 < share < 1:
        raise UserError(f"The share is a number between 0 and 1, e.g. 0.1, not {share:g}.")
