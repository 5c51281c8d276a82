"""∫ exp(−E) over a line or a plane, by a grid that says how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.chunks import in_chunks

COARSE, FINEST = 128, 2048  # cells a side
NEGLIGIBLE = 1e-6  # share of the mass that may lie in the frame
AGREED = 1e-4  # nats between two grids
_FRAME = 16  # the frame is a sixteenth of a side wide
_WIDER, _MOST = 1.5, 25  # 25 times: 25,000 times as wide as the data
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Grid:
    """Midpoints of even cells and the log-mass of each.

    Attributes:
        low, high: corners, `(d,)`.
        cells: along a side.
        log_mass: `(cells^d,)`, nats, float64: −E at the middle, plus the log of the cell's size.
        error: |log Z − that of half as many cells a side|, nats.
    """

    low: Tensor
    high: Tensor
    cells: int
    log_mass: Tensor
    error: float = 0.0

    @property
    def log_z(self) -> float:
        """Nats."""
        return float(self.log_mass.logsumexp(0))

    @property
    def framed(self) -> float:
        """Share of the mass in the frame around the grid."""
        d, edge = len(self.low), -(-self.cells // _FRAME)
        inner = (slice(edge, -edge),) * d
        shares = self.log_mass.softmax(0).view((self.cells,) * d)
        return float(1 - shares[inner].sum())

    def draws(self, n: int, generator: torch.Generator) -> Tensor:
        """`(n, d)`, float32: cells by their mass, evenly within a cell."""
        shares = self.log_mass.softmax(0)
        number = torch.multinomial(shares, n, replacement=True, generator=generator)
        d, device = len(self.low), self.low.device
        coins = torch.rand(n, d, generator=generator, device=device, dtype=torch.float64)
        index = torch.stack(torch.unravel_index(number, (self.cells,) * d), 1)
        step = (self.high - self.low) / self.cells
        return (self.low + (index + coins) * step).float()


def grid_partition(energy: Callable[[Tensor], Tensor], rows: Tensor) -> Grid:
    """A grid about the data, widened until its frame is empty, refined until two of them agree.

    Args:
        energy: `(M, d) -> (M,)`, nats.
        rows: data, `(N, d)` with d of 1 or 2.

    Raises:
        UserError: mass at the border however wide the grid, or more dimensions.
    """
    if rows.shape[1] > 2:
        raise UserError(f"A grid is for one or two dimensions; these data have {rows.shape[1]}.")
    found = _wide_enough(energy, rows.double())
    while found.cells < FINEST:
        finer = _grid(energy, found.low, found.high, 2 * found.cells)
        error = abs(finer.log_z - found.log_z)
        found = Grid(finer.low, finer.high, finer.cells, finer.log_mass, error)
        if error < AGREED:
            break
    return found


def _wide_enough(energy: Callable[[Tensor], Tensor], rows: Tensor) -> Grid:
    """The first grid that holds nearly all the mass."""
    low, high = rows.amin(0), rows.amax(0)
    middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1e-3)
    for _ in range(_MOST):
        half = half * _WIDER
        found = _grid(energy, middle - half, middle + half, COARSE)
        if found.framed < NEGLIGIBLE:
            return found
    raise UserError(
        "exp(−E) has mass at the border of every grid, up to 25,000 times as wide as the data: "
        "the energy does not rise away from them, and there is no finite Z."
    )


def _grid(energy: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, cells: int) -> Grid:
    step = (high - low) / cells
    middles = torch.arange(cells, dtype=torch.float64, device=low.device) + 0.5
    axes = [at + width * middles for at, width in zip(low, step, strict=True)]
    points = torch.cartesian_prod(*axes).view(-1, len(low))
    energies = in_chunks(lambda c: energy(c.float()).double(), points, size=_AT_ONCE)
    return Grid(low, high, cells, step.log().sum() - energies)
