"""The latent spaces that data are looked for in: noise, or a style of its own for every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasStyles, Samples, Seeds
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.randomness import seeded_noise

_STYLE_DRAWS = 2000
_APART = 1.0  # weight of layers that differ in style


class Space(Protocol):
    """A latent space that data are looked for in; about standard normal along every axis."""

    @property
    def dims(self) -> int:
        """Numbers of one place."""
        ...

    @property
    def code_dims(self) -> int:
        """Numbers that a draw of the model has, which an encoder can tell."""
        ...

    def draw(self, seeds: Seeds) -> Tensor:
        """What the model samples from, `(N, code_dims)`."""
        ...

    def spread(self, code: Tensor) -> Tensor:
        """The place of a draw, `(B, code_dims) -> (B, dims)`."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Data at a place, `(B, dims) -> (B, …)`, differentiable."""
        ...

    def strangeness(self, z: Tensor) -> Tensor:
        """How unusual a place is for the model, `(B, dims) -> (B,)`, about 1 for its own draws."""
        ...


@dataclass(frozen=True)
class NoiseSpace:
    """The standard normal noise that a generator decodes.

    Attributes:
        model: decodes.
    """

    model: Decodes

    @property
    def dims(self) -> int:
        """As many as the model's latent has."""
        return self.model.latent_dim

    code_dims = dims

    def draw(self, seeds: Seeds) -> Tensor:
        """Noise of seeds."""
        return seeded_noise(seeds, (self.dims,), device_of(self.model))

    def spread(self, code: Tensor) -> Tensor:
        """As it is."""
        return code

    def decode(self, z: Tensor) -> Tensor:
        """What the generator draws before it is cut off at black and white.

        Where a picture is cut off it gives no gradient, and a pixel on the wrong side would stay
        there.
        """
        if getattr(self.model, "bounded", False) and callable(self.model):
            drawn: Tensor = self.model(z)
            return drawn
        return self.model.decode(z)

    def strangeness(self, z: Tensor) -> Tensor:
        """Mean square."""
        return z.square().mean(1)


@dataclass(frozen=True)
class LayerStyles:
    """A style of its own for every layer (W+ of Abdal et al. 2019), standardised.

    Attributes:
        model: has styles.
        center, scale: mean and standard deviation of its styles, `(d,)`.
    """

    model: HasStyles
    center: Tensor
    scale: Tensor

    @classmethod
    def of(cls, model: HasStyles) -> LayerStyles:
        """With moments of the styles of 2,000 draws."""
        z = seeded_noise(range(_STYLE_DRAWS), (model.latent_dim,), device_of(model))
        w = in_chunks(lambda rows: model.styles(rows, truncation=1.0)[:, 0], z)
        return cls(model, w.mean(0), w.std(0).clamp(min=1e-6))

    @property
    def code_dims(self) -> int:
        """Numbers of one style."""
        return len(self.center)

    @property
    def dims(self) -> int:
        """Layers times numbers of a style."""
        return self.model.style_layers * self.code_dims

    def draw(self, seeds: Seeds) -> Tensor:
        """One style for each seed, standardised."""
        z = seeded_noise(seeds, (self.model.latent_dim,), device_of(self.model))
        with torch.no_grad():
            return (self.model.styles(z, truncation=1.0)[:, 0] - self.center) / self.scale

    def spread(self, code: Tensor) -> Tensor:
        """The same style in every layer."""
        return code.repeat(1, self.model.style_layers)

    def styles(self, z: Tensor) -> Tensor:
        """Styles at a place, `(B, dims) -> (B, L, d)`."""
        return z.view(len(z), -1, self.code_dims) * self.scale + self.center

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of styles."""
        return self.model.from_styles(self.styles(z))

    def strangeness(self, z: Tensor) -> Tensor:
        """Mean square, and how far the layers' styles are from each other."""
        layers = z.view(len(z), -1, self.code_dims)
        apart = layers - layers.mean(1, keepdim=True)
        return z.square().mean(1) + _APART * apart.square().flatten(1).mean(1)


def space_of(model: Decodes) -> Space:
    """Styles where the model has them, else its noise."""
    return LayerStyles.of(model) if isinstance(model, HasStyles) else NoiseSpace(model)


def draw_of(model: Decodes, seed: int) -> Tensor:
    """The latent that a model draws for a seed, `(1, d)`, on the CPU.

    Through its prior, if it has one; else, of models that encode, the code of the sample.
    """
    through = getattr(model, "from_noise", None)
    if through is None and isinstance(model, Encodes) and isinstance(model, Samples):
        return model.encode(model.sample([seed])).cpu()
    dims = int(getattr(model, "noise_dim", model.latent_dim))
    noise = seeded_noise([seed], (dims,), device_of(model))
    z: Tensor = noise if through is None else through(noise)
    return z.cpu()
