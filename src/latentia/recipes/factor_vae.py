"""FactorVAE: a VAE whose latents a critic cannot tell from independent ones."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.game import Player
from latentia.models.vae import VAE
from latentia.nn.mlp import MLP
from latentia.nn.standardise import Standardise
from latentia.objectives.factor import Factor
from latentia.recipes.base import Recipe
from latentia.recipes.coders import (
    VariationalSettings,
    build_decoder,
    build_encoder,
    build_likelihood,
    variational_player,
)


class FactorVAESettings(VariationalSettings):
    """Settings of the family `factor-vae`."""

    tc_weight: float = Field(10.0, ge=0, description="weight γ of the total correlation")
    critic_width: int = Field(256, ge=4, description="units of a hidden layer of the critic")
    critic_depth: int = Field(4, ge=1, description="hidden layers of the critic")
    critic_lr: float = Field(5e-4, gt=0, description="peak learning rate of the critic")

    def by_data(self, spec: DataSpec) -> dict[str, object]:
        """Ten latents for images, as is usual where they are to be told apart."""
        return {**super().by_data(spec), **({"latent": 10} if spec.kind == "image" else {})}


def build_model(spec: DataSpec, settings: FactorVAESettings) -> VAE:
    """A VAE with a standard normal prior."""
    latent, likelihood = settings.known("latent"), build_likelihood(spec, settings)
    return VAE(
        build_encoder(spec, settings, 2 * latent),
        build_decoder(spec, settings, latent, likelihood.params_per_value),
        likelihood,
        latent,
        Standardise(spec.center, spec.scale),
    )


def build_objective(model: nn.Module, spec: DataSpec, settings: FactorVAESettings) -> Factor:
    """The VAE and the critic of its latents."""
    assert isinstance(model, VAE)
    hidden = [settings.critic_width] * settings.critic_depth
    critic = MLP(model.latent_dim, hidden, 1)
    players = {
        "vae": variational_player(model, spec, settings),
        "critic": Player(critic, settings.critic_lr, (0.5, 0.9)),
    }
    return Factor(model, critic, players, settings.tc_weight, settings.kl_warmup)


RECIPE = Recipe(FactorVAESettings, build_model, build_objective)
