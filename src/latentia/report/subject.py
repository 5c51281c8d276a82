"""What a report is about: a run, and everything its sections share, made when first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasElbo, Samples, Translates
from latentia.data.pictures import grid_image
from latentia.data.spec import Dataset, DataSpec
from latentia.metrics.latents import latents
from latentia.metrics.membership import ROWS, scores_of
from latentia.metrics.occasion import Occasion
from latentia.metrics.translated import translated
from latentia.report.page import FULL_WIDTH
from latentia.run import Run

SMALL = 64
"""Images below this side are enlarged in sharp pixels."""
_COPY_ROWS = 300  # samples that copies are looked for among, in a few seconds


@dataclass
class Subject:
    """A run under report.

    Attributes:
        run: its folder.
        quick: leave out what needs a feature extractor or much sampling.
    """

    run: Run
    quick: bool = False

    @property
    def spec(self) -> DataSpec:
        return self.run.spec

    @cached_property
    def model(self) -> Any:
        return self.run.model()

    @cached_property
    def train(self) -> Dataset:
        return self.run.data("train")

    @cached_property
    def test(self) -> Dataset:
        return self.run.data("test")

    @cached_property
    def occasion(self) -> Occasion:
        """What the metrics measure; its samples are those the pictures show."""
        occasion = Occasion(
            self.model,
            self.train,
            self.test,
            samples=self._rows_made(),
            importance_samples=100 if isinstance(self.model, HasElbo) else None,
            limit=_COPY_ROWS,
            judged=not self.quick or self.spec.kind == "vector",
            members=affordable(self._score, seconds=2, least=32, most=ROWS, probe=self.probe),
        )
        if isinstance(self.model, Samples):
            vars(occasion)["drawn"] = self.drawn  # where its cached_property looks first
        return occasion

    def _rows_made(self) -> int:
        """Samples, or translations in each direction; 1 of a model that makes neither."""
        if isinstance(self.model, Translates):
            return affordable(
                lambda n: translated(self.model, self.test, self.model.targets[0], limit=n),
                seconds=8,
                least=32,
                most=500,
                probe=self.probe,
            )
        return self.sample_count if isinstance(self.model, Samples) else 1

    def _score(self, n: int) -> None:
        """Every score that membership tries, on n rows."""
        for score in scores_of(self.model).values():
            score(self.test_rows(n))

    @cached_property
    def latents(self) -> dict[str, Any]:
        """What each latent carries; of models with a posterior."""
        rows = self.encodable(seconds=2, most=1000)
        return latents(self.model, self.test, examples=rows)

    @cached_property
    def drawn(self) -> Tensor:
        """`(sample_count, …)`, of seeds 0, 1, …"""
        return self.model.sample(range(self.sample_count)).cpu()

    @cached_property
    def sample_count(self) -> int:
        """As many samples as a few seconds give."""
        most = 200 if self.quick else 2000
        return affordable(
            lambda n: self.model.sample(range(n)),
            seconds=4,
            least=64,
            most=most,
            probe=self.probe,
        )

    @property
    def probe(self) -> int:
        """Rows of a trial call; vectors are so cheap that few would time the overhead alone."""
        return 8 if self.spec.kind == "image" else 256

    @property
    def whole_latent(self) -> bool:
        """Whether encodings have as many numbers as an example: nothing is compressed."""
        both = isinstance(self.model, Encodes) and isinstance(self.model, Decodes)
        return both and self.model.latent_dim >= self.spec.dims

    def test_rows(self, n: int) -> Tensor:
        """The first n test rows, `(n, …)`."""
        return self.test.batch(range(min(n, len(self.test)))).x

    def encodable(self, seconds: float, most: int) -> int:
        """As many test rows as can be encoded in some seconds."""
        return affordable(
            lambda n: self.model.encode(self.test_rows(n)),
            seconds=seconds,
            least=32,
            most=most,
            probe=self.probe,
        )


def affordable(
    work: Callable[[int], object], *, seconds: float, least: int, most: int, probe: int = 8
) -> int:
    """How many items of `work(n)` fit into some seconds, judged by a probe of a few."""
    with torch.no_grad():
        work(1)  # the first call pays for what is set up once
        began = time.perf_counter()
        work(probe)
    each = (time.perf_counter() - began) / probe
    return max(least, min(most, int(seconds / max(each, 1e-9))))


def columns_for(spec: DataSpec) -> int:
    """How many tiles of the data's images fill the width of the page."""
    return max(1, FULL_WIDTH // (_tile(spec) + 2))


def _tile(spec: DataSpec) -> int:
    _, height, width = spec.shape
    return width * max(1, -(-48 // max(height, width)))


def sheet(images: Tensor, columns: int) -> Image.Image:
    """Images side by side, `columns` in a row."""
    return grid_image(images, columns)
