"""Style-based generators: noise becomes styles, and every layer may take another's style."""

from __future__ import annotations

import torch
from torch import Tensor

from latentia.abilities import Seeds, refuse_condition
from latentia.errors import UserError
from latentia.maths.chunks import device_of, stacked
from latentia.maths.randomness import seeded_noise
from latentia.models.generator import ConditionalGenerator, Generator
from latentia.nn.conditioning import class_weights
from latentia.nn.standardise import Standardise
from latentia.nn.style import StyleNet
from latentia.seeds import mixed_seed

CHUNK = 64  # pictures generated at once, each with noise of its own


class StyleGenerator(Generator):
    """x = S(A(z), noise), after Karras et al. (2020, StyleGAN2).

    `decode` and `from_styles` give every picture the same noise, so that pictures differ by
    their styles alone; `sample` draws the noise from the sample's seed.

    Args:
        net: mapping and synthesis.
        latent_dim: noise dimensions of z.
        truncation: ψ of `sample` and `decode`: 1 for all the variety there is, less for more
            usual pictures.
    """

    net: StyleNet

    def __init__(self, net: StyleNet, latent_dim: int, truncation: float = 1.0) -> None:
        super().__init__(net, latent_dim, Standardise(), True)
        self.truncation = truncation

    @property
    def style_layers(self) -> int:
        """L, how many styles a picture has, from the coarsest to the finest."""
        return self.net.synthesis.style_layers

    def w(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """One style for each row of noise, not truncated, `(B, latent_dim) -> (B, d)`."""
        w: Tensor = self.net.mapping(z)
        return w

    def styles(
        self, z: Tensor, *, condition: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Styles of every layer, `(B, latent_dim) -> (B, L, d)`.

        Args:
            z: standard normal noise.
            condition: as in `decode`.
            truncation: ψ; the model's own where None.

        Raises:
            UserError: a truncation outside [0, 2], or a condition that does not fit.
        """
        psi = self.truncation if truncation is None else truncation
        if not 0 <= psi <= 2:
            raise UserError(f"The truncation is a number from 0 to 2, not {psi:g}.")
        w = self.w(z, self.asked(condition, len(z)))
        return self.net.spread(self.net.mapping.truncated(w, psi))

    def from_styles(self, styles: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Pictures of styles, `(B, L, d) -> (B, C, H, W)` in [-1, 1].

        Args:
            styles: of every layer.
            noise: `(B, noise_size)`; the same fixed noise for every picture where None.
        """
        return self._outside(self.net.synthesis(styles, noise))

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """What is asked for, as weights of the classes; this model takes none."""
        refuse_condition(self, condition)
        return None

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Pictures of noise, `(B, latent_dim) -> (B, C, H, W)`, truncated as the model says."""
        return self.from_styles(self.styles(z, condition=condition))

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One picture per seed."""
        asked, device = self.asked(condition, len(seeds)), device_of(self)
        size = self.net.synthesis.noise_size

        def chunk(start: int) -> Tensor:
            some = seeds[start : start + CHUNK]
            z = seeded_noise(some, (self.latent_dim,), device)
            noise = seeded_noise([mixed_seed(int(seed), 1) for seed in some], (size,), device)
            wanted = None if asked is None else asked[start : start + CHUNK]
            return self.from_styles(self.styles(z, condition=wanted), noise=noise)

        return stacked(chunk(start) for start in range(0, len(seeds), CHUNK))


class ConditionalStyleGenerator(StyleGenerator, ConditionalGenerator):
    """A style-based generator of classes: they take part in the mapping to styles.

    Args:
        net: mapping of noise and classes, and synthesis.
        noise_dim: noise dimensions; one more latent chooses the class where none is asked for.
        classes: how many there are.
        truncation: as in `StyleGenerator`.
    """

    net: StyleNet

    def __init__(self, net: StyleNet, noise_dim: int, classes: int, truncation: float = 1.0):
        ConditionalGenerator.__init__(self, net, noise_dim, classes, Standardise(), True)
        self.truncation = truncation

    def w(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """One style for each row of noise and class, `(B, latent_dim) -> (B, d)`."""
        labels = self.frequency.pick(z[:, -1]) if labels is None else labels
        w: Tensor = self.net.mapping(z[:, :-1], class_weights(labels, self.classes))
        return w

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the critic sees, `(B, latent_dim)` and labels or weights to `(B, C, H, W)`."""
        return ConditionalGenerator.forward(self, z, labels)

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """A condition as weights `(n, classes)`; None where there is none."""
        return ConditionalGenerator.asked(self, condition, n)
