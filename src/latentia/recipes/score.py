"""Score-based models: NCSN and the SDEs of Song et al., matched by denoising or in slices."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Player
from latentia.maths.sdes import (
    Geometric,
    Sde,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)
from latentia.models.denoiser import Sampling
from latentia.models.score import Langevin, SamplerName, ScoreModel
from latentia.nn.standardise import Standardise
from latentia.objectives.score_matching import Matching, ScoreMatching
from latentia.recipes.base import Recipe, refuse_idle
from latentia.recipes.diffusion import NetworkSettings, build_net
from latentia.training.trainer import Course

USUAL: dict[str, SamplerName] = {"image": "ode", "vector": "predictor-corrector"}
"""By kind of data. Pictures are dear: the ODE takes 35 evaluations, where the others take hundreds
and as many again for every preview of the training."""

ANY = 0.16  # ratio of Langevin steps that are not taken

BY_SAMPLER: dict[str, dict[str, Any]] = {
    "predictor-corrector": {"steps": 100, "snr": 0.16, "corrector_steps": 1},
    "annealed-langevin": {"steps": 100, "snr": 0.35, "corrector_steps": 5},
    "ode": {"steps": 18},
}


class ScoreSettings(NetworkSettings):
    """Settings of the family `score`."""

    BY_KIND = {  # noqa: RUF012
        kind: {**chosen, "sampler": USUAL[kind]} for kind, chosen in NetworkSettings.BY_KIND.items()
    }

    noise: Literal["geometric", "ve", "vp", "sub-vp"] = Field(
        "ve", description="how data become noise; geometric: in a number of levels (NCSN)"
    )
    matching: Matching = Field(
        "denoising", description="how the score is learned; sliced needs no noise that is known"
    )
    levels: int = Field(100, ge=2, description="noise levels (geometric)")
    beta_min: float = Field(0.1, gt=0, description="rate of forgetting at the start (vp, sub-vp)")
    beta_max: float = Field(20.0, gt=0, description="rate of forgetting at the end (vp, sub-vp)")
    sampler: SamplerName | None = Field(None, description="how samples are drawn")
    steps: int | None = Field(
        None, ge=2, description="noise levels that are visited; none: 18 by the ODE, else 100"
    )
    snr: float | None = Field(
        None, gt=0, lt=1, description="signal-to-noise ratio of Langevin steps; none: by sampler"
    )
    corrector_steps: int | None = Field(
        None, ge=0, description="Langevin steps a level; none: 1, of annealed-langevin 5"
    )

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """What also depends on the sampler."""
        chosen = super().by_data(spec)
        sampler = self.sampler or chosen["sampler"]
        chosen = {**chosen, **BY_SAMPLER[sampler]}
        if self.noise == "geometric" and sampler != "ode":
            chosen["steps"] = self.levels  # those it was trained at
        if self.corrector_steps == 0:
            chosen.pop("snr", None)  # of no step
        return chosen

    def course(self) -> Course:
        """Slices are differentiated twice, which bfloat16 is too coarse for unless asked."""
        if self.matching == "sliced" and self.precision == "auto":
            return self.model_copy(update={"precision": "float32"}).course()
        return super().course()


def build_model(spec: DataSpec, settings: ScoreSettings) -> ScoreModel:
    """A score network for this data."""
    _check(settings)
    image, sde = spec.kind == "image", build_sde(settings)
    name, steps = settings.known("sampler"), settings.known("steps")
    return ScoreModel(
        build_net(spec, settings),
        spec.shape,
        Standardise((spec.pixel_mean,), (1.0,)) if image else Standardise(spec.center, spec.scale),
        spec.pixel_std if image else 1.0,
        sde,
        Sampling(
            sde.sigma_min,
            sde.sigma_max,
            steps,
            precision=settings.precision,
            sampler="heun" if name == "ode" else name,
        ),
        Langevin(settings.snr or ANY, settings.corrector_steps or 0),
    )


def build_sde(settings: ScoreSettings) -> Sde:
    """How data become noise under these settings."""
    low, high = settings.sigma_min, settings.sigma_max
    if settings.noise == "geometric":
        return Geometric(low, high, settings.levels)
    if settings.noise == "ve":
        return VarianceExploding(low, high)
    kind = VariancePreserving if settings.noise == "vp" else SubVariancePreserving
    return kind(low, settings.beta_min, settings.beta_max)


def build_objective(model: nn.Module, spec: DataSpec, settings: ScoreSettings) -> ScoreMatching:
    """One player that learns the score at every level."""
    assert isinstance(model, ScoreModel)
    player = Player(model, settings.lr, (0.9, 0.99), clip_norm=1.0)
    return ScoreMatching(model, player, settings.matching)


def _check(settings: ScoreSettings) -> None:
    if settings.sampler == "annealed-langevin" and settings.corrector_steps == 0:
        raise UserError(
            "corrector_steps=0 leaves annealed-langevin without any step: take 1 or more."
        )
    fading = (settings.noise in ("vp", "sub-vp"), "noise=vp or noise=sub-vp")
    langevin = (settings.sampler != "ode", "sampler=predictor-corrector or annealed-langevin")
    refuse_idle(
        settings,
        {
            "sigma_max": (not fading[0], "noise=geometric or noise=ve"),
            "levels": (settings.noise == "geometric", "noise=geometric"),
            "beta_min": fading,
            "beta_max": fading,
            "snr": (langevin[0] and settings.corrector_steps != 0, f"{langevin[1]}, with steps"),
            "corrector_steps": langevin,
        },
    )


RECIPE = Recipe(ScoreSettings, build_model, build_objective)
