"""The plain autoencoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.game import Player
from latentia.models.autoencoder import Autoencoder
from latentia.nn.standardise import Standardise
from latentia.objectives.reconstruction import Reconstruction
from latentia.recipes.base import Recipe
from latentia.recipes.coders import CoderSettings, build_decoder, build_encoder


class AutoencoderSettings(CoderSettings):
    """Settings of the family `autoencoder`."""

    distance: Literal["squared", "absolute"] = Field(
        "squared", description="how far a reconstruction is from its original"
    )
    noise: float = Field(
        0.0, ge=0, description="noise added to inputs whose clean original is the target (σ)"
    )
    sparsity: float = Field(0.0, ge=0, description="weight of the mean absolute code")


def build_model(spec: DataSpec, settings: AutoencoderSettings) -> Autoencoder:
    """An encoder to `latent` numbers and a decoder back."""
    latent = settings.known("latent")
    return Autoencoder(
        build_encoder(spec, settings, latent),
        build_decoder(spec, settings, latent, 1),
        latent,
        Standardise(spec.center, spec.scale),
        bounded=spec.kind == "image",
    )


def build_objective(
    model: nn.Module, spec: DataSpec, settings: AutoencoderSettings
) -> Reconstruction:
    """One player that minimises the reconstruction error."""
    assert isinstance(model, Autoencoder)
    player = Player(model, settings.lr, (0.9, 0.99), settings.weight_decay, clip_norm=None)
    return Reconstruction(model, player, settings.distance, settings.noise, settings.sparsity)


RECIPE = Recipe(AutoencoderSettings, build_model, build_objective)
