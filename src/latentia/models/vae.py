"""Variational autoencoders: a posterior, a prior, a likelihood (Kingma & Welling 2014)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Independent, Normal

from latentia.maths.divergences import LOG_VAR_RANGE
from latentia.models.variational import Draw, VariationalModel, reparameterised
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise


class VAE(VariationalModel):
    """One layer of latents with a diagonal Gaussian posterior q(z | x).

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
        super().__init__(likelihood, latent_dim, standardise, prior, latent_dim)
        self.encoder, self.decoder = encoder, decoder

    def posterior(self, x: Tensor) -> Independent:
        """q(z | x), batch shape `(B,)`, event shape `(d,)`."""
        mu, log_var = self.look(x)
        return Independent(Normal(mu, (0.5 * log_var).exp(), validate_args=False), 1)

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each `(B, d)`, float32."""
        mu, log_var = self.encoder(self.standardise(x)).float().chunk(2, 1)
        return mu, log_var.clamp(*LOG_VAR_RANGE)

    def draw(self, seen: tuple[Tensor, ...], noise: Tensor) -> Draw:
        mu, log_var = seen
        z = reparameterised(mu, log_var, noise)
        return Draw(z, mu, log_var, self.decoder(z))

    def encode(self, x: Tensor) -> Tensor:
        """The posterior mean, `(B, d)`."""
        return self.look(x)[0]
