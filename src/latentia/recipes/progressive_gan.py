"""Progressive growing of GANs: small pictures first, then larger ones (Karras et al. 2018)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from pydantic import Field
from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.models.generator import Generator
from latentia.nn.progressive import ProgressiveCritic, ProgressiveGenerator
from latentia.objectives.progressive import Progressive, Schedule
from latentia.recipes import gan
from latentia.recipes.base import Recipe

SMALL = 16  # pixels to a side of the first pictures, about


class ProgressiveGANSettings(gan.GANSettings):
    """Settings of the family `progressive-gan`: those of `gan`, and when pictures grow."""

    start_size: int | None = Field(
        None, ge=2, description="side of the first pictures, about, pixels; doubled until full"
    )
    grow_share: float = Field(
        0.5, gt=0, le=1, description="budget share at which pictures have their full size"
    )
    fade: float = Field(
        0.5, gt=0, le=1, description="share of each size's time in which the next is faded in"
    )

    def by_data(self, spec: DataSpec) -> dict[str, Any]:
        """The first pictures at about 16 pixels, and at most at half the full size."""
        largest, halvings = max(spec.shape[1:]), 1
        while math.ceil(largest / 2**halvings) > 1.5 * SMALL:
            halvings += 1
        chosen = {**super().by_data(spec), "start_size": math.ceil(largest / 2**halvings)}
        chosen["lr"] = self.BY_KIND["image"]["lr"]  # small pictures bear it
        if chosen["penalty"] in ("r1", "r1+r2"):
            # late levels have little time, and their critics win early
            chosen |= {"gamma": gan.STRONG_GAMMA[0], "gamma_end": gan.STRONG_GAMMA[1]}
        return chosen


def doublings(spec: DataSpec, settings: ProgressiveGANSettings) -> int:
    """How often the side doubles from the first pictures to the full ones.

    Raises:
        UserError: the first pictures are as large as the full ones.
    """
    largest, start = max(spec.shape[1:]), settings.known("start_size")
    if start >= largest:
        raise UserError(
            f"start_size={start} leaves nothing to grow: {spec.name} has pictures of {largest} "
            f"pixels. Choose {largest // 2} or less, or --model gan."
        )
    return math.ceil(math.log2(largest / start))


def _generator(spec: DataSpec, settings: ProgressiveGANSettings) -> nn.Module:
    c, h, w = spec.shape
    return ProgressiveGenerator(
        settings.known("latent"),
        (c, h, w),
        doublings=doublings(spec, settings),
        width=settings.known("width"),
        depth=settings.known("depth"),
        classes=len(spec.classes) if settings.conditional else 0,
    )


def _critic(spec: DataSpec, settings: ProgressiveGANSettings) -> nn.Module:
    c, h, w = spec.shape
    return ProgressiveCritic(
        (c, h, w),
        doublings=doublings(spec, settings),
        width=settings.known("width"),
        depth=settings.known("depth"),
    )


NETS = gan.Nets(_generator, _critic)


def build_model(spec: DataSpec, settings: ProgressiveGANSettings) -> Generator:
    """A generator, and a critic to choose among candidates, that begin small."""
    return gan.build_model(spec, settings, NETS)


def build_objective(
    model: nn.Module, spec: DataSpec, settings: ProgressiveGANSettings
) -> Progressive:
    """The game of `gan` at a growing side."""
    schedule = Schedule(doublings(spec, settings), settings.grow_share, settings.fade)
    game = gan.build_objective(model, spec, settings, NETS, partial(Progressive, schedule=schedule))
    assert isinstance(game, Progressive)
    return game


RECIPE = Recipe(ProgressiveGANSettings, build_model, build_objective)
