"""Diffusion in the EDM coordinates: U-Net for images, perceptron for points."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.game import Player
from latentia.models.denoiser import Denoiser
from latentia.nn.standardise import Standardise
from latentia.nn.unet import PointDenoiser, UNet
from latentia.objectives.denoising import Denoising
from latentia.recipes.base import CommonSettings, Recipe


class DiffusionSettings(CommonSettings):
    """Settings of the family `diffusion`."""

    width: tuple[int, ...] | None = Field(
        None, description="channels by level, fine to coarse, or hidden units; none: by kind"
    )
    depth: tuple[int, ...] | None = Field(
        None, description="residual blocks by level, or in all; none: by kind"
    )
    patch: int = Field(0, ge=0, description="side of pixel tiles folded into channels; 0: by size")
    attention: bool = Field(False, description="self-attention at the coarsest level (images)")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    sigma_data: float | None = Field(
        None, gt=0, description="standard deviation of the data; none: 0.5 images, 1 vectors"
    )
    sigma_min: float = Field(0.02, gt=0, description="lowest noise level sampled")
    sigma_max: float = Field(80.0, gt=0, description="highest noise level sampled")
    p_mean: float = Field(-0.8, description="mean of ln σ in training")
    p_std: float = Field(1.4, gt=0, description="standard deviation of ln σ in training")
    steps: int = Field(18, ge=2, description="default sampler steps")


def build_model(spec: DataSpec, settings: DiffusionSettings) -> Denoiser:
    """A preconditioned denoising network for this data."""
    return Denoiser(
        build_net(spec, settings),
        spec.shape,
        Standardise(spec.center, spec.scale),
        settings.sigma_data or (0.5 if spec.kind == "image" else 1.0),
        settings.sigma_min,
        settings.sigma_max,
        settings.steps,
    )


def build_net(spec: DataSpec, settings: DiffusionSettings) -> nn.Module:
    """The raw network F(x, noise)."""
    width, depth = settings.width, settings.depth
    if spec.kind == "vector":
        return PointDenoiser(spec.dims, width=(width or (128,))[0], depth=(depth or (4,))[0])
    c, h, w = spec.shape
    return UNet(
        (c, h, w),
        width=width or (64, 128),
        depth=depth or (4, 6),
        patch=settings.patch,
        attention=settings.attention,
    )


def build_objective(model: nn.Module, spec: DataSpec, settings: DiffusionSettings) -> Denoising:
    """One player that learns to denoise at every level."""
    assert isinstance(model, Denoiser)
    player = Player(model, settings.lr, (0.9, 0.99), clip_norm=None)
    return Denoising(model, player, settings.p_mean, settings.p_std)


RECIPE = Recipe(DiffusionSettings, build_model, build_objective)
