"""Plain autoencoders: a bottleneck that must carry what matters (Hinton & Salakhutdinov 2006)."""

from __future__ import annotations

from torch import Tensor, nn

from latentia.abilities import refuse_condition
from latentia.nn.standardise import Standardise


class Autoencoder(nn.Module):
    """x -> z -> x̂ with a code of `latent_dim` numbers and no distribution over it.

    Args:
        encoder: `(B, …) -> (B, d)`.
        decoder: `(B, d) -> (B, …)`; images come out through tanh, in [-1, 1].
        latent_dim: d.
        standardise: shift and scale of vector data.
        bounded: squash the output into [-1, 1] (images).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        standardise: Standardise,
        bounded: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim, self.standardise, self.bounded = latent_dim, standardise, bounded

    def encode(self, x: Tensor) -> Tensor:
        """The code, `(B, d)`."""
        return self.encoder(self.standardise(x)).float()

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Data from codes, `(B, d) -> (B, …)`."""
        refuse_condition(self, condition)
        out = self.decoder(z).float()
        return self.standardise.inverse(out.tanh() if self.bounded else out)
