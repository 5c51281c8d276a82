"""The debiasing VAE: a classifier that evens out the hidden variety of one class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError, nearest
from latentia.maths.rarity import Combine, latent_rarity
from latentia.models.debiasing import DebiasingVAE
from latentia.nn.standardise import Standardise
from latentia.objectives.debias import Debias
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.coders import (
    VariationalSettings,
    build_decoder,
    build_encoder,
    build_likelihood,
    variational_player,
)


class DebiasingVAESettings(VariationalSettings):
    """Settings of the family `debiasing-vae`."""

    BY_KIND = {  # noqa: RUF012
        "image": {"batch_size": 128, "latent": 8, "width": 64},  # few: those that matter most
        "vector": {"batch_size": 128, "width": 256},
    }

    positive: str | None = Field(
        None, description="class whose hidden variety is learned and evened out; none: the first"
    )
    beta: float = Field(1.0, ge=0, description="weight of the KL term")
    bound_weight: float = Field(
        0.1, ge=0, description="of −ELBO per value beside the label's cross-entropy; 0: none"
    )
    resample: Literal["latent", "none"] = Field(
        "latent", description="latent: draw positive examples by how rare their latents are"
    )
    alpha: float | None = Field(
        None,
        ge=0,
        description="smoothing of the latent histograms, large: draw evenly; none: by `effective`",
    )
    effective: float = Field(
        0.1, gt=0, le=1, description="share of the positives that the weights are worth at least"
    )
    bins: int = Field(10, ge=2, description="bins of each latent histogram")
    combine: Combine = Field(
        "neighbours",
        description="rarity by the distance to neighbours in all dimensions together; by the "
        "product of the dimensions' histograms, as in the paper; by the largest of these factors; "
        "by −ELBO, for what is too rare to have a place among the latents",
    )
    positive_share: float | None = Field(
        0.5, gt=0, lt=1, description="positive examples in what is drawn; none: as in the data"
    )


def positive_class(spec: DataSpec, settings: DebiasingVAESettings) -> int:
    """Number of the positive class.

    Raises:
        UserError: no classes, or none of that name.
    """
    if len(spec.classes) < 2:
        raise UserError(
            f"{spec.name} has no two classes, and the family 'debiasing-vae' needs them: "
            "sub-folders of a folder of images, or labels in an .npz."
        )
    if settings.positive is None:
        return 0
    if settings.positive not in spec.classes:
        raise UserError(
            f"{spec.name} has no class {settings.positive!r}; "
            f"{nearest(settings.positive, spec.classes)}"
        )
    return spec.classes.index(settings.positive)


def build_model(spec: DataSpec, settings: DebiasingVAESettings) -> DebiasingVAE:
    """Encoder with a classifier, decoder of the positive class."""
    positive_class(spec, settings)
    latents = (settings.resample == "latent", "resample=latent")
    bound = (settings.bound_weight > 0, "bound_weight above 0")
    acts = {"alpha": latents, "bins": latents, "combine": latents}
    acts["bins"] = (
        latents[0] and settings.combine in ("product", "max"),
        "combine=product and max",
    )
    acts["effective"] = (latents[0] and settings.alpha is None, "resample=latent without alpha")
    refuse_idle(settings, {**acts, "beta": bound, "kl_warmup": bound, "likelihood": bound})
    latent, likelihood = settings.known("latent"), build_likelihood(spec, settings)
    return DebiasingVAE(
        build_encoder(spec, settings, 2 * latent + len(spec.classes)),
        build_decoder(spec, settings, latent, likelihood.params_per_value),
        likelihood,
        latent,
        Standardise(spec.center, spec.scale),
    )


def rarity_of(settings: DebiasingVAESettings) -> Callable[[Tensor, Tensor], Tensor]:
    """Sampling weights `(N,)` from latent means `(N, d)` and −ELBO `(N,)`, as the settings say."""
    return partial(
        latent_rarity,
        alpha=settings.alpha,
        effective=settings.effective,
        bins=settings.bins,
        combine=settings.combine,
    )


def build_objective(model: nn.Module, spec: DataSpec, settings: DebiasingVAESettings) -> Debias:
    """One player that classifies, models the positive class, and chooses what it is shown."""
    assert isinstance(model, DebiasingVAE)
    player = variational_player(model, spec, settings)
    player.clip_norm = 1.0  # the loss is of the size of one label's
    return Debias(
        model,
        player,
        positive=positive_class(spec, settings),
        rows=spec.n,
        values=spec.dims,
        bound_weight=settings.bound_weight,
        beta=settings.beta,
        warmup=settings.kl_warmup,
        rarity=rarity_of(settings) if settings.resample == "latent" else None,
        positive_share=settings.positive_share,
    )


RECIPE = Recipe(DebiasingVAESettings, build_model, build_objective)
