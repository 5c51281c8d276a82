"""Diffusion in the EDM coordinates: U-Net for images, perceptron for points."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.maths.schedules import Levels, Prediction
from latentia.models.denoiser import ConditionalDenoiser, Denoiser, Guide, Sampling
from latentia.nn.standardise import Standardise
from latentia.nn.unet import PointDenoiser, UNet
from latentia.objectives.denoising import Denoising, NoiseLevels
from latentia.recipes.base import CommonSettings, Recipe, refuse_idle, refuse_unlabelled

SamplerName = Literal[
    "euler",
    "heun",
    "ddim",
    "dpm-solver-2m",
    "ancestral",
    "churn",
    "predictor-corrector",
    "annealed-langevin",
]

LEVELS_OF: dict[Prediction, Levels] = {
    "edm": "lognormal",
    "epsilon": "linear",
    "v": "cosine",
    "flow": "uniform",
}
"""The levels that each way of training came with."""


class NetworkSettings(CommonSettings):
    """Settings of every family whose network is shown noise and a level of it."""

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
    sigma_min: float = Field(0.02, gt=0, description="lowest noise level")
    sigma_max: float = Field(40.0, gt=0, description="highest noise level")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Of this kind of data, what the family has of it."""
        fields = type(self).model_fields
        return {key: value for key, value in super().by_data(spec).items() if key in fields}


class DenoiserSettings(NetworkSettings):
    """Settings of every family that samples with a denoiser, of classes where there are any."""

    predict: Prediction = Field(
        "edm",
        description="what the network says: noise and data mixed by the level (edm), the noise "
        "(epsilon, as DDPM), v, or the velocity of a straight way (flow)",
    )
    conditional: bool = Field(
        False, description="learn the classes of labelled data, to be asked for one by --label"
    )
    forget: float = Field(
        0.1, ge=0, le=1, description="share of examples shown without their class (conditional)"
    )
    steps: int = Field(12, ge=1, description="default sampler steps")


class DiffusionSettings(DenoiserSettings):
    """Settings of the family `diffusion`."""

    COLOUR_GUIDANCE: ClassVar[float] = 1.5

    levels: Levels | None = Field(
        None,
        description="noise levels trained: lognormal, or by uniform time: linear (DDPM), cosine, "
        "uniform (rectified flow); by default those that `predict` came with",
    )
    p_mean: float = Field(0.2, description="mean of ln σ in training (levels=lognormal)")
    p_std: float = Field(
        1.2, gt=0, description="standard deviation of ln σ in training (levels=lognormal)"
    )
    sampler: SamplerName = Field("dpm-solver-2m", description="how samples follow the noise down")
    guidance: float | None = Field(
        None,
        ge=0,
        description="push away from a guide; 1: off; diffusion on colours takes 1.5, since a "
        "stronger push saturates them",
    )
    guide: Guide = Field(
        "early",
        description="the guide: an early copy of the network, or the network that is not told the "
        "class (classless: classifier-free guidance)",
    )
    guide_until: float = Field(
        0.1, gt=0, le=1, description="budget share at which the early copy stops learning"
    )
    guided_from: float = Field(
        0.3, ge=0, description="lowest noise level guided, in units of the data's deviation"
    )
    guided_to: float = Field(5.0, gt=0, description="highest noise level guided, σ")

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """Of this kind of data, and the levels that belong to what is predicted."""
        chosen = {**super().by_data(spec), "levels": LEVELS_OF[self.predict]}
        if spec.kind == "image" and spec.shape[0] > 1:
            chosen["guidance"] = self.COLOUR_GUIDANCE
        return chosen


def build_model(
    spec: DataSpec, settings: DiffusionSettings, bounded: bool | None = None
) -> Denoiser:
    """A preconditioned denoising network for this data; `bounded` as of `Denoiser`."""
    _refuse(spec, settings)
    sampling = Sampling(
        settings.sigma_min,
        settings.sigma_max,
        settings.steps,
        settings.known("guidance"),
        settings.guided_from * _deviation(spec),
        settings.guided_to,
        settings.precision,
        settings.sampler,
    )
    return build_denoiser(spec, settings, sampling, settings.guide, bounded)


def build_denoiser(
    spec: DataSpec,
    settings: DenoiserSettings,
    sampling: Sampling,
    guide: Guide = "early",
    bounded: bool | None = None,
) -> Denoiser:
    """A denoiser of these networks that is sampled so."""
    image = spec.kind == "image"
    parts = (
        build_net(spec, settings, len(spec.classes) if settings.conditional else 0),
        spec.shape,
        Standardise((spec.pixel_mean,), (1.0,)) if image else Standardise(spec.center, spec.scale),
        _deviation(spec),
        sampling,
        settings.predict,
        bounded,
    )
    if settings.conditional:
        return ConditionalDenoiser(len(spec.classes), guide, *parts)
    return Denoiser(*parts)


def _deviation(spec: DataSpec) -> float:
    """Of the standardised data."""
    return spec.pixel_std if spec.kind == "image" else 1.0


def _refuse(spec: DataSpec, settings: DiffusionSettings) -> None:
    """Settings that contradict the data or each other."""
    refuse_forgetting(spec, settings)
    lognormal = (settings.known("levels") == "lognormal", "levels=lognormal")
    guided = settings.known("guidance") != 1
    refuse_idle(
        settings,
        {
            "p_mean": lognormal,
            "p_std": lognormal,
            "guide": (settings.conditional and guided, "conditional=true with a guidance"),
            "guide_until": (guided and settings.guide == "early", "guide=early with a guidance"),
            "guided_from": (guided, "a guidance other than 1"),
            "guided_to": (guided, "a guidance other than 1"),
        },
    )


def refuse_forgetting(spec: DataSpec, settings: DenoiserSettings) -> None:
    """Classes that are not there, and a share of none that are forgotten."""
    if settings.conditional:
        refuse_unlabelled(spec)
    refuse_idle(settings, {"forget": (settings.conditional, "conditional=true")})


def build_net(spec: DataSpec, settings: NetworkSettings, classes: int = 0) -> nn.Module:
    """The raw network F(x, noise), which can be asked for so many classes."""
    width, depth = settings.known("width"), settings.known("depth")
    if spec.kind == "vector":
        if len(width) != 1 or len(depth) != 1:
            raise UserError("Vectors have one level: give one number for width and one for depth.")
        return PointDenoiser(spec.dims, width=width[0], depth=depth[0], classes=classes)
    c, h, w = spec.shape
    return UNet(
        (c, h, w),
        width=width,
        depth=depth,
        patch=settings.patch,
        attention=settings.attention,
        classes=classes,
    )


def build_objective(model: nn.Module, spec: DataSpec, settings: DiffusionSettings) -> Denoising:
    """One player that learns to denoise at every level."""
    assert isinstance(model, Denoiser)
    player = Player(model, settings.lr, (0.9, 0.99), clip_norm=1.0)
    levels = NoiseLevels(settings.known("levels"), settings.p_mean, settings.p_std)
    return Denoising(model, player, levels, settings.guide_until, settings.forget)


RECIPE = Recipe(DiffusionSettings, build_model, build_objective)
