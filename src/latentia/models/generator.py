"""Implicit generators: noise in, data out (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, in_chunks, stacked
from latentia.maths.randomness import seeded_noise
from latentia.nn.conditioning import (
    ClassFrequency,
    ConditionalCritic,
    asked_weights,
    class_weights,
)
from latentia.nn.standardise import Standardise

CHUNK = 256  # rows generated at once


class Generator(nn.Module):
    """x = G(z), z ~ N(0, I). It samples and decodes; it has no likelihood and no encoder.

    Args:
        net: `(B, d) -> (B, …)`.
        latent_dim: d.
        standardise: shift and scale of vector data.
        bounded: clamp what is decoded for use into [-1, 1] (images).
        critic: logits of being real; shipped where it helps to sample.
        candidates: every sample is the one of so many that the critic finds most real (selection
            by the critic, after discriminator rejection sampling, Azadi et al. 2019): fewer
            misfits, a little less varied.
    """

    def __init__(
        self,
        net: nn.Module,
        latent_dim: int,
        standardise: Standardise,
        bounded: bool,
        critic: nn.Module | None = None,
        candidates: int = 1,
    ) -> None:
        super().__init__()
        self.net, self.latent_dim = net, latent_dim
        self.critic, self.candidates = critic, candidates
        self.standardise, self.bounded = standardise, bounded

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the critic sees: unclamped, standardised, `(B, d) -> (B, …)`."""
        return self.net(z).float()

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Data from noise, `(B, d) -> (B, …)`."""
        refuse_condition(self, condition)
        return self._outside(self(z))

    def _outside(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1) if self.bounded else self.standardise.inverse(x)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed."""
        refuse_condition(self, condition)
        return in_chunks(self._most_real, self._noise(seeds), size=CHUNK)

    def _noise(self, seeds: Seeds) -> Tensor:
        """As many candidates as there are to choose from, `(n, k, d)`."""
        k = 1 if self.critic is None else self.candidates
        return seeded_noise(seeds, (k, self.latent_dim), device_of(self))

    def _most_real(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each row of candidates `(B, k, d)` the one the critic prefers, `(B, …)`."""
        if self.critic is None:
            return self._outside(self(z[:, 0], labels))
        every = None if labels is None else labels.repeat_interleave(z.shape[1], 0)
        x = self(z.flatten(0, 1), every)
        best = self._rank(x, every).view(len(z), -1).argmax(1)
        chosen = x.unflatten(0, z.shape[:2])[torch.arange(len(z), device=z.device), best]
        return self._outside(chosen)

    def _rank(self, x: Tensor, labels: Tensor | None) -> Tensor:
        assert self.critic is not None
        return self.critic(x)


class ConditionalGenerator(Generator):
    """x = G(z, class): samples and decodes what it is asked for (Mirza & Osindero 2014).

    A `condition` is one class number, one for each row `(B,)`, or weights of the classes,
    `(classes,)` or `(B, classes)` floats, with which one walks from one class to another. Where
    none is asked for, the last latent chooses the class: standard normal noise gives classes as
    frequent as in the training data.

    Args:
        net: `(B, d - 1)` and weights `(B, classes)` to `(B, …)`.
        noise_dim: d - 1.
        classes: how many there are.
        standardise, bounded, candidates: as in `Generator`.
        critic: of pairs of example and class.
    """

    def __init__(
        self,
        net: nn.Module,
        noise_dim: int,
        classes: int,
        standardise: Standardise,
        bounded: bool,
        critic: ConditionalCritic | None = None,
        candidates: int = 1,
    ) -> None:
        super().__init__(net, noise_dim + 1, standardise, bounded, critic, candidates)
        self.classes, self.frequency = classes, ClassFrequency(classes)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the critic sees, `(B, d)` and labels or weights to `(B, …)`."""
        labels = self.frequency.pick(z[:, -1]) if labels is None else labels
        return self.net(z[:, :-1], class_weights(labels, self.classes)).float()

    def count_classes(self, labels: Tensor, share: Callable[[Tensor], Tensor]) -> None:
        """Count the labels of a batch; `share` is their mean over all processes."""
        self.frequency.count(share(class_weights(labels, self.classes).mean(0)))

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """Data from noise, `(B, d) -> (B, …)`, of the classes asked for or chosen by z."""
        return self._outside(self(z, self.asked(condition, len(z))))

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed, of the classes asked for; else of any, as frequent as in data."""
        z, weights = self._noise(seeds), self.asked(condition, len(seeds))
        if weights is None:  # one class for all candidates, chosen by the first
            weights = class_weights(self.frequency.pick(z[:, 0, -1]), self.classes)
        pairs = zip(z.split(CHUNK), weights.split(CHUNK), strict=True)
        return stacked(self._most_real(*pair) for pair in pairs)

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """A condition as weights `(n, classes)`; None where there is none.

        Raises:
            UserError: as `asked_weights`.
        """
        if condition is None:
            return None
        return asked_weights(torch.as_tensor(condition, device=device_of(self)), self.classes, n)

    def _rank(self, x: Tensor, labels: Tensor | None) -> Tensor:
        assert isinstance(self.critic, ConditionalCritic) and labels is not None
        return self.critic.rank(x, labels)
