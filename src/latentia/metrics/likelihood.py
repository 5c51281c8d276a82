"""Held-out log-likelihood of models that bound or estimate it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from latentia.abilities import HasElbo, HasLogProb
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of

IMPORTANCE_SAMPLES = 5000


def likelihood(
    model: object,
    data: Dataset,
    *,
    samples: int | None = None,
    every: int = 1,
    batch: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Mean negative log-likelihood of the rows, and the bound −ELBO, in nats per example.

    Args:
        model: has `log_prob`, `elbo`, or both.
        data: held-out rows.
        samples: effort given to `log_prob`: importance samples (IWAE_k of Burda et al. 2016)
            of a model that has an `elbo`, by default 5,000; of another model its solver steps,
            by default the model's own number. The model chunks importance samples itself.
        every: take rows 0, `every`, 2·`every`, …
        batch: rows per call.
        seed: of the draws; every batch has its own.
        progress: called with (rows done, of how many).

    Returns:
        `nll_nats` and `elbo_nats` (None without the ability), `nll_standard_error` of the mean
        over examples, `bits_per_dim` (of `nll_nats`, else of the bound), `importance_samples` or
        `solver_steps`, `examples`, `every`, `seed`, `seconds`, `non_finite` (values that are not
        finite; their mean is None then), `levels` (of which a probability is given: 256 or 2 per
        pixel; None: a density), `is_probability` (False where a likelihood of two levels meets
        grey ones: nats are a cross-entropy then, and `bits_per_dim` is None); for data of known
        density `entropy_nats`, the least possible mean on these rows, but for chance.

    Raises:
        UserError: a model with neither ability; `every`, `samples` or `batch` below 1.
    """
    for name, value in {"samples": samples, "every": every, "batch": batch}.items():
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it counts and must be at least 1.")
    if not isinstance(model, HasLogProb | HasElbo):
        raise UserError(
            f"{type(model).__name__} has neither log_prob nor elbo, so it has no likelihood; "
            "measure fidelity instead."
        )
    bounded = isinstance(model, HasElbo)
    if samples is None and bounded:
        samples = IMPORTANCE_SAMPLES
    begin, rows, device = time.perf_counter(), torch.arange(0, len(data), every), device_of(model)
    log_probs, bounds = [], []
    for number, chunk in enumerate(rows.split(batch)):
        x, now = data.batch(chunk, str(device)).x, seed + number
        with torch.no_grad():
            if isinstance(model, HasLogProb):
                log_probs.append(model.log_prob(x, samples=samples, seed=now).cpu())
            if isinstance(model, HasElbo):
                bounds.append(model.elbo(x, seed=now).cpu())
        if progress is not None:
            progress(min((number + 1) * batch, len(rows)), len(rows))
    nll, error = mean_and_error(log_probs)
    bound, bound_error = mean_and_error(bounds)
    bits = nll if log_probs else bound
    every_value, levels = torch.cat([*log_probs, *bounds]), levels_of(model, data)
    probable = levels != 2 or two_levels(data, rows)
    bits = bits if probable else None
    return {
        "nll_nats": nll,
        "nll_standard_error": error,
        "elbo_nats": None if bound is None else -bound,
        "elbo_standard_error": bound_error,
        "is_probability": probable,
        "levels": levels,
        "bits_per_dim": None if bits is None else bits / data.spec.dims / math.log(2),
        "importance_samples" if bounded else "solver_steps": samples if log_probs else None,
        "examples": len(rows),
        "every": every,
        "seed": seed,
        "seconds": time.perf_counter() - begin,
        "non_finite": int((~every_value.isfinite()).sum()),
        **_entropy(data, rows),
    }


def levels_of(model: object, data: Dataset) -> int | None:
    """Levels per value that the model's likelihood gives probabilities of; None for a density.

    A model says so by `likelihood.levels`; where it says nothing, images have 256.
    """
    if data.spec.kind != "image":
        return None
    said: int | None = getattr(getattr(model, "likelihood", None), "levels", 256)
    return said


def two_levels(data: Dataset, rows: Tensor) -> bool:
    """Whether these images are black and white only."""
    return all(
        bool(((values == 0) | (values == 255)).all())
        for values in (data.values[part.numpy()] for part in rows.split(1000))
    )


def mean_and_error(values: list[Tensor]) -> tuple[float | None, float | None]:
    """Mean of minus the values and its standard error; None without finite values."""
    nats = -torch.cat(values).double() if values else torch.zeros(0)
    if not len(nats) or not nats.isfinite().all():
        return None, None
    error = float(nats.std()) / math.sqrt(len(nats)) if len(nats) > 1 else None
    return float(nats.mean()), error


def _entropy(data: Dataset, rows: Tensor) -> dict[str, float]:
    if data.log_density is None:
        return {}
    return {"entropy_nats": float(-data.log_density(data.values[rows.numpy()]).mean())}
