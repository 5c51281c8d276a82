"""Encoders and decoders by kind of data, and the settings that shape them."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.nn.autoencoding import ImageDecoder, ImageEncoder
from latentia.nn.mlp import MLP
from latentia.recipes.base import CommonSettings


class CoderSettings(CommonSettings):
    """What every family with an encoder and a decoder lets one choose."""

    BY_KIND = {  # noqa: RUF012
        "image": {"batch_size": 128, "latent": 40, "width": 64},
        "vector": {"batch_size": 128, "width": 256},
    }

    latent: int | None = Field(None, ge=1, description="latent dimensions; vectors: half theirs")
    width: int | None = Field(None, ge=4, description="channels at the coarsest, or hidden units")
    depth: int = Field(2, ge=1, description="residual blocks at the coarsest, or hidden layers")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay (AdamW)")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Vectors get half as many latents as features, 2 to 32."""
        return {"latent": max(2, min(32, spec.dims // 2)), **super().by_data(spec)}


def build_encoder(spec: DataSpec, settings: CoderSettings, out_features: int) -> nn.Module:
    """`(B, …) -> (B, out_features)` for images or vectors."""
    if spec.kind == "image":
        c, h, w = spec.shape
        return ImageEncoder(
            (c, h, w), out_features, width=settings.known("width"), depth=settings.depth
        )
    return MLP(spec.dims, [settings.known("width")] * settings.depth, out_features)


def build_decoder(
    spec: DataSpec, settings: CoderSettings, latent: int, params_per_value: int
) -> nn.Module:
    """`(B, latent) -> (B, values · params_per_value, …)` for images or vectors."""
    if spec.kind == "image":
        c, h, w = spec.shape
        out = c * params_per_value
        return ImageDecoder(
            latent, (c, h, w), out, width=settings.known("width"), depth=settings.depth
        )
    hidden = [settings.known("width")] * settings.depth
    return MLP(latent, hidden, spec.dims * params_per_value)
