"""Variational autoencoders; β-VAE is `--set beta=4`, not a family of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Objective
from latentia.models.ladder import LadderVAE
from latentia.models.vae import VAE
from latentia.models.variational import VariationalModel
from latentia.nn.ladder import ImageLadder, Ladder, VectorLadder
from latentia.nn.priors import CouplingFlowPrior, MixturePrior, SplinePrior, VampPrior
from latentia.nn.standardise import Standardise
from latentia.objectives.elbo import Elbo
from latentia.objectives.importance import ImportanceWeighted
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.coders import (
    VariationalSettings,
    build_decoder,
    build_encoder,
    build_likelihood,
    variational_player,
)


class VAESettings(VariationalSettings):
    """Settings of the family `vae`."""

    layers: int = Field(
        1, ge=1, le=12, description="of latents; below the first they are maps over the image"
    )
    detail: int = Field(4, ge=1, description="latents at every place of a further layer's map")
    prior: Literal["auto", "standard", "mixture", "vamp", "flow", "spline"] = Field(
        "auto",
        description="p(z): standard normal, a mixture of Gaussians, VampPrior, a coupling flow, "
        "a spline flow; auto: flow for images where nothing asks for a standard normal",
    )
    components: int = Field(100, ge=1, description="of the mixture or VampPrior")
    objective: Literal["elbo", "iwae", "dreg", "tc"] = Field(
        "elbo",
        description="the ELBO; the importance-weighted bound, with its doubly reparameterised "
        "gradient (neither has a KL term for kl_warmup to weigh); the ELBO with total correlation "
        "weighted apart (β-TCVAE)",
    )
    draws: int = Field(8, ge=1, description="importance samples of iwae and dreg")
    beta: float = Field(1.0, ge=0, description="weight of the KL term in training")
    tc_weight: float = Field(
        5.0, ge=0, description="weight of the total correlation in tc: β − 1 of β-TCVAE"
    )
    free_nats: float = Field(0.0, ge=0, description="KL below this much per dimension is free")
    capacity: float | None = Field(
        None, ge=0, description="nats that the KL is drawn to, rising from 0; none: to 0"
    )


def build_model(spec: DataSpec, settings: VAESettings) -> VariationalModel:
    """Encoder, decoder and likelihood chosen from the data's kind."""
    _refuse_contradictions(spec, settings)
    latent, likelihood = settings.known("latent"), build_likelihood(spec, settings)
    standardise = Standardise(spec.center, spec.scale)
    if settings.layers > 1:
        ladder = build_ladder(spec, settings, likelihood.params_per_value)
        return LadderVAE(ladder, likelihood, standardise, build_prior(spec, settings, None))
    encoder = build_encoder(spec, settings, 2 * latent)
    decoder = build_decoder(spec, settings, latent, likelihood.params_per_value)
    prior = build_prior(spec, settings, encoder)
    return VAE(encoder, decoder, likelihood, latent, standardise, prior)


def build_ladder(spec: DataSpec, settings: VAESettings, params_per_value: int) -> Ladder:
    """The network of several layers of latents."""
    size = {
        "top": settings.known("latent"),
        "layers": settings.layers,
        "width": settings.known("width"),
        "depth": settings.depth,
    }
    if spec.kind == "vector":
        return VectorLadder(spec.dims, spec.dims * params_per_value, **size)
    c, h, w = spec.shape
    return ImageLadder((c, h, w), c * params_per_value, channels=settings.detail, **size)


def build_prior(
    spec: DataSpec, settings: VAESettings, encoder: nn.Module | None
) -> nn.Module | None:
    """A learned p(z) of the first layer, or None for the standard normal."""
    latent, name = settings.known("latent"), settings.prior
    if name == "auto":
        plain = settings.beta == 1 and settings.capacity is None and settings.objective != "tc"
        name = "flow" if plain and spec.kind == "image" and latent > 1 else "standard"
    if name == "flow":
        return CouplingFlowPrior(latent)
    if name == "spline":
        return SplinePrior(latent)
    if name == "mixture":
        return MixturePrior(latent, settings.components)
    if name == "vamp":
        assert encoder is not None
        center, spread = (spec.pixel_mean, spec.pixel_std) if spec.kind == "image" else (0.0, 1.0)
        return VampPrior(encoder, spec.shape, latent, settings.components, center, spread)
    return None


def build_objective(model: nn.Module, spec: DataSpec, settings: VAESettings) -> Objective:
    """One player that raises a bound on the likelihood."""
    assert isinstance(model, VariationalModel)
    player = variational_player(model, spec, settings)
    if settings.objective in ("iwae", "dreg"):
        return ImportanceWeighted(model, player, settings.draws, settings.objective == "dreg")
    return Elbo(
        model,
        player,
        settings.beta,
        settings.kl_warmup,
        settings.free_nats,
        settings.capacity,
        settings.tc_weight if settings.objective == "tc" else 0.0,
        spec.n,
    )


def _refuse_idle(spec: DataSpec, settings: VAESettings) -> None:
    refuse_idle(
        settings,
        {
            "detail": (settings.layers > 1 and spec.kind == "image", "images with layers above 1"),
            "components": (settings.prior in ("mixture", "vamp"), "prior=mixture and prior=vamp"),
            "draws": (settings.objective in ("iwae", "dreg"), "objective=iwae and objective=dreg"),
            "tc_weight": (settings.objective == "tc", "objective=tc"),
        },
    )


def _refuse_contradictions(spec: DataSpec, settings: VAESettings) -> None:
    """Say what settings cannot be had together, instead of ignoring one of them."""
    _refuse_idle(spec, settings)
    layered, goal = settings.layers > 1, settings.objective
    learned = settings.prior not in ("auto", "standard")
    if layered and settings.network != "conv" and spec.kind == "image":
        raise UserError("Images with layers above 1 need network=conv.")
    if layered and (goal in ("dreg", "tc") or settings.prior == "vamp"):
        what = "prior=vamp" if settings.prior == "vamp" else f"objective={goal}"
        raise UserError(f"{what} is for one layer of latents; leave layers at 1.")
    if goal == "tc" and learned:
        raise UserError("objective=tc needs independent latents a priori: prior=standard.")
    if goal in ("iwae", "dreg") and (
        settings.beta != 1 or settings.free_nats or settings.capacity is not None
    ):
        raise UserError(
            f"beta, free_nats and capacity weigh a KL term, which objective={goal} does not have; "
            "leave them out, or use objective=elbo."
        )


RECIPE = Recipe(VAESettings, build_model, build_objective)
