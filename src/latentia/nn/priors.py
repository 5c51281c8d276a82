"""Priors over latent vectors: a log-density, and a deterministic map from standard normal noise."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.errors import UserError
from latentia.maths.divergences import LOG_VAR_RANGE

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Log-density of the standard normal, nats: `(B, d) -> (B,)`."""
    return (-0.5 * z.square() - LOG_SQRT_2PI).sum(-1)


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
        _refuse_line(latent_dim)
        self.noise_dim = latent_dim
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


class _Mixture(nn.Module):
    """A mixture of diagonal Gaussians; subclasses say which, in `components`.

    Sampling takes one number more than d: it chooses the component.
    """

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__()
        self.noise_dim = latent_dim + 1
        self.logits = nn.Parameter(torch.zeros(components))

    def components(self) -> tuple[Tensor, Tensor]:
        """Means and log-variances, `(K, d)` each."""
        raise NotImplementedError

    def log_prob(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        mu, log_var = self.components()
        inverse = (-log_var).exp()
        # the square of z − μ multiplied out: matrix products instead of a (B, K, d) tensor
        far = z.square() @ inverse.T - 2 * z @ (mu * inverse).T + (mu.square() * inverse).sum(1)
        inside = -0.5 * (far + log_var.sum(1)) - z.shape[1] * LOG_SQRT_2PI
        return torch.logsumexp(inside + self.logits.log_softmax(0), 1)

    def sample(self, noise: Tensor) -> Tensor:
        """Noise `(B, d + 1)` to draws `(B, d)`: the last number chooses among the components."""
        mu, log_var = self.components()
        edges = self.logits.softmax(0).cumsum(0)
        at = torch.special.ndtr(noise[:, -1].contiguous())
        chosen = torch.searchsorted(edges, at).clamp(max=len(mu) - 1)
        return mu[chosen] + (0.5 * log_var[chosen]).exp() * noise[:, :-1]


class MixturePrior(_Mixture):
    """A mixture of Gaussians with learned means, variances and weights.

    Args:
        latent_dim: d.
        components: Gaussians; their means start as standard normal draws.
    """

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__(latent_dim, components)
        self.mu = nn.Parameter(torch.randn(components, latent_dim))
        self.log_var = nn.Parameter(torch.zeros(components, latent_dim))

    def components(self) -> tuple[Tensor, Tensor]:
        return self.mu, self.log_var.clamp(*LOG_VAR_RANGE)


class VampPrior(_Mixture):
    """The mixture of the posteriors of learned pseudo-inputs (Tomczak & Welling 2018, eq. 9).

    Args:
        encoder: `(B, …) -> (B, 2 d)`, mean and log-variance of q; used, not owned.
        shape: of one example, as the encoder takes it.
        latent_dim: d.
        components: pseudo-inputs.
        center, spread: mean and deviation of the values that they start from.
    """

    def __init__(
        self,
        encoder: nn.Module,
        shape: tuple[int, ...],
        latent_dim: int,
        components: int,
        center: float = 0.0,
        spread: float = 1.0,
    ) -> None:
        super().__init__(latent_dim, components)
        self.inputs = nn.Parameter(center + spread * torch.randn(components, *shape))
        # As a plain attribute the encoder stays out of this module's parameters and state.
        self.__dict__["encoder"] = encoder

    def components(self) -> tuple[Tensor, Tensor]:
        mu, log_var = self.__dict__["encoder"](self.inputs).float().chunk(2, 1)
        return mu, log_var.clamp(*LOG_VAR_RANGE)


class SplinePrior(nn.Module):
    """A neural spline flow (Durkan et al. 2019) of the library zuko as a learned prior.

    Args:
        latent_dim: d, at least 2.
        layers: spline couplings.
        hidden: width of the two layers of each one's network.

    Raises:
        UserError: zuko is not installed, or `latent_dim` below 2.
    """

    def __init__(self, latent_dim: int, *, layers: int = 3, hidden: int = 128) -> None:
        super().__init__()
        _refuse_line(latent_dim)
        try:
            from zuko.flows import NSF
        except ImportError as problem:
            raise UserError(
                "prior=spline needs the library zuko: pip install 'latentia[flows]'."
            ) from problem
        self.noise_dim = latent_dim
        self.flow = NSF(latent_dim, transforms=layers, hidden_features=(hidden, hidden), passes=2)

    def log_prob(self, z: Tensor) -> Tensor:
        """`(B, d) -> (B,)`, nats."""
        density: Tensor = self.flow().log_prob(z)
        return density

    def sample(self, noise: Tensor) -> Tensor:
        """Carry standard normal noise `(B, d)` to the latent space."""
        drawn: Tensor = self.flow().transform.inv(noise)
        return drawn


def _refuse_line(latent_dim: int) -> None:
    if latent_dim < 2:
        raise UserError(
            f"A coupling flow needs a latent dimension of at least 2, got {latent_dim}: "
            "raise it, or use the standard normal prior."
        )
