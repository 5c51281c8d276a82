"""Samples: of seeds, of a class, truncated or guided, by another sampler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from latentia.abilities import Samples, TakesClasses, abilities_of
from latentia.errors import UserError, nearest
from latentia.rendering.mixing import require_styles
from latentia.rendering.recipe import Recipe, recipe_of
from latentia.run import Run


@dataclass(frozen=True)
class Drawn:
    """Samples.

    Attributes:
        x: `(N, …)`, images in [-1, 1], vectors in the data's own units.
        seeds: of each.
        recipe: what made them.
    """

    x: Tensor
    seeds: list[int]
    recipe: Recipe

    def recipe_of(self, row: int) -> Recipe:
        """What made one of them."""
        return {**self.recipe, "seeds": [self.seeds[row]]}


def render(
    run: Run,
    model: Any,
    seeds: Sequence[int],
    *,
    label: str | None = None,
    truncation: float | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    sampler: str | None = None,
) -> Drawn:
    """Draw one sample for each seed.

    Args:
        run: whose model.
        model: left as it was.
        seeds: of the samples; each depends on its own alone.
        label: a class by name, or a mixture such as "3+5".
        truncation: less than 1 for more usual samples; of models with styles.
        guidance: above 1 for clearer samples; of models that follow noise down with a guide.
        steps: of the sampler.
        sampler: its name.

    Raises:
        UserError: something that this model cannot do, or a class that there is not.
    """
    if not isinstance(model, Samples):
        raise UserError(
            f"The {run.family} in {run.folder} cannot sample: it can "
            f"{', '.join(abilities_of(model))}. `latentia models` shows which families can."
        )
    asked = None if label is None else class_named(run, model, label)
    with sampled_as(run, model, truncation=truncation, guidance=guidance, sampler=sampler):
        x = model.sample(seeds, condition=asked, steps=steps).cpu()
    facts = {"seeds": [int(seed) for seed in seeds], "label": label, "truncation": truncation}
    facts |= {"guidance": guidance, "steps": steps, "sampler": sampler}
    return Drawn(x, [int(seed) for seed in seeds], recipe_of(run, "samples", facts))


def seconds(
    run: Run,
    model: Any,
    count: int,
    *,
    guidance: float | None = None,
    steps: int | None = None,
    sampler: str | None = None,
) -> float | None:
    """About how long so many samples will take; None where the model cannot tell.

    Raises:
        UserError: as `render`.
    """
    if not hasattr(model, "seconds_for"):
        return None
    with sampled_as(run, model, guidance=guidance, sampler=sampler):
        return float(model.seconds_for(count, steps))


def usual_steps(run: Run, model: Any) -> int | None:
    """Steps of the sampler where none are asked for; None of models that draw in one go."""
    sampling = getattr(model, "sampling", None)
    found = getattr(run.settings, "steps", None) if sampling is None else sampling.steps
    return found if isinstance(found, int) else None


@contextmanager
def sampled_as(
    run: Run,
    model: Any,
    *,
    truncation: float | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
) -> Iterator[None]:
    """Sample in another way for as long as the context lasts.

    Raises:
        UserError: a model without styles or noise levels, an unknown sampler, guidance without a
            guide.
    """
    before = {name: getattr(model, name) for name in _CHANGED if hasattr(model, name)}
    try:
        if truncation is not None:
            _truncate(run, model, truncation)
        chosen = {"guidance": guidance, "sampler": sampler}
        _resample(run, model, {name: v for name, v in chosen.items() if v is not None})
        yield
    finally:
        for name, value in before.items():
            setattr(model, name, value)


_CHANGED = ("truncation", "sampling")


def _truncate(run: Run, model: Any, truncation: float) -> None:
    styled: Any = require_styles(run, model, "truncate")
    styled.truncation = truncation


def _resample(run: Run, model: Any, chosen: dict[str, Any]) -> None:
    if not chosen:
        return
    if not hasattr(model, "sampling"):
        raise UserError(
            f"The {run.family} in {run.folder} follows no noise down, so {next(iter(chosen))} "
            "has nothing to change. It is for diffusion."
        )
    model.sampling = replace(model.sampling, **chosen)
    _ = model.sampling.method  # unknown ones are refused here
    if model.sampling.guidance != 1 and not model.has_guide:
        raise UserError(
            f"The run {run.folder} was trained without a guide (guidance=1), so guidance has "
            "nothing to push away from. Train it with another guidance, or with "
            "conditional=true and guide=classless."
        )


def class_named(run: Run, model: object, name: str) -> Tensor:
    """The number of a class that the model can be asked for, or weights of a mixture.

    Raises:
        UserError: a model without classes, or a name that is none.
    """
    if not isinstance(model, TakesClasses):
        raise UserError(
            f"The {run.family} in {run.folder} was trained without classes, so a label has nothing "
            "to choose from. conditional-vae takes classes, and gan and diffusion with "
            "conditional=true."
        )
    known = run.spec.classes
    names = [name] if name in known else name.split("+")
    for each in names:
        if each not in known:
            raise UserError(f"There is no class {each!r}: {nearest(each, known)}")
    numbers = torch.tensor([known.index(each) for each in names])
    return numbers[0] if len(names) == 1 else torch.eye(len(known))[numbers].mean(0)
