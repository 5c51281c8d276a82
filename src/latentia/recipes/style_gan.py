"""Style-based generative adversarial networks: StyleGAN2's parts, sized for processors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.style_generator import ConditionalStyleGenerator, StyleGenerator
from latentia.nn.conditioning import ConditionalCritic
from latentia.nn.style import Mapping, StyleCritic, StyleNet, Synthesis
from latentia.objectives.style import PathLength, StyleGame
from latentia.recipes.augmenting import AugmentingSettings, build_augment
from latentia.recipes.base import Recipe, refuse_idle, refuse_unlabelled

BETAS = (0.0, 0.99)
CRITIC_PACE = 0.6  # of the generator's rate


class StyleGANSettings(AugmentingSettings):
    """Settings of the family `style-gan`."""

    BY_KIND = {"image": {"batch_size": 16}}  # noqa: RUF012

    latent: int = Field(128, ge=1, description="noise dimensions")
    style: int = Field(128, ge=1, description="dimensions of a style")
    mapping: int = Field(2, ge=1, description="layers from noise to styles")
    width: int = Field(32, ge=4, description="channels at half size; twice as many at a quarter, …")
    widest: int = Field(192, ge=4, description="channels at most, at the coarsest sizes")
    fold: Literal[1, 2] = Field(
        2, description="2: the finest layers work at half size, four pixels in one; 1: full size"
    )
    # with noise that small networks cannot tame, samples stay grainy
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how fast the noise of each layer may grow, against all else; 0: none",
    )
    mixing: float = Field(0.9, ge=0, le=1, description="share of pictures of two styles")
    path_weight: float = Field(2.0, ge=0, description="weight of even paths; 0: none")
    path_every: int = Field(8, ge=1, description="steps between two looks at the paths")
    truncation: float = Field(
        1.0, ge=0, le=2, description="of samples: 1 for all variety, 0.7 for more usual pictures"
    )
    loss: Literal["relativistic", "non-saturating"] = Field(
        "relativistic", description="the game's loss"
    )
    penalty: Literal["r1+r2", "r1"] = Field("r1+r2", description="on real and fake, or real alone")
    gamma: float = Field(2.0, ge=0, description="weight of the penalties at the start")
    gamma_end: float = Field(0.4, ge=0, description="weight of the penalties at the end")
    sparse: int = Field(
        4, ge=1, description="penalties are taken on every so many-th example of a batch"
    )
    penalty_every: int = Field(
        1, ge=1, description="and at every so many-th step, weighing so many times as much"
    )
    augment: Literal["none", "fixed", "adaptive"] = Field(
        "adaptive", description="change pictures before the critic sees them; for small data"
    )
    # 0.6 in the paper; this critic is at 0.8 in the first epoch, when nothing is known by heart yet
    augment_target: float = Field(
        0.85, gt=-1, lt=1, description="how sure of real pictures the critic may be (adaptive)"
    )
    conditional: bool = Field(False, description="learn the classes of labelled data")
    lr: float = Field(5e-3, gt=0, description="peak learning rate of the generator")
    critic_lr: float | None = Field(
        None, gt=0, description="of the critic; none: 0.6 times the generator's"
    )


def build_model(spec: DataSpec, settings: StyleGANSettings) -> StyleGenerator:
    """The generator, without a critic."""
    _refuse_contradictions(spec, settings)
    classes = len(spec.classes) if settings.conditional else 0
    mapping = Mapping(settings.latent, settings.style, settings.mapping, classes)
    synthesis = Synthesis(
        _shape(spec), settings.style, **_size(settings), noise_rate=settings.noise
    )
    net = StyleNet(mapping, synthesis)
    if classes:
        return ConditionalStyleGenerator(net, settings.latent, classes, settings.truncation)
    return StyleGenerator(net, settings.latent, settings.truncation)


def build_critic(spec: DataSpec, settings: StyleGANSettings) -> nn.Module:
    """`(B, …) -> (B,)`, logits of being real; of pairs of picture and class where conditional."""
    critic = StyleCritic(_shape(spec), **_size(settings))
    return ConditionalCritic(critic, len(spec.classes)) if settings.conditional else critic


def build_objective(model: nn.Module, spec: DataSpec, settings: StyleGANSettings) -> StyleGame:
    """Generator and critic, each with an optimiser of its own."""
    assert isinstance(model, StyleGenerator)
    critic, augment, path = (
        build_critic(spec, settings),
        build_augment(spec, settings),
        PathLength(),
    )
    learns: list[nn.Module] = [model.net, path]
    if isinstance(model, ConditionalStyleGenerator):
        learns.append(model.frequency)
    guards = [critic] if augment is None else [critic, augment]
    critic_lr = settings.critic_lr or CRITIC_PACE * settings.lr
    players = {
        "critic": Player(nn.ModuleList(guards), critic_lr, BETAS),
        "generator": Player(nn.ModuleList(learns), settings.lr, BETAS),
    }
    return StyleGame(
        model,
        critic,
        players,
        settings.loss,
        (settings.gamma, settings.gamma_end),
        settings.sparse,
        path=path,
        mixing=settings.mixing,
        path_weight=settings.path_weight,
        path_every=settings.path_every,
        every=settings.penalty_every,
        penalty=settings.penalty,
        augment=augment,
    )


def _shape(spec: DataSpec) -> tuple[int, int, int]:
    c, h, w = spec.shape
    return c, h, w


def _size(settings: StyleGANSettings) -> dict[str, int]:
    return {"width": settings.width, "widest": settings.widest, "fold": settings.fold}


def _refuse_contradictions(spec: DataSpec, settings: StyleGANSettings) -> None:
    if min(spec.shape[1:]) < 8:
        raise UserError(
            f"The pictures of {spec.name} have sides of {spec.shape[1]} and {spec.shape[2]} "
            "pixels; style-gan needs 8 or more."
        )
    if settings.conditional:
        refuse_unlabelled(spec)
    refuse_idle(
        settings,
        {
            "augment_p": (settings.augment != "none", "augment=fixed or augment=adaptive"),
            "augment_target": (settings.augment == "adaptive", "augment=adaptive"),
            "path_every": (settings.path_weight > 0, "path_weight above 0"),
        },
    )


RECIPE = Recipe(StyleGANSettings, build_model, build_objective)
