"""What the command line says before it samples: how long that will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentia.cli.common import say

if TYPE_CHECKING:
    from latentia.run import Run

WORTH_SAYING = 5.0  # seconds


def foretell(
    run: Run,
    model: Any,
    n: int,
    *,
    guidance: float | None,
    steps: int | None,
    sampler: str | None,
) -> None:
    """Say how long n samples will take, where that is long and known."""
    from latentia.rendering.samples import seconds, usual_steps
    from latentia.training.budget import duration

    expected = seconds(run, model, n, guidance=guidance, steps=steps, sampler=sampler)
    if expected is not None and expected >= WORTH_SAYING:
        taken = steps or usual_steps(run, model)
        say(f"{n:,} samples in {taken} steps: about {duration(expected)}.")
