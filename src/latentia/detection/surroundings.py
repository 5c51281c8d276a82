"""Where a picture does not follow from what is around it: spots, scratches, seams.

Every small patch is foretold from the ring around it by the best linear rule, found in closed
form on training pictures: the conditional mean of a Gaussian model of patches. What is left over,
beside what is usual in this picture and at this place, is how strange the place is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.data.spec import Dataset
from latentia.maths.chunks import spread_rows

RADIUS, HOLE, CORE = 9, 4, 1  # pixels from the middle: ring up to, from beyond, patch up to
SMALLEST_SIDE = 2 * RADIUS + 2
TOP_SHARE = 0.01  # of the places, the strangest, that a picture's number is the mean of
_RIDGE = 1e-2  # of the mean variance
_PATCHES = 20_000
_ROWS = 1000  # training pictures looked at, at most
_CHUNK = 64
_FLOOR = 0.1  # of the usual error: less than this in a picture or at a place counts as this


def foretelling_kernel(x: Tensor, seed: int = 0) -> Tensor:
    """Patch minus what its ring foretells, as a kernel `(1, 1, 2 R + 1, 2 R + 1)`.

    Its weights sum to zero: brightness alone is never strange.

    Args:
        x: pictures `(N, C, H, W)`, sides above `RADIUS`; all channels share the rule.
        seed: of the patches.
    """
    generator = torch.Generator().manual_seed(seed)
    planes = _padded(x.flatten(0, 1)[:, None])[:, 0]
    rows, height, width = len(planes), x.shape[2], x.shape[3]
    draw = lambda n: torch.randint(0, n, (_PATCHES, 1, 1), generator=generator)  # noqa: E731
    side = torch.arange(2 * RADIUS + 1)
    patches = planes[draw(rows), draw(height) + side[:, None], draw(width) + side]
    far = torch.maximum((side - RADIUS).abs()[:, None], (side - RADIUS).abs())
    ring, core = far > HOLE, far <= CORE
    around, inside = patches[:, ring].double(), patches[:, core].double().mean(1)
    level = around.mean(1)
    around, inside = around - level[:, None], inside - level
    moments = around.T @ around
    steady = _RIDGE * moments.trace() / len(moments) + 1e-12
    weights = torch.linalg.solve(moments + steady * torch.eye(len(moments)), around.T @ inside)
    kernel = torch.zeros(len(side), len(side), dtype=torch.float64)
    kernel[ring] = -(weights + (1 - weights.sum()) / len(weights))
    kernel[core] = 1 / int(core.sum())
    return kernel.float()[None, None]


@dataclass(frozen=True)
class Surroundings:
    """What training pictures usually leave over, at every place.

    Attributes:
        kernel: see `foretelling_kernel`.
        usual: mean squared share of a place in its picture's error, `(1, H, W)`.
        least: squared error below which a picture's own counts as this.
    """

    kernel: Tensor
    usual: Tensor
    least: float

    @classmethod
    def fit(cls, train: Dataset, seed: int = 0) -> Self:
        """Learn from at most 1,000 training pictures, with sides of 20 pixels or more."""
        x = train.batch(spread_rows(len(train), _ROWS)).x
        kernel = foretelling_kernel(x, seed)
        left = torch.cat([_left_over(chunk, kernel) for chunk in x.split(_CHUNK)])
        own = left.mean((1, 2))
        least = _FLOOR**2 * float(own.median()) + 1e-12
        shares = (left / (own + least)[:, None, None]).mean(0, keepdim=True)
        usual = smooth(shares, 5)
        return cls(kernel, usual + _FLOOR**2 * usual.mean(), least)

    def maps(self, x: Tensor) -> Tensor:
        """Strangeness of every place, `(B, C, H, W) -> (B, H, W)`, about 1 where all is usual."""
        left = _left_over(x.cpu(), self.kernel)
        own = left.mean((1, 2), keepdim=True) + self.least
        return smooth((left / own / self.usual).sqrt(), smoothing_width(x.shape[2:]))

    def strangeness(self, x: Tensor) -> np.ndarray:
        """Mean of the strangest hundredth of the places, `(B,)`, ≥ 0."""
        return strangest_places(self.maps(x))


def strangest_places(maps: Tensor) -> np.ndarray:
    """Mean of the highest hundredth of each map, `(B, H, W) -> (B,)` float64."""
    flat = maps.flatten(1)
    top = flat.topk(max(1, round(TOP_SHARE * flat.shape[1])), 1).values
    found: np.ndarray = top.double().mean(1).numpy()
    return found


def smoothing_width(size: tuple[int, ...] | torch.Size) -> int:
    """Side of the square that maps are averaged over: odd, a fourteenth of the picture's.

    >>> smoothing_width((28, 28)), smoothing_width((128, 128))
    (3, 9)
    """
    return max(3, min(size) // 14 // 2 * 2 + 1)


def smooth(maps: Tensor, width: int) -> Tensor:
    """Averaged over squares, edges repeated, `(B, H, W)`."""
    padded = F.pad(maps[:, None], (width // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, width, 1)[:, 0]


def _left_over(x: Tensor, kernel: Tensor) -> Tensor:
    """Squared error of every place, summed over channels, `(B, H, W)`."""
    planes = _padded(x.flatten(0, 1)[:, None])[:, 0][None]
    many = planes.shape[1]  # as channels of one picture: ten times as fast as one by one
    left = F.conv2d(planes, kernel.expand(many, -1, -1, -1), groups=many)
    return left.view(x.shape).square().sum(1)


def _padded(planes: Tensor) -> Tensor:
    return F.pad(planes, (RADIUS,) * 4, mode="reflect")
