"""Perceptual path length: how fast what is seen changes along ways through latent space.

Karras et al. 2019 ("A style-based generator architecture"), eq. 2 and 3, with the named features
of the data in place of LPIPS. Squared distances are in units of the mean squared distance between
two real rows, so that a way that is straight and even in features, between ends as different as
two real rows, scores 1; jumps and detours score more. A model that always draws the same has
paths of length 0: read it next to diversity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Decodes, HasStyles, TakesClasses
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.maths.chunks import device_of, spread_rows
from latentia.maths.paths import evenness, slerp, step_lengths
from latentia.maths.randomness import seeded_noise
from latentia.metrics.annealed import Annealable
from latentia.metrics.features import FeatureExtractor, features_of
from latentia.seeds import mixed_seed

EPSILON = 1e-4
PATHS = 2000
_TRIM = 0.01  # of the paths at either end, as in the authors' programme
_WALKS, _POINTS, _CHUNK, _REAL_ROWS, _LEAST = 64, 17, 100, 2000, 10

Way = Callable[[Tensor, Tensor], Tensor]
"""Numbers of ways `(B,)` and places along them, float64 `(B,)` in [0, 1], to data `(B, …)`."""


def path_length(
    model: object,
    train: Dataset,
    extractor: FeatureExtractor,
    *,
    paths: int = PATHS,
    epsilon: float = EPSILON,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Perceptual path length of a model, next to cross-fades between real rows.

    Ends are draws of the prior's noise, joined along the arc (eq. 2); of models with styles also
    joined straight in the space of styles (eq. 3). Models with classes are asked for one class,
    drawn by chance, along each path, and cross-fades then stay in a class. All in float32.

    Args:
        model: decodes.
        train: real rows for the unit and the cross-fades.
        extractor: what is seen.
        paths: pairs of ends; 1 % of the paths at either end are left out.
        epsilon: step along the path.
        seed: of ends, places and classes.
        progress: called with (paths done, of how many).

    Returns:
        `z`: see `measured`; `w`: the same in styles, or None; `crossfade`: the same of real rows;
        `real_distance`: root mean squared distance between two real rows, in features;
        `within_class`, `paths`, `epsilon`, `extractor` (name, hash, dims).

    Raises:
        UserError: a model that does not decode, fewer than 10 real rows or paths, an epsilon
            outside (0, 0.1], or decodings that are not finite.
    """
    if not isinstance(model, Decodes):
        raise UserError(f"{type(model).__name__} does not decode, so it has no paths to follow.")
    if paths < _LEAST or len(train) < _LEAST or not 0 < epsilon <= 0.1:
        raise UserError(
            f"A path length takes {_LEAST} or more paths and training rows, and an epsilon of at "
            f"most 0.1; asked for {paths} paths and epsilon {epsilon:g} on {len(train)} rows."
        )
    rows = spread_rows(len(train), _REAL_ROWS)
    unit = float((2 * features_of(train, extractor, rows.numpy()).double().var(0).sum()).sqrt())
    asks = _asks(model)
    ways = {**_ways(model, seed), "crossfade": _crossfade(train, seed, asks)}
    found: dict[str, dict[str, float]] = {}
    for name, way in ways.items():
        before, total = len(found) * paths, len(ways) * paths
        tell = None if progress is None else _counting(progress, before, total)
        found[name] = measured(way, extractor, unit, paths, epsilon, seed, tell)
    return {
        "z": found["z"],
        "w": found.get("w"),
        "crossfade": found["crossfade"],
        "real_distance": unit,
        "within_class": asks,
        "paths": paths,
        "epsilon": epsilon,
        "extractor": {"name": extractor.name, "hash": extractor.hash, "dims": extractor.dims},
    }


