"""Translations without pairs: in the right domain, like its pictures, and of the same content?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Classifies
from latentia.data.parts import part, pictures
from latentia.data.spec import Dataset
from latentia.maths.chunks import spread_rows
from latentia.metrics.features import ConvFeatures, FeatureExtractor
from latentia.metrics.intervals import Share, wilson
from latentia.metrics.paired import finite, frechet
from latentia.metrics.perceptual import Content, sharpness
from latentia.metrics.translated import Translated

_BLIND_ROWS = 1000
_CHUNK = 100


def translation(
    found: Mapping[str, Translated],
    train: Dataset,
    judge: Classifies,
    extractor: FeatureExtractor,
    *,
    accuracy: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of translations between two domains without pairs.

    Domain: share of translations that a classifier of the real training pictures finds in the
    target domain; beside it, of real held-out pictures of that domain, and of the sources as they
    are. Cycle: mean absolute error of pictures translated there and back. Content: squared
    distance of a translation to its source by features that are blind to the domain (`Content`);
    0 is the source itself, 1 a random held-out picture of the target domain. Found again: how
    often the source nearest to a translation, by these features, is its own.

    Args:
        found: translations of held-out pictures, by the name of the target.
        train: labelled real pictures.
        judge: a classifier of the classes of `train`.
        extractor: of features that content and Fréchet distance are measured by.
        accuracy: of the judge on real held-out pictures.
        seed: of the rows drawn.

    Returns:
        `targets`: name -> figures, as `_one`; `accuracy`; `told`: of a linear classifier of the
        domain on the blind features of real held-out pictures (0.5: blind); `extractor`.

    Raises:
        UserError: translations that are not finite numbers.
    """
    assert isinstance(extractor, ConvFeatures)  # pictures
    blind = _blind(found, train, extractor)
    return {
        "targets": {
            to: _one(one, train, judge, extractor, blind, seed) for to, one in found.items()
        },
        "accuracy": accuracy,
        "told": _told(blind, next(iter(found.values()))),
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def _one(
    found: Translated,
    train: Dataset,
    judge: Classifies,
    extractor: ConvFeatures,
    blind: Content,
    seed: int,
) -> dict[str, Any]:
    """Figures of one direction.

    Returns:
        `origin`; `in_target`, `real_target`, `source` (shares with intervals); `cycle` (L1 in
        [-1, 1] units, None where there is no way back) and `cycle_random` (between two pictures
        of the origin); `content`, `found_again`, `found_by_chance`; `frechet`, `real_frechet`,
        `source_frechet`, `reference_rows`; `sharpness` (1: as real pictures); `examples`.
    """
    made = finite(found.made)
    x, y = pictures(found.source), pictures(found.real)
    number = train.spec.classes.index(found.to)
    other = y[_spread(len(x), len(y), seed)]
    facts = {
        "origin": found.origin,
        "in_target": asdict(_share(judge, made, number)),
        "real_target": asdict(_share(judge, y, number)),
        "source": asdict(_share(judge, x, number)),
        "cycle": None if found.back is None else _l1(finite(found.back), x),
        "cycle_random": _l1(x.roll(1, 0), x),
        **_content(blind, x, made, other),
        "sharpness": float(sharpness(made).mean() / sharpness(y).mean().clamp(min=1e-12)),
        "examples": len(made),
        "real_examples": len(y),
    }
    known = part(train, found.to)
    alone = frechet(x, y, known, extractor, seed=seed)["frechet"]
    return {**facts, "source_frechet": alone, **frechet(made, y, known, extractor, seed=seed)}


def _share(judge: Classifies, x: Tensor, number: int) -> Share:
    guess = torch.cat([judge.predict_proba(p).argmax(1) for p in x.split(_CHUNK)])
    return wilson(int((guess == number).sum()), len(x))


def _content(blind: Content, x: Tensor, made: Tensor, other: Tensor) -> dict[str, float]:
    source, there, random = blind(x), blind(made), blind(other)
    unit = float((source - random).square().sum(1).mean())
    own = torch.cdist(there, source).argmin(1) == torch.arange(len(x))
    return {
        "content": float((source - there).square().sum(1).mean()) / max(unit, 1e-12),
        "found_again": float(own.double().mean()),
        "found_by_chance": 1 / len(x),
    }


def _blind(found: Mapping[str, Translated], train: Dataset, judge: ConvFeatures) -> Content:
    """Made blind by training pictures of either domain."""
    one = next(iter(found.values()))
    first, second = (_batches(part(train, name)) for name in (one.origin, one.to))
    return Content.between(judge, first, second)


def _batches(data: Dataset) -> Iterator[Tensor]:
    for rows in spread_rows(len(data), _BLIND_ROWS).split(_CHUNK):
        yield data.batch(rows).x


def _told(blind: Content, found: Translated) -> float:
    """Mean accuracy, over the domains, of the nearest mean among blind features of real rows.

    The means are of the other half of the held-out rows.
    """
    halves = [blind(pictures(data)) for data in (found.source, found.real)]
    means = torch.stack([h[::2].mean(0) for h in halves])
    right = [
        float((torch.cdist(h[1::2], means).argmin(1) == k).double().mean())
        for k, h in enumerate(halves)
        if len(h) > 1
    ]
    return float(np.mean(right)) if right else 0.5


def _spread(n: int, of: int, seed: int) -> np.ndarray:
    """`n` random numbers below `of`, each as often as the others."""
    random = np.random.default_rng(seed)
    rounds = [random.permutation(of) for _ in range(-(-n // of))]
    return np.concatenate(rounds)[:n]


def _l1(x: Tensor, y: Tensor) -> float:
    return float((x - y).abs().flatten(1).mean(1).double().mean())
