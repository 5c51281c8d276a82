"""The game of style-based generators: styles of two sources mixed, and even paths."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from latentia.game import Batch, Now, Player, Terms
from latentia.nn.style import StyleNet
from latentia.objectives.adversarial import Adversarial, Augments, Critic, Loss, Penalty

MEMORY = 0.01  # share of a step in the running mean of the path length


@runtime_checkable
class Styled(Protocol):
    """What this game needs of a generator beyond `NoiseToData`."""

    net: StyleNet
    latent_dim: int

    def __call__(self, z: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def w(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Noise to one style each, `(B, latent_dim) -> (B, d)`."""
        ...

    def standardise(self, x: Tensor) -> Tensor: ...


class PathLength(nn.Module):
    """The running mean of the path length: part of what a run resumes from."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    @torch.no_grad()
    def follow(self, length: Tensor) -> None:
        """Start at the mean length of the first step, a scalar, then move towards the others'."""
        self.mean.lerp_(length, MEMORY if self.mean else 1.0)


class StyleGame(Adversarial):
    """`Adversarial` for style-based generators (Karras et al. 2019 and 2020, StyleGAN2).

    Some pictures take their finer layers' styles from another noise, so that no layer relies on
    its neighbours (2019, section 3.1). At every so many-th step, steps of equal length in style
    space are asked to change pictures equally: (‖Jᵀy‖ − a)², J the pictures' slope by styles,
    y random pictures, a the running mean of the norm (2020, section 3.2).

    Args:
        generator, critic, players, loss, gamma, sparse: as of `Adversarial`.
        path: the running mean, one of the generator's modules.
        mixing: share of pictures of two styles.
        path_weight: of the path length; 0 for none.
        path_every: steps between two looks at it, each weighing as much as all of them.
        every, penalty, augment: as of `Adversarial`.
    """

    generator: Styled

    def __init__(
        self,
        generator: Styled,
        critic: Critic,
        players: dict[str, Player],
        loss: Loss,
        gamma: tuple[float, float],
        sparse: int,
        *,
        path: PathLength,
        mixing: float,
        path_weight: float,
        path_every: int,
        every: int = 1,
        penalty: Penalty = "r1+r2",
        augment: Augments | None = None,
    ) -> None:
        super().__init__(
            generator,
            critic,
            players,
            loss,
            gamma,
            sparse,
            every=every,
            penalty=penalty,
            augment=augment,
        )
        self.path, self.mixing = path, mixing
        self.path_weight, self.path_every = path_weight, path_every

    def draw(self, batch: Batch, now: Now) -> Tensor:
        """As many fakes as the batch has examples, some of two styles, `(B, C, H, W)`."""
        net, n, labels = self.generator.net, len(batch), self.labels(batch)
        w = self.generator.w(now.noise(n, self.generator.latent_dim), labels)
        net.mapping.follow(now.mean(w.mean(0)))
        styles = net.spread(w)
        if self.mixing:
            other = self.generator.w(now.noise(n, self.generator.latent_dim), labels)
            styles = self._mixed(styles, net.spread(other), now.uniform(n, 2))
        image: Tensor = net.synthesis(styles, now.noise(n, net.synthesis.noise_size))
        return image

    def generator_terms(self, batch: Batch, real: Tensor, fake: Tensor, now: Now) -> Terms:
        """What the generator descends on: the game's loss, and now and then the path length."""
        terms = super().generator_terms(batch, real, fake, now)
        if self.path_weight and now.step % self.path_every == 0:
            terms["path"] = self.path_weight * self.path_every * self._unevenness(batch, now)
        return terms

    def _mixed(self, styles: Tensor, others: Tensor, uniform: Tensor) -> Tensor:
        """Beyond a random layer the other's styles, in a random share of the rows."""
        layers = styles.shape[1]
        cut = 1 + (uniform[:, 1] * (layers - 1)).long()
        cut = torch.where(uniform[:, 0] < self.mixing, cut, layers)
        mine = torch.arange(layers, device=styles.device) < cut[:, None]
        return torch.where(mine[:, :, None], styles, others)

    def _unevenness(self, batch: Batch, now: Now) -> Tensor:
        """Mean squared distance of path lengths from their running mean, a scalar."""
        net, labels = self.generator.net, self.labels(batch)
        rows = (len(batch) + 1) // 2  # half are enough, as in StyleGAN2
        labels = None if labels is None else labels[::2]
        w = self.generator.w(now.noise(rows, self.generator.latent_dim), labels)
        with torch.enable_grad():
            styles = net.spread(w).contiguous()
            image: Tensor = net.synthesis(styles, now.noise(rows, net.synthesis.noise_size))
            pixels = math.prod(image.shape[2:])
            random = now.noise(*image.shape) / math.sqrt(pixels)
            (slope,) = torch.autograd.grad((image * random).sum(), styles, create_graph=True)
        lengths = slope.float().square().sum(2).mean(1).sqrt()
        self.path.follow(now.mean(lengths.mean()))
        now.note("path_length", self.path.mean)
        return (lengths - self.path.mean).square().mean()
