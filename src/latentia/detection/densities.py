"""Densities of tables in closed form or by a few passes, one per fold, and neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

CHUNK = 1024  # rows scored at once
LOG_2PI = math.log(2 * math.pi)


def training_rows(fold: np.ndarray) -> list[np.ndarray]:
    """Row numbers outside each fold."""
    return [np.flatnonzero(fold != k) for k in range(int(fold.max()) + 1)]


@dataclass(frozen=True)
class Linear:
    """Probabilistic PCA (Tipping & Bishop 1999): x = W z + μ + noise of variance σ².

    Attributes:
        center: μ, `(K, d)`.
        axes: principal directions, `(K, d, q)`.
        variances: of the data along them, `(K, q)`.
        noise: σ², `(K,)`: the mean variance of the directions left out (eq. 8).
    """

    center: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    noise: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, fold: np.ndarray, share: float = 0.9) -> Self:
        """The fewest directions that hold `share` of the variance, the same number in each fold."""
        size = rows.shape[1]
        values = np.linalg.eigvalsh(np.cov(rows.T).reshape(size, size))[::-1].clip(0)
        explained = np.cumsum(values) / max(values.sum(), 1e-12)
        latent = min(int(np.searchsorted(explained, share)) + 1, max(size - 1, 1))
        found = [_principal(rows[own], latent) for own in training_rows(fold)]
        return cls(*(np.stack(parts) for parts in zip(*found, strict=True)))

    def measures(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """`(N, K)` each: "linear_error" (squared, over σ²), "linear_latent" (squared
        Mahalanobis distance of the code), "linear_density" (−log p, exact, nats)."""
        off = rows[:, None] - self.center
        codes = np.einsum("nkd,kdq->nkq", off, self.axes)
        inside = (codes**2 / self.variances).sum(2)
        error = np.maximum((off**2).sum(2) - (codes**2).sum(2), 0) / self.noise
        rest = rows.shape[1] - self.axes.shape[2]
        log_det = np.log(self.variances).sum(1) + rest * np.log(self.noise)
        density = 0.5 * (rows.shape[1] * LOG_2PI + log_det + inside + error)
        return {"linear_error": error, "linear_latent": inside, "linear_density": density}


def _principal(rows: np.ndarray, latent: int) -> tuple[np.ndarray, ...]:
    center, size = rows.mean(0), rows.shape[1]
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True).reshape(size, size))
    floor = 1e-4 * max(float(values.mean()), 1e-12)
    values = np.maximum(values[::-1], floor)
    noise = values[latent:].mean() if latent < size else values[-1]
    return center, vectors[:, ::-1][:, :latent], values[:latent], noise


@dataclass(frozen=True)
class Mixture:
    """Mixtures of Gaussians by expectation maximisation: which kind a row is, then where in it.

    Attributes:
        log_weight: `(K, C)`.
        whitening: inverse Cholesky factors, `(K, C, d, d)`.
        center: whitened, `(K, C, d)`.
    """

    log_weight: Tensor
    whitening: Tensor
    center: Tensor

    @classmethod
    def fit(
        cls, rows: np.ndarray, fold: np.ndarray, kinds: int, ridge: float, passes: int, seed: int
    ) -> Self:
        """One mixture of `kinds` Gaussians for each fold, fitted to the rows outside it.

        Args:
            ridge: added to every variance, as a share of the mean variance; what keeps few rows
                from a covariance without volume.
            passes: of expectation maximisation.
            seed: of the starting centres.
        """
        x = torch.from_numpy(np.asarray(rows, np.float64)).float()
        folds = torch.arange(int(fold.max()) + 1)[:, None]
        keep = (torch.from_numpy(fold)[None] != folds).float()[:, None]  # (K, 1, N)
        floor = ridge * x.var(0).mean() + 1e-6
        share = _start(x, min(kinds, len(x)), seed) * keep
        mixture = cls._of(x, share, floor)
        for _ in range(passes):
            share = mixture._terms(x).softmax(1) * keep
            mixture = cls._of(x, share, floor)
        return cls(mixture.log_weight.double(), mixture.whitening.double(), mixture.center.double())

    @classmethod
    def _of(cls, x: Tensor, share: Tensor, floor: Tensor) -> Self:
        """The mixture that shares `(K, C, N)` of the rows make."""
        eye, size = torch.eye(x.shape[1]), share.sum(2) + 1e-6
        mean = share @ x / size[..., None]
        rows = [[(x * part[:, None]).T @ x for part in member] for member in share]
        second = torch.stack([torch.stack(member) for member in rows]) / size[..., None, None]
        covariance = second - mean[..., :, None] * mean[..., None, :] + floor * eye
        factor = torch.linalg.cholesky_ex(covariance).L
        whitening = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        center = torch.einsum("kcij,kcj->kci", whitening, mean)
        return cls((size / size.sum(1, keepdim=True)).log(), whitening, center)

    def _terms(self, x: Tensor) -> Tensor:
        """log of weight times density of every component, `(K, C, N)`."""
        members, kinds, d = self.center.shape
        white = (self.whitening.reshape(-1, d) @ x.T).view(members, kinds, d, -1)
        squared = (white - self.center[..., None]).square().sum(2)
        log_det = self.whitening.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return (self.log_weight + log_det - 0.5 * d * LOG_2PI)[..., None] - 0.5 * squared

    def measures(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """ "mixture": −log p by every member, `(N, K)`, nats."""
        x = torch.from_numpy(np.asarray(rows, np.float64))
        parts = [torch.logsumexp(self._terms(chunk), 1).T for chunk in x.split(CHUNK)]
        return {"mixture": -torch.cat(parts).numpy()}


def _start(x: Tensor, kinds: int, seed: int) -> Tensor:
    """Every row to the nearest of some centres drawn far apart (Arthur & Vassilvitskii 2007)."""
    generator = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    nearest = (x - x[chosen[0]]).square().sum(1)
    for _ in range(kinds - 1):
        chosen.append(int(torch.multinomial(nearest + 1e-9, 1, generator=generator)))
        nearest = torch.minimum(nearest, (x - x[chosen[-1]]).square().sum(1))
    return torch.nn.functional.one_hot(torch.cdist(x, x[chosen]).argmin(1), kinds).T.float()


@dataclass(frozen=True)
class Marginals:
    """Kernel densities of the columns, each by itself: what is known without any relation.

    Attributes:
        grid: `(K, d, G)`, ascending.
        log_density: at the grid, nats; beyond it the outermost slopes go on.
    """

    grid: np.ndarray
    log_density: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, fold: np.ndarray, width: float, points: int = 128) -> Self:
        """Bandwidths by Silverman's rule, but not below `width`."""
        found = [
            [_kernel_density(rows[own, j], width, points) for j in range(rows.shape[1])]
            for own in training_rows(fold)
        ]
        both = np.array(found)
        return cls(both[:, :, 0], both[:, :, 1])

    def by_column(self, rows: np.ndarray) -> np.ndarray:
        """−log p of every cell by every member, `(N, d, K)`, nats."""
        found = np.empty((*rows.shape, len(self.grid)))
        for k, (grids, densities) in enumerate(zip(self.grid, self.log_density, strict=True)):
            for j, (grid, density) in enumerate(zip(grids, densities, strict=True)):
                found[:, j, k] = -_interpolated(rows[:, j], grid, density)
        return found

    def measures(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """ "marginal": −log p of independent columns by every member, `(N, K)`, nats."""
        return {"marginal": self.by_column(rows).sum(1)}


def _kernel_density(values: np.ndarray, width: float, points: int) -> np.ndarray:
    """Grid and log-density, `(2, points)`."""
    low, high = np.percentile(values, (25, 75))
    spread = min(values.std(), (high - low) / 1.349 or values.std())
    h = max(0.9 * spread * len(values) ** -0.2, width)
    centers = np.quantile(values, (np.arange(points) + 0.5) / points)
    grid = np.linspace(values.min() - 3 * h, values.max() + 3 * h, points)
    exponents = -0.5 * ((grid[:, None] - centers) / h) ** 2
    log_density = np.logaddexp.reduce(exponents, axis=1) - math.log(points * h) - 0.5 * LOG_2PI
    return np.stack([grid, log_density])


def _interpolated(x: np.ndarray, grid: np.ndarray, density: np.ndarray) -> np.ndarray:
    inside = np.interp(x, grid, density)
    left = (density[1] - density[0]) / (grid[1] - grid[0])
    right = (density[-1] - density[-2]) / (grid[-1] - grid[-2])
    below, above = np.minimum(x - grid[0], 0), np.maximum(x - grid[-1], 0)
    return inside + left * below + right * above


def neighbour_distance(
    rows: np.ndarray, reference: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray:
    """Distance to the nearest reference row, `(N,)`, ≥ 0.

    Args:
        rows: `(N, d)`.
        reference: `(M, d)`.
        own: for rows that are themselves in the reference, their places there, which do not
            count; −1 for those that are not.
    """
    known, found = torch.from_numpy(reference), []
    places = None if own is None else torch.from_numpy(own).split(CHUNK)
    for i, chunk in enumerate(torch.from_numpy(rows).split(CHUNK)):
        # exact differences: the shorter formula by products loses small distances
        apart = torch.cdist(chunk, known, compute_mode="donot_use_mm_for_euclid_dist")
        if places is not None:
            mine = torch.arange(len(chunk))[places[i] >= 0]
            apart[mine, places[i][mine]] = math.inf
        found.append(apart.amin(1))
    return torch.cat(found).numpy()
