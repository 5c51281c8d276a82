"""Training that is not done twice: a finished run is taken up, an unfinished one goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.fitting import fit
from latentia.run import RECIPE_FILE, Run
from latentia.training.budget import Budget

State = Literal["new", "begun", "finished"]


def fit_once(
    data: str | Path | np.ndarray | Dataset,
    planned: Run,
    chosen: Mapping[str, Any],
    *,
    device: str = "auto",
    quiet: bool = False,
    before: Callable[[], None] | None = None,
) -> Run:
    """Train what `planned` says, unless its folder holds that already.

    Args:
        data: what it is trained on.
        planned: of `latentia.fitting.plan`.
        chosen: the settings that were handed to the plan.
        device, quiet: as in `fit`.
        before: called if there is something to train.

    Returns:
        The run; not `finished` where the user interrupted.

    Raises:
        UserError: the folder holds another run; and as `fit`.
    """
    state = state_of(planned)
    if state != "finished":
        if before is not None:
            before()
        resume = state == "begun"
        fit(
            data,
            model=planned.family,
            minutes=None if resume else planned.budget.minutes,
            examples=None if resume else planned.budget.examples,
            out=planned.folder,
            seed=planned.seed,
            settings={} if resume else chosen,
            resume=resume,
            device=device,
            quiet=quiet,
        )
    return Run.open(planned.folder)


def state_of(planned: Run) -> State:
    """How far the run is, after a check that a run there is this one.

    Raises:
        UserError: the folder holds another run.
    """
    if not (planned.folder / RECIPE_FILE).exists():
        return "new"
    run = Run.open(planned.folder)
    _require_same(run, planned)
    if run.finished:
        return "finished"
    if run.resumable:
        return "begun"
    (planned.folder / RECIPE_FILE).unlink()  # it ended before anything was trained
    return "new"


def _require_same(there: Run, wanted: Run) -> None:
    mine, other = wanted.settings.model_dump(), there.settings.model_dump()
    differing = [key for key in mine if mine[key] != other.get(key)]
    for what, here, asked in (
        ("model", there.family, wanted.family),
        ("data of content", there.spec.hash, wanted.spec.hash),
        ("seed", there.seed, wanted.seed),
        *((key, other.get(key), mine[key]) for key in differing),
    ):
        if here != asked:
            raise UserError(
                f"{there.folder} was trained with {what} {here}, and this study asks for {asked}. "
                "Choose another --out, or ask for the same."
            )
    if not _equal(there.budget, wanted.budget):
        raise UserError(
            f"{there.folder} had a budget of {_told(there.budget)}, and this study gives each "
            f"model {_told(wanted.budget)}: sizes would not compare. Leave the budget out to go "
            "on with the same, or choose another --out."
        )


def _equal(a: Budget, b: Budget) -> bool:
    one, other = a.to_json(), b.to_json()
    return one.keys() == other.keys() and all(
        math.isclose(one[key], other[key], rel_tol=1e-6) for key in one
    )


def _told(budget: Budget) -> str:
    ((unit, amount),) = budget.to_json().items()
    return f"{amount:,} {unit}" if unit == "examples" else f"{amount:.3g} {unit}"
