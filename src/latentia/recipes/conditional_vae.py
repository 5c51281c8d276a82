"""The conditional VAE: classes apart from everything else, learned from some labels or all."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.models.conditional import ConditionalVAE
from latentia.nn.standardise import Standardise
from latentia.objectives.semisupervised import SemiSupervised
from latentia.recipes.base import Recipe
from latentia.recipes.coders import (
    VariationalSettings,
    build_decoder,
    build_encoder,
    build_likelihood,
    variational_player,
)


class ConditionalVAESettings(VariationalSettings):
    """Settings of the family `conditional-vae`."""

    label_weight: float = Field(
        20.0, ge=0, description="weight of the classifier's cross-entropy, nats per label"
    )
    label_share: float = Field(1.0, ge=0, le=1, description="share of the labels that are used")


def build_model(spec: DataSpec, settings: ConditionalVAESettings) -> ConditionalVAE:
    """Encoder with a classifier, decoder of latents and class."""
    if len(spec.classes) < 2:
        raise UserError(
            f"{spec.name} has no labels, and the family 'conditional-vae' needs two classes or "
            "more: sub-folders of a folder of images, or labels in an .npz. Without labels use vae."
        )
    latent, classes = settings.known("latent"), len(spec.classes)
    likelihood = build_likelihood(spec, settings)
    return ConditionalVAE(
        build_encoder(spec, settings, 2 * latent + classes),
        build_decoder(spec, settings, latent + classes, likelihood.params_per_value),
        likelihood,
        latent,
        classes,
        Standardise(spec.center, spec.scale),
    )


def build_objective(
    model: nn.Module, spec: DataSpec, settings: ConditionalVAESettings
) -> SemiSupervised:
    """One player that raises the bound and classifies."""
    assert isinstance(model, ConditionalVAE)
    player = variational_player(model, spec, settings)
    return SemiSupervised(
        model, player, settings.label_weight, settings.label_share, settings.kl_warmup
    )


RECIPE = Recipe(ConditionalVAESettings, build_model, build_objective)
