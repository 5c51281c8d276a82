"""What pictures are compared by: feature extractors, by default a small classifier.

Its penultimate layer is where distances between pictures mean something. It is trained on the
data's own labels, so its numbers compare models of the same data and nothing else; they are
never called FID, which is Inception's name. A classifier sees little of what does not change the
class: on MNIST noise of deviation 0.1 stays within the floor of its Fréchet distance, 0.3 gives
four times the floor, a 3x3 blur eight times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import in_chunks, spread_rows, stacked
from latentia.metrics.convnet import FEATURES, ConvNet, pseudo_labels, train_convnet
from latentia.metrics.kept import digest_of, is_kept, kept_net

_LEAST_ROWS = 20
JUDGED_ROWS = 10_000  # held-out rows that a classifier looks at, at most
_CHUNK = 500


@runtime_checkable
class FeatureExtractor(Protocol):
    """Maps data to the numbers it is compared by.

    Attributes:
        name: what it is, in words.
        hash: 16 hex digits of its weights: equal hashes give equal numbers.
        dims: features per example.
    """

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def dims(self) -> int: ...

    def __call__(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1], or `(B, features)`, -> float32 `(B, dims)`."""
        ...


@dataclass(frozen=True)
class StandardisedVectors:
    """Vectors as they are, each feature at mean 0 and standard deviation 1 of the training data.

    Attributes:
        center, scale: `(features,)`.
    """

    center: Tensor
    scale: Tensor
    name: str = "standardised values"

    @property
    def hash(self) -> str:
        return digest_of(self.center, self.scale)

    @property
    def dims(self) -> int:
        return len(self.center)

    def __call__(self, x: Tensor) -> Tensor:
        return (x.float() - self.center) / self.scale


@dataclass(frozen=True)
class ConvFeatures:
    """The penultimate layer of a trained `ConvNet`."""

    net: ConvNet
    name: str

    @property
    def hash(self) -> str:
        return digest_of(*self.net.state_dict().values())

    @property
    def dims(self) -> int:
        return FEATURES

    def __call__(self, x: Tensor) -> Tensor:
        return in_chunks(self.net.features, x.float(), size=_CHUNK)


@dataclass(frozen=True)
class ClassifierFeatures(ConvFeatures):
    """`ConvFeatures` of a net trained on true labels, which therefore classifies as well.

    Attributes:
        accuracy: share of held-out rows classified correctly.
    """

    accuracy: float

    def predict_proba(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` in [-1, 1] -> `(B, classes)`, rows sum to 1."""
        return in_chunks(lambda c: self.net(c).softmax(1), x.float(), size=_CHUNK)


def features_of(data: Dataset, extractor: FeatureExtractor, rows: np.ndarray) -> Tensor:
    """Features `(len(rows), dims)` of the chosen rows, read a chunk at a time."""
    chunks = torch.from_numpy(rows).split(_CHUNK)
    return stacked(extractor(data.batch(chunk).x) for chunk in chunks)


def default_extractor(
    train: Dataset,
    test: Dataset | None = None,
    cache_dir: Path | None = None,
    seed: int = 0,
    *,
    examples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureExtractor:
    """The extractor that fits the data; the same one for the same data and seed.

    Vectors: their standardised values. Pictures with labels: a small convolutional classifier
    (`ClassifierFeatures`; 99.4 % on MNIST after about a minute on one core). Pictures without:
    the same net, trained to tell k-means clusters apart, and whether a picture is noisy, blurred
    or as it was. Nets are kept in `cache_dir`.

    Args:
        train: what it learns from.
        test: held-out rows to state the accuracy on; without, a tenth of `train` is kept aside.
        cache_dir: None takes `$LATENTIA_CACHE`, else the platform's place for caches.
        seed: of initial weights, order and clusters.
        examples: pictures seen in training; None lets the size of the data decide.
        progress: called with (examples seen, of how many) while training.

    Raises:
        UserError: fewer than 20 training rows.
    """
    if train.spec.kind == "vector":
        return _standardised(train)
    if len(train) < _LEAST_ROWS:
        raise UserError(
            f"{train.spec.name} has {len(train)} training rows; a feature extractor needs at "
            f"least {_LEAST_ROWS}. Add data, or leave out the metrics that compare features."
        )
    labelled = train.labels is not None and len(np.unique(train.labels)) > 1
    if labelled and (test is None or test.labels is None):
        train, test = _split(train, seed)

    def make() -> ConvNet:
        labels = train.labels if labelled else pseudo_labels(train, seed=seed)
        assert labels is not None
        return train_convnet(
            train,
            labels,
            seed=seed,
            distortions=not labelled,
            examples=examples,
            progress=progress,
        )

    known = train.labels if labelled else None
    net = kept_net(train, known, (seed, examples), make, cache_dir)
    if not labelled:
        return ConvFeatures(net, "conv net on k-means clusters and distortions")
    assert test is not None
    return ClassifierFeatures(net, "conv classifier on the data's own labels", _accuracy(net, test))


def is_ready(train: Dataset, cache_dir: Path | None = None) -> bool:
    """Whether `default_extractor` of this data and seed 0 needs no training any more."""
    if train.spec.kind == "vector":
        return True
    labelled = train.labels is not None and len(np.unique(train.labels)) > 1
    return is_kept(train, train.labels if labelled else None, (0, None), cache_dir)


def _standardised(train: Dataset) -> StandardisedVectors:
    values = torch.from_numpy(np.asarray(train.values, dtype=np.float64))
    scale = values.std(0, correction=0)
    return StandardisedVectors(
        values.mean(0).float(), torch.where(scale > 0, scale, torch.ones(())).float()
    )


def _split(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    rows = np.random.default_rng(seed).permutation(len(train))
    held = max(1, len(train) // 10)
    return train.subset(np.sort(rows[held:])), train.subset(np.sort(rows[:held]))


def _accuracy(net: ConvNet, test: Dataset) -> float:
    assert test.labels is not None
    rows = spread_rows(len(test), JUDGED_ROWS)
    guesses = stacked(net(test.batch(chunk).x).argmax(1) for chunk in rows.split(_CHUNK))
    return float((guesses.numpy() == test.labels[rows.numpy()]).mean())
