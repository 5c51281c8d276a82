"""Real data back into the latent space of a model that only decodes.

An encoder, trained on the model's own draws, gives the start (Zhu et al. 2016, section 3.1);
Adam then moves the latents so that values and features of the decoding match, and a penalty keeps
them where the model has learned to decode from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentia.abilities import Decodes, Encodes, refuse_condition
from latentia.data.spec import Dataset
from latentia.errors import UserError
from latentia.explore.inverse_space import LayerStyles, NoiseSpace, Space
from latentia.explore.latent import decode
from latentia.maths.chunks import device_of, in_chunks, spread_rows

STEPS = 200
PRIOR = 0.1
_RATE = 0.05
_REAL_ROWS = 1000
_AT_ONCE = 32  # rows optimised side by side
_WARM = 0.1  # of the steps, until the full rate
_DEVIATIONS = 2.0  # that a latent may be more unusual than a draw before it costs
_PICKS = 32  # values tried of latents that give no gradient
Progress = Callable[[int, int], None]
Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Likeness:
    """How unlike two examples are, by values and by features; 1 for two real rows by chance.

    Attributes:
        value_unit: mean squared difference of the values of two real rows.
        features: `(B, …) -> (B, F)`, differentiable; None compares values alone.
        feature_unit: mean squared distance between two real rows, in features.
        weight: of the features next to the values.
    """

    value_unit: float
    features: Features | None = None
    feature_unit: float = 1.0
    weight: float = 1.0

    @classmethod
    def of(cls, real: Tensor, features: Features | None = None, weight: float = 1.0) -> Likeness:
        """With units from real rows `(N, …)`, 2 or more.

        Raises:
            UserError: a single row.
        """
        if len(real) < 2:
            raise UserError("It takes two or more real rows to say how unlike rows are by chance.")
        unit = 2 * float(real.double().flatten(1).var(0).mean())
        if features is None:
            return cls(max(unit, 1e-12))
        seen = in_chunks(features, real).double()
        return cls(max(unit, 1e-12), features, max(2 * float(seen.var(0).sum()), 1e-12), weight)

    @classmethod
    def among(cls, train: Dataset, model: object, features: Features | None = None) -> Likeness:
        """With units from at most 1,000 rows, evenly apart, on the model's device."""
        real = train.batch(spread_rows(len(train), _REAL_ROWS)).x
        return cls.of(real.to(device_of(model)), features)

    def seen(self, x: Tensor) -> Tensor | None:
        """Features of data, where there are any to compare."""
        return None if self.features is None else self.features(x)

    def __call__(self, x: Tensor, y: Tensor, seen: Tensor | None) -> Tensor:
        """`(B, …)` twice, and the features of x, `-> (B,)`."""
        found = (x - y).square().flatten(1).mean(1) / self.value_unit
        if self.features is None or seen is None:
            return found
        apart = (self.features(y) - seen).square().sum(1) / self.feature_unit
        return found + self.weight * apart


@dataclass(frozen=True)
class Inverted:
    """Latents that decode to something like the examples.

    Attributes:
        z: `(N, d)`, float32 on the CPU.
        start: where the search began, `(N, d)`: the encoder's answer.
        errors: mean squared error of every decoding, `(N,)`.
        start_errors: the same of `start`.
    """

    z: Tensor
    start: Tensor
    errors: Tensor
    start_errors: Tensor


def invert(
    space: Space,
    encoder: Callable[[Tensor], Tensor],
    x: Tensor,
    likeness: Likeness,
    *,
    model: Decodes,
    steps: int = STEPS,
    rate: float = _RATE,
    prior: float = PRIOR,
    progress: Progress | None = None,
) -> Inverted:
    """Latents whose decodings are most like some examples; the same whatever the batch.

    Args:
        space: where to look.
        encoder: gives the start, `(B, …) -> (B, code_dims)`.
        x: `(N, …)`.
        likeness: what is to match.
        model: decodes what was found.
        steps: of Adam; 0 takes the encoder's answer as it is.
        rate: its peak learning rate.
        prior: weight of the penalty on latents more unusual than the model's own draws are.
        progress: called with (examples done, of how many).

    Raises:
        UserError: steps below 0.
    """
    if steps < 0:
        raise UserError(f"An inversion takes 0 or more steps, not {steps}.")
    where = device_of(model)
    starts, found = [], []
    for chunk in x.split(_AT_ONCE):
        near = chunk.to(where)
        with torch.no_grad():
            start = space.spread(encoder(near).float())
        start = _picked(space, start, near, likeness) if steps else start
        moved = _moved(space, start, near, likeness, steps, rate, prior)
        starts.append(start.cpu())
        found.append(moved.cpu())
        if progress is not None:
            progress(sum(map(len, found)), len(x))
    start, z = torch.cat(starts), torch.cat(found)
    errors, before = (_errors(decode(model, codes), x) for codes in (z, start))
    return Inverted(z, start, errors, before)


