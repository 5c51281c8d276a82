"""Unpaired translation: CycleGAN, and its one-sided contrastive variant (CUT)."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError, nearest
from latentia.game import Objective
from latentia.models.translator import Translator
from latentia.nn.patch_critic import PatchCritic
from latentia.nn.picture_norm import PictureNorm
from latentia.nn.resnet_generator import QuickGenerator, ResnetGenerator
from latentia.objectives.contrastive import ContrastiveGame, EncodesMaps, PatchHeads
from latentia.objectives.cycle import Critics, CycleGame
from latentia.recipes.augmenting import AugmentingSettings, build_augment
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.sides import DomainGameSettings

LEAST_SIDE = 8  # pixels


class CycleGANSettings(DomainGameSettings, AugmentingSettings):
    """Settings of the family `cyclegan`."""

    BY_KIND = {"image": {"batch_size": 8, "lr": 4e-4}}  # noqa: RUF012

    mode: Literal["cycle", "contrastive"] = Field(
        "cycle",
        description="cycle: both directions, content kept by the way back; contrastive: one "
        "direction, content kept patch by patch, in three fifths of the time",
    )
    to: str | None = Field(
        None, description="the domain to be made (contrastive); none: the second one"
    )
    network: Literal["own", "resnet"] = Field(
        "own", description="own: quick, adds its changes to the picture; resnet: the original"
    )
    norm: Literal["none", "pixel", "instance", "batch"] | None = Field(
        None,
        description="of the generators; pixel leaves no seams in large pictures, instance is the "
        "original; none: by the network",
    )
    width: int = Field(32, ge=4, description="channels of the generators' finest maps")
    blocks: int = Field(6, ge=1, description="residual blocks of the generators")
    critic_layers: int | None = Field(
        None, ge=1, le=6, description="halvings in the critics: 3 look at patches of 70 pixels"
    )
    critic_norm: Literal["none", "pixel", "instance", "batch"] = Field(
        "instance", description="of the critics"
    )
    scales: int = Field(1, ge=1, le=4, description="sizes at which critics look at pictures")
    other: float = Field(
        1.0,
        ge=0,
        description="weight of the critics' lesson that real pictures of the other domain are "
        "none of theirs; higher: translations more surely of the target",
    )
    cycle: float = Field(3.0, ge=0, description="weight of what a way there and back changes")
    identity: float | None = Field(
        None, ge=0, description="weight of keeping pictures that are of the target domain already"
    )
    sparse: int = Field(
        2, ge=1, description="the identity loss is taken on every so many-th picture"
    )
    nce: float = Field(0.25, ge=0, description="weight of keeping patches (contrastive)")
    temperature: float = Field(
        0.07, gt=0, description="how alike patches may be; lower is stricter (contrastive)"
    )
    patches: int = Field(256, ge=2, description="patches compared in each map (contrastive)")
    jitter: int = Field(0, ge=0, description="pixels by which pictures are shifted at random")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Of this kind of data, and what suits the network and the size."""
        found = dict(super().by_data(spec))
        found["norm"] = "pixel" if self.network == "own" else "instance"
        found["identity"] = self.cycle / 2 if self.mode == "cycle" else self.nce
        side = min(spec.shape[1:])
        found["critic_layers"] = max(n for n in (1, 2, 3) if n == 1 or side >= 6 * 2**n)
        return found


def build_model(spec: DataSpec, settings: CycleGANSettings) -> Translator:
    """A generator for each domain, or in the contrastive mode for one."""
    _refuse_contradictions(spec, settings)
    channels, made = spec.shape[0], _made(spec, settings)
    kind = QuickGenerator if settings.network == "own" else ResnetGenerator
    norm: PictureNorm = settings.known("norm")
    nets = {to: kind((channels, channels), settings.width, settings.blocks, norm) for to in made}
    return Translator(spec.classes, (channels, channels), nets)


def build_objective(model: nn.Module, spec: DataSpec, settings: CycleGANSettings) -> Objective:
    """Generators and critics, one player each."""
    assert isinstance(model, Translator)
    critics = _critics(spec, settings)
    learns: nn.Module = model
    heads = None
    if settings.mode == "contrastive":
        net = model.net_to(model.targets[0])
        heads = PatchHeads(cast(EncodesMaps, net).encoded)
        learns = nn.ModuleList([model, heads])
    players = settings.players(learns, critics)
    identity = settings.known("identity")
    if heads is None:
        return CycleGame(
            model,
            critics,
            players,
            cycle=settings.cycle,
            identity=identity,
            sparse=settings.sparse,
            jitter=settings.jitter,
        )
    return ContrastiveGame(
        model,
        cast(EncodesMaps, net),
        heads,
        critics,
        players,
        model.targets[0],
        nce=settings.nce,
        identity=identity,
        sparse=settings.sparse,
        temperature=settings.temperature,
        patches=settings.patches,
        jitter=settings.jitter,
    )


def _critics(spec: DataSpec, settings: CycleGANSettings) -> Critics:
    layers = settings.known("critic_layers")
    width, norm = settings.critic_width, settings.critic_norm
    nets = {
        to: PatchCritic(spec.shape[0], width, layers, norm, scales=settings.scales)
        for to in _made(spec, settings)
    }
    smallest = next(iter(nets.values())).smallest
    if min(spec.shape[1:]) < smallest:
        raise UserError(
            f"Pictures of {spec.shape[2]} by {spec.shape[1]} pixels are too small for these "
            f"critics, which need {smallest}: lower critic_layers or scales."
        )
    return Critics(
        nets,
        spec.shape,
        settings.loss,
        pool=settings.pool,
        other=settings.other,
        gamma=settings.gamma,
        augment=build_augment(spec, settings),
    )


def _made(spec: DataSpec, settings: CycleGANSettings) -> tuple[str, ...]:
    """The domains that are made."""
    if settings.mode == "cycle":
        return spec.classes
    return (settings.to or spec.classes[1],)


def _refuse_contradictions(spec: DataSpec, settings: CycleGANSettings) -> None:
    if settings.to is not None and settings.to not in spec.classes:
        raise UserError(
            f"There is no domain {settings.to!r} in {spec.name}: "
            f"{nearest(settings.to, spec.classes)}"
        )
    side = min(spec.shape[1:])
    if side < LEAST_SIDE or any(s % 4 for s in spec.shape[1:]):
        raise UserError(
            f"Pictures of {spec.shape[2]} by {spec.shape[1]} pixels do not fit: both sides must "
            f"be multiples of 4, and {LEAST_SIDE} or more. Choose one with --set size=64."
        )
    if settings.jitter >= side:
        raise UserError(f"jitter={settings.jitter} shifts pictures of {side} pixels out of sight.")
    cycle, identity = settings.mode == "cycle", settings.known("identity")
    contrastive = (not cycle, "mode=contrastive")
    refuse_idle(
        settings,
        {
            "cycle": (cycle, "mode=cycle"),
            "sparse": (identity > 0, "an identity weight above 0"),
            "to": contrastive,
            "nce": contrastive,
            "temperature": contrastive,
            "patches": contrastive,
            "augment": (settings.augment != "fixed" or settings.augment_p > 0, "augment_p above 0"),
            "augment_p": (settings.augment != "none", "augment=fixed or augment=adaptive"),
            "augment_target": (settings.augment == "adaptive", "augment=adaptive"),
        },
    )


RECIPE = Recipe(CycleGANSettings, build_model, build_objective)
