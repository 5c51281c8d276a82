"""How much of an example survives the way through the latent space, next to plain PCA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from latentia.abilities import Decodes, Encodes
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, in_chunks, spread_rows

_PCA_ROWS = 10_000
_PCA_NUMBERS = int(1e8)  # rows x dims that are held as float32 at once: 400 MB
_PEAK = 2.0  # of images in [-1, 1]


def squared_errors(x: Tensor, reconstructed: Tensor) -> Tensor:
    """Mean squared error of every example, `(B, …), (B, …) -> (B,)`, in squared data units."""
    return (x - reconstructed).square().flatten(1).mean(1)


def psnr(squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images in [-1, 1]: 10 log₁₀(2² / squared error)."""
    return 10 * torch.log10(_PEAK**2 / squared_error)


def pca_baseline(train: Dataset, components: int, *, seed: int = 0) -> PCA:
    """PCA of `components` numbers, fitted on at most 10,000 training rows (in [-1, 1])."""
    rows = np.random.default_rng(seed).permutation(len(train))
    rows = np.sort(rows[: min(_PCA_ROWS, max(2, _PCA_NUMBERS // train.spec.dims))])
    x = train.batch(rows).x.flatten(1).numpy()
    size = min(components, *x.shape)
    return PCA(size, svd_solver="randomized", random_state=seed).fit(x)


@dataclass(frozen=True)
class Returned:
    """Rows after the way through the latent space.

    Attributes:
        errors: squared error of every row, `(N,)`, float64.
        pca_errors: the same of PCA, `(N,)`.
        variance: mean squared error of the mean training row in place of every row.
        latent_dim: numbers in between.
        pca: what PCA found on the training rows.
        image: whether rows are images in [-1, 1].
    """

    errors: Tensor
    pca_errors: Tensor
    variance: float
    latent_dim: int
    pca: PCA
    image: bool


def returned(
    model: object, train: Dataset, test: Dataset, *, examples: int = 1000, seed: int = 0
) -> Returned:
    """Every test row there and back, by the model and by PCA; arguments as `reconstruction`.

    Raises:
        UserError: a model that does not both encode and decode.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise UserError(
            f"{type(model).__name__} does not both encode and decode, so it cannot reconstruct."
        )
    x = test.batch(spread_rows(len(test), examples)).x
    z = in_chunks(model.encode, x, device=device_of(model))
    again = in_chunks(model.decode, z, device=device_of(model))
    pca = pca_baseline(train, z.shape[1], seed=seed)
    flat = pca.inverse_transform(pca.transform(x.flatten(1).numpy()))
    plain = torch.from_numpy(flat).float().view_as(x)
    errors, pca_errors = (squared_errors(x, y).double() for y in (again, plain))
    middle = torch.from_numpy(pca.mean_).float().view_as(x[0])
    variance = float(squared_errors(x, middle).double().mean())
    return Returned(errors, pca_errors, variance, z.shape[1], pca, test.spec.kind == "image")


def reconstruction(
    model: object, train: Dataset, test: Dataset, *, examples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Reconstruction error on test rows, next to PCA with as many components as latents.

    Args:
        model: encodes and decodes.
        train: what PCA is fitted on.
        test: rows that are reconstructed; `examples` of them, evenly apart.
        examples: rows at most.
        seed: of the PCA.

    Returns:
        As `summary`.

    Raises:
        UserError: a model that does not both encode and decode.
    """
    return summary(returned(model, train, test, examples=examples, seed=seed))


def summary(found: Returned) -> dict[str, Any]:
    """What rows that came back add up to.

    Returns:
        `squared_error` (mean over values, then examples; [-1, 1] units for images), its
        `squared_error_standard_error`, `psnr_db` (mean over examples; images only, and None
        where a reconstruction is exact), `latent_dim`, `examples`, `split`; `pca` with the same
        errors and its `components` and `train_rows`.
    """
    return {
        **_summary(found.errors, found.image),
        "latent_dim": found.latent_dim,
        "examples": len(found.errors),
        "split": "test",
        "pca": {
            **_summary(found.pca_errors, found.image),
            "components": found.pca.n_components_,
            "train_rows": found.pca.n_samples_,
        },
    }


def _summary(errors: Tensor, image: bool) -> dict[str, Any]:
    spread = float(errors.std()) if len(errors) > 1 else 0.0
    facts: dict[str, Any] = {
        "squared_error": float(errors.mean()),
        "squared_error_standard_error": spread / math.sqrt(len(errors)),
    }
    if image:
        decibels = float(psnr(errors).mean())
        facts["psnr_db"] = decibels if math.isfinite(decibels) else None
    return facts