def _errors(decoded: Tensor, x: Tensor) -> Tensor:
    return (decoded - x.cpu()).square().flatten(1).mean(1)


def _moved(
    space: Space,
    start: Tensor,
    x: Tensor,
    likeness: Likeness,
    steps: int,
    rate: float,
    prior: float,
) -> Tensor:
    """The best place on Adam's way from the start, for every row by itself."""
    with torch.no_grad():
        seen = likeness.seen(x)
    best, least = start.clone(), start.new_full((len(start),), torch.inf)
    usual = 1 + _DEVIATIONS * (2 / space.code_dims) ** 0.5  # of chi-squared over its degrees
    z = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([z], lr=rate)
    for step in range(steps + 1):
        with torch.enable_grad():
            unusual = (space.strangeness(z) - usual).relu()
            loss = likeness(x, space.decode(z), seen) + prior * unusual
            (slope,) = torch.autograd.grad(loss.sum(), z)
        better = loss.detach() < least
        least = torch.where(better, loss.detach(), least)
        best = torch.where(better[:, None], z.detach(), best)
        if step < steps:
            progress = step / steps
            optimiser.param_groups[0]["lr"] = rate * min(progress / _WARM + 0.1, 1 - progress, 1)
            z.grad = slope
            optimiser.step()
    return best if steps else start


def _picked(space: Space, start: Tensor, x: Tensor, likeness: Likeness) -> Tensor:
    """Latents that give no gradient, such as one that chooses a class, by trying values."""
    with torch.no_grad():
        seen = likeness.seen(x)
    with torch.enable_grad():
        z = start.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(likeness(x, space.decode(z), seen).sum(), z)
    blind = (slope == 0).all(0).nonzero().flatten()
    if not 0 < len(blind) <= 2:  # none, or a model that hardly moves: nothing to choose
        return start
    best, least = start, start.new_full((len(start),), torch.inf)
    values = torch.special.ndtri((torch.arange(_PICKS) + 0.5) / _PICKS).to(start)
    with torch.no_grad():
        for dim in blind.tolist():
            for value in values:
                tried = best.clone()
                tried[:, dim] = value
                loss = likeness(x, space.decode(tried), seen)
                better = loss < least
                best = torch.where(better[:, None], tried, best)
                least = torch.where(better, loss, least)
    return best


class Inverter(nn.Module):
    """A model that only decodes, with the way back: it encodes by inversion.

    Args:
        model: decodes.
        space: where latents are looked for.
        encoder: gives the start.
        likeness: what is to match.
        steps, prior: as in `invert`.
    """

    def __init__(
        self,
        model: nn.Module,
        space: Space,
        encoder: nn.Module,
        likeness: Likeness,
        steps: int = STEPS,
        prior: float = PRIOR,
    ) -> None:
        super().__init__()
        self.model, self.encoder = model, encoder
        self.space, self.likeness, self.steps, self.prior = space, likeness, steps, prior

    @property
    def latent_dim(self) -> int:
        return self.space.dims

    def invert(self, x: Tensor, progress: Progress | None = None) -> Inverted:
        """See `invert`."""
        return invert(
            self.space,
            self.encoder,
            x,
            self.likeness,
            model=self,
            steps=self.steps,
            prior=self.prior,
            progress=progress,
        )

    def encode(self, x: Tensor) -> Tensor:
        """`(B, …) -> (B, d)`."""
        return self.invert(x.cpu()).z.to(device_of(self))

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        """`(B, d) -> (B, …)`."""
        if isinstance(self.space, NoiseSpace):
            return self.space.model.decode(z, condition=condition)
        refuse_condition(self.model, condition)
        return self.space.decode(z)

    def styles_of(self, x: Tensor) -> Tensor:
        """Styles of examples, to mix, `(B, …) -> (B, L, d)`.

        Raises:
            UserError: the model has no styles.
        """
        if not isinstance(self.space, LayerStyles):
            raise UserError(f"{type(self.model).__name__} has no styles; the family style-gan has.")
        return self.space.styles(self.encode(x))


class OwnEncoder(nn.Module):
    """The encoder of a model that has one.

    Args:
        model: encodes.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """`(B, …) -> (B, d)`."""
        z: Tensor = self.model.encode(x)
        return z


def require_invertible(model: object, dims: int) -> None:
    """Refuse what has no latent space to look in, or needs no search.

    Args:
        model: the model.
        dims: numbers of an example.

    Raises:
        UserError: it does not decode, or it decodes from as many numbers as an example has and
            encodes exactly.
    """
    name = type(model).__name__
    if not isinstance(model, Decodes):
        raise UserError(f"{name} does not decode, so there is no latent space to look in.")
    if isinstance(model, Encodes) and model.latent_dim >= dims:
        raise UserError(
            f"{name} encodes without loss, into as many numbers as the data have; there is "
            "nothing to search for. Use `latentia encode` and `latentia interpolate` as they are."
        )
