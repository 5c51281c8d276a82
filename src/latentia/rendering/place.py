"""One place in latent space: which latents matter, how far they reach, what is decoded there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasPosterior, HasStyles, abilities_of
from latentia.data.attributes import attributes_of
from latentia.errors import UserError, nearest
from latentia.explore.directions import labelled_codes, mean_difference
from latentia.explore.inverse_space import draw_of
from latentia.explore.latent import encode
from latentia.explore.mixing import StyleSpace
from latentia.explore.walks import stirring, weightiest
from latentia.maths.chunks import device_of, spread_rows
from latentia.maths.randomness import seeded_noise
from latentia.rendering.recipe import Recipe, recipe_of
from latentia.rendering.samples import class_named
from latentia.run import Run

SPAN = 3.0
"""How far latents reach, in deviations to either side."""
_FIRST = ", the one with the largest effect first"
_PROBED = 256
_DRAWS = 16
_ROWS = 5000  # that directions are learned from


@dataclass(frozen=True)
class Axes:
    """The latents of a model.

    Attributes:
        decoder: what decodes them: the model, or the main directions of its styles.
        order: their numbers, the one with the largest effect first.
        low, high: how far each reaches, `(d,)`.
        start: a place to begin at, `(d,)`.
        words: what the latents are, and their order.
    """

    decoder: Any
    order: list[int]
    low: Tensor
    high: Tensor
    start: Tensor
    words: str


@dataclass(frozen=True)
class Found:
    """What lies at a place.

    Attributes:
        x: `(1, …)`.
        z: the place, `(d,)`.
        recipe: what made it.
    """

    x: Tensor
    z: Tensor
    recipe: Recipe


def axes_of(run: Run, model: Any, *, seed: int = 0) -> Axes:
    """The latents of a run's model, by effect, with their ranges.

    Of models that encode, ranges are mean ± 3 deviations of held-out rows, and the start is the
    encoding of the first of them. Others start at a draw and go over the prior's ± 3, as do those
    with as many latents as the data have numbers, in their own order. Those with styles move along
    the main directions of these, from the mean picture.

    Raises:
        UserError: the model does not decode.
    """
    if not isinstance(model, Decodes):
        raise UserError(
            f"The {run.family} in {run.folder} cannot decode places of a latent space: it can "
            f"{', '.join(abilities_of(model))}."
        )
    if isinstance(model, HasStyles):
        space = StyleSpace.of(model)
        words = f"**Main directions of the styles**{_FIRST}"
        return _by_prior(space, torch.zeros(space.latent_dim), words, list(range(space.latent_dim)))
    test = _held_out(run) if knows_where_data_lie(run, model) else None
    if test is not None:
        return _by_data(model, test)
    own_order = list(range(model.latent_dim)) if model.latent_dim >= run.spec.dims else None
    words = f"**Latents**{_FIRST if own_order is None else ', in their own order'}"
    return _by_prior(model, draw_of(model, seed)[0], words, own_order)


def knows_where_data_lie(run: Run, model: object) -> bool:
    """Whether encodings of data say more than the data themselves: they are few, or uncertain."""
    if isinstance(model, HasPosterior):
        return True
    small = isinstance(model, Decodes) and model.latent_dim < run.spec.dims
    return small and isinstance(model, Encodes)


def _by_prior(decoder: Decodes, start: Tensor, words: str, order: list[int] | None) -> Axes:
    """`order` None: by how much the data change, which takes a decode for each latent."""
    high = torch.full((decoder.latent_dim,), SPAN)
    if order is None:
        order = stirring(decoder, seeded_noise(range(_DRAWS), (decoder.latent_dim,)))
    return Axes(decoder, order, -high, high, start, words)


def _held_out(run: Run) -> Tensor | None:
    """Some held-out rows; None where the run's data are gone."""
    try:
        test = run.data("test")
    except (UserError, OSError):
        return None
    return test.batch(spread_rows(len(test), _PROBED)).x


def _by_data(model: Any, x: Tensor) -> Axes:
    z = encode(model, x)
    middle, reach = z.mean(0), SPAN * z.std(0, correction=0).clamp(min=1e-3)
    return Axes(
        model, weightiest(model, x), middle - reach, middle + reach, z[0], f"**Latents**{_FIRST}"
    )


def render(
    run: Run,
    axes: Axes,
    z: Sequence[float] | Tensor,
    *,
    label: str | None = None,
    direction: Tensor | None = None,
    strength: float = 0.0,
) -> Found:
    """Decode one place.

    Args:
        run: whose model.
        axes: from `axes_of`.
        z: the place, `(d,)`.
        label: the class it is decoded as, by name, of models that take one.
        direction: `(d,)`, one of `directions_of`; the place moves by `strength` times it.
        strength: 1 is as far as rows with and without the label lie apart.

    Raises:
        UserError: another number of latents, one that is no number, or a class there is not.
    """
    place = place_within(torch.as_tensor(z, dtype=torch.float32).reshape(-1), axes.start)
    if direction is not None:
        place = place + strength * direction
    asked = None if label is None else class_named(run, axes.decoder, label)
    with torch.no_grad():
        at = place[None].to(device_of(axes.decoder))
        x = axes.decoder.decode(at, condition=asked).cpu()
    facts = {"z": [round(v, 6) for v in place.tolist()], "label": label}
    return Found(x, place, recipe_of(run, "place", facts))


def place_within(z: Tensor, like: Tensor) -> Tensor:
    """A place `(n,)` as it is, if it can be one where `like` `(d,)` is another.

    Raises:
        UserError: another number of latents, or one that is no number.
    """
    finite = bool(z.isfinite().all())
    if len(z) != len(like) or not finite:
        raise UserError(
            f"A place of this model is {len(like)} numbers; got {len(z)}"
            f"{'' if finite else ', not all of them finite'}."
        )
    return z


def random_place(axes: Axes, model: Any, seed: int) -> Tensor:
    """Where the model's draw of a seed lies, `(d,)`; among styles, a normal draw."""
    if axes.decoder is model:
        return draw_of(model, seed)[0]
    return seeded_noise([seed], (len(axes.start),))[0]


@dataclass(frozen=True)
class Directions:
    """Where labels lie.

    Attributes:
        vectors: `(d,)` by label: mean of the codes with it minus mean of those without.
    """

    vectors: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.vectors:
            raise UserError(f"There is no direction {name!r}: {nearest(name, self.vectors)}")
        return self.vectors[name]


def directions_of(run: Run, model: Any) -> Directions:
    """The directions of the labels of a run's training rows; none without labels or encoder."""
    if not isinstance(model, Encodes):
        return Directions()
    try:
        train = run.data("train")
        known = attributes_of(train)
    except UserError:  # no rows, or some of which nothing is known
        return Directions()
    codes, values = labelled_codes(model, train, known, _ROWS)
    both = values.any(0) & ~values.all(0)
    found = {
        name: mean_difference(codes, values[:, i]) for i, name in enumerate(known.names) if both[i]
    }
    return Directions(found)
