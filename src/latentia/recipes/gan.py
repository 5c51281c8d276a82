"""Generative adversarial networks: residual nets, a loss that converges, classes on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.generator import ConditionalGenerator, Generator
from latentia.nn.adversarial_nets import ImageCritic, ImageGenerator, VectorCritic, VectorGenerator
from latentia.nn.conditioning import ConditionalCritic, Featured
from latentia.nn.spectral import normalise_spectrally
from latentia.nn.standardise import Standardise
from latentia.objectives.adversarial import Adversarial
from latentia.recipes.augmenting import AugmentingSettings, build_augment
from latentia.recipes.base import Recipe, refuse_idle, refuse_unlabelled


class GANSettings(AugmentingSettings):
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
    loss: Literal[
        "relativistic", "non-saturating", "minimax", "least-squares", "hinge", "wasserstein"
    ] = Field(
        "relativistic",
        description="the game's loss; relativistic loses the fewest modes, non-saturating leaves a "
        "critic that gives probabilities",
    )
    penalty: Literal["r1+r2", "r1", "wgan-gp", "none"] | None = Field(
        None,
        description="on the critic's slope: towards 0 on real and fake (r1+r2) or on real examples "
        "(r1), towards 1 between them (wgan-gp); by default wgan-gp for wasserstein, none with "
        "spectral_norm, else r1+r2",
    )
    gamma: float | None = Field(None, ge=0, description="weight of the penalties at the start")
    gamma_end: float | None = Field(None, ge=0, description="weight of the penalties at the end")
    sparse: int | None = Field(
        None,
        ge=1,
        description="penalties are taken on every so many-th example of a batch: all steps alike, "
        "the better way for batches of 8 or more",
    )
    penalty_every: int = Field(
        1,
        ge=1,
        description="penalties are taken at every so many-th step only, so many times as strong: "
        "for batches too small for sparse",
    )
    spectral_norm: bool = Field(
        False, description="keep every layer of the critic at a largest singular value of 1"
    )
    conditional: bool = Field(
        False, description="learn the classes of labelled data, to be asked for one by --label"
    )
    condition_critic: Literal["projection", "auxiliary", "both"] = Field(
        "both",
        description="how the critic knows the class: by a product with it (more varied), by naming "
        "it (more surely of the class), or both",
    )
    class_weight: float = Field(
        1.0, ge=0, description="weight of naming the class right, nats (auxiliary and both)"
    )
    candidates: int = Field(
        2, ge=1, description="each sample is the one of so many that the critic prefers; 1: any"
    )
    lr: float | None = Field(None, gt=0, description="peak learning rate of the generator")
    critic_lr: float | None = Field(None, gt=0, description="of the critic; none: the same")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Of this kind of data, and the penalty that suits the loss."""
        usual = "wgan-gp" if self.loss == "wasserstein" else "r1+r2"
        penalty = self.penalty or ("none" if self.spectral_norm else usual)
        chosen = {**super().by_data(spec), "penalty": penalty}
        if spec.kind == "image" and spec.dims > MANY_VALUES:
            chosen |= {"gamma": STRONG_GAMMA[0], "gamma_end": STRONG_GAMMA[1], "lr": LOW_RATE}
        if penalty == "wgan-gp":
            chosen |= {"gamma": WGAN_GP_WEIGHT, "gamma_end": WGAN_GP_WEIGHT}
        if penalty == "none":
            chosen |= {"gamma": 0.0, "gamma_end": 0.0, "sparse": 1}
        return chosen


WGAN_GP_WEIGHT = 10.0  # Gulrajani et al. (2017), section 4
MANY_VALUES = 2000  # of a picture, from which on a critic wins early unless it is held back
STRONG_GAMMA = (10.0, 2.0)
LOW_RATE = 4e-4  # at 1e-3 such pictures stay chequered (Stacked-MNIST)


@dataclass(frozen=True)
class Nets:
    """How a family of this game builds its two networks.

    Attributes:
        generator: `(B, d) -> (B, …)`, with classes where settings say so.
        critic: `(B, …) -> (B,)` in two parts, as `Featured` has them.
    """

    generator: Callable[[DataSpec, Any], nn.Module]
    critic: Callable[[DataSpec, Any], nn.Module]


