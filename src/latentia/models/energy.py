"""Energy-based models: p(x) = exp(−E(x)) / Z with a network for E and chains for samples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.broken_pictures import broken_pictures
from latentia.maths.chunks import device_of, stacked
from latentia.maths.noise_pictures import noise_pictures
from latentia.maths.randomness import Streams
from latentia.nn.conditioning import asked_weights
from latentia.nn.standardise import Standardise
from latentia.precision import autocast, resolve_precision
from latentia.samplers.langevin import Draw, Energy, Walk, langevin

CHAINS = 256  # run side by side when sampling
REFERENCE = 2.0  # width of the Gaussian that holds vectors together, in their standard deviations


class EnergyModel(nn.Module):
    """E(x) = f(x) for pictures, which end at [-1, 1]; f(x) + ‖x‖² / 2 s² for vectors.

    Vectors have no ends, and a network alone may fall for ever on the far side of the data: it
    tilts a Gaussian instead (Xie et al. 2016, eq. 2), in standardised units and twice as wide as
    the data. There is no likelihood: Z is unknown.

    Args:
        net: `(B, …) -> (B, 1)`.
        shape: `(C, H, W)` or `(features,)`.
        standardise: shift and scale of vector data.
        walk: how chains move, in standardised units.
        steps: default length of a chain.
        precision: "auto", "float32" or "bfloat16", of sampling; energies are in float32.
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        walk: Walk,
        steps: int,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.net, self.shape, self.standardise = net, shape, standardise
        self.walk, self.steps, self.precision = walk, steps, precision
        self.is_image = len(shape) == 3

    @property
    def temperature(self) -> float:
        """T of the chains, which sample exp(−E / T)."""
        return self.walk.temperature

    def logits(self, x: Tensor) -> Tensor:
        """−E of x in standardised units, `(B, …) -> (B, K)`: one number for each class, or one."""
        logits: Tensor = self.net(x).float()
        if self.is_image:
            return logits
        return logits - x.square().sum(1, keepdim=True) / (2 * REFERENCE**2)

    def forward(self, x: Tensor) -> Tensor:
        """E in standardised units, `(B, …) -> (B,)`, nats."""
        return -torch.logsumexp(self.logits(x), 1)

    def energy(self, x: Tensor) -> Tensor:
        """E(x), `(B, …) -> (B,)`, nats up to log Z: low where data are.

        p(x) ∝ exp(−E(x)) where chains ran at temperature 1 while it was trained (`temperature`),
        as those of vectors do; else p(x) ∝ exp(−E(x) / T) is what the chains are drawn from.
        """
        return self(self.standardise(x))

    def kept(self, x: Tensor) -> Tensor:
        """States within the bounds of the chains, `(B, …)`."""
        return self.walk.kept(x)

    def start(self, draw: Draw, strange: float = 0.0) -> Tensor:
        """Where chains start, `(B, …)`, by two draws of noise like a batch.

        Pictures of noise at every scale, uniformly grey but for a `strange` share of them; or the
        Gaussian that vectors are tilted from.
        """
        noise = draw()
        if not self.is_image:
            return REFERENCE * noise
        return noise_pictures(noise, draw().flatten(1)[:, :4], strange)

    def broken(self, x: Tensor, draw: Draw) -> Tensor:
        """Pictures in pieces, strips, small or inverted, `(B, …)`; vectors far off."""
        noise = draw()
        if not self.is_image:
            return REFERENCE * noise
        return self.kept(broken_pictures(x, noise, draw().flatten(1)[:, :4]))

    def roam(self, x: Tensor, draw: Draw, steps: int, energy: Energy | None = None) -> Tensor:
        """Chains from x in standardised units, `(B, …)` to the same shape."""
        return langevin(energy or self, x, draw, self.walk, steps)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """The end of one chain from noise per seed, after `steps` steps."""
        refuse_condition(self, condition)
        groups = range(0, len(seeds), CHAINS)
        return stacked(self._chains(seeds[at : at + CHAINS], steps, self) for at in groups)

    def _chains(self, seeds: Seeds, steps: int | None, energy: Energy) -> Tensor:
        device = device_of(self)
        noise = Streams(seeds, device)
        draw = _piece(noise, self.shape)
        with autocast(device, resolve_precision(self.precision, device)):
            ends = self.roam(self.start(draw), draw, steps or self.steps, energy)
        return self.standardise.inverse(ends)


class JointEnergyModel(EnergyModel):
    """A classifier read as an energy: E(x) = −log Σ_y exp f_y(x) (Grathwohl et al. 2020, JEM).

    The same logits give p(y | x) by their softmax, and p(x | y) by chains on −f_y.

    Args:
        net: `(B, …) -> (B, classes)`.
        classes: how many there are, 2 or more.
        shape, standardise, walk, steps, precision: as in `EnergyModel`.
    """

    def __init__(
        self,
        net: nn.Module,
        classes: int,
        shape: tuple[int, ...],
        standardise: Standardise,
        walk: Walk,
        steps: int,
        precision: str = "float32",
    ) -> None:
        super().__init__(net, shape, standardise, walk, steps, precision)
        self.classes = classes

    def predict_proba(self, x: Tensor) -> Tensor:
        """p(y | x), `(B, classes)`."""
        return self.logits(self.standardise(x)).softmax(1)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One chain per seed: of the classes asked for, or of all of them.

        Weights w of the classes give the mixture Σ w_y p(x, y).

        Raises:
            UserError: as `asked_weights`.
        """
        if condition is None:
            return super().sample(seeds, steps=steps)
        asked = torch.as_tensor(condition, device=device_of(self))
        rows = asked_weights(asked, self.classes, len(seeds))
        groups = range(0, len(seeds), CHAINS)
        return stacked(
            self._chains(seeds[at : at + CHAINS], steps, self._asked(rows[at : at + CHAINS]))
            for at in groups
        )

    def _asked(self, weights: Tensor) -> Energy:
        """−log Σ w_y exp f_y(x) of each row's weights `(B, classes)`."""
        return lambda x: -torch.logsumexp(self.logits(x) + weights.log(), 1)


def _piece(noise: Streams, shape: tuple[int, ...]) -> Callable[[], Tensor]:
    return lambda: noise.normal(*shape)
