"""Mixtures of Gaussians with any weights and shapes, whose denoiser and score are known at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianMixture:
    """`weights (K,)`, `means (K, d)` and `covariances (K, d, d)`, in float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @cached_property
    def _axes(self) -> tuple[Tensor, Tensor]:
        """Variances `(K, d)` along the principal axes, the columns of `(K, d, d)`."""
        return tuple(torch.linalg.eigh(self.covariances))  # type: ignore[return-value]

    def _parts(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """By component: offsets and variances along its axes with noise; log weight · density."""
        variances, axes = self._axes
        offsets = torch.einsum("bkd,kde->bke", x[:, None] - self.means, axes)
        noisy = variances + sigma.view(-1, 1, 1) ** 2
        logs = -0.5 * (offsets**2 / noisy + (2 * math.pi * noisy).log()).sum(-1)
        return offsets, noisy, logs + self.weights.log()

    def log_prob(self, x: Tensor, sigma: Tensor | float = 0.0) -> Tensor:
        """Log-density `(B,)` in nats of the mixture with noise of sigma."""
        return self._parts(x, torch.as_tensor(sigma, dtype=x.dtype))[2].logsumexp(1)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[clean | x], `(B, d)`, sigma `(B,)`."""
        offsets, noisy, logs = self._parts(x, sigma)
        variances, axes = self._axes
        clean = self.means + torch.einsum("bke,kde->bkd", variances / noisy * offsets, axes)
        return (logs.softmax(1)[..., None] * clean).sum(1)

    def score(self, x: Tensor, sigma: Tensor | float = 0.0) -> Tensor:
        """Gradient of the log-density with noise, `(B, d)`, sigma `(B,)` or a number."""
        offsets, noisy, logs = self._parts(x, torch.as_tensor(sigma, dtype=x.dtype))
        pull = torch.einsum("bke,kde->bkd", -offsets / noisy, self._axes[1])
        return (logs.softmax(1)[..., None] * pull).sum(1)

    def widened(self, deviations: Tensor) -> GaussianMixture:
        """With independent noise of `deviations (d,)` added."""
        return GaussianMixture(
            self.weights, self.means, self.covariances + torch.diag(deviations.double() ** 2)
        )

    def shares(self, x: Tensor) -> Tensor:
        """`(K,)`, how many of the points are of each component."""
        which = self._parts(x, x.new_tensor(1e-3))[2].argmax(1)
        return torch.bincount(which, minlength=len(self.weights)) / len(x)

    def draw(self, n: int, seed: int = 0) -> Tensor:
        """`(n, d)` points."""
        generator = torch.Generator().manual_seed(seed)
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        factors = torch.linalg.cholesky(self.covariances)
        return self.means[which] + torch.einsum("bde,be->bd", factors[which], z)

    @property
    def mean(self) -> Tensor:
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:
        apart = self.means - self.mean
        spread = self.covariances + apart[:, :, None] * apart[:, None, :]
        return (self.weights[:, None, None] * spread).sum(0)


def three_heaps() -> GaussianMixture:
    """Three Gaussians of different weight, width and tilt in the plane."""
    f64 = torch.float64
    return GaussianMixture(
        torch.tensor([0.2, 0.3, 0.5], dtype=f64),
        torch.tensor([[-2.0, 0.0], [1.0, 2.0], [1.5, -1.5]], dtype=f64),
        torch.tensor(
            [
                [[0.10, 0.06], [0.06, 0.15]],
                [[0.25, 0.00], [0.00, 0.04]],
                [[0.08, -0.05], [-0.05, 0.12]],
            ],
            dtype=f64,
        ),
    )
