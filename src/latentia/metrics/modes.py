"""Mode counting on mixtures whose centres are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.data.toys import TOYS, Mixture

_SIGMAS = 3.0


def known_mixture(data: Dataset) -> Mixture | None:
    """The mixture that toy data was drawn from, if its modes lie clearly apart (6 σ or more)."""
    make = TOYS.get(data.spec.name)
    density = make() if make is not None else None
    if not isinstance(density, Mixture) or len(density.centers) < 2:
        return None
    apart = torch.pdist(torch.from_numpy(density.centers)).min()
    return density if apart > 2 * _SIGMAS * density.sigma else None


def modes(samples: Tensor, centers: Tensor, sigma: float) -> dict[str, Any]:
    """High-quality samples and modes found (Srivastava et al. 2017, VEEGAN, section 4.1).

    A sample is of high quality within 3 σ of a centre; a mode is found when it holds at least
    one such sample. Of a Gaussian in the plane 98.9 % lie within 3 σ: `expected_share`.

    Args:
        samples: `(N, d)`.
        centers: `(K, d)`.
        sigma: standard deviation of every component.

    Returns:
        `high_quality_share`, `expected_share`, `modes_found`, `modes`, `smallest_share` and
        `largest_share` (of all samples, by mode), `samples`, `sigmas`.
    """
    distance, nearest = torch.cdist(samples.double(), centers.double()).min(1)
    good = distance <= _SIGMAS * sigma
    counts = torch.bincount(nearest[good], minlength=len(centers))
    # |x − μ|²/σ² is chi-squared with d degrees of freedom
    half = torch.tensor(samples.shape[1] / 2, dtype=torch.float64)
    within = torch.special.gammainc(half, torch.tensor(_SIGMAS**2 / 2, dtype=torch.float64))
    return {
        "high_quality_share": float(good.double().mean()),
        "expected_share": float(within),
        "modes_found": int((counts > 0).sum()),
        "modes": len(centers),
        "smallest_share": float(counts.min()) / len(samples),
        "largest_share": float(counts.max()) / len(samples),
        "samples": len(samples),
        "sigmas": _SIGMAS,
    }
