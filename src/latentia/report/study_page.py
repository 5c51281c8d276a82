"""`study.html`: what a study found, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentia.report.draw import trends
from latentia.report.page import Fact, Figure, Section, Table, img, render
from latentia.study.outcome import Study
from latentia.study.table import cells
from latentia.training.budget import duration

_ASKS = {
    "latent": ("How many hidden variables", "One model per size"),
    "beta": ("What β buys and costs", "One model per weight of the KL term"),
}
_MOST_LATENTS = 12


def page(study: Study[Any]) -> str:
    """The whole page as HTML."""
    asks, how = _ASKS[study.varied]
    data = Path(study.data).name or study.data
    sections = [_answer(study), _curves(study), _pictures(study), _latents(study), _again(study)]
    return render(
        f"{asks}: {data}",
        f"{how}, all of the family {study.model}, each trained for {_budget(study)}",
        _facts(study),
        [section for section in sections if section is not None],
        by=f"latentia study {'dimensions' if study.varied == 'latent' else 'beta'}",
    )


def _budget(study: Study[Any]) -> str:
    ((unit, amount),) = study.budget.items()
    return f"{amount:,} {unit}" if unit == "examples" else duration(60 * amount)


def _facts(study: Study[Any]) -> list[Fact]:
    facts = [
        Fact(f"{len(study.rows)}", "models compared"),
        Fact(f"{study.test_rows:,}", "test rows"),
    ]
    advice = study.recommendation
    if advice is not None:
        name = "latents" if study.varied == "latent" else "β"
        shown = "none" if advice.value is None else f"{advice.value:g}"
        facts.insert(0, Fact(shown, f"{name} recommended"))
    seconds = sum(row.seconds for row in study.rows)
    return [*facts, Fact(duration(seconds), "of training in all")]


def _answer(study: Study[Any]) -> Section:
    heads, rows = cells(study)
    rule = {
        "latent": "A fall of the error counts where it is beyond chance: over two standard errors "
        "of the difference, row by row.",
        "beta": "",
    }[study.varied]
    caption = (
        f"Held-out squared error per value on {study.test_rows:,} test rows, ± its standard error "
        "over rows. One training for each line: another --seed shows how much is chance."
    )
    table = Table(heads, rows, caption, numeric=range(1, len(heads)))
    section = Section("answer", "What to take", tables=[table])
    if study.recommendation is not None and study.recommendation.kind in ("single", "untrained"):
        section.lead = study.recommendation.words
    elif study.recommendation is not None:
        section.lead = f"{study.recommendation.words} {rule}".strip()
    section.warnings += study.notes
    if study.missing:
        values = ", ".join(f"{value:g}" for value in study.missing)
        section.missing.append(f"Not trained to the end yet: {values}. Go on with: {study.command}")
    return section


def _curves(study: Study[Any]) -> Section | None:
    if len(study.rows) < 2:
        return None
    values = [getattr(row, study.varied) for row in study.rows]
    ticks = [f"{value:g}" for value in values]
    if study.varied == "latent":
        lines = {study.model: _of(study, "squared_error"), "PCA": _of(study, "pca_error")}
        panels: dict[str, dict[str, np.ndarray]] = {"Held-out squared error": lines}
        at, label = np.log2(values).tolist(), "latents (logarithmic)"
        caption = "Lower is better. Where the curve goes flat, more latents buy little."
    else:
        panels = {
            "Held-out squared error": {"error": _of(study, "squared_error")},
            "KL to the prior (nats)": {"KL": _of(study, "kl_nats")},
            "Active units": {"active": _of(study, "active_units")},
        }
        scores = [row.disentanglement.get("mig", np.nan) for row in study.rows]
        if np.isfinite(scores).any():
            panels["MIG"] = {"MIG": np.array(scores)}
        elif all(row.elbo_nats is not None for row in study.rows):
            panels["ELBO at β = 1 (nats)"] = {"ELBO": _of(study, "elbo_nats")}
        at, label = list(range(len(values))), "β"
        caption = "From left to right the KL weighs more: encodings tell less, errors grow."
    told = "; ".join(
        f"{title}, {name}: {', '.join(f'{v:.3g}' for v in values)}"
        for title, lines in panels.items()
        for name, values in lines.items()
    )
    alt = f"Lines over {label} {', '.join(ticks)}. {told}."
    figure = Figure(trends(panels, at, ticks, x_label=label, alt=alt), alt, caption)
    return Section("curves", "The figures as curves", figures=[figure])


def _of(study: Study[Any], name: str) -> np.ndarray:
    return np.array([getattr(row, name) for row in study.rows], dtype=float)


def _pictures(study: Study[Any]) -> Section | None:
    if study.grid is None:
        return None
    with Image.open(study.grid) as grid:
        image = grid.convert("RGB")
    names = ", ".join(f"{getattr(row, study.varied):g}" for row in study.rows)
    what = "latents" if study.varied == "latent" else "β"
    alt = f"The same test images after the way through each model ({what} {names}) and originals."
    caption = (
        f"Rows: {what} {names}, and at the bottom the originals, evenly apart in the test split."
    )
    figure = Figure(img(image, alt=alt, small=False), alt, caption)
    return Section("pictures", "The same test images", figures=[figure])


def _latents(study: Study[Any]) -> Section | None:
    if study.varied != "beta" or not study.rows:
        return None
    most = min(_MOST_LATENTS, max(row.latent_dim for row in study.rows))
    more = any(row.latent_dim > most for row in study.rows)
    heads = ["β", *(f"{n}." for n in range(1, most + 1)), *(["others"] if more else [])]
    rows = []
    for row in study.rows:
        told = sorted(row.information_nats, reverse=True)
        shown = [f"{value:.2f}" for value in told[:most]]
        rest = [f"{sum(told[most:]):.2f}"] if more else []
        rows.append([f"{row.beta:g}", *shown, *[""] * (most - len(shown)), *rest])
    caption = "Information of each latent in nats, the most telling first; under 0.01 it is idle."
    lead = "A growing β silences latents one after the other, the least useful first."
    table = Table(heads, rows, caption, numeric=range(1, len(heads)))
    return Section("latents", "What each latent tells", lead, tables=[table])


def _again(study: Study[Any]) -> Section:
    runs = [(f"{getattr(row, study.varied):g}", row.run) for row in study.rows]
    lead = (
        "The same command again trains only what is missing. Every model is a run of its own for "
        "evaluate, traverse and report."
    )
    return Section(
        "again",
        "How to repeat it",
        lead,
        code=study.command,
        tables=[Table(("β" if study.varied == "beta" else "latents", "run folder"), runs)],
    )
