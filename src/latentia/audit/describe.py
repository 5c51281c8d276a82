"""Every example as a point, so that near points are alike things; no training, no labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn import functional as F

from latentia.audit.alignment import prepared
from latentia.audit.patches import learn_patches, shrunk
from latentia.data.spec import Dataset

COMPONENTS = 250
POINT_DIMS = 50
_WHITENING = 0.7  # 1 gives every component the same say, 0 leaves the large ones theirs
_LEARN_ROWS = 4000
_CHUNK = 200
_BLOCK = 1000
_THUMB = 12
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Description:
    """What all examples look like, in numbers.

    Attributes:
        components: float32 `(N, k)`, principal components of patch features (pictures) or of
            standardised values (vectors), the largest first.
        small: blurred grey pictures `(N, 1, h, w)` for `alignment`; None for vectors.
    """

    components: np.ndarray
    small: Tensor | None

    def __len__(self) -> int:
        return len(self.components)

    def first(self, n: int) -> Description:
        """Of the first n rows alone."""
        return Description(self.components[:n], None if self.small is None else self.small[:n])

    @cached_property
    def points(self) -> Tensor:
        """float32 `(N, d)`: partly whitened and, for pictures, of length 1."""
        kept = self.components[:, :POINT_DIMS]
        if self.small is None:
            return torch.from_numpy(kept)
        scale = kept.std(0) ** _WHITENING
        return F.normalize(torch.from_numpy(kept / np.maximum(scale, 1e-6)), dim=1)

    @cached_property
    def thumbs(self) -> Tensor:
        """Pictures of 12 by 12 free of brightness and contrast, `(N, …)` of length 1."""
        assert self.small is not None
        return _thumbs(self.small)

    @cached_property
    def mirrored_thumbs(self) -> Tensor:
        """The same of the pictures flipped left to right."""
        assert self.small is not None
        return _thumbs(self.small.flip(-1))


def describe(data: Dataset, *, seed: int = 0, tell: Tell | None = None) -> Description:
    """Describe every row of a data set."""
    if data.spec.kind == "vector":
        values = np.asarray(data.values, np.float64)
        scale = values.std(0)
        standard = (values - values.mean(0)) / np.where(scale > 1e-9, scale, np.inf)
        return Description(_components(standard, seed), None)
    rows = torch.arange(len(data))
    learnt = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    patches = learn_patches(
        torch.cat([shrunk(data.batch(c).x) for c in learnt[:_LEARN_ROWS].split(_CHUNK)]), seed=seed
    )
    small, features = [], []
    for chunk in rows.split(_CHUNK):
        x = data.batch(chunk).x
        small.append(prepared(x))
        features.append(patches.describe(x))
        if tell is not None:
            tell("describing", int(chunk[-1]) + 1, len(data))
    found = torch.cat(features)
    spread = found.std(0)
    found = (found - found.mean(0)) / (spread + 0.01 * spread.std() + 1e-6)
    return Description(_components(found.numpy(), seed), torch.cat(small))


def nearest(queries: Tensor, points: Tensor, k: int, *, same: bool) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query by Euclidean distance, a block at a time.

    Args:
        queries: `(N, d)`.
        points: `(M, d)`.
        k: at most M.
        same: both are the same rows, and none is its own neighbour.

    Returns:
        Distances and int64 rows, `(N, k)` each, the nearest first.
    """
    k = min(k, len(points) - same)
    distances, rows = [], []
    for start in range(0, len(queries), _BLOCK):
        apart = torch.cdist(queries[start : start + _BLOCK], points)
        if same:
            own = torch.arange(len(apart))
            apart[own, own + start] = float("inf")
        found = apart.topk(k, dim=1, largest=False)
        distances.append(found.values)
        rows.append(found.indices)
    return torch.cat(distances), torch.cat(rows)


def _components(features: np.ndarray, seed: int) -> np.ndarray:
    size = min(COMPONENTS, *features.shape)
    solver = "full" if features.shape[1] <= COMPONENTS else "randomized"
    pca = PCA(size, svd_solver=solver, random_state=seed)
    return np.asarray(pca.fit_transform(features), np.float32)


def _thumbs(small: Tensor) -> Tensor:
    thumbs = F.adaptive_avg_pool2d(small, _THUMB).flatten(1)
    return F.normalize(thumbs - thumbs.mean(1, keepdim=True), dim=1, eps=1e-6)
