"""How many hidden variables do the data need? One model per size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentia.errors import UserError
from latentia.metrics.reconstruction import summary
from latentia.study.measure import Subject, Table, check_share, conclude, effort
from latentia.study.outcome import SizeRow, Study
from latentia.study.rules import Recommendation, behind_pca, doing_worse, smallest_enough
from latentia.study.series import Source, make_series

SIZES = (2, 5, 10, 32)
SHARE = 0.1
_EXACT = 1e-6


def dimensions(
    data: Source,
    *,
    latent: Sequence[int] = SIZES,
    model: str = "autoencoder",
    minutes: float | None = None,
    examples: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    share: float = SHARE,
    device: str = "auto",
    quiet: bool = False,
) -> Study[SizeRow]:
    """Train one model per latent size and compare what comes back of held-out rows.

    A run that is finished is not trained again, one that was interrupted is resumed.

    Args:
        data: anything `open_data` reads and splits.
        latent: sizes to compare.
        model: a family that encodes, decodes and has the setting `latent`.
        minutes: in total, shared equally; 10 where no budget is given.
        examples: of each model, instead.
        out: the folder; `runs/dimensions-DATA` where None. Holds `latent-2` …, study.json and,
            for images, grid.png.
        seed: of every training.
        settings: of the family, the same for every size.
        share: the recommendation is the smallest size after which no larger one lowers the error
            by this share of the data's variance.
        device: as in `fit`.
        quiet: print nothing.

    Raises:
        UserError: sizes, family, settings or budget that do not fit; other runs in the folder.
    """
    for size in latent:
        if isinstance(size, bool) or size != int(size) or size < 1:
            raise UserError(f"A latent size is a whole number of at least 1, not {size}.")
    check_share(share)
    series = make_series(
        "dimensions", data, model, "latent", [int(size) for size in latent], ("encode", "decode"),
        minutes=minutes, examples=examples, out=out, seed=seed, settings=settings, device=device,
        quiet=quiet,
    )  # fmt: skip
    return conclude(
        series,
        series.train(),
        lambda size: f"{size:g}D",
        _row,
        lambda table: _judge(table, share),
        share,
    )


def _judge(table: Table[SizeRow], share: float) -> tuple[Recommendation, list[str]]:
    sizes, errors = [row.latent for row in table.rows], table.errors
    exact = _EXACT * table.variance  # PCA that keeps all numbers compresses nothing: no rival
    behind = [row.latent for row in table.rows if exact < row.pca_error < row.squared_error]
    notes = [doing_worse(sizes, errors, table.variance), behind_pca(behind)]
    if behind == sizes:
        words = "No recommendation: the models are not trained well enough to compare."
        return Recommendation(None, "untrained", words), notes
    return smallest_enough(sizes, errors, table.variance, share, table.dims), notes


def _row(of: Subject) -> SizeRow:
    facts = summary(of.returned)
    return SizeRow(
        latent=int(of.value),
        squared_error=facts["squared_error"],
        standard_error=facts["squared_error_standard_error"],
        pca_error=facts["pca"]["squared_error"],
        explained=1 - facts["squared_error"] / max(of.returned.variance, 1e-12),
        psnr_db=facts.get("psnr_db"),
        pca_psnr_db=facts["pca"].get("psnr_db"),
        **effort(of.run),
    )
