"""Every metric that a model and its data allow, by name, in one JSON-able answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentia.abilities import (
    Classifies,
    Decodes,
    Encodes,
    HasElbo,
    HasEnergy,
    HasLatentMoments,
    HasLogProb,
    HasPosterior,
    Samples,
    TakesClasses,
    Translates,
)
from latentia.data.parts import part
from latentia.data.spec import Dataset
from latentia.errors import UserError, nearest
from latentia.metrics.accuracy_score import accuracy_score
from latentia.metrics.annealed import Annealable, annealed_likelihood
from latentia.metrics.disentanglement import disentanglement
from latentia.metrics.fidelity import class_shares, fidelity
from latentia.metrics.label_agreement import label_agreement, palette_of
from latentia.metrics.latent_space import latent_space
from latentia.metrics.latents import latents
from latentia.metrics.likelihood import likelihood
from latentia.metrics.mode_count import channel_classes, channel_classifier, mode_count
from latentia.metrics.modes import known_mixture, modes
from latentia.metrics.occasion import Metric, Occasion, Progress
from latentia.metrics.paired import paired
from latentia.metrics.partition import exact_method, partition
from latentia.metrics.path_length import path_length
from latentia.metrics.per_class import per_class
from latentia.metrics.reconstruction import reconstruction
from latentia.metrics.spoken import spoken
from latentia.metrics.translated import has_domains
from latentia.metrics.translation import translation


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
            those that are slow (`Metric.unasked`).
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
        return [name for name, metric in METRICS.items() if metric.unasked(model, train)]
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


def _takes_classes(model: object, train: Dataset) -> bool:
    """A generator that can be asked for the classes that the data's labels name."""
    if not (isinstance(model, Samples) and isinstance(model, TakesClasses)):
        return False
    labels = train.labels
    if labels is None or len(np.unique(labels)) < 2:
        return False
    return int(model.classes or 0) > int(labels.max())


def _follows_paths(model: object, train: Dataset) -> bool:
    """Generators from less noise than a picture has values, or of vectors."""
    if not (isinstance(model, Samples) and isinstance(model, Decodes)):
        return False
    if isinstance(model, HasEnergy):  # samples of chains are not decoded noise
        return False
    return train.spec.kind == "vector" or model.latent_dim < train.spec.dims


def _stacked_modes(on: Occasion) -> dict[str, Any]:
    judge = channel_classifier(
        on.train,
        on.test,
        cache_dir=on.cache_dir,
        progress=on.teller("classifier of channels"),
    )
    return mode_count(on.drawn, on.train, on.test, judge, seed=on.seed)


def _translates_pairs(model: object, train: Dataset) -> bool:
    if not isinstance(model, Translates) or train.spec.pair is None:
        return False
    return set(model.domains) == set(train.spec.pair["names"])


def _paired(on: Occasion) -> dict[str, Any]:
    return {
        "targets": {
            to: paired(found, part(on.train, to), on.features_for(to), seed=on.seed)
            for to, found in on.translated.items()
        }
    }


def _reads_labels(model: object, train: Dataset) -> bool:
    return _translates_pairs(model, train) and len(_label_sides(train)) == 1


def _label_sides(train: Dataset) -> list[str]:
    """Those sides of pairs that are label maps."""
    assert train.spec.pair is not None
    return [name for name in train.spec.pair["names"] if palette_of(part(train, name))]


def _label_agreement(on: Occasion) -> dict[str, Any]:
    ((labels, palette),) = on.palettes.items()
    return {
        "targets": {
            to: label_agreement(found, on.train, on.label_judge, palette, labels)
            for to, found in on.translated.items()
        }
    }


def _translation(on: Occasion) -> dict[str, Any]:
    return translation(
        on.translated,
        on.train,
        on.judge,
        on.features_for(*on.model.domains),
        accuracy=getattr(on.judge, "accuracy", None),
        seed=on.seed,
    )


def _sounds(model: object, train: Dataset) -> bool:
    return has_domains(model, train) and train.spec.sound is not None


def _speech(on: Occasion) -> dict[str, Any]:
    return spoken(
        on.translated,
        on.train,
        on.test,
        seed=on.seed,
        progress=on.teller("ways of speaking judged"),
    )


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
    "paired": Metric(
        "translations of pairs next to the truth: error, structure, look, Fréchet, sharpness",
        "a model that translates, and pairs of pictures",
        _translates_pairs,
        _paired,
    ),
    "label_agreement": Metric(
        "between label maps and photographs: share of pixels that stand for the right label",
        "a model that translates, and pairs of which one side is a map of 3 to 32 flat colours",
        _reads_labels,
        _label_agreement,
    ),
    "translation": Metric(
        "translations without pairs: a classifier's verdict, cycle error, content kept, Fréchet",
        "a model that translates, and labelled pictures of its domains",
        has_domains,
        _translation,
    ),
    "speech": Metric(
        "translated recordings: whose voice, which word, mel-cepstral distortion, pitch",
        "a model that translates, and recordings of its domains",
        _sounds,
        _speech,
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
    "stacked_modes": Metric(
        "modes found among pictures whose channels each show a class (Stacked-MNIST)",
        "a model that samples pictures of which each channel shows a class, named such as 073",
        lambda model, train: isinstance(model, Samples) and channel_classes(train) is not None,
        _stacked_modes,
    ),
    "per_class": Metric(
        "by class asked for: is it that class, how close to real rows, how varied",
        "a model that can be asked for a class, and data with those classes",
        _takes_classes,
        lambda on: per_class(*on.asked, on.train, on.test, on.extractor, on.judge, seed=on.seed),
    ),
    "path_length": Metric(
        "perceptual path length and smoothness of ways through noise",
        "a model that samples and decodes from fewer numbers than the data have",
        _follows_paths,
        lambda on: path_length(
            on.model,
            on.train,
            on.extractor,
            paths=on.paths,
            seed=on.seed,
            progress=on.teller("paths"),
        ),
    ),
    "accuracy_score": Metric(
        "real rows right by a classifier trained on samples alone; slow: it trains two",
        "a model that can be asked for a class, and data with those classes",
        _takes_classes,
        lambda on: accuracy_score(*on.asked, on.train, on.test, seed=on.seed, tell=on.tell),
        by_default=False,
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
    "partition": Metric(
        "log Z of an energy, exact or between two bounds, and the likelihood that follows",
        "a model with an energy",
        lambda model, train: isinstance(model, HasEnergy),
        lambda on: partition(
            on.model,
            on.train,
            on.test,
            every=on.every or 1,
            seed=on.seed,
            progress=on.teller("log Z"),
        ),
        cheap=lambda model, train: exact_method(model, train) is not None,
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
