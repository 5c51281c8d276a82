"""What does β buy, and what does it cost? One model per weight of the KL term."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentia.abilities import HasElbo
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks, spread_rows
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.latents import latents
from latentia.metrics.reconstruction import summary
from latentia.recipes.registry import recipe
from latentia.study.measure import Subject, Table, check_share, conclude, effort
from latentia.study.outcome import BetaRow, Study
from latentia.study.rules import Recommendation, largest_affordable
from latentia.study.series import Source, make_series

BETAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
SHARE = 0.25
_FACTORS = "disentanglement"
_FOLLOWS = 0.1  # a MIG below is hardly above chance
_SCORES = (
    "mig",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "sap",
    "modularity",
    "factor_vae",
    "beta_vae",
)
_MEASURED = 1000  # test rows at most


def beta(
    data: Source,
    *,
    beta: Sequence[float] = BETAS,
    model: str = "vae",
    minutes: float | None = None,
    examples: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    share: float = SHARE,
    device: str = "auto",
    quiet: bool = False,
) -> Study[BetaRow]:
    """Train one model per β and compare reconstruction, KL, active units and disentanglement.

    A run that is finished is not trained again, one that was interrupted is resumed.

    Args:
        data: anything `open_data` reads and splits; scores of disentanglement where it has
            factors.
        beta: weights of the KL term to compare (Higgins et al. 2017).
        model: a family with a posterior and the setting `beta`.
        minutes, examples, out, seed, device, quiet: as in `dimensions`.
        settings: of the family, the same for every β; the prior is standard normal unless named.
        share: the recommendation is the largest β whose error is at most this share above the
            lowest.

    Raises:
        UserError: values, family, settings or budget that do not fit; other runs in the folder.
    """
    for value in beta:
        if not (math.isfinite(value) and value >= 0):
            raise UserError(f"β is a number of at least 0, not {value:g}.")
    check_share(share)
    fields = recipe(model).settings.model_fields
    # left open, a prior may depend on β, and the models would differ in two things
    prior = {"prior": "standard"} if "prior" in fields else {}
    series = make_series(
        "beta", data, model, "beta", [float(value) for value in beta],
        ("encode", "decode", "posterior"), minutes=minutes, examples=examples, out=out, seed=seed,
        settings={**prior, **(settings or {})}, device=device, quiet=quiet,
    )  # fmt: skip
    return conclude(
        series,
        series.train(),
        lambda value: f"β = {value:g}",
        _row,
        lambda table: _judge(table, share),
        share,
    )


def _judge(table: Table[BetaRow], share: float) -> tuple[Recommendation, list[str]]:
    rows = table.rows
    carries = [row.active_units > 0 for row in rows]
    advice = largest_affordable([row.beta for row in rows], table.errors, carries, share)
    return advice, [*_collapses(rows), _factors(rows)]


def _row(of: Subject) -> BetaRow:
    seed = of.run.seed
    facts, told = summary(of.returned), latents(of.model, of.test, seed=seed)
    return BetaRow(
        beta=of.value,
        squared_error=facts["squared_error"],
        standard_error=facts["squared_error_standard_error"],
        psnr_db=facts.get("psnr_db"),
        kl_nats=told["kl_nats"],
        elbo_nats=_elbo(of.model, of.test, seed),
        latent_dim=told["latent_dim"],
        active_units=told["active_units"],
        information_nats=tuple(told["information_nats"]),
        kl_by_latent=tuple(told["kl_by_latent"]),
        collapse=told["collapse"],
        diagnosis=told["diagnosis"],
        disentanglement=_scores(of, seed),
        **effort(of.run),
    )


def _elbo(model: Any, test: Dataset, seed: int) -> float | None:
    if not isinstance(model, HasElbo):
        return None
    x = test.batch(spread_rows(len(test), _MEASURED)).x
    bound = in_chunks(lambda rows: model.elbo(rows, seed=seed), x, device=device_of(model))
    return float(bound.double().mean())


def _scores(of: Subject, seed: int) -> dict[str, float]:
    """Scores against the data's factors, where there are any."""
    metric = METRICS.get(_FACTORS)
    if metric is None or not metric.fits(of.model, of.train):
        return {}
    facts = evaluate(of.model, of.train, of.test, metrics=[_FACTORS], seed=seed)[_FACTORS]
    return {name: float(facts[name]) for name in _SCORES if facts.get(name) is not None}


def _collapses(rows: Sequence[BetaRow]) -> list[str]:
    """One sentence for the least β at which latents fall silent, one for all."""
    notes = []
    if (first := next((row for row in rows if row.collapse != "none"), None)) is not None:
        notes.append(f"At β = {first.beta:g}: {first.diagnosis}")
    whole = next((row for row in rows if row.collapse == "complete"), None)
    if whole is not None and whole is not first:
        notes.append(f"At β = {whole.beta:g} no latent carries anything any more.")
    return notes


def _factors(rows: Sequence[BetaRow]) -> str:
    known = [(row.disentanglement["mig"], row.beta) for row in rows if "mig" in row.disentanglement]
    if len(known) < 2:
        return ""
    best, value = max(known)
    if best < _FOLLOWS:
        return f"No model's latents follow the known factors: the highest MIG is {best:.2f}."
    return f"Latents follow the known factors best at β = {value:g} (MIG {best:.2f})."
