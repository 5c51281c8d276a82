"""The models behind an audit: one of all rows, to explore, and one of each half, to judge by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latentia.audit.subject import Data, Subject
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.fitting import plan
from latentia.run import Run
from latentia.study.once import fit_once
from latentia.training.budget import Budget

MODEL, HALVES = "model", ("half-a", "half-b")
SHARES = (0.4, 0.3, 0.3)
"""Of the minutes: the model of all rows, then those of the halves."""


@dataclass(frozen=True)
class Models:
    """What was trained.

    Attributes:
        whole: run of a model of all rows.
        halves: runs of models of one half each.
        rows: row numbers of the halves.
    """

    whole: Run
    halves: tuple[Run, Run]
    rows: tuple[np.ndarray, np.ndarray]


def trained(
    subject: Subject,
    source: Data,
    folder: Path,
    budget: Budget,
    *,
    model: str,
    settings: Mapping[str, Any],
    seed: int,
    device: str,
    quiet: bool,
    announce: Callable[[str], None],
) -> Models:
    """Train the three models, or take up what is in the folder already.

    Args:
        subject: the rows.
        source: what the user called them, so that the kept model knows its data.
        folder: of the audit.
        budget: minutes for all three, or examples for each.
        model: a family with an encoder and a decoder.
        settings: of the family.
        seed, device, quiet: as in `fit`.
        announce: told what is trained next.

    Raises:
        UserError: settings that do not fit, another run in the folder, or an interrupted training.
    """
    rows = halves_of(len(subject.data), seed)
    chosen = {**subject.chosen, **settings}
    given: list[Data] = [_kept(subject, source), *(subject.data.subset(half) for half in rows)]
    titles = ("of all examples", "of one half", "of the other half")
    runs = []
    for k, (data, place) in enumerate(zip(given, (MODEL, *HALVES), strict=True)):
        planned, _ = plan(data, model, _part(budget, SHARES[k]), folder / place, seed, chosen)
        before = partial(announce, f"Model {k + 1} of 3: {titles[k]}")
        run = fit_once(data, planned, chosen, device=device, quiet=quiet, before=before)
        if not run.finished:
            raise UserError(f"Stopped and saved in {folder}. The same command goes on from there.")
        runs.append(run)
    return Models(runs[0], (runs[1], runs[2]), rows)


def halves_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two seeded halves of the row numbers, each rising."""
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def _kept(subject: Subject, source: Data) -> Data:
    """The source by its name where it has one, so that `latentia explore` finds the data."""
    if isinstance(source, str | Path):
        return source
    data: Dataset = subject.data
    return data


def _part(budget: Budget, share: float) -> Budget:
    if budget.minutes is None:
        return budget
    return replace(budget, minutes=share * budget.minutes)
