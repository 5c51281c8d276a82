"""What a run can be asked for: from which domain to which, at which scale, in which arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from latentia.abilities import Translates
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
        pairs: it was trained on pairs that were given.
        half: of two pictures side by side take the "left" or the "right" one; None: the whole.
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
    pairs: bool
    half: Literal["left", "right"] | None
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
        way_back(self.model, self.start)
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
    side_by_side: bool = False,
    made: str | None = None,
    precision: str = "auto",
) -> Job:
    """How pictures are translated with a run.

    Args:
        run: the run.
        model: its model.
        to: the target domain; None takes the last that there is.
        scale, size: as for `scale.planned`.
        side_by_side: pictures hold both sides, as some runs are trained on.
        made: make the model's side from pictures first: what the run was trained with.
        precision: "auto", "float32" or "bfloat16".

    Raises:
        UserError: no such domain, or nothing to be made.
    """
    if precision not in _PRECISIONS:
        raise UserError(f"There is no precision {precision!r}: {nearest(precision, _PRECISIONS)}")
    target = chosen_target(model, to)
    start = start_of(model, target)
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
        pairs=run.spec.pair is not None and made_so is None,
        half=_half(run, start) if side_by_side else None,
        made=made,
        seed=run.options.seed,
        background=parse_colour(run.options.background),
        precision=kind,
        side=window_side(model, channels[0], target, kind),
    )


def _half(run: Run, start: str) -> Literal["left", "right"]:
    """Where the side that the model starts from is, of two pictures side by side."""
    pair = run.spec.pair
    if pair is None or pair["made"] is not None:
        raise UserError(
            f"{run.folder} was not trained on pictures side by side: leave out --side-by-side."
        )
    return "left" if start == pair["names"][0] else "right"


def way_back(model: Translates, start: str) -> str:
    """The domain that things came from, if they can be brought back to it.

    Raises:
        UserError: they cannot.
    """
    if start not in model.targets:
        raise UserError(
            f"This model translates to {_listed(model.targets)} alone, so there is no way back to "
            f"{start}: leave out --round-trip, or train with both directions."
        )
    return start


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


def start_of(model: Translates, to: str) -> str:
    """The domain that is translated to another one."""
    return next(name for name in (*model.domains, to) if name != to)


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
