"""What stays the same throughout a demo: the data, their density, and the places looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentia.data.spec import Dataset, DataSpec
from latentia.data.toys import Mixture, Rings, density_of
from latentia.demos.densities import Grid, kernel_density, usual_bandwidth
from latentia.errors import UserError

SHOWN_REALS = 300
SHOWN_FAKES = {1: 48, 2: 250}
JUDGED = 4000
"""Real points that D's distance from 1/2 is measured on."""
_PLACES = {1: 240, 2: 64}
_DRAWN = {1: 8192, 2: 16384}
_BLUR = 1 / 3  # of a known density's own width: how finely the fakes' density is estimated


@dataclass(frozen=True)
class Axis:
    """How the numbers of an axis read in the user's units: raw = scale · number + shift."""

    name: str
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Scene:
    """The unchanging part of a demo.

    Attributes:
        name: what the data are called.
        axes: one or two.
        grid: where D and the densities are looked at.
        real: float32 `(JUDGED or fewer, d)` real points.
        density: of the data at the grid's places, as blurred as that of the fakes.
        bandwidth: of that blur, `(d,)`.
        known: the formula the data were drawn from, or None: then their density is an estimate.
    """

    name: str
    axes: tuple[Axis, ...]
    grid: Grid
    real: np.ndarray
    density: np.ndarray
    bandwidth: np.ndarray
    known: Mixture | Rings | None

    @property
    def dims(self) -> int:
        """1 or 2."""
        return len(self.axes)

    def density_at(self, places: np.ndarray) -> np.ndarray:
        """The data's density, `(N, d) -> (N,)`, as blurred as the fakes' one."""
        if self.known is None:
            return kernel_density(self.real, self.bandwidth)(places)
        return np.exp(_blurred(self.known, float(self.bandwidth[0])).log_density(places))

    def noise(self, n: int, latent: int, seed: int) -> Tensor:
        """`(n, latent)` normal noise; on one dimension evenly spaced quantiles, without chance."""
        if latent == 1:
            shares = (torch.arange(n, dtype=torch.float64) + 0.5) / n
            return torch.special.ndtri(shares).float()[:, None]
        return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))

    @property
    def drawn(self) -> int:
        """How many fakes their density is estimated from."""
        return _DRAWN[self.dims]

    def modes_found(self, fakes: np.ndarray) -> tuple[int, int] | None:
        """Heaps that hold at least a quarter of their share of the fakes, and how many there are.

        A fake counts for the nearest centre, within 3 σ. None where the data have no known heaps.
        """
        if not isinstance(self.known, Mixture) or len(self.known.centers) > 25:
            return None
        centers, n = self.known.centers, len(self.known.centers)
        apart = np.linalg.norm(fakes[:, None] - centers, axis=2)
        near = apart.argmin(1)[apart.min(1) < 3 * self.known.sigma]
        counts = np.bincount(near, minlength=n)
        return int((counts > 0.25 * len(fakes) / n).sum()), n


def scene_of(data: Dataset, dims: int) -> Scene:
    """The scene for some data.

    Raises:
        UserError: not as many columns of numbers as the demo draws.
    """
    if data.spec.kind != "vector" or data.spec.shape != (dims,):
        raise UserError(_misfit(data.spec, dims))
    real = np.asarray(data.values[:JUDGED], np.float32)
    known = density_of(data.spec.name)
    if known is None:
        width = usual_bandwidth(real)
    else:
        width = np.full(dims, _BLUR * known.sigma)
    grid = Grid.around(real, _PLACES[dims])
    bare = Scene(data.spec.name, _axes(data.spec), grid, real, np.empty(0), width, known)
    return replace(bare, density=bare.density_at(grid.points))


def _blurred(density: Mixture | Rings, width: float) -> Mixture | Rings:
    """A mixture of Gaussians seen through a Gaussian blur is one of wider Gaussians."""
    return replace(density, sigma=float(np.hypot(density.sigma, width)))


def _axes(spec: DataSpec) -> tuple[Axis, ...]:
    if spec.columns is None:
        return tuple(Axis(name) for name in ("x", "y")[: spec.dims])
    facts = [column for column in spec.columns["columns"] if column["kind"] == "number"]
    if len(facts) != spec.dims:
        return tuple(Axis(str(i + 1)) for i in range(spec.dims))
    return tuple(Axis(str(c["name"]), float(c["spread"]), float(c["center"])) for c in facts)


def _misfit(spec: DataSpec, dims: int) -> str:
    wanted = {1: "one column of numbers (a line)", 2: "two columns of numbers (a plane)"}[dims]
    if spec.kind != "vector":
        has = "pictures or sounds"
    else:
        has = f"{spec.dims} number{'s' * (spec.dims != 1)} per row"
    other = {1: "gan-1d", 2: "gan-2d"}.get(spec.dims if spec.kind == "vector" else 0)
    hint = f" `latentia demo {other}` takes it." if other else ""
    return f"The demo draws points of {wanted}, but {spec.name} has {has}.{hint}"


def nice_ticks(low: float, high: float, wanted: int = 6) -> Sequence[float]:
    """Round numbers within a range, at most `wanted` + 1.

    >>> nice_ticks(-5.2, 5.1)
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    """
    size = 10.0 ** np.floor(np.log10((high - low) / wanted))
    step = size * next(m for m in (1, 2, 5, 10) if (high - low) / (size * m) <= wanted)
    first, last = int(np.ceil(low / step)), int(high // step)
    return [float(round(k * step, 12)) for k in range(first, last + 1)]
