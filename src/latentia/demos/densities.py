"""Densities on a grid, and the best answer that a discriminator could give between two of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

Density = Callable[[np.ndarray], np.ndarray]
"""`(N, d) -> (N,)`, per unit of length or area."""

_FINER = 4  # cells of the histogram per bandwidth
_MOST_CELLS = 1200  # along each axis


@dataclass(frozen=True)
class Grid:
    """Evenly spaced places over a stretch of a line, or over a rectangle.

    Attributes:
        low, high: `(d,)`, first and last place along each axis.
        count: places along each axis.
    """

    low: np.ndarray
    high: np.ndarray
    count: int

    @property
    def axes(self) -> list[np.ndarray]:
        """The places along each axis, `(count,)` each."""
        ends = zip(self.low, self.high, strict=True)
        return [np.linspace(low, high, self.count) for low, high in ends]

    @property
    def points(self) -> np.ndarray:
        """`(count^d, d)` float32; in a plane row by row from low y to high y."""
        mesh = np.meshgrid(*self.axes)
        return np.stack(mesh, -1).reshape(-1, len(self.axes)).astype(np.float32)

    @classmethod
    def around(cls, points: np.ndarray, count: int, room: float = 0.15) -> Grid:
        """One that holds `(N, d)` points with room of a share of their extent on every side."""
        low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
        extent = np.where(high > low, high - low, 1.0)
        return cls(low - room * extent, high + room * extent, count)


def kernel_density(points: np.ndarray, bandwidth: float | np.ndarray) -> Density:
    """A Gaussian kernel estimate of the density that points were drawn from.

    The points are counted in cells a quarter of the bandwidth wide and the counts smoothed
    (Silverman 1982), so that its cost does not grow with points times places; between the cells'
    middles it is linear.

    Args:
        points: `(N, d)`, d 1 or 2.
        bandwidth: standard deviation of the kernel, along every axis, or `(d,)` for each.
    """
    points = np.asarray(points, np.float64)
    width = np.broadcast_to(np.asarray(bandwidth, np.float64), points.shape[1:])
    low, high = points.min(0) - 5 * width, points.max(0) + 5 * width
    cells = np.clip(np.ceil((high - low) / width * _FINER), 8, _MOST_CELLS).astype(int)
    step = (high - low) / cells
    edges = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, cells, strict=True)]
    counts, _ = np.histogramdd(points, bins=edges)
    smooth = gaussian_filter(counts, width / step, mode="constant", truncate=5.0)
    smooth /= len(points) * step.prod()

    def density(places: np.ndarray) -> np.ndarray:
        at = (np.asarray(places, np.float64) - low) / step - 0.5
        return np.asarray(map_coordinates(smooth, at.T, order=1, mode="constant"))

    return density


def usual_bandwidth(points: np.ndarray) -> np.ndarray:
    """Silverman's rule, `(d,)`: deviation · (4 / (d + 2) N)^(1 / (d + 4)).

    The deviation is the smaller of the standard one and the inter-quartile range / 1.34 (Silverman
    1986, eq. 3.31), since points in several heaps lie further apart than a heap is wide.
    """
    n, d = points.shape
    low, high = np.percentile(points, (25, 75), axis=0)
    spread, robust = points.std(0), (high - low) / 1.34
    width = np.where(robust > 0, np.minimum(spread, robust), np.where(spread > 0, spread, 1.0))
    return np.asarray(width * (4 / ((d + 2) * n)) ** (1 / (d + 4)))


def optimum(data: np.ndarray, fakes: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """D* = p_data / (p_data + p_g), the best discriminator (Goodfellow et al. 2014, prop. 1).

    Args:
        data, fakes: the two densities at the same places.
        floor: added to both, so that the answer tends to 1/2 where both are far below it: where
            hardly any point lies, nothing is asked of a discriminator.

    Returns:
        The probability that a point there is real; 1/2 where neither ever lies.
    """
    total = data + fakes + 2 * floor
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (data + floor) / total, 0.5)
