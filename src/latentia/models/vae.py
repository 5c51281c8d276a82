"""Variational autoencoders: a posterior, a prior, a likelihood (Kingma & Welling 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from latentia.abilities import Seeds
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.divergences import (
    importance_bound,
    kl_to_standard_normal,
    normal_log_prob,
)
from latentia.maths.randomness import seeded_noise
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise

DECODES_AT_ONCE = 512  # rows; activations stay in the cache, twice as fast as thousands


class Prior(Protocol):
    """A learned p(z)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """`(…, d) -> (…)`, nats."""
        ...

    def sample(self, noise: Tensor) -> Tensor:
        """Standard normal noise `(B, d)` to a draw `(B, d)`."""
        ...


class VAE(nn.Module):
    """p(x, z) = p(z) p(x | z) with a diagonal Gaussian posterior q(z | x).

    The weight β of the KL term belongs to the objective: a loaded model cannot depend on it,
    and `elbo` always means β = 1.

    Args:
        encoder: `(B, …) -> (B, 2 d)`, mean and log-variance of q.
        decoder: `(B, d) -> (B, C · likelihood.params_per_value, …)`.
        likelihood: what the decoder's output says about data.
        latent_dim: d.
        standardise: shift and scale of vector data.
        prior: a learned p(z); standard normal where None.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent_dim: int,
        standardise: Standardise,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.likelihood, self.latent_dim, self.standardise = likelihood, latent_dim, standardise

    def posterior(self, x: Tensor) -> Independent:
        """q(z | x), batch shape `(B,)`, event shape `(d,)`."""
        mu, log_var = self.moments(x)
        return Independent(Normal(mu, (0.5 * log_var).exp(), validate_args=False), 1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each `(B, d)`, float32."""
        mu, log_var = self.encoder(self.standardise(x)).float().chunk(2, 1)
        return mu, log_var.clamp(-12, 6)

    def encode(self, x: Tensor) -> Tensor:
        """The posterior mean, `(B, d)`."""
        return self.moments(x)[0]

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """The expected data given z, `(B, …)`."""
        return self.standardise.inverse(self.likelihood.mean(self.decoder(z).float()))

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """The decoded mean of one prior draw per seed."""
        noise = seeded_noise(seeds, (self.latent_dim,), device_of(self))
        return in_chunks(lambda rows: self.decode(self.from_noise(rows)), noise)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Standard normal noise `(B, d)` to prior draws `(B, d)`."""
        return noise if self.prior is None else self.prior.sample(noise)  # type: ignore[operator]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), `(B,)`, nats in the units of the data."""
        inside = self.likelihood.log_prob(self.standardise(x), self.decoder(z).float())
        return inside + self._jacobian(x)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), `(…, d) -> (…)`, nats."""
        if self.prior is None:
            return normal_log_prob(z, 0.0, 0.0).sum(-1)
        with torch.autocast(z.device.type, enabled=False):  # densities are worth full precision
            density = self.prior.log_prob(z.float().flatten(0, -2))  # type: ignore[operator]
        return density.view(z.shape[:-1])

    def kl(self, z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
        """KL(q ‖ p) by part, `(B, parts)`, nats.

        Closed form per dimension under the standard normal prior; under a learned prior one
        part, its single-sample estimate log q(z) − log p(z).
        """
        if self.prior is None:
            return kl_to_standard_normal(mu, log_var)
        log_q = normal_log_prob(z, mu, log_var).sum(1)
        return (log_q - self.log_prior(z))[:, None]

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """E_q log p(x | z) − KL(q ‖ p) with one draw of z, `(B,)`, nats."""
        mu, log_var = self.moments(x)
        generator = torch.Generator(x.device).manual_seed(seed)
        z = mu + (0.5 * log_var).exp() * _normal(mu.shape, generator, x.device)
        return self.log_likelihood(x, z) - self.kl(z, mu, log_var).sum(1)

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """Importance-weighted bound with `samples` draws (default 64), `(B,)`, nats.

        Rises to log p(x) as `samples` grows (Burda et al. 2016, theorem 1).
        """
        k = 64 if samples is None else samples
        generator = torch.Generator(x.device).manual_seed(seed)
        mu, log_var = self.moments(x)
        pieces = [
            self.log_weights(x, mu, log_var, n, generator)
            for n in _shares(k, max(1, DECODES_AT_ONCE // max(1, len(x))))
        ]
        return importance_bound(torch.cat(pieces))

    def log_weights(
        self, x: Tensor, mu: Tensor, log_var: Tensor, k: int, generator: torch.Generator
    ) -> Tensor:
        """log p(x, z) − log q(z | x) for k draws of z, `(k, B)`, nats."""
        noise = _normal((k, *mu.shape), generator, x.device)
        z = mu + (0.5 * log_var).exp() * noise
        repeated = self.standardise(x).expand(k, *x.shape).flatten(0, 1)
        parameters = self.decoder(z.flatten(0, 1)).float()
        log_px = self.likelihood.log_prob(repeated, parameters).view(k, -1) + self._jacobian(x)
        return log_px + self.log_prior(z) - normal_log_prob(z, mu, log_var).sum(-1)

    def _jacobian(self, x: Tensor) -> Tensor | float:
        return 0.0 if self.standardise.identity else self.standardise.log_abs_det


def _normal(
    shape: torch.Size | tuple[int, ...], generator: torch.Generator, device: torch.device
) -> Tensor:
    return torch.randn(shape, generator=generator, device=device)


def _shares(total: int, largest: int) -> Iterator[int]:
    while total > 0:
        yield min(total, largest)
        total -= largest
