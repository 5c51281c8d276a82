"""Priors over latent vectors: a log-density, and a deterministic map from standard normal noise."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.errors import UserError

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Log-density of the standard normal, nats: `(B, d) -> (B,)`."""
    return (-0.5 * z.square() - LOG_SQRT_2PI).sum(-1)


class StandardNormalPrior(nn.Module):
    """N(0, I): no parameters."""

    def log_prob(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        return standard_normal_log_prob(z.float())

    def sample(self, noise: Tensor) -> Tensor:
        """`(B, d)` standard normal noise, unchanged."""
        return noise


class _Coupling(nn.Module):
    """Affine coupling: one half of the vector scales and shifts the other."""

    def __init__(self, kept: int, changed: int, hidden: int) -> None:
        super().__init__()
        self.inp = nn.Linear(kept, hidden)
        self.mid = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 2 * changed)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def shift_and_log_scale(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, and log-scale in (-2, 2), of the changed half: both `(B, changed)`, float32."""
        h = self.inp(kept)
        h = h + self.mid(F.silu(h))
        shift, raw = self.out(F.silu(h)).float().chunk(2, -1)
        return shift, 2 * torch.tanh(raw / 2)


class CouplingFlowPrior(nn.Module):
    """A normalising flow of affine couplings as a learned prior (RealNVP, Dinh et al., 2017).

    A learned prior lets the aggregate posterior keep the shape that the data give it: Chen et al.
    (Variational lossy autoencoder, 2017, section 3.2) show that it is at least as expressive as
    the same flow in the posterior, and free when encoding and decoding. It starts as N(0, I).

    Args:
        latent_dim: length of the latent vector, at least 2.
        layers: couplings; the roles of the halves alternate, entries are shuffled between pairs.
        hidden: width of the network inside each coupling.

    Raises:
        UserError: `latent_dim` below 2.
    """

    order: Tensor

    def __init__(self, latent_dim: int, *, layers: int = 6, hidden: int = 256) -> None:
        super().__init__()
        if latent_dim < 2:
            raise UserError(
                f"A coupling flow needs a latent dimension of at least 2, got {latent_dim}: "
                "raise it, or use the standard normal prior."
            )
        small, large = latent_dim // 2, latent_dim - latent_dim // 2
        self.couplings: Iterable[_Coupling] = nn.ModuleList(  # type: ignore[assignment]
            _Coupling(large, small, hidden) if i % 2 else _Coupling(small, large, hidden)
            for i in range(layers)
        )
        self.register_buffer("order", _shuffles(latent_dim, layers))

    def log_prob(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        z = z.float()
        log_det = torch.zeros_like(z[:, 0])
        for i, (coupling, order) in enumerate(zip(self.couplings, self.order, strict=True)):
            kept, changed = self._split(z[:, order], i)
            shift, log_scale = coupling.shift_and_log_scale(kept)
            z = self._join(kept, (changed + shift) * log_scale.exp(), i)
            log_det = log_det + log_scale.sum(-1)
        return standard_normal_log_prob(z) + log_det

    def sample(self, noise: Tensor) -> Tensor:
        """Carry standard normal noise `(B, d)` to the latent space: the inverse of the flow."""
        z = noise.float()
        for i, coupling in reversed(list(enumerate(self.couplings))):
            kept, changed = self._split(z, i)
            shift, log_scale = coupling.shift_and_log_scale(kept)
            z = self._join(kept, changed * (-log_scale).exp() - shift, i)
            z = z[:, self.order[i].argsort()]
        return z

    def _split(self, z: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """(kept, changed) halves of `z` at layer `i`."""
        half = z.shape[1] // 2
        first, second = z[:, :half], z[:, half:]
        return (second, first) if i % 2 else (first, second)

    def _join(self, kept: Tensor, changed: Tensor, i: int) -> Tensor:
        return torch.cat((changed, kept) if i % 2 else (kept, changed), 1)


def _shuffles(latent_dim: int, layers: int) -> Tensor:
    """One order of the entries per layer; the second layer of every pair keeps the first's."""
    generator = torch.Generator().manual_seed(0)
    keep = torch.arange(latent_dim)
    return torch.stack(
        [keep if i % 2 else torch.randperm(latent_dim, generator=generator) for i in range(layers)]
    )
