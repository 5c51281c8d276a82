"""Augmentation before the critic: what the adversarial families have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from latentia.data.spec import DataSpec
from latentia.nn.augment import Augment
from latentia.recipes.base import CommonSettings


class AugmentingSettings(CommonSettings):
    """Settings of families whose critic may see changed pictures."""

    augment: Literal["none", "fixed", "adaptive"] = Field(
        "none", description="change pictures before the critic sees them; for small data"
    )
    augment_p: float = Field(
        0.0, ge=0, le=1, description="how often; at the start, where it is adaptive"
    )
    augment_target: float = Field(
        0.6, gt=-1, lt=1, description="how sure of real pictures the critic may be (adaptive)"
    )


def build_augment(spec: DataSpec, settings: AugmentingSettings) -> Augment | None:
    """What changes pictures before the critic sees them; None for nothing."""
    if settings.augment == "none":
        return None
    return Augment(
        spec.shape,
        mode=settings.augment,
        p=settings.augment_p,
        target=settings.augment_target,
    )
