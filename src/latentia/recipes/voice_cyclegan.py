"""Voices: a CycleGAN over log-mel spectrograms, without a sentence that both have said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataOptions, DataSpec
from latentia.errors import UserError
from latentia.game import Objective
from latentia.models.translator import Translator
from latentia.nn.gated import FOLDS, GatedGenerator
from latentia.nn.patch_critic import BandCritic, PatchCritic
from latentia.nn.picture_norm import PictureNorm
from latentia.objectives.cycle import Critics
from latentia.objectives.masked_cycle import MaskedCycleGame
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.sides import DomainGameSettings


class VoiceSettings(DomainGameSettings):
    """Settings of the family `voice-cyclegan`."""

    BY_KIND = {"image": {"batch_size": 16, "lr": 5e-4}}  # noqa: RUF012

    window: float = Field(
        1.0,
        gt=0,
        description="seconds shown at once; longer recordings give several overlapping windows",
    )
    hidden: float = Field(
        0.2, ge=0, lt=1, description="largest share of the frames that is hidden, to be filled in"
    )
    tempo: float = Field(
        0.25, ge=0, le=1, description="share by which clips are spoken faster or slower at random"
    )
    norm: Literal["none", "pixel", "instance"] = Field(
        "pixel",
        description="of the generators; instance is the original, the others depend on the "
        "neighbourhood alone, whatever the length of a recording",
    )
    width: int = Field(32, ge=4, description="channels of the generators' finest maps")
    channels_in_time: int = Field(
        256, ge=4, description="channels of the generators' blocks over whole spectra"
    )
    blocks: int = Field(6, ge=1, description="residual blocks of the generators over whole spectra")
    span: Literal[1, 3, 5] = Field(
        1,
        description="groups of four frames that each layer of those looks at; generators that see "
        "whole words turn one into another",
    )
    critic_layers: int | None = Field(
        None, ge=1, le=5, description="halvings in the critics: 2 look at 34 frames, 3 at 70"
    )
    critic_norm: Literal["none", "pixel", "instance"] = Field(
        "instance", description="of the critics"
    )
    other: float = Field(
        0.5,
        ge=0,
        description="weight of the critics' lesson that real clips of the other voice are none "
        "of theirs; higher: more surely the target's voice",
    )
    gamma: float = Field(
        0.2,
        ge=0,
        description="weight of a penalty on the critics' slope (R1): few clips are soon known by "
        "heart",
    )
    ema_gamma: float = Field(
        8.0, ge=0, description="exponent of the weight average; larger forgets sooner"
    )
    cycle: float = Field(2.5, ge=0, description="weight of what a way there and back changes")
    identity: float = Field(
        2.5, ge=0, description="weight of keeping clips that are of the target already"
    )
    sparse: int = Field(2, ge=1, description="that is taken on every so many-th clip")

    def options(self, seed: int = 0) -> DataOptions:
        """How the data is opened: at one loudness, long recordings in windows."""
        return replace(super().options(seed), window=self.window)

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """As many halvings of the critics as the clips are large enough for."""
        side = min(spec.shape[1:])
        most = max(n for n in (1, 2, 3) if n == 1 or side >= 6 * 2**n)
        return {**super().by_data(spec), "critic_layers": most}


def build_model(spec: DataSpec, settings: VoiceSettings) -> Translator:
    """A generator for each voice."""
    _refuse(spec, settings)
    norm: PictureNorm = settings.norm
    size = (settings.width, settings.channels_in_time, settings.blocks)
    nets = {to: GatedGenerator(spec.shape[1], *size, norm, settings.span) for to in spec.classes}
    return Translator(spec.classes, (1, 1), nets)


def build_objective(model: nn.Module, spec: DataSpec, settings: VoiceSettings) -> Objective:
    """Generators and critics, one player each."""
    assert isinstance(model, Translator)
    layers, width = settings.known("critic_layers"), settings.critic_width
    found = [PatchCritic(2, width, layers, settings.critic_norm) for _ in spec.classes]
    nets = {to: BandCritic(net) for to, net in zip(spec.classes, found, strict=True)}
    smallest = found[0].smallest
    if min(spec.shape[1:]) < smallest:
        raise UserError(
            f"Clips of {spec.shape[2]} frames are too short for critics with critic_layers="
            f"{layers}, which need {smallest}: lower critic_layers."
        )
    critics = Critics(
        nets,
        spec.shape,
        settings.loss,
        pool=settings.pool,
        other=settings.other,
        gamma=settings.gamma,
    )
    players = settings.players(model, critics)
    return MaskedCycleGame(
        model,
        critics,
        players,
        cycle=settings.cycle,
        identity=settings.identity,
        sparse=settings.sparse,
        hidden=settings.hidden,
        tempo=settings.tempo,
    )


def _refuse(spec: DataSpec, settings: VoiceSettings) -> None:
    if spec.shape[0] != 1 or any(side % FOLDS for side in spec.shape[1:]):
        raise UserError(
            f"{spec.name} has examples of shape {spec.shape}: voice-cyclegan is for recordings. "
            "For pictures use --model cyclegan."
        )
    refuse_idle(settings, {"sparse": (settings.identity > 0, "an identity weight above 0")})


RECIPE = Recipe(VoiceSettings, build_model, build_objective)
