"""How a diffusion model is sampled, as the command line changes it, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from latentia.cli.common import say
from latentia.errors import UserError

if TYPE_CHECKING:
    from latentia.run import Run

WORTH_SAYING = 5.0  # seconds


def resample(run: Run, model: Any, chosen: Mapping[str, Any]) -> None:
    """Change how the model is sampled.

    Args:
        run: for the words of a refusal.
        model: changed in place.
        chosen: fields of `models.denoiser.Sampling` by name.

    Raises:
        UserError: a model without noise levels, an unknown sampler, guidance without a guide.
    """
    if not chosen:
        return
    if not hasattr(model, "sampling"):
        raise UserError(
            f"The {run.family} in {run.folder} follows no noise down, so --{next(iter(chosen))} "
            "has nothing to change. It is for diffusion."
        )
    model.sampling = replace(model.sampling, **chosen)
    _ = model.sampling.method  # unknown ones are refused here
    if model.sampling.guidance != 1 and not model.has_guide:
        raise UserError(
            f"The run {run.folder} was trained without a guide (guidance=1), so --guidance has "
            "nothing to push away from. Train it with another guidance, or with "
            "conditional=true and guide=classless."
        )


def foretell(model: Any, n: int, steps: int | None) -> None:
    """Say how long n samples will take, where that is long and known."""
    if not hasattr(model, "seconds_for"):
        return
    from latentia.training.budget import duration

    seconds = model.seconds_for(n, steps)
    if seconds >= WORTH_SAYING:
        say(f"{n:,} samples in {steps or model.sampling.steps} steps: about {duration(seconds)}.")
