"""Mixing tables: the pictures of two lists of seeds, and each with the styles of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from latentia.abilities import HasStyles
from latentia.errors import UserError
from latentia.explore.mixing import SPLITS, Split, mixing_table
from latentia.rendering.recipe import Recipe, recipe_of
from latentia.run import Run

APART = 1000
"""Seeds between the first row's and the first column's, where nothing else is said."""


@dataclass(frozen=True)
class Mixed:
    """A table of mixed pictures.

    Attributes:
        table: `(R + 1, C + 1, C, H, W)` in [-1, 1]: sources at the top and the left, mixtures
            between them, a white corner.
        rows, columns: seeds of the sources.
        recipe: what made it.
    """

    table: Tensor
    rows: list[int]
    columns: list[int]
    recipe: Recipe


def render(
    run: Run,
    model: object,
    rows: Sequence[int],
    columns: Sequence[int],
    *,
    split: Split = "coarse",
    truncation: float | None = None,
) -> Mixed:
    """Mix every row's picture with some styles of every column's; see `explore.mixing`.

    Args:
        run: whose model.
        model: has styles.
        rows, columns: seeds of the sources down the left side and along the top.
        split: what a cell takes from the picture above it; the rest is of the one to the left.
        truncation: less than 1 for more usual pictures; None as the run's own.

    Raises:
        UserError: a model without styles, another split, no rows or no columns.
    """
    styled = require_styles(run, model, "mix styles")
    if split not in SPLITS:
        raise UserError(f"The split is coarse, middle or fine, not {split!r}.")
    table = mixing_table(styled, rows, columns, split, truncation=truncation).cpu()
    left, top = [int(seed) for seed in rows], [int(seed) for seed in columns]
    facts = {"rows": left, "columns": top, "split": split, "truncation": truncation}
    return Mixed(table, left, top, recipe_of(run, "mixing", facts))


def require_styles(run: Run, model: object, verb: str) -> HasStyles:
    """The model, if it has styles.

    Raises:
        UserError: it has none.
    """
    if not isinstance(model, HasStyles):
        raise UserError(
            f"The {run.family} in {run.folder} cannot {verb}: its layers have no styles of their "
            "own. The family style-gan has them."
        )
    return model
