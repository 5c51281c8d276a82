"""Numbers that say how strange a row is, each from one thing that a model gives."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import HasEnergy
from latentia.data.pictures import to_image, to_pixels
from latentia.detection.gaussian import FittedGaussian

Rows = np.ndarray
"""float64 `(N,)`, higher = stranger."""

_NATS_PER_BYTE = 8 * float(np.log(2))


@torch.no_grad()
def energies(model: HasEnergy, x: Tensor) -> Rows:
    """The model's energy, `(B, …) -> (B,)`, nats up to log Z: −log p(x) but for a constant."""
    return as_rows(model.energy(x))


def likelihood_ratio(nll: Rows, reference: Rows) -> Rows:
    """−log p(x) less what x costs a reference that knows nothing of the data, `(N,)`, nats.

    The reference is a lossless code (Serrà et al. 2020, eq. 2) or a background model (Ren et al.
    2019, eq. 5). An amount added to both changes nothing: simple pictures, which every model
    finds likely, gain nothing by it.
    """
    return np.asarray(nll, np.float64) - np.asarray(reference, np.float64)


def code_length(x: Tensor) -> Rows:
    """Nats of each picture as a PNG, `(B, C, H, W)` in [-1, 1] `-> (B,)`.

    The input complexity of Serrà et al. 2020, by the compressor that every installation has.
    """
    sizes = []
    for pixels in to_pixels(x):
        held = io.BytesIO()
        to_image(pixels).save(held, "PNG", compress_level=6)
        sizes.append(held.tell())
    return np.asarray(sizes, np.float64) * _NATS_PER_BYTE


def latent_distance(codes: np.ndarray, usual: FittedGaussian) -> Rows:
    """Mahalanobis distance of codes `(N, d)` to those of the training rows, `(N,)`, ≥ 0."""
    return np.sqrt(usual.squared_distance(codes))


def typicality(nll: Rows, usual: float) -> Rows:
    """|−log p(x) − its usual value|, `(N,)`, nats (Nalisnick et al. 2019, eq. 5, one row each).

    Too likely is as strange as too unlikely.
    """
    return np.abs(np.asarray(nll, np.float64) - usual)


def as_rows(values: Tensor) -> Rows:
    """A tensor `(N,)` as float64 numbers of numpy."""
    return values.detach().double().cpu().numpy()
