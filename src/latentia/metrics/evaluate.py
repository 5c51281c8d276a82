"""Every metric that a model and its data allow, by name, in one JSON-able answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import (
    Classifies,
    Decodes,
    Encodes,
    HasElbo,
    HasLatentMoments,
    HasLogProb,
    HasPosterior,
    Samples,
)
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest
from latentia.metrics.annealed import Annealable, annealed_likelihood
from latentia.metrics.disentanglement import POINTS, disentanglement
from latentia.metrics.features import FeatureExtractor, default_extractor
from latentia.metrics.fidelity import class_shares, fidelity
from latentia.metrics.latent_space import latent_space
from latentia.metrics.latents import latents
from latentia.metrics.likelihood import likelihood
from latentia.metrics.membership import ROWS
from latentia.metrics.memorisation import LIMIT, memorisation
from latentia.metrics.modes import known_mixture, modes
from latentia.metrics.reconstruction import reconstruction

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, how many done, of how many)."""

_BATCH = 250
_LIKELIHOOD_ROWS = 1000
_SEED_BLOCK = 1_000_000  # sampling seeds of two evaluation seeds never overlap


@dataclass
class Occasion:
    """A model, its data, and what several metrics share, made when first asked for.

    Attributes:
        model, train, test: what is measured, on what.
        samples: how many to draw.
        seed: of everything random.
        importance_samples, every: of the likelihood.
        cache_dir: of the feature extractor.
        progress: told what goes on.
        points: rows at most that disentanglement is measured on.
        limit: samples and held-out rows at most that copies are looked for among.
        judged: whether memorisation looks at features, besides values.
        members: training and held-out rows at most, each, that membership is tried on.
    """

    model: Any
    train: Dataset
    test: Dataset
    samples: int = 2000
    seed: int = 0
    importance_samples: int | None = None
    every: int | None = None
    cache_dir: Path | None = None
    progress: Progress | None = None
    points: int = POINTS
    limit: int = LIMIT
    judged: bool = True
    members: int = ROWS

    @cached_property
    def drawn(self) -> Tensor:
        """`(samples, …)` of the model, on the CPU, from seeds that start at seed * 10^6."""
        first, parts = self.seed * _SEED_BLOCK, []
        for start in range(0, self.samples, _BATCH):
            stop = min(start + _BATCH, self.samples)
            with torch.no_grad():
                parts.append(self.model.sample(range(first + start, first + stop)).cpu())
            self.tell("samples", stop, self.samples)
        return torch.cat(parts)

    @cached_property
    def extractor(self) -> FeatureExtractor:
        return default_extractor(
            self.train, self.test, self.cache_dir, progress=self.teller("feature extractor")
        )

    @cached_property
    def memorised(self) -> dict[str, Any]:
        """Copies, membership and coverage, once for figures and pictures."""
        draws = isinstance(self.model, Samples)
        return memorisation(
            self.model,
            self.train,
            self.test,
            samples=self.drawn if draws else None,
            extractor=self.extractor if draws and self.judged else None,
            limit=self.limit,
            rows=self.members,
            seed=self.seed,
        )

    @property
    def stride(self) -> int:
        """Every which test row the likelihood is measured on."""
        return self.every if self.every is not None else -(-len(self.test) // _LIKELIHOOD_ROWS)

    def tell(self, what: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(what, done, total)

    def teller(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.tell(what, done, total)


@dataclass(frozen=True)
class Metric:
    """One entry of `METRICS`.

    Attributes:
        about: one line for tables and help.
        needs: what of model and data it asks for, in words.
        fits: whether this model and training data have that.
        measure: the figures, JSON-able.
        by_default: measured unless others are named; slow ones are not.
    """

    about: str
    needs: str
    fits: Callable[[object, Dataset], bool]
    measure: Callable[[Occasion], dict[str, Any]]
    by_default: bool = True


def evaluate(
    model: object,
    train: Dataset,
    test: Dataset,
    *,
    metrics: Sequence[str] | None = None,
    samples: int = 2000,
    seed: int = 0,
    importance_samples: int | None = None,
    every: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a model.

    Args:
        model: anything with abilities.
        train: what it was trained on: reference of fidelity, baseline and memorisation.
        test: held-out rows: likelihood, reconstruction and floors.
        metrics: names out of `METRICS`; None takes all that model and data allow, but for
            those that are slow (not `by_default`).
        samples: how many samples are drawn for the metrics that look at samples.
        seed: of samples, importance samples and subsets.
        importance_samples: effort of the likelihood, as `samples` in `likelihood`.
        every: likelihood on test rows 0, `every`, 2·`every`, …; None keeps at most 1,000 rows,
            every tenth of MNIST's test digits.
        cache_dir: where the feature extractor is kept.
        progress: told what goes on.

    Returns:
        Metric name -> its figures.

    Raises:
        UserError: an unknown metric, one that model or data do not allow, `samples` below 1.
    """
    if samples < 1:
        raise UserError(f"samples is {samples}; draw at least 1.")
    chosen = _chosen(model, train, metrics)
    occasion = Occasion(
        model, train, test, samples, seed, importance_samples, every, cache_dir, progress
    )
    return {name: METRICS[name].measure(occasion) for name in chosen}


def _chosen(model: object, train: Dataset, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [
            n for n, metric in METRICS.items() if metric.by_default and metric.fits(model, train)
        ]
    for name in names:
        if name not in METRICS:
            raise UserError(f"There is no metric {name!r}; {nearest(name, METRICS)}")
        if not METRICS[name].fits(model, train):
            raise UserError(
                f"The metric {name!r} needs {METRICS[name].needs}; {type(model).__name__} on "
                f"{train.spec.name} does not offer that."
            )
    return list(dict.fromkeys(names))


def _has_classes(model: object, train: Dataset) -> bool:
    labelled = train.labels is not None and bool((train.labels != train.labels[0]).any())
    return isinstance(model, Samples) and train.spec.kind == "image" and labelled


def _has_bottleneck(model: object, train: Dataset) -> bool:
    """Models whose latents are as many as the data's numbers solve an equation for each decode."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        return False
    return model.latent_dim < train.spec.dims


def _remembers(model: object, train: Dataset) -> bool:
    known = isinstance(model, Samples | HasElbo | HasLogProb)
    return len(train) > 1 and (known or _has_bottleneck(model, train))


def _classes(on: Occasion) -> dict[str, Any]:
    judge = on.extractor
    assert isinstance(judge, Classifies)  # labelled images, by `_has_classes`
    return {
        **class_shares(on.drawn, on.test, judge, classes=on.train.spec.classes),
        "extractor": {"name": judge.name, "hash": judge.hash, "dims": judge.dims},
        "test_accuracy": getattr(judge, "accuracy", None),
    }


def _has_factors(model: object, train: Dataset) -> bool:
    """Codes to judge, shorter than the pictures they code for, and factors to judge them by."""
    whole = train.spec.kind == "image" and getattr(model, "latent_dim", 0) >= train.spec.dims
    varied = any(len(values) and (values != values[0]).any() for values in _factors(train).values())
    return isinstance(model, Encodes) and not whole and varied


def _factors(data: Dataset) -> dict[str, np.ndarray]:
    return data.factors or {}


def _modes(on: Occasion) -> dict[str, Any]:
    mixture = known_mixture(on.train)
    assert mixture is not None
    return modes(on.drawn, torch.from_numpy(mixture.centers), mixture.sigma)


METRICS: dict[str, Metric] = {
    "likelihood": Metric(
        "held-out negative log-likelihood and ELBO, nats and bits per dimension",
        "a model with a log_prob or an elbo",
        lambda model, train: isinstance(model, HasLogProb | HasElbo),
        lambda on: likelihood(
            on.model,
            on.test,
            samples=on.importance_samples,
            every=on.stride,
            seed=on.seed,
            progress=on.teller("likelihood"),
        ),
    ),
    "fidelity": Metric(
        "Fréchet and kernel distance, precision, recall, density, coverage, with their floor",
        "a model that samples",
        lambda model, train: isinstance(model, Samples),
        lambda on: fidelity(on.drawn, on.train, on.test, on.extractor, seed=on.seed),
    ),
    "classes": Metric(
        "share of samples by class, and of those that a classifier is sure of",
        "a model that samples and images with labels",
        _has_classes,
        _classes,
    ),
    "reconstruction": Metric(
        "squared error and PSNR of reconstructions, next to PCA of the same size",
        "a model that encodes and decodes",
        lambda model, train: isinstance(model, Encodes) and isinstance(model, Decodes),
        lambda on: reconstruction(on.model, on.train, on.test, seed=on.seed),
    ),
    "latents": Metric(
        "information and KL of every latent, active units, collapse named",
        "a model with a posterior",
        lambda model, train: isinstance(model, HasPosterior | HasLatentMoments),
        lambda on: latents(on.model, on.test, seed=on.seed),
    ),
    "latent_space": Metric(
        "continuity and completeness: change per latent step, walks, holes, with their floors",
        "a model that encodes into fewer numbers than the data have, and decodes",
        _has_bottleneck,
        lambda on: latent_space(
            on.model,
            on.train,
            on.test,
            on.extractor,
            drawn=on.drawn if isinstance(on.model, Samples) else None,
            seed=on.seed,
        ),
    ),
    "memorisation": Metric(
        "copies among samples, whether training rows are told from new ones, what is missing",
        "a model that samples, scores or restores data",
        _remembers,
        lambda on: on.memorised,
    ),
    "modes": Metric(
        "modes found and high-quality samples, on toy mixtures of known centres",
        "a model that samples and a toy mixture of well separated modes",
        lambda model, train: isinstance(model, Samples) and known_mixture(train) is not None,
        _modes,
    ),
    "disentanglement": Metric(
        "whether single latents stand for single known factors, by seven scores",
        "a model that encodes and data with known factors",
        _has_factors,
        lambda on: disentanglement(
            on.model,
            on.train,
            on.test,
            points=on.points,
            seed=on.seed,
            progress=on.teller("codes"),
        ),
    ),
    "ais": Metric(
        "log-likelihood by annealed importance sampling, next to importance sampling; slow",
        "a decoder with a prior (log_likelihood, log_prior, from_noise)",
        lambda model, train: isinstance(model, Annealable),
        lambda on: annealed_likelihood(
            on.model,
            on.test,
            every=on.every,
            importance_samples=on.importance_samples,
            seed=on.seed,
            progress=on.teller("annealing"),
        ),
        by_default=False,
    ),
}
