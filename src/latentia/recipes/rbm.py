"""Restricted Boltzmann machines over black and white pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.game import Player
from latentia.models.rbm import RBM
from latentia.objectives.boltzmann import Chains, ContrastiveDivergence
from latentia.recipes.base import CommonSettings, Recipe


class RBMSettings(CommonSettings):
    """Settings of the family `rbm`."""

    BY_KIND = {"image": {"batch_size": 128}}  # noqa: RUF012

    binarize: Literal["none", "static"] = Field(
        "static",
        description="static: each pixel drawn once, probability = intensity; none: anew at every "
        "step",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "float32", description="of the energies: what is learned is a small difference of two"
    )
    latent: int = Field(256, ge=1, description="hidden units; up to 20 the sum Z is exact")
    chains: Literal["data", "persistent"] = Field(
        "persistent",
        description="where the chains of a step begin: at the data (CD-k), or where they were "
        "(PCD), which finds the modes that the model invents",
    )
    sweeps: int = Field(5, ge=1, description="k: Gibbs sweeps of the chains in every step")
    lr: float = Field(5e-3, gt=0, description="peak learning rate")
    steps: int = Field(200, ge=1, description="default Gibbs sweeps behind a sample")


def build_model(spec: DataSpec, settings: RBMSettings) -> RBM:
    """Pixels tied to `latent` hidden units."""
    return RBM(spec.shape, settings.latent, settings.steps)


def build_objective(
    model: nn.Module, spec: DataSpec, settings: RBMSettings
) -> ContrastiveDivergence:
    """One player, with as many persistent chains as a batch has examples."""
    assert isinstance(model, RBM)
    chains, owned = None, nn.ModuleList([model])
    if settings.chains == "persistent":
        chains = Chains(settings.known("batch_size"), spec.dims)
        owned.append(chains)
    player = Player(owned, settings.lr, (0.9, 0.99))
    return ContrastiveDivergence(model, player, settings.sweeps, chains)


RECIPE = Recipe(RBMSettings, build_model, build_objective)
