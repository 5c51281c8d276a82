"""Diffusion in the EDM coordinates: U-Net for images, perceptron for points."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.models.denoiser import Denoiser
from latentia.nn.standardise import Standardise
from latentia.nn.unet import PointDenoiser, UNet
from latentia.objectives.denoising import Denoising
from latentia.recipes.base import CommonSettings, Recipe


class DiffusionSettings(CommonSettings):
    """Settings of the family `diffusion`."""

    BY_KIND = {  # noqa: RUF012
        "image": {"batch_size": 64, "width": (64, 128), "depth": (4, 6), "guidance": 2.5},
        "vector": {"batch_size": 128, "width": (128,), "depth": (4,), "guidance": 1.0},
    }

    width: tuple[int, ...] | None = Field(
        None, description="channels by level, fine to coarse, or hidden units"
    )
    depth: tuple[int, ...] | None = Field(None, description="residual blocks by level, or in all")
    patch: int = Field(0, ge=0, description="side of pixel tiles folded into channels; 0: by size")
    attention: bool = Field(False, description="self-attention at the coarsest level (images)")
    warmup: float = Field(0.05, ge=0, le=0.5, description="budget share of learning-rate rise")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    sigma_min: float = Field(0.02, gt=0, description="lowest noise level sampled")
    sigma_max: float = Field(40.0, gt=0, description="highest noise level sampled")
    p_mean: float = Field(0.2, description="mean of ln σ in training")
    p_std: float = Field(1.2, gt=0, description="standard deviation of ln σ in training")
    steps: int = Field(18, ge=2, description="default sampler steps")
    guidance: float | None = Field(
        None, ge=0, description="push away from an early copy of the network; 1: off"
    )
    guide_until: float = Field(
        0.1, gt=0, le=1, description="budget share at which the early copy stops learning"
    )


def build_model(spec: DataSpec, settings: DiffusionSettings) -> Denoiser:
    """A preconditioned denoising network for this data."""
    image = spec.kind == "image"
    return Denoiser(
        build_net(spec, settings),
        spec.shape,
        Standardise((spec.pixel_mean,), (1.0,)) if image else Standardise(spec.center, spec.scale),
        spec.pixel_std if image else 1.0,
        settings.sigma_min,
        settings.sigma_max,
        settings.steps,
        settings.known("guidance"),
        settings.precision,
    )


def build_net(spec: DataSpec, settings: DiffusionSettings) -> nn.Module:
    """The raw network F(x, noise)."""
    width, depth = settings.known("width"), settings.known("depth")
    if spec.kind == "vector":
        if len(width) != 1 or len(depth) != 1:
            raise UserError("Vectors have one level: give one number for width and one for depth.")
        return PointDenoiser(spec.dims, width=width[0], depth=depth[0])
    c, h, w = spec.shape
    return UNet(
        (c, h, w),
        width=width,
        depth=depth,
        patch=settings.patch,
        attention=settings.attention,
    )


def build_objective(model: nn.Module, spec: DataSpec, settings: DiffusionSettings) -> Denoising:
    """One player that learns to denoise at every level."""
    assert isinstance(model, Denoiser)
    player = Player(model, settings.lr, (0.9, 0.99), clip_norm=1.0)
    until = settings.guide_until
    return Denoising(model, player, settings.p_mean, settings.p_std, until)


RECIPE = Recipe(DiffusionSettings, build_model, build_objective)
