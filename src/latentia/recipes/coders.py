"""Encoders and decoders by kind of data, and the settings that shape them."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.nn.autoencoding import ImageDecoder, ImageEncoder
from latentia.nn.mlp import MLP
from latentia.recipes.base import CommonSettings


class CoderSettings(CommonSettings):
    """What every family with an encoder and a decoder lets one choose."""

    latent: int | None = Field(
        None, ge=1, description="latent dimensions; none: 40 for images, half the features else"
    )
    width: int | None = Field(
        None, ge=4, description="channels or hidden units; none: by kind of data"
    )
    depth: int = Field(2, ge=1, description="residual blocks or hidden layers")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay (AdamW)")

    def latent_for(self, spec: DataSpec) -> int:
        """The latent size for this data."""
        if self.latent is not None:
            return self.latent
        return 40 if spec.kind == "image" else max(2, min(32, spec.dims // 2))


def build_encoder(spec: DataSpec, settings: CoderSettings, out_features: int) -> nn.Module:
    """`(B, …) -> (B, out_features)` for images or vectors."""
    if spec.kind == "image":
        c, h, w = spec.shape
        return ImageEncoder((c, h, w), out_features, **_shape(settings))
    width = settings.width or 256
    return MLP(spec.dims, [width] * settings.depth, out_features)


def build_decoder(
    spec: DataSpec, settings: CoderSettings, latent: int, params_per_value: int
) -> nn.Module:
    """`(B, latent) -> (B, values · params_per_value, …)` for images or vectors."""
    if spec.kind == "image":
        c, h, w = spec.shape
        return ImageDecoder(latent, (c, h, w), c * params_per_value, **_shape(settings))
    width = settings.width or 256
    return MLP(latent, [width] * settings.depth, spec.dims * params_per_value)


def _shape(settings: CoderSettings) -> dict[str, int]:
    chosen = {"depth": settings.depth}
    return chosen if settings.width is None else {**chosen, "width": settings.width}
