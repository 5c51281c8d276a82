"""Translations of pairs next to the truth: error, structure, look, sharpness."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from latentia.data.parts import pictures
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.metrics.features import ConvFeatures, FeatureExtractor, features_of
from latentia.metrics.fidelity import frechet_distance
from latentia.metrics.perceptual import perceptual_distance, sharpness, ssim
from latentia.metrics.reconstruction import psnr, squared_errors
from latentia.metrics.translated import Translated

_LEAST = 10
_REFERENCE_ROWS = 2000


def paired(
    found: Translated, train: Dataset, extractor: FeatureExtractor, *, seed: int = 0
) -> dict[str, Any]:
    """How close translations come to the true pictures.

    Beside every figure stands what a picture of the right kind that has nothing to do with the
    source reaches: the true picture of another held-out row. The Fréchet distance is of as many
    translations as held-out rows to training pictures; its floor is that of the true ones.

    Args:
        found: translations of held-out pairs.
        train: training pictures of the side that is translated to.
        extractor: of features, trained on `train`.
        seed: of the reference rows.

    Returns:
        `to`, `l1` (mean absolute error, [-1, 1] units), `psnr_db` (None where one is exact),
        `ssim`, `perceptual` (1: as different as two true pictures), `sharpness` (1: as sharp as
        true pictures), `frechet` (None for fewer than 10 rows or without features); `random` with
        the same of true pictures in another order (`sharpness`: 1); `unchanged` with the first
        three of the source as it is, where it has as many channels, else None; `real_frechet`,
        `perceptual_unit`; `examples`, `reference_rows`, `extractor`.

    Raises:
        UserError: translations that are not finite numbers.
    """
    made = finite(found.made)
    x, y = pictures(found.source), pictures(found.real)
    other = y.roll(1, 0)
    judge = extractor if isinstance(extractor, ConvFeatures) else None
    unit = _mean(perceptual_distance(judge, other, y)) if judge and len(y) > 1 else None
    facts: dict[str, Any] = {
        "to": found.to,
        **_errors(made, y),
        "perceptual": None,
        "sharpness": _mean(sharpness(made)) / max(_mean(sharpness(y)), 1e-12),
        "random": _errors(other, y) if len(y) > 1 else None,
        "unchanged": _errors(x, y) if x.shape == y.shape else None,
        "perceptual_unit": unit,
        "examples": len(made),
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }
    if judge and unit:
        facts["perceptual"] = _mean(perceptual_distance(judge, made, y)) / unit
    return {**facts, **frechet(made, y, train, extractor, seed=seed)}


def frechet(
    made: Tensor, real: Tensor, train: Dataset, extractor: FeatureExtractor, *, seed: int = 0
) -> dict[str, Any]:
    """Fréchet distance of made pictures to training pictures, and of as many real held-out ones.

    Returns:
        `frechet`, `real_frechet` (None for fewer than 10 rows), `reference_rows`.
    """
    n = min(len(made), len(real))
    rows = np.random.default_rng(seed).permutation(len(train))[: max(n, _REFERENCE_ROWS)]
    if min(n, len(rows)) < _LEAST:
        return {"frechet": None, "real_frechet": None, "reference_rows": len(rows)}
    reference = features_of(train, extractor, np.sort(rows))
    return {
        "frechet": frechet_distance(reference, extractor(made[:n])),
        "real_frechet": frechet_distance(reference, extractor(real[:n])),
        "reference_rows": len(reference),
    }


def _errors(made: Tensor, y: Tensor) -> dict[str, float | None]:
    decibels = psnr(squared_errors(made, y).double())
    return {
        "l1": float((made - y).abs().flatten(1).mean(1).double().mean()),
        "psnr_db": float(decibels.mean()) if bool(decibels.isfinite().all()) else None,
        "ssim": _mean(ssim(made, y)),
    }


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def finite(made: Tensor) -> Tensor:
    """The translations as they are.

    Raises:
        UserError: some are not finite numbers.
    """
    if not bool(made.isfinite().all()):
        raise UserError(
            "Some translations are not finite numbers: the model has diverged. Train again with a "
            "lower learning rate, or take an earlier checkpoint."
        )
    return made
