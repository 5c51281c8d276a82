"""The hierarchical VAE: two or more layers of latents, inferred from the top down."""

from __future__ import annotations

from torch import Tensor, nn

from latentia.models.variational import Draw, VariationalModel
from latentia.nn.ladder import Ladder
from latentia.nn.likelihoods import Likelihood
from latentia.nn.standardise import Standardise


class LadderVAE(VariationalModel):
    """q(z | x) = q(z₁ | x) Π q(z_l | z_<l, x), each factor a diagonal Gaussian.

    z holds all layers, from the top down. There is no `posterior`: it is no single Gaussian.

    Args:
        ladder: network of inference and generation.
        likelihood: what its output says about data.
        standardise: shift and scale of vector data.
        prior: a learned p(z₁); standard normal where None.
    """

    def __init__(
        self,
        ladder: Ladder,
        likelihood: Likelihood,
        standardise: Standardise,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__(likelihood, ladder.latent_dim, standardise, prior, ladder.top)
        self.decoder = ladder

    def look(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._ladder.look(self.standardise(x))

    def draw(self, seen: tuple[Tensor, ...], noise: Tensor) -> Draw:
        return Draw(*self._ladder.draw(seen, noise))

    @property
    def _ladder(self) -> Ladder:
        assert isinstance(self.decoder, Ladder)
        return self.decoder
