"""Consistency models: one to four steps, learnt from a diffusion run or from data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.files import read_json
from latentia.game import Player
from latentia.models.denoiser import ConditionalDenoiser, Denoiser, Sampling
from latentia.models.few_steps import ConditionalFewSteps, FewSteps
from latentia.objectives.consistency import Consistency
from latentia.recipes.base import Recipe
from latentia.recipes.diffusion import (
    DenoiserSettings,
    DiffusionSettings,
    build_denoiser,
    refuse_forgetting,
)
from latentia.recipes.diffusion import build_model as build_diffusion
from latentia.training.checkpoint import MODEL_FILE


class ConsistencySettings(DenoiserSettings):
    """Settings of the family `consistency`."""

    teacher: str | None = Field(
        None,
        description="folder of a diffusion run to learn from, guidance and all, with the same "
        "networks (`latentia distill` sets those); none: from the data alone",
    )
    heights: int = Field(18, ge=3, description="noise levels whose neighbours are to agree")
    steps: int = Field(2, ge=1, description="default sampler steps, each one call")
    lr: float = Field(5e-4, gt=0, description="peak learning rate")


TAKEN = ("width", "depth", "patch", "attention", "predict", "conditional", "sigma_min", "sigma_max")
"""Settings that a student shares with its teacher."""


def build_model(spec: DataSpec, settings: ConsistencySettings) -> FewSteps:
    """A student around a denoiser without a guide."""
    refuse_forgetting(spec, settings)
    ends = (settings.sigma_min, settings.sigma_max)
    sampling = Sampling(*ends, settings.steps, precision=settings.precision)
    denoiser = build_denoiser(spec, settings, sampling)
    if isinstance(denoiser, ConditionalDenoiser):
        return ConditionalFewSteps(denoiser)
    return FewSteps(denoiser)


def build_objective(model: nn.Module, spec: DataSpec, settings: ConsistencySettings) -> Consistency:
    """One player, the student, that starts as its teacher."""
    assert isinstance(model, FewSteps)
    teacher = None
    if settings.teacher is not None:
        teacher = taught(spec, Path(settings.teacher))
        _begin_as(model.denoiser, teacher, settings.teacher)
    player = Player(model, settings.lr, (0.9, 0.99), clip_norm=1.0)
    return Consistency(
        model, player, teacher, settings.heights, settings.sigma_max, settings.forget
    )


def taught(spec: DataSpec, folder: Path) -> Denoiser:
    """The teacher, with its weights, out of training.

    Raises:
        UserError: no diffusion run, or one of other data.
    """
    settings = DiffusionSettings(**settings_of(folder))
    teacher = build_diffusion(spec, settings.resolved(spec))
    try:
        teacher.load_state_dict(load_file(folder / MODEL_FILE))
    except (OSError, SafetensorError, RuntimeError) as problem:
        raise UserError(
            f"The teacher {folder} does not fit {spec.name}, or its weights cannot be read "
            f"({str(problem).splitlines()[0][:120]})."
        ) from problem
    return teacher.eval().requires_grad_(False)


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings of a diffusion run.

    Raises:
        UserError: there is none in this folder.
    """
    path = folder / "recipe.json"
    facts = read_json(path) if path.is_file() else {}
    if facts.get("family") != "diffusion":
        raise UserError(f"The teacher {folder} is no diffusion run; name the folder of one.")
    found: dict[str, Any] = facts["settings"]
    return found


def _begin_as(student: Denoiser, teacher: Denoiser, folder: str) -> None:
    try:
        student.net.load_state_dict(teacher.net.state_dict())
    except RuntimeError:
        raise UserError(
            f"The teacher {folder} has other networks than these settings give. `latentia distill "
            f"{folder}` takes them over."
        ) from None


RECIPE = Recipe(ConsistencySettings, build_model, build_objective)
