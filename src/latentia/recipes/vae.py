"""Variational autoencoders; β-VAE is `--set beta=4`, not a family of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.vae import VAE
from latentia.nn.likelihoods import LEVEL, Bernoulli, DiscretisedLogistic, Gaussian, Likelihood
from latentia.nn.priors import CouplingFlowPrior
from latentia.nn.standardise import Standardise
from latentia.objectives.elbo import Elbo
from latentia.recipes.base import Recipe
from latentia.recipes.coders import CoderSettings, build_decoder, build_encoder


class VAESettings(CoderSettings):
    """Settings of the family `vae`."""

    likelihood: Literal["auto", "bernoulli", "gaussian", "logistic"] = Field(
        "auto",
        description="p(x|z): bernoulli (binarised images), gaussian with a learned scale, "
        "logistic over 256 levels; auto: bernoulli when binarised, else gaussian",
    )
    prior: Literal["auto", "standard", "flow"] = Field(
        "auto",
        description="p(z): standard normal, or a learned coupling flow; auto: flow for images",
    )
    beta: float = Field(1.0, ge=0, description="weight of the KL term in training")
    kl_warmup: float = Field(0.1, ge=0, le=1, description="budget share over which β rises")
    free_nats: float = Field(0.0, ge=0, description="KL below this much per dimension is free")


def build_model(spec: DataSpec, settings: VAESettings) -> VAE:
    """Encoder, decoder and likelihood chosen from the data's kind."""
    latent, likelihood = settings.known("latent"), build_likelihood(spec, settings)
    return VAE(
        build_encoder(spec, settings, 2 * latent),
        build_decoder(spec, settings, latent, likelihood.params_per_value),
        likelihood,
        latent,
        Standardise(spec.center, spec.scale),
        build_prior(spec, settings, latent),
    )


def build_likelihood(spec: DataSpec, settings: VAESettings) -> Likelihood:
    """p(x | z) by name, checked against the kind of data."""
    name = settings.likelihood
    if name == "auto":
        name = "bernoulli" if settings.binarize == "static" else "gaussian"
    if spec.kind == "vector":
        if name != "gaussian":
            raise UserError(f"The likelihood '{name}' is for images; vectors need 'gaussian'.")
        return Gaussian()
    if name == "gaussian":
        return Gaussian(level=LEVEL, floor=LEVEL / 2)
    return Bernoulli() if name == "bernoulli" else DiscretisedLogistic()


def build_prior(spec: DataSpec, settings: VAESettings, latent: int) -> nn.Module | None:
    """A learned p(z), or None for the standard normal."""
    learned = settings.prior == "flow" or (settings.prior == "auto" and spec.kind == "image")
    return CouplingFlowPrior(latent) if learned and latent > 1 else None


def build_objective(model: nn.Module, spec: DataSpec, settings: VAESettings) -> Elbo:
    """One player that raises the evidence lower bound."""
    assert isinstance(model, VAE)
    clip_norm = spec.dims / 4  # losses are sums over the values of an example, and so are slopes
    player = Player(model, settings.lr, (0.9, 0.99), settings.weight_decay, clip_norm)
    return Elbo(model, player, settings.beta, settings.kl_warmup, settings.free_nats)


RECIPE = Recipe(VAESettings, build_model, build_objective)
