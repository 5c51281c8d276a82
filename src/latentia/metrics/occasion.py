"""A model, its data, and what several metrics share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentia.abilities import Classifies, Samples
from latentia.data.parts import part
from latentia.data.spec import Dataset
from latentia.maths.chunks import spread_rows
from latentia.metrics.classifiers import train_classifier
from latentia.metrics.disentanglement import POINTS
from latentia.metrics.features import FeatureExtractor, default_extractor
from latentia.metrics.label_agreement import LabelJudge, Palette, label_judge, palette_of
from latentia.metrics.membership import ROWS
from latentia.metrics.memorisation import LIMIT, memorisation
from latentia.metrics.path_length import PATHS
from latentia.metrics.per_class import MOST_CLASSES
from latentia.metrics.translated import Translated, translated

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, how many done, of how many)."""

_BATCH = 250
_LIKELIHOOD_ROWS = 1000
_SEED_BLOCK = 1_000_000  # sampling seeds of two evaluation seeds never overlap
_ASKED = _SEED_BLOCK // 2  # where the seeds of samples of known classes start


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
        paths: ways that the perceptual path length is measured along.
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
    paths: int = PATHS

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
    def asked(self) -> tuple[Tensor, Tensor]:
        """Samples of classes in equal shares, on the CPU, and the classes, int64 `(samples,)`.

        Of at most 100 classes, evenly apart.
        """
        chosen = spread_rows(int(self.model.classes), MOST_CLASSES)
        labels = chosen[torch.arange(max(self.samples, len(chosen))) % len(chosen)]
        first, parts = self.seed * _SEED_BLOCK + _ASKED, []
        for rows in torch.arange(len(labels)).split(_BATCH):
            seeds = range(first + int(rows[0]), first + int(rows[-1]) + 1)
            with torch.no_grad():
                parts.append(self.model.sample(seeds, condition=labels[rows]).cpu())
            self.tell("samples of each class", int(rows[-1]) + 1, len(labels))
        return torch.cat(parts), labels

    @cached_property
    def judge(self) -> Classifies:
        """A classifier trained on the real training rows."""
        if isinstance(self.extractor, Classifies):
            return self.extractor
        return train_classifier(self.train, seed=self.seed)

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

    @cached_property
    def translated(self) -> dict[str, Translated]:
        """Held-out pictures of one domain carried to the other, by the name of the target."""
        return {
            to: translated(
                self.model,
                self.test,
                to,
                limit=self.samples,
                progress=self.teller(f"translations to {to}"),
            )
            for to in self.model.targets
        }

    def features_for(self, *domains: str) -> FeatureExtractor:
        """What pictures of some domains are compared by, knowing nothing of which is which."""
        known = part(self.train, domains[0])
        if len(domains) > 1:  # of two classes: all rows, without their labels
            known = replace(self.train, labels=None)
        return default_extractor(
            known, None, self.cache_dir, progress=self.teller("feature extractor")
        )

    @cached_property
    def palettes(self) -> dict[str, Palette]:
        """The colours of those sides of pairs that are label maps, by the name of the side."""
        names = () if self.train.spec.pair is None else self.train.spec.pair["names"]
        found = {name: palette_of(part(self.train, name)) for name in names}
        return {name: palette for name, palette in found.items() if palette is not None}

    @cached_property
    def label_judge(self) -> LabelJudge:
        """Reads labels from photographs; trained on the real pairs."""
        ((name, palette),) = self.palettes.items()
        assert self.train.spec.pair is not None
        (photo,) = (other for other in self.train.spec.pair["names"] if other != name)
        return label_judge(
            part(self.train, photo),
            part(self.train, name),
            palette,
            cache_dir=self.cache_dir,
            progress=self.teller("net that reads labels"),
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
        cheap: of one by default, whether it is quick on this model and data.
    """

    about: str
    needs: str
    fits: Callable[[object, Dataset], bool]
    measure: Callable[[Occasion], dict[str, Any]]
    by_default: bool = True
    cheap: Callable[[object, Dataset], bool] = lambda model, train: True

    def unasked(self, model: object, train: Dataset) -> bool:
        """Whether it is measured where no metric is named."""
        return self.by_default and self.fits(model, train) and self.cheap(model, train)