def measured(
    way: Way,
    extractor: FeatureExtractor,
    unit: float,
    paths: int,
    epsilon: float = EPSILON,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Path length of one family of ways.

    Args:
        way: gives the data at places along each.
        extractor: what is seen.
        unit: what distances are divided by.
        paths, epsilon, seed: as in `path_length`.

    Returns:
        `length`: the trimmed mean of squared speeds; `length_standard_error`; `smoothness`: mean
        over ways of `maths.paths.evenness` of steps of equal t, 1 even, 0 one jump.
    """
    places = np.random.default_rng(mixed_seed(seed, 4)).random(paths) * (1 - epsilon)
    t, speeds = torch.from_numpy(places), []
    for chunk in torch.arange(paths).split(_CHUNK):
        here, there = (_seen(way(chunk, t[chunk] + d), extractor) for d in (0.0, epsilon))
        speeds.append((there - here).square().sum(1) / (epsilon * max(unit, 1e-300)) ** 2)
        if progress is not None:
            progress(int(chunk[-1]) + 1, paths)
    kept = _trimmed(torch.cat(speeds))
    return {
        "length": float(kept.mean()),
        "length_standard_error": float(kept.std() / len(kept) ** 0.5),
        "smoothness": _smoothness(way, extractor, min(paths, _WALKS)),
    }


def _smoothness(way: Way, extractor: FeatureExtractor, walks: int) -> float:
    at = torch.linspace(0, 1, _POINTS, dtype=torch.float64)
    even = []
    for number in range(walks):
        seen = _seen(way(torch.full((_POINTS,), number), at), extractor)
        even.append(evenness(step_lengths(seen)))
    return float(torch.stack(even).mean())


def _ways(model: Decodes, seed: int) -> dict[str, Way]:
    """Ways through noise, and through styles where the model has them."""
    where, classes = device_of(model), int(getattr(model, "classes", 0))
    prior = isinstance(model, Annealable)  # what it draws need not be standard normal
    dims = int(getattr(model, "noise_dim", model.latent_dim)) if prior else model.latent_dim

    def ends(ways: Tensor) -> tuple[Tensor, Tensor]:
        seeds = [mixed_seed(seed, 5, int(way)) for way in ways]
        first, second = seeded_noise(seeds, (2, dims)).double().unbind(1)
        return first, second

    def condition(ways: Tensor) -> Tensor | None:
        if not _asks(model):
            return None
        return torch.tensor([mixed_seed(seed, 6, int(way)) % classes for way in ways]).to(where)

    def through_noise(ways: Tensor, t: Tensor) -> Tensor:
        noise = slerp(*ends(ways), t[:, None]).float().to(where)
        z = model.from_noise(noise) if isinstance(model, Annealable) else noise
        with torch.no_grad():
            return model.decode(z, condition=condition(ways)).cpu()

    def through_styles(ways: Tensor, t: Tensor) -> Tensor:
        assert isinstance(model, HasStyles)
        asked = condition(ways)
        with torch.no_grad():
            first, second = (
                model.styles(z.float().to(where), condition=asked, truncation=1.0).double()
                for z in ends(ways)
            )
            w = torch.lerp(first, second, t[:, None, None].to(where))
            return model.from_styles(w.float()).cpu()

    found: dict[str, Way] = {"z": through_noise}
    return found | {"w": through_styles} if isinstance(model, HasStyles) else found


def _asks(model: object) -> bool:
    return isinstance(model, TakesClasses) and bool(model.classes)


def _crossfade(train: Dataset, seed: int, within_class: bool) -> Way:
    """Real rows that fade into each other, value by value; of one class where that is asked."""
    alike = train.labels if within_class else None

    def pair(way: int) -> np.ndarray:
        random = np.random.default_rng(mixed_seed(seed, 7, way))
        first = random.integers(len(train))
        others = np.arange(len(train)) if alike is None else np.flatnonzero(alike == alike[first])
        return np.array([first, random.choice(others)])

    def way(ways: Tensor, t: Tensor) -> Tensor:
        pairs = np.stack([pair(int(number)) for number in ways], 1)
        first, second = (train.batch(column).x.double() for column in pairs)
        return torch.lerp(first, second, t.reshape(-1, *[1] * (first.ndim - 1))).float()

    return way


def _seen(x: Tensor, extractor: FeatureExtractor) -> Tensor:
    seen = extractor(x).double()
    if not bool(seen.isfinite().all()):
        raise UserError(
            "Some decodings are not finite numbers: the model has diverged. Train again with a "
            "lower learning rate, or take an earlier checkpoint."
        )
    return seen


def _trimmed(values: Tensor) -> Tensor:
    """Without the lowest and the highest 1 %."""
    ordered, cut = values.sort().values, int(_TRIM * len(values))
    return ordered[cut : len(ordered) - cut]


def _counting(
    progress: Callable[[int, int], None], before: int, total: int
) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, total)
