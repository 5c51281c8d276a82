"""Latent diffusion: a coder and a denoiser of its codes, on one budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.denoiser import ConditionalDenoiser
from latentia.models.latent_denoiser import ConditionalLatentDenoiser, LatentDenoiser
from latentia.nn.code_maps import CodeMaps
from latentia.objectives.latent_denoising import LatentDenoising
from latentia.recipes import diffusion
from latentia.recipes.base import Recipe


class LatentDiffusionSettings(diffusion.DiffusionSettings):
    """Settings of the family `latent-diffusion`: `diffusion` on codes, and the coder."""

    BY_KIND = {  # noqa: RUF012
        "image": {"batch_size": 64, "width": (128, 192), "depth": (4, 4), "guidance": 2.0}
    }
    COLOUR_GUIDANCE = 2.0

    code_channels: int = Field(8, ge=1, description="numbers at each place of a code")
    coder_width: int = Field(128, ge=4, description="channels of the coder's coarsest maps")
    coder_depth: int = Field(2, ge=1, description="residual blocks there")
    coder_share: float = Field(
        0.4, gt=0, lt=1, description="budget share at which the coder stops learning"
    )
    coder_lr: float = Field(1e-3, gt=0, description="peak learning rate of the coder")
    roughness: float = Field(
        0.1, ge=0, description="noise on codes that the decoder learns to see through"
    )
    edges: float = Field(
        1.0, ge=0, description="weight of the error of neighbouring pixels' differences"
    )

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Of pictures; nothing else has codes with places."""
        if spec.kind != "image":
            raise UserError(
                f"{spec.name} has rows of numbers, and latent-diffusion codes pictures or "
                "recordings. For rows use --model diffusion."
            )
        return super().by_data(spec)


def build_model(spec: DataSpec, settings: LatentDiffusionSettings) -> LatentDenoiser:
    """A coder and a denoiser of its codes."""
    c, h, w = spec.shape
    width, depth = settings.coder_width, settings.coder_depth
    coder = CodeMaps((c, h, w), settings.code_channels, width=width, depth=depth)
    denoiser = diffusion.build_model(_codes(spec, coder), settings, bounded=False)
    if isinstance(denoiser, ConditionalDenoiser):
        return ConditionalLatentDenoiser(coder, denoiser)
    return LatentDenoiser(coder, denoiser)


def _codes(spec: DataSpec, coder: CodeMaps) -> DataSpec:
    """What the denoiser sees: pictures of mean 0 and deviation 1."""
    return replace(spec, shape=coder.code_shape, pixel_mean=0.0, pixel_std=1.0)


def build_objective(
    model: nn.Module, spec: DataSpec, settings: LatentDiffusionSettings
) -> LatentDenoising:
    """The coder and the denoiser, a player each."""
    assert isinstance(model, LatentDenoiser)
    coder = model.coder
    return LatentDenoising(
        coder,
        diffusion.build_objective(model.denoiser, _codes(spec, coder), settings),
        Player(coder, settings.coder_lr, (0.9, 0.99), clip_norm=1.0),
        settings.coder_share,
        settings.roughness,
        settings.edges,
    )


RECIPE = Recipe(LatentDiffusionSettings, build_model, build_objective)
