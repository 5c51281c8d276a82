"""Encoders and decoders by kind of data, and the settings that shape them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.nn.autoencoding import ImageDecoder, ImageEncoder
from latentia.nn.broadcast import BroadcastDecoder, PatchEncoder
from latentia.nn.likelihoods import LEVEL, Bernoulli, DiscretisedLogistic, Gaussian, Likelihood
from latentia.nn.mlp import MLP
from latentia.recipes.base import CommonSettings

WIDTHS: dict[str, dict[str, int]] = {"conv": {}, "broadcast": {"width": 32}, "mlp": {"width": 512}}
"""Default width by network, where it is not that of `BY_KIND`."""


class CoderSettings(CommonSettings):
    """What every family with an encoder and a decoder lets one choose."""

    BY_KIND = {  # noqa: RUF012
        "image": {"batch_size": 128, "latent": 40, "width": 64},
        "vector": {"batch_size": 128, "width": 256},
    }

    latent: int | None = Field(None, ge=1, description="latent dimensions; vectors: half theirs")
    width: int | None = Field(None, ge=4, description="channels at the coarsest, or hidden units")
    network: Literal["conv", "broadcast", "mlp"] = Field(
        "conv",
        description="images: residual convolutions; convolutions over coordinates, which find "
        "where a thing is; dense layers over all pixels",
    )
    depth: int = Field(2, ge=1, description="residual blocks at the coarsest, or hidden layers")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay (AdamW)")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Vectors get half as many latents as features, 2 to 32."""
        chosen = {"latent": max(2, min(32, spec.dims // 2)), **super().by_data(spec)}
        return {**chosen, **(WIDTHS[self.network] if spec.kind == "image" else {})}


class VariationalSettings(CoderSettings):
    """What every family trained by a bound on its likelihood lets one choose."""

    likelihood: Literal["auto", "bernoulli", "gaussian", "logistic"] = Field(
        "auto",
        description="p(x|z): bernoulli (binarised images), gaussian with a learned scale, "
        "logistic over 256 levels; auto: bernoulli when binarised, else gaussian",
    )
    kl_warmup: float = Field(
        0.1, ge=0, le=1, description="budget share over which the KL term's weight rises"
    )


def build_encoder(spec: DataSpec, settings: CoderSettings, out_features: int) -> nn.Module:
    """`(B, …) -> (B, out_features)` for images or vectors."""
    width, depth = settings.known("width"), settings.depth
    if spec.kind == "image" and settings.network != "mlp":
        c, h, w = spec.shape
        if settings.network == "broadcast":
            return PatchEncoder((c, h, w), out_features, width=width, depth=(depth + 1) // 2)
        return ImageEncoder((c, h, w), out_features, width=width, depth=depth)
    dense = MLP(spec.dims, [width] * depth, out_features)
    return nn.Sequential(nn.Flatten(), dense) if spec.kind == "image" else dense


def build_decoder(
    spec: DataSpec, settings: CoderSettings, latent: int, params_per_value: int
) -> nn.Module:
    """`(B, latent) -> (B, values · params_per_value, …)` for images or vectors."""
    width, depth = settings.known("width"), settings.depth
    if spec.kind == "image" and settings.network != "mlp":
        c, h, w = spec.shape
        kind = BroadcastDecoder if settings.network == "broadcast" else ImageDecoder
        return kind(latent, (c, h, w), c * params_per_value, width=width, depth=depth)
    dense = MLP(latent, [width] * depth, spec.dims * params_per_value)
    shape = (spec.shape[0] * params_per_value, *spec.shape[1:])
    return nn.Sequential(dense, nn.Unflatten(1, shape)) if spec.kind == "image" else dense


def build_likelihood(spec: DataSpec, settings: VariationalSettings) -> Likelihood:
    """p(x | z) by name, checked against the kind of data.

    Raises:
        UserError: a likelihood of pixels for vectors.
    """
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


def variational_player(model: nn.Module, spec: DataSpec, settings: CoderSettings) -> Player:
    """The player that owns a model trained by a bound."""
    clip_norm = spec.dims / 4  # losses are sums over the values of an example, and so are slopes
    return Player(model, settings.lr, (0.9, 0.99), settings.weight_decay, clip_norm)