def build_model(spec: DataSpec, settings: GANSettings, nets: Nets | None = None) -> Generator:
    """The generator, and the critic where it helps to choose among candidates."""
    _refuse_contradictions(spec, settings)
    nets, latent = nets or PLAIN, settings.known("latent")
    net = nets.generator(spec, settings)
    standardise, bounded = Standardise(spec.center, spec.scale), spec.kind == "image"
    critic = build_critic(spec, settings, nets) if settings.candidates > 1 else None
    if not settings.conditional:
        return Generator(net, latent, standardise, bounded, critic, settings.candidates)
    assert critic is None or isinstance(critic, ConditionalCritic)
    return ConditionalGenerator(
        net, latent, len(spec.classes), standardise, bounded, critic, settings.candidates
    )


def _refuse_contradictions(spec: DataSpec, settings: GANSettings) -> None:
    if settings.conditional:
        refuse_unlabelled(spec)
    unused = {"gamma": settings.gamma, "gamma_end": settings.gamma_end}
    unused["sparse"] = settings.known("sparse") - 1
    if settings.penalty == "none" and any(unused.values()):
        name = next(key for key, value in unused.items() if value)
        raise UserError(
            f"{name} would change nothing here: there is no penalty. Choose one, for example "
            "with --set penalty=r1."
        )
    names = settings.conditional and settings.condition_critic != "projection"
    penalised = settings.penalty != "none"
    refuse_idle(
        settings,
        {
            "condition_critic": (settings.conditional, "conditional=true"),
            "class_weight": (names, "conditional=true with condition_critic=auxiliary or both"),
            "penalty_every": (penalised, "a critic with a penalty"),
            "augment": (settings.augment != "fixed" or settings.augment_p > 0, "augment_p above 0"),
            "augment_p": (settings.augment != "none", "augment=fixed or augment=adaptive"),
            "augment_target": (settings.augment == "adaptive", "augment=adaptive"),
        },
    )


def _generator_net(spec: DataSpec, settings: GANSettings) -> nn.Module:
    latent, size = settings.known("latent"), _size(settings)
    size["classes"] = len(spec.classes) if settings.conditional else 0
    if spec.kind == "vector":
        return VectorGenerator(latent, spec.dims, **size)
    c, h, w = spec.shape
    return ImageGenerator(latent, (c, h, w), **size)


def _critic_net(spec: DataSpec, settings: GANSettings) -> nn.Module:
    if spec.kind == "vector":
        return VectorCritic(spec.dims, **_size(settings))
    c, h, w = spec.shape
    return ImageCritic((c, h, w), **_size(settings))


PLAIN = Nets(_generator_net, _critic_net)


def build_critic(spec: DataSpec, settings: GANSettings, nets: Nets | None = None) -> nn.Module:
    """`(B, …) -> (B,)`, logits of being real; of pairs of example and class where conditional."""
    critic = (nets or PLAIN).critic(spec, settings)
    if settings.conditional:
        featured = cast(Featured, critic)
        critic = ConditionalCritic(featured, len(spec.classes), settings.condition_critic)
    return normalise_spectrally(critic) if settings.spectral_norm else critic


def _size(settings: GANSettings) -> dict[str, int]:
    return {"width": settings.known("width"), "depth": settings.known("depth")}


def build_objective(
    model: nn.Module,
    spec: DataSpec,
    settings: GANSettings,
    nets: Nets | None = None,
    game: Callable[..., Adversarial] = Adversarial,
) -> Adversarial:
    """Generator and critic, each with an optimiser of its own."""
    assert isinstance(model, Generator)
    critic, rate = model.critic or build_critic(spec, settings, nets), settings.known("lr")
    learns, guards, augment = model.net, critic, build_augment(spec, settings)
    if isinstance(model, ConditionalGenerator):
        learns = nn.ModuleList([model.net, model.frequency])
    if augment is not None:
        guards = nn.ModuleList([critic, augment])
    players = {
        "critic": Player(guards, settings.critic_lr or rate, (0.0, 0.99)),
        "generator": Player(learns, rate, (0.0, 0.99)),
    }
    return game(
        model,
        critic,
        players,
        settings.loss,
        (settings.known("gamma"), settings.known("gamma_end")),
        settings.known("sparse"),
        every=settings.penalty_every,
        penalty=settings.known("penalty"),
        augment=augment,
        class_weight=settings.class_weight,
    )


RECIPE = Recipe(GANSettings, build_model, build_objective)
