"""Toy densities on a line or in the plane, known exactly, to judge models by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import i0e, logsumexp

from latentia.data.source import Source

DEFAULT_ROWS = 20_000


@dataclass(frozen=True)
class Mixture:
    """Equally likely isotropic Gaussians of one width.

    Attributes:
        centers: `(K, d)`.
        sigma: standard deviation of each.
        labels: `(K,)`, class of each component.
    """

    centers: np.ndarray
    sigma: float
    labels: np.ndarray

    def draw(self, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """`(n, d)` points and their `(n,)` labels."""
        which = random.integers(0, len(self.centers), n)
        points = self.centers[which]
        points = points + self.sigma * random.standard_normal(points.shape)
        return points, self.labels[which]

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """`(N, d) -> (N,)`, nats."""
        apart = np.asarray(points, np.float64)[:, None] - self.centers
        energies = (apart**2).sum(-1) / (2 * self.sigma**2)
        k, d = self.centers.shape
        constant = np.log(k) + d / 2 * np.log(2 * np.pi * self.sigma**2)
        return np.asarray(logsumexp(-energies, axis=1) - constant)


@dataclass(frozen=True)
class Rings:
    """Equally likely circles about the origin, blurred by an isotropic Gaussian.

    The density of one blurred circle of radius R is that of a Rice variable spread over the
    angle: exp(-(r² + R²) / 2σ²) I₀(rR / σ²) / 2πσ².
    """

    radii: np.ndarray
    sigma: float

    def draw(self, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """`(n, 2)` points and their `(n,)` labels."""
        which = random.integers(0, len(self.radii), n)
        angle = random.uniform(0, 2 * np.pi, n)
        circle = self.radii[which, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return circle + self.sigma * random.standard_normal((n, 2)), which

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """`(N, 2) -> (N,)`, nats."""
        r = np.linalg.norm(np.asarray(points, np.float64), axis=1)[:, None]
        # i0e carries the factor exp(-rR/σ²), so the square completes and nothing overflows
        logs = np.log(i0e(r * self.radii / self.sigma**2))
        logs = logs - (r - self.radii) ** 2 / (2 * self.sigma**2)
        constant = np.log(len(self.radii) * 2 * np.pi * self.sigma**2)
        return np.asarray(logsumexp(logs, axis=1) - constant)


def two_moons() -> Mixture:
    """Two half circles of radius 1 that grasp each other, each a chain of 50 Gaussians."""
    t = (np.arange(50) + 0.5) * np.pi / 50
    upper = np.stack([np.cos(t), np.sin(t)], axis=1)
    lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
    return Mixture(np.concatenate([upper, lower]), 0.1, np.repeat([0, 1], 50))


def rings() -> Rings:
    """Three circles of radius 1, 2 and 3, width 0.1."""
    return Rings(np.array([1.0, 2.0, 3.0]), 0.1)


def gaussians_25() -> Mixture:
    """A 5 by 5 grid of Gaussians, 2 apart, width 0.05."""
    axis = np.arange(-4.0, 5.0, 2.0)
    return Mixture(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2), 0.05, np.arange(25))


def gaussians_1d() -> Mixture:
    """Four Gaussians on a line, of width 0.4 and unevenly apart."""
    return Mixture(np.array([[-4.0], [-1.0], [1.5], [4.0]]), 0.4, np.arange(4))


def gaussians_8() -> Mixture:
    """Eight Gaussians on a circle of radius 3, width 0.3."""
    angle = np.arange(8) * np.pi / 4
    return Mixture(3 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.3, np.arange(8))


TOYS: dict[str, Callable[[], Mixture | Rings]] = {
    "two-moons": two_moons,
    "rings": rings,
    "gaussians-25": gaussians_25,
    "gaussians-8": gaussians_8,
    "gaussians-1d": gaussians_1d,
}


def density_of(name: str) -> Mixture | Rings | None:
    """The density of a toy by its name, with or without a number of rows; None for other data."""
    make = TOYS.get(name.partition(":")[0])
    return None if make is None else make()


def open_toy(name: str, n: int = DEFAULT_ROWS, seed: int = 0) -> Source:
    """`n` points of a toy density with labels and the exact log-density."""
    density = TOYS[name]()
    points, labels = density.draw(n, np.random.default_rng(seed))
    return Source(
        name=name,
        values=points.astype(np.float32),
        labels=labels.astype(np.int64),
        classes=tuple(str(k) for k in range(int(labels.max()) + 1)),
        log_density=density.log_density,
    )
