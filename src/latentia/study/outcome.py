"""What a study hands back: rows, a recommendation, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from latentia.study.rules import Recommendation

STUDY_FILE = "study.json"
GRID_FILE = "grid.png"
PAGE_FILE = "study.html"
FORMAT = 1


@dataclass(frozen=True)
class SizeRow:
    """A model of one size, measured on held-out rows.

    Attributes:
        latent: its latents.
        squared_error: mean over values and rows; [-1, 1] units for images.
        standard_error: of that mean, over rows.
        pca_error: of PCA with as many components.
        explained: share of the data's variance that comes back; 1 − error / variance.
        psnr_db, pca_psnr_db: of images; None where exact.
        examples_seen, seconds: what its training took.
        run: its run folder.
    """

    latent: int
    squared_error: float
    standard_error: float
    pca_error: float
    explained: float
    psnr_db: float | None
    pca_psnr_db: float | None
    examples_seen: int
    seconds: float
    run: str


@dataclass(frozen=True)
class BetaRow:
    """A model trained with one β, measured on held-out rows.

    Attributes:
        beta: weight of the KL term in training.
        squared_error, standard_error, psnr_db: as in `SizeRow`.
        kl_nats: KL of the posterior to the prior, mean over rows.
        elbo_nats: at β = 1, whatever β was trained with; None without the ability.
        latent_dim, active_units: latents there are, and those that tell at least 0.01 nats.
        information_nats, kl_by_latent: of every latent; see `latentia.metrics.latents`.
        collapse, diagnosis: "none", "partial" or "complete", and in words.
        disentanglement: scores against the data's factors; empty without any.
        examples_seen, seconds, run: as in `SizeRow`.
    """

    beta: float
    squared_error: float
    standard_error: float
    psnr_db: float | None
    kl_nats: float
    elbo_nats: float | None
    latent_dim: int
    active_units: int
    information_nats: tuple[float, ...]
    kl_by_latent: tuple[float, ...]
    collapse: str
    diagnosis: str
    disentanglement: Mapping[str, float]
    examples_seen: int
    seconds: float
    run: str


Row = TypeVar("Row", SizeRow, BetaRow)


@dataclass(frozen=True)
class Study(Generic[Row]):
    """Models that differ in one setting, side by side.

    Attributes:
        folder: holds a run folder for each model, study.json and, for images, grid.png.
        varied: the setting that differs.
        data, model, seed, settings: what the models share.
        budget: of each model.
        test_rows: what the errors are measured on.
        share: of the recommendation's rule.
        rows: one for each finished model, rising in what differs.
        missing: values whose model is not finished.
        recommendation: what to take and why; None before two models are finished.
        notes: what else should be known.
        command: how to repeat it, or go on with it.
    """

    folder: Path
    varied: str
    data: str
    model: str
    seed: int
    settings: Mapping[str, Any]
    budget: Mapping[str, float | int]
    test_rows: int
    share: float
    rows: tuple[Row, ...]
    missing: tuple[float, ...]
    recommendation: Recommendation | None
    notes: tuple[str, ...]
    command: str

    @property
    def finished(self) -> bool:
        """Whether every model was trained to the end."""
        return not self.missing

    @property
    def grid(self) -> Path | None:
        """The picture of the same test images at each value, of images."""
        path = self.folder / GRID_FILE
        return path if path.is_file() else None

    def to_json(self) -> dict[str, Any]:
        facts = asdict(self) | {"folder": str(self.folder), "settings": dict(self.settings)}
        return {"format": FORMAT, **facts}
