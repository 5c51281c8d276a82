"""The debiasing VAE: a classifier that also learns the hidden variables of one class."""

from __future__ import annotations

from torch import Tensor, nn

from latentia.maths.divergences import LOG_VAR_RANGE
from latentia.models.vae import VAE
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise


class DebiasingVAE(VAE):
    """One encoder for the class and for the latent variables (Amini et al. 2019, section 4.2).

    It is a VAE of the positive class alone: what it samples and the densities it gives are of
    that class. The class itself is read beside the posterior, from the same features.

    Args:
        encoder: `(B, …) -> (B, 2 d + K)`: mean and log-variance of q(z | x), class logits.
        decoder: `(B, d) -> (B, C · likelihood.params_per_value, …)`.
        likelihood: what the decoder's output says about data.
        latent_dim: d.
        standardise: shift and scale of vector data.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent_dim: int,
        standardise: Standardise,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, latent_dim, standardise)

    def see(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance of q(z | x), `(B, d)`, and class logits `(B, K)`, float32."""
        out, d = self.encoder(self.standardise(x)).float(), self.latent_dim
        return out[:, :d], out[:, d : 2 * d].clamp(*LOG_VAR_RANGE), out[:, 2 * d :]

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each `(B, d)`, float32."""
        return self.see(x)[:2]

    def predict_proba(self, x: Tensor) -> Tensor:
        """q(y | x), `(B, K)`."""
        return self.see(x)[2].softmax(1)
