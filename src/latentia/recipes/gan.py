"""Generative adversarial networks without tricks: residual nets, a loss that converges."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.game import Player
from latentia.models.generator import Generator
from latentia.nn.adversarial_nets import ImageCritic, ImageGenerator, VectorCritic, VectorGenerator
from latentia.nn.standardise import Standardise
from latentia.objectives.adversarial import Adversarial
from latentia.recipes.base import CommonSettings, Recipe


class GANSettings(CommonSettings):
    """Settings of the family `gan`."""

    batch_size: int = Field(32, ge=1, description="examples per step")
    latent: int = Field(64, ge=1, description="noise dimensions")
    width: int | None = Field(None, ge=4, description="channels or hidden units; none: by kind")
    depth: int = Field(1, ge=1, description="residual blocks per resolution, or hidden layers")
    loss: Literal["relativistic", "non-saturating", "minimax"] = Field(
        "relativistic", description="the game's loss"
    )
    gamma: float = Field(2.0, ge=0, description="weight of the gradient penalties at the start")
    gamma_end: float = Field(0.2, ge=0, description="weight of the penalties at the end")
    sparse: int = Field(4, ge=1, description="penalties on every so many-th example of a batch")
    hold: float = Field(0.3, ge=0, lt=1, description="budget share at which the rate falls")
    lr: float = Field(1e-3, gt=0, description="peak learning rate of the generator")
    critic_lr: float | None = Field(None, gt=0, description="of the critic; none: the same")


def build_model(spec: DataSpec, settings: GANSettings) -> Generator:
    """The generator; the critic belongs to the game and is not shipped."""
    return Generator(
        _generator_net(spec, settings),
        settings.latent,
        Standardise(spec.center, spec.scale),
        bounded=spec.kind == "image",
    )


def _generator_net(spec: DataSpec, settings: GANSettings) -> nn.Module:
    if spec.kind == "vector":
        width = settings.width or 128
        return VectorGenerator(settings.latent, spec.dims, width=width, depth=settings.depth + 1)
    c, h, w = spec.shape
    width = settings.width or 32
    return ImageGenerator(settings.latent, (c, h, w), width=width, depth=settings.depth)


def build_critic(spec: DataSpec, settings: GANSettings) -> nn.Module:
    """`(B, …) -> (B,)`, logits of the probability of being real."""
    if spec.kind == "vector":
        return VectorCritic(spec.dims, width=settings.width or 128, depth=settings.depth + 1)
    c, h, w = spec.shape
    return ImageCritic((c, h, w), width=settings.width or 32, depth=settings.depth)


def build_objective(model: nn.Module, spec: DataSpec, settings: GANSettings) -> Adversarial:
    """Generator and critic, each with an optimiser of its own."""
    assert isinstance(model, Generator)
    critic = build_critic(spec, settings)
    players = {
        "critic": Player(critic, settings.critic_lr or settings.lr, (0.0, 0.99)),
        "generator": Player(model, settings.lr, (0.0, 0.99)),
    }
    gamma = (settings.gamma, settings.gamma_end)
    return Adversarial(model, critic, players, settings.loss, gamma, settings.sparse)


RECIPE = Recipe(GANSettings, build_model, build_objective)
