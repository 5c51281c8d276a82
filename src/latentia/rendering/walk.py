"""Walks from one draw or example to another, through latent space or through styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast, get_args

from torch import Tensor, nn

from latentia.abilities import Decodes, Encodes, HasStyles, abilities_of
from latentia.errors import UserError
from latentia.explore.inverse_space import LayerStyles, draw_of, space_of
from latentia.explore.invert import Inverter, Likeness
from latentia.explore.latent import How, between, codes_of, decode, encode
from latentia.explore.plane import smoothness
from latentia.rendering.recipe import Recipe, recipe_of
from latentia.run import Run

HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True)
class Walk:
    """A walk between two ends.

    Attributes:
        way: `(frames, …)`, both ends among them.
        how: the way that was walked: through styles it is straight, whatever was asked for.
        smoothness: 1 for an even walk, 0 where one step makes the whole change.
        recipe: what made it.
    """

    way: Tensor
    how: How
    smoothness: float
    recipe: Recipe


def render(
    run: Run,
    model: Any,
    a: int | Tensor,
    b: int | Tensor,
    *,
    frames: int = 10,
    how: How = "spherical",
) -> Walk:
    """Walk from a to b.

    Args:
        run: whose model.
        model: decodes; it encodes as well where an end is an example (an `Inverter` does).
        a, b: the seed of a draw, or an example `(1, …)`.
        frames: pictures of the walk, at least 2.
        how: "spherical", "linear", or "aggregate": through places where training rows are encoded.

    Raises:
        UserError: a model that cannot do it, another `how`, fewer than 2 frames.
    """
    require_how(how)
    _require(run, model, Decodes, "interpolate")
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        _require(run, model, Encodes, "interpolate between examples")
    walked = _in_styles(model)
    if how == "spherical" and walks_in_styles(walked):
        how = "linear"  # style space has no shell that a straight way would leave
    codes = _codes(run, walked) if how == "aggregate" else None
    way = decode(walked, between(_latent(walked, a), _latent(walked, b), frames, how, codes))[0]
    ends = [{"seed": e} if isinstance(e, int) else "an example" for e in (a, b)]
    facts = {"from": ends[0], "to": ends[1], "frames": frames, "how": how}
    return Walk(way, how, smoothness(way), recipe_of(run, "walk", facts))


def require_how(how: str) -> None:
    """Refuse unknown ways.

    Raises:
        UserError: it is none of `HOWS`.
    """
    if how not in HOWS:
        raise UserError(f"A way is 'linear', 'spherical' or 'aggregate', not {how!r}.")


def walks_in_styles(model: object) -> bool:
    """Whether the latents of what is walked in are styles of every layer."""
    return isinstance(model, HasStyles) or (
        isinstance(model, Inverter) and isinstance(model.space, LayerStyles)
    )


def _require(run: Run, model: object, ability: type, verb: str) -> None:
    if not isinstance(model, ability):
        raise UserError(
            f"The {run.family} in {run.folder} cannot {verb}: it can "
            f"{', '.join(abilities_of(model))}. `latentia models` shows which families can."
        )


def _codes(run: Run, model: Any) -> Tensor:
    _require(run, model, Encodes, "say where training rows are encoded")
    return codes_of(model, run.data("train"))


def _in_styles(model: Any) -> Any:
    """Between draws of a model with styles the way leads through those."""
    if not isinstance(model, HasStyles):
        return model
    decodes = cast("Decodes", model)
    assert isinstance(model, nn.Module)
    return Inverter(model, space_of(decodes), nn.Identity(), Likeness(1.0))


def _latent(model: Any, end: int | Tensor) -> Tensor:
    """`(1, d)`, of a draw or of an example."""
    if isinstance(end, Tensor):
        return encode(model, end)
    if isinstance(model, Inverter):
        return model.space.spread(model.space.draw([end])).cpu()
    return draw_of(model, end)
