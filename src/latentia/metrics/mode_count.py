"""Mode counting on pictures whose channels each show a class, as in Stacked-MNIST.

Three digits stacked as the colour channels of one picture make 10³ = 1,000 modes (Metz et al.
2017). A classifier reads every channel, and the tuple of what it reads is the mode. Published
counts (Lin et al. 2018, PacGAN, table 2) are of 26,000 samples: fewer find fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import xlogy
from scipy.stats import binom
from torch import Tensor

from latentia.abilities import Classifies
from latentia.data.spec import Dataset, DataSpec, to_unit
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.metrics.features import ClassifierFeatures, default_extractor

PUBLISHED_SAMPLES = 26_000
_TRAINING_STACKS, _TEST_STACKS = 20_000, 4_000
_SURE, _CHUNK = 0.9, 500


@dataclass(frozen=True)
class StackedModes:
    """Modes found among samples.

    Attributes:
        modes_found: tuples of classes that at least one sample shows.
        modes: tuples there are.
        kl_nats: KL of the histogram of modes to the uniform distribution; at most log `modes`.
        expected_modes, expected_kl_nats: of as many draws from exactly that distribution.
        sure_share: share of channels that the classifier reads with probability above 0.9.
        samples: how many were looked at.
    """

    modes_found: int
    modes: int
    kl_nats: float
    expected_modes: float
    expected_kl_nats: float
    sure_share: float
    samples: int


def stacked_modes(samples: Tensor, classifier: Classifies) -> StackedModes:
    """Count the modes of stacked pictures.

    Args:
        samples: `(N, C, H, W)`, uint8 or in [-1, 1]; every channel shows one class.
        classifier: reads single channels `(B, 1, H, W)` in [-1, 1].

    Raises:
        UserError: no pictures, or values that are not finite.
    """
    if samples.ndim != 4 or not len(samples):
        raise UserError(
            f"Modes are counted on pictures (N, C, H, W); the samples are {tuple(samples.shape)}."
        )
    if not bool(samples.isfinite().all()):
        raise UserError(
            "Some samples are not finite numbers: the model has diverged. Train again with a "
            "lower learning rate, or take an earlier checkpoint."
        )
    parts = [_read(to_unit(chunk.cpu()), classifier) for chunk in samples.split(_CHUNK)]
    read, sure = (torch.cat(column) for column in zip(*[part[:2] for part in parts], strict=True))
    k = parts[0][2]
    places = k ** torch.arange(samples.shape[1] - 1, -1, -1)
    counts = torch.bincount(read @ places, minlength=k ** samples.shape[1])
    return _counted(counts, float((sure > _SURE).double().mean()))


def _read(x: Tensor, classifier: Classifies) -> tuple[Tensor, Tensor, int]:
    """Class of every channel `(B, C)`, its probability, and how many classes there are."""
    probabilities = classifier.predict_proba(x.flatten(0, 1)[:, None]).unflatten(0, x.shape[:2])
    sure, read = probabilities.max(-1)
    return read, sure, probabilities.shape[-1]


def _counted(counts: Tensor, sure: float) -> StackedModes:
    n, k = int(counts.sum()), len(counts)
    shares = counts[counts > 0].double() / n
    return StackedModes(
        modes_found=len(shares),
        modes=k,
        kl_nats=max(0.0, float((shares * (shares * k).log()).sum())),
        expected_modes=k * (1 - (1 - 1 / k) ** n),
        expected_kl_nats=_expected_kl(n, k),
        sure_share=sure,
        samples=n,
    )


def _expected_kl(n: int, k: int) -> float:
    """Mean KL of the histogram of n uniform draws over k modes to the uniform distribution."""
    count = np.arange(n + 1)
    chance = binom.pmf(count, n, 1 / k)
    return float(k * (chance * xlogy(count / n, count * k / n)).sum())


def channel_classes(data: Dataset) -> np.ndarray | None:
    """Which class each channel shows, int64 `(N, C)`; None where channels show none.

    They do where every class is named by as many characters as a picture has channels, two or
    more, such as "073", from an alphabet of k characters and there are k^C classes.
    """
    names, channels = data.spec.classes, data.spec.shape[0]
    if data.labels is None or data.spec.kind != "image" or channels < 2 or len(names) < 2**2:
        return None
    letters = sorted(set("".join(names)))
    whole = len(set(names)) == len(letters) ** channels
    if not whole or any(len(name) != channels for name in names):
        return None
    table = np.array([[letters.index(letter) for letter in name] for name in names])
    return table[data.labels].astype(np.int64)


def channel_classifier(
    train: Dataset,
    test: Dataset,
    *,
    seed: int = 0,
    examples: int | None = None,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClassifierFeatures:
    """A classifier of single channels, or the kept one of the same data; about a minute on MNIST.

    Args:
        train, test: stacked pictures; `accuracy` is of the channels of `test`.
        seed, examples, cache_dir, progress: as in `default_extractor`.

    Raises:
        UserError: the channels show no classes.
    """
    learns, tried = _channels(train, _TRAINING_STACKS), _channels(test, _TEST_STACKS)
    judge = default_extractor(learns, tried, cache_dir, seed, examples=examples, progress=progress)
    assert isinstance(judge, ClassifierFeatures)  # labelled pictures
    return judge


def _channels(data: Dataset, limit: int) -> Dataset:
    """Every channel as a picture of its own, of at most `limit` rows."""
    shown = channel_classes(data)
    if shown is None:
        raise UserError(
            f"The classes of {data.spec.name} do not say what each channel shows: name them by "
            "one character for each channel, such as 073."
        )
    rows = spread_rows(len(data), limit).numpy()
    values = data.values[rows].reshape(-1, 1, *data.spec.shape[1:])
    facts = DataSpec(
        name=f"{data.spec.name}, single channels",
        kind="image",
        shape=tuple(values.shape[1:]),
        n=len(values),
        hash=data.spec.hash,
        classes=tuple(sorted(set("".join(data.spec.classes)))),
    )
    return Dataset(facts, values, shown[rows].reshape(-1))


def mode_count(
    samples: Tensor, train: Dataset, test: Dataset, classifier: ClassifierFeatures, *, seed: int = 0
) -> dict[str, Any]:
    """Modes among samples, next to as many real rows.

    Args:
        samples: `(N, C, H, W)` of the model.
        train, test: real rows; the floor takes `test`, and `train` where that has too few.
        classifier: of single channels.
        seed: of the real rows drawn.

    Returns:
        The fields of `StackedModes`; `floor` with the same of real rows and their `split`;
        `test_accuracy` of the classifier, `extractor` (name, hash, dims), `published_samples`.
    """
    split, real = ("test", test) if len(test) >= len(samples) else ("training", train)
    rows = np.random.default_rng(seed).permutation(len(real))[: len(samples)]
    values = torch.from_numpy(np.ascontiguousarray(real.values[np.sort(rows)]))
    return {
        **asdict(stacked_modes(samples, classifier)),
        "floor": {**asdict(stacked_modes(values, classifier)), "split": split},
        "test_accuracy": classifier.accuracy,
        "extractor": {
            "name": classifier.name,
            "hash": classifier.hash,
            "dims": classifier.dims,
        },
        "published_samples": PUBLISHED_SAMPLES,
    }
