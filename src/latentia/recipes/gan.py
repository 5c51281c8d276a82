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

    BY_KIND = {  # noqa: RUF012
        "image": {
            "batch_size": 32,
            "latent": 64,
            "width": 32,
            "depth": 1,
            "gamma": 2.0,
            "gamma_end": 0.2,
            "sparse": 4,
            "lr": 1e-3,
        },
        "vector": {
            "batch_size": 256,
            "latent": 2,
            "width": 128,
            "depth": 3,
            "gamma": 0.01,
            "gamma_end": 1e-4,
            "sparse": 1,
            "lr": 1e-3,
        },
    }

    latent: int | None = Field(None, ge=1, description="noise dimensions")
    width: int | None = Field(None, ge=4, description="channels at half size, or hidden units")
    depth: int | None = Field(None, ge=1, description="blocks per resolution, or hidden layers")
    loss: Literal["relativistic", "non-saturating", "minimax"] = Field(
        "relativistic", description="the game's loss"
    )
    gamma: float | None = Field(None, ge=0, description="weight of the penalties at the start")
    gamma_end: float | None = Field(None, ge=0, description="weight of the penalties at the end")
    sparse: int | None = Field(
        None, ge=1, description="penalties are taken on every so many-th example of a batch"
    )
    candidates: int = Field(
        2, ge=1, description="each sample is the one of so many that the critic prefers; 1: any"
    )
    lr: float | None = Field(None, gt=0, description="peak learning rate of the generator")
    critic_lr: float | None = Field(None, gt=0, description="of the critic; none: the same")


def build_model(spec: DataSpec, settings: GANSettings) -> Generator:
    """The generator, and the critic where it helps to choose among candidates."""
    return Generator(
        _generator_net(spec, settings),
        settings.known("latent"),
        Standardise(spec.center, spec.scale),
        bounded=spec.kind == "image",
        critic=build_critic(spec, settings) if settings.candidates > 1 else None,
        candidates=settings.candidates,
    )


def _generator_net(spec: DataSpec, settings: GANSettings) -> nn.Module:
    latent, size = settings.known("latent"), _size(settings)
    if spec.kind == "vector":
        return VectorGenerator(latent, spec.dims, **size)
    c, h, w = spec.shape
    return ImageGenerator(latent, (c, h, w), **size)


def build_critic(spec: DataSpec, settings: GANSettings) -> nn.Module:
    """`(B, …) -> (B,)`, logits of the probability of being real."""
    if spec.kind == "vector":
        return VectorCritic(spec.dims, **_size(settings))
    c, h, w = spec.shape
    return ImageCritic((c, h, w), **_size(settings))


def _size(settings: GANSettings) -> dict[str, int]:
    return {"width": settings.known("width"), "depth": settings.known("depth")}


def build_objective(model: nn.Module, spec: DataSpec, settings: GANSettings) -> Adversarial:
    """Generator and critic, each with an optimiser of its own."""
    assert isinstance(model, Generator)
    critic, rate = model.critic or build_critic(spec, settings), settings.known("lr")
    players = {
        "critic": Player(critic, settings.critic_lr or rate, (0.0, 0.99)),
        "generator": Player(model.net, rate, (0.0, 0.99)),
    }
    gamma = (settings.known("gamma"), settings.known("gamma_end"))
    return Adversarial(model, critic, players, settings.loss, gamma, settings.known("sparse"))


RECIPE = Recipe(GANSettings, build_model, build_objective)
