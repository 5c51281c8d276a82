"""The debiasing VAE: a classifier that also learns the hidden variables of one class."""

from __future__ import annotations

from torch import Tensor

from latentia.maths.divergences import LOG_VAR_RANGE
from latentia.models.vae import VAE


class DebiasingVAE(VAE):
    """One encoder for the class and for the latent variables (Amini et al. 2019, section 4.2).

    It is a VAE of the positive class alone: what it samples and the densities it gives are of
    that class. The class itself is read beside the posterior, from the same features.

    Its arguments are those of `VAE`, but for the encoder: `(B, …) -> (B, 2 d + K)`, the mean and
    log-variance of q(z | x) and the class logits.
    """

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
