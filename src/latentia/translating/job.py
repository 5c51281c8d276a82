"""What a run can be asked for: from which domain to which, at which scale, in which arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from latentia.abilities import Translates, abilities_of
from latentia.data.images import parse_colour
from latentia.data.spec import DataSpec
from latentia.errors import UserError, nearest
from latentia.maths.chunks import device_of
from latentia.precision import resolve_precision
from latentia.run import Run
from latentia.translating.scale import Scale
from latentia.translating.tiling import window_side

_LEAST = 16  # sides below it are too short for some networks, unless they were trained on them
_PRECISIONS = ("auto", "float32", "bfloat16")
_BY_PIXELS = ("grey", "low-resolution", "masked")


@dataclass(frozen=True)
class Job:
    """How pictures are to be translated.

    Attributes:
        model: what translates.
        to: the target domain.
        start: the domain that pictures are taken to be of.
        channels: of pictures of `start` and of `to`.
        trained: width and height of the training pictures.
        scale, size: as for `scale.planned`.
        local: as for `scale.planned`.
        detail: what is finer than the model's pictures is taken from the original.
        made: how the model's side is made from pictures first, or None.
        seed: of what is made.
        background: RGB levels laid under what is transparent.
        precision: of the arithmetic, for pictures of 8 bits.
        side: of the windows that large pictures are translated in.
    """

    model: Translates
    to: str
    start: str
    channels: tuple[int, int]
    trained: tuple[int, int]
    scale: Scale
    size: int | None
    local: bool
    detail: bool
    made: str | None
    seed: int
    background: tuple[int, int, int]
    precision: torch.dtype
    side: int

    @property
    def least(self) -> int:
        """Sides shorter than it are continued by reflection."""
        return min(_LEAST, *self.trained)

    def back(self) -> Job:
        """The way back.

        Raises:
            UserError: the model knows none.
        """
        if self.start not in self.model.targets:
            raise UserError(
                f"This model translates to {_listed(self.model.targets)} alone, so there is no "
                f"way back to {self.start}: leave out --round-trip, or train with both directions."
            )
        here, there = self.channels
        facts = {**self.__dict__, "to": self.start, "start": self.to, "channels": (there, here)}
        facts["side"] = window_side(self.model, there, self.start, self.precision)
        return Job(**facts)


def job_of(
    run: Run,
    model: Any,
    to: str | None = None,
    *,
    scale: Scale = "auto",
    size: int | None = None,
    made: str | None = None,
    precision: str = "auto",
) -> Job:
    """How pictures are translated with a run.

    Args:
        run: the run.
        model: its model.
        to: the target domain; None takes the last that there is.
        scale, size: as for `scale.planned`.
        made: make the model's side from pictures first: what the run was trained with.
        precision: "auto", "float32" or "bfloat16".

    Raises:
        UserError: a model that does not translate, no such domain, or nothing to be made.
    """
    refuse_others(run, model)
    if precision not in _PRECISIONS:
        raise UserError(f"There is no precision {precision!r}: {nearest(precision, _PRECISIONS)}")
    target = chosen_target(model, to)
    start = next(name for name in (*model.domains, target) if name != target)
    if run.spec.sound is not None:
        raise UserError(f"{run.folder} translates recordings, not pictures.")
    channels = channels_of(run.spec, start), channels_of(run.spec, target)
    kind = resolve_precision(precision, device_of(model))
    made_so = (run.spec.pair or {}).get("made")
    if made is not None and (made != made_so or start != run.spec.pair["names"][0]):  # type: ignore[index]
        raise UserError(_not_made(run, made, made_so, start))
    return Job(
        model=model,
        to=target,
        start=start,
        channels=channels,
        trained=(run.spec.shape[2], run.spec.shape[1]),
        scale=scale,
        size=size,
        local=made_so in _BY_PIXELS,
        detail=run.spec.pair is None and channels[0] == channels[1],
        made=made,
        seed=run.options.seed,
        background=parse_colour(run.options.background),
        precision=kind,
        side=window_side(model, channels[0], target, kind),
    )


def refuse_others(run: Run, model: object) -> None:
    """Refuse models that do not translate.

    Raises:
        UserError: it does not.
    """
    if not isinstance(model, Translates):
        raise UserError(
            f"The {run.family} in {run.folder} cannot translate: it can "
            f"{', '.join(abilities_of(model))}. `latentia models` shows which families can."
        )


def chosen_target(model: Translates, to: str | None) -> str:
    """The domain to translate to.

    Raises:
        UserError: the model does not translate to it.
    """
    if to is None:
        return model.targets[-1]
    if to in model.targets:
        return to
    if to in model.domains:
        raise UserError(
            f"This model translates to {_listed(model.targets)}, not to {to}: it was trained in "
            "one direction."
        )
    raise UserError(f"There is no domain {to!r} to translate to: {nearest(to, model.targets)}")


def channels_of(spec: DataSpec, domain: str) -> int:
    """Channels of pictures of a domain."""
    if spec.pair is not None and domain in spec.pair["names"]:
        return int(spec.pair["channels"][list(spec.pair["names"]).index(domain)])
    return spec.shape[0]


def _not_made(run: Run, made: str, made_so: str | None, start: str) -> str:
    if made_so is None:
        return f"{run.folder} was not trained on sides made from pictures: leave out --from {made}."
    if made != made_so:
        return f"{run.folder} was trained with {made_so}: use --from {made_so}, or leave it out."
    return (
        f"--from {made} makes what the model starts from, but {run.folder} starts from {start} "
        "itself: leave it out."
    )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(names)
