"""The rows of a study as text: the same table on the terminal and on the page."""

from __future__ import annotations

from typing import Any

from latentia.study.outcome import BetaRow, SizeRow, Study

_SCORES = {"mig": "MIG", "factor_vae": "FactorVAE", "dci_disentanglement": "DCI-D", "sap": "SAP"}
"""Scores that get a column; all of them are in study.json."""


def cells(study: Study[Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows; the recommended row is marked by an arrow in its first cell."""
    images = any(row.psnr_db is not None for row in study.rows)
    if study.varied == "latent":
        heads = [
            "latents",
            "squared error",
            "of PCA",
            "explained",
            *(["PSNR (dB)", "of PCA"] if images else []),
        ]
        rows = [_size(row, images) for row in study.rows]
    else:
        known = [key for key in _SCORES if any(key in row.disentanglement for row in study.rows)]
        bound = any(row.elbo_nats is not None for row in study.rows)
        heads = ["β", "squared error", *(["PSNR (dB)"] if images else []), "KL (nats)"]
        heads += [*(["ELBO (nats)"] if bound else []), "active units", *map(_SCORES.get, known)]  # type: ignore[list-item]
        rows = [_beta(row, images, bound, known) for row in study.rows]
    chosen = study.recommendation.value if study.recommendation else None
    for row, text in zip(study.rows, rows, strict=True):
        if getattr(row, study.varied) == chosen:
            text[0] = f"→\N{NO-BREAK SPACE}{text[0]}"
    return [*heads, "examples seen"], rows


def _size(row: SizeRow, images: bool) -> list[str]:
    decibels = [_decibels(row.psnr_db), _decibels(row.pca_psnr_db)] if images else []
    error = _error(row.squared_error, row.standard_error)
    kept = f"{100 * row.explained:.1f} %"
    mine = [str(row.latent), error, f"{row.pca_error:.4g}", kept]
    return [*mine, *decibels, f"{row.examples_seen:,}"]


def _beta(row: BetaRow, images: bool, bound: bool, scores: list[str]) -> list[str]:
    return [
        f"{row.beta:g}",
        _error(row.squared_error, row.standard_error),
        *([_decibels(row.psnr_db)] if images else []),
        f"{row.kl_nats:.2f}",
        *(["–" if row.elbo_nats is None else _signed(row.elbo_nats)] if bound else []),
        f"{row.active_units} of {row.latent_dim}",
        *(f"{row.disentanglement[key]:.2f}" if key in row.disentanglement else "–"
          for key in scores),
        f"{row.examples_seen:,}",
    ]  # fmt: skip


def _error(value: float, chance: float) -> str:
    return f"{value:.4g} ± {chance:.1g}"


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"


def _signed(value: float) -> str:
    return f"{value:,.1f}".replace("-", "−")
