"""What a model can do. A model has the abilities that are true of it, and no others.

Reports, the command line and metrics ask for abilities (`isinstance(model, Encodes)`),
never for families, so a new family needs no change there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from latentia.errors import UserError

Seeds = Sequence[int]


@runtime_checkable
class Samples(Protocol):
    """Draws new data: one sample per seed, whatever the batch it is drawn in."""

    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """`(len(seeds), …)`: images in [-1, 1], vectors in the data's own units."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Maps data to one latent vector each."""

    def encode(self, x: Tensor) -> Tensor:
        """`(B, …) -> (B, d)`."""
        ...


@runtime_checkable
class HasPosterior(Encodes, Protocol):
    """Maps data to a distribution over latent vectors."""

    def posterior(self, x: Tensor) -> Distribution:
        """q(z|x): batch shape `(B,)`, event shape `(d,)`."""
        ...


@runtime_checkable
class HasLatentMoments(Protocol):
    """Infers its latents as Gaussians one after the other, so that each has a mean and a width."""

    def latent_moments(self, x: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and variance of each given a draw of those before it, `(B, d)` each."""
        ...

    def rate(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """KL of all latents to their prior, `(B,)`, nats."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Maps latent vectors back to data."""

    @property
    def latent_dim(self) -> int: ...

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """`(B, d) -> (B, …)`."""
        ...


@runtime_checkable
class HasStyles(Protocol):
    """Steers every layer by a style of its own, so that pictures can be mixed by layers."""

    @property
    def latent_dim(self) -> int: ...

    @property
    def style_layers(self) -> int:
        """L, from the coarsest layer to the finest."""
        ...

    def styles(
        self, z: Tensor, *, condition: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Styles of latent vectors, `(B, latent_dim) -> (B, L, d)`; truncation 0 is the middle."""
        ...

    def from_styles(self, styles: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """`(B, L, d) -> (B, …)`."""
        ...


@runtime_checkable
class HasElbo(Protocol):
    """Bounds the log-likelihood from below."""

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """`(B,)`, nats, always at β = 1."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    """Estimates the log-likelihood."""

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """`(B,)`, nats. `samples` is the effort: importance samples, or solver steps."""
        ...


@runtime_checkable
class HasEnergy(Protocol):
    """Scores data up to an unknown constant."""

    def energy(self, x: Tensor) -> Tensor:
        """`(B,)`, nats up to log Z."""
        ...


@runtime_checkable
class HasScore(Protocol):
    """Knows the gradient of the log-density of its data with noise."""

    def score(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """`(B, …) -> (B, …)`, nats per unit of x; σ > 0 of images in their own units, of vectors
        as a multiple of each feature's deviation."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Carries pictures of any size from one domain to another."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains it was trained on."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Those of the domains that it translates to."""
        ...

    @property
    def multiple(self) -> int:
        """Sides that are multiples of it are taken as they are; others are continued for it."""
        ...

    @property
    def reach(self) -> int | None:
        """How many pixels around it an output pixel depends on; None: on the whole picture."""
        ...

    def translate(self, x: Tensor, to: str) -> Tensor:
        """`(B, C, H, W) -> (B, C', H, W)`, both in [-1, 1], deterministic.

        Raises:
            UserError: `to` is none of the targets.
        """
        ...


@runtime_checkable
class Classifies(Protocol):
    """Predicts labels."""

    def predict_proba(self, x: Tensor) -> Tensor:
        """`(B, classes)`, rows sum to 1."""
        ...


@runtime_checkable
class TakesClasses(Protocol):
    """Generates what it is asked for: `condition` is a class number, or one for each row."""

    @property
    def classes(self) -> int: ...


@runtime_checkable
class CountsClasses(Protocol):
    """Learns how frequent each class is, to sample them so where none is asked for."""

    def count_classes(self, labels: Tensor, share: Callable[[Tensor], Tensor]) -> None:
        """Count the labels of a batch `(B,)`; `share` is their mean over all processes."""
        ...


def refuse_condition(model: object, condition: Tensor | None) -> None:
    """What `sample` and `decode` of a model without classes do with a condition.

    Raises:
        UserError: there is one.
    """
    if condition is not None:
        raise UserError(
            f"{type(model).__name__} takes no condition: it was trained without classes. "
            "conditional-vae takes them, and gan and diffusion do with conditional=true."
        )


_NAMES: dict[str, type] = {
    "sample": Samples,
    "encode": Encodes,
    "posterior": HasPosterior,
    "decode": Decodes,
    "styles": HasStyles,
    "elbo": HasElbo,
    "log_prob": HasLogProb,
    "energy": HasEnergy,
    "score": HasScore,
    "translate": Translates,
    "predict_proba": Classifies,
}


def abilities_of(model: object | type) -> tuple[str, ...]:
    """The names of the abilities that a model, or a model class, has.

    >>> abilities_of(object())
    ()
    """
    return tuple(name for name in _NAMES if hasattr(model, name))
