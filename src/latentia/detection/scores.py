"""How strange an example is to a model: one number per row, higher = stranger.

Pure functions of a model's abilities, and the registry `SCORES` of scores that are first fitted
to training rows. No score wins everywhere: `latentia.detection.scorer` combines them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasElbo, HasEnergy
from latentia.data.spec import Dataset
from latentia.detection.denoising import denoising_error
from latentia.detection.gaussian import FittedGaussian
from latentia.detection.measures import (
    Rows,
    as_rows,
    code_length,
    energies,
    latent_distance,
    likelihood_ratio,
    typicality,
)
from latentia.detection.surroundings import SMALLEST_SIDE, Surroundings
from latentia.detection.views import Views
from latentia.errors import UserError, nearest
from latentia.maths.chunks import device_of, spread_rows
from latentia.metrics.reconstruction import squared_errors
from latentia.models.denoiser import Denoiser
from latentia.models.variational import VariationalModel

FITTING_ROWS = 5000  # training rows that a score is fitted to, at most
ELBO_DRAWS = 1
_CHUNK_VALUES = 1 << 20  # numbers per chunk of rows


class Seen:
    """Some rows as a model sees them; whatever several scores need is worked out once.

    Args:
        model: with any abilities.
        x: `(B, …)` on the model's device, images in [-1, 1].
        seed: of every draw.
    """

    def __init__(self, model: Any, x: Tensor, seed: int = 0) -> None:
        self.model, self.x, self.seed = model, x, seed

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def codes(self) -> Tensor:
        """`(B, d)`."""
        with torch.no_grad():
            codes: Tensor = self.model.encode(self.x)
        return codes

    @cached_property
    def returned(self) -> Tensor:
        """The rows after the way through the latent space, `(B, …)`."""
        with torch.no_grad():
            returned: Tensor = self.model.decode(self.codes)
        return returned

    @cached_property
    def nll(self) -> Rows:
        """−ELBO, nats."""
        return negative_elbo(self.model, self.x, seed=self.seed)

    @cached_property
    def code_length(self) -> Rows:
        """Length of the shortest lossless code at hand, nats."""
        return code_length(self.x)


Measure = Callable[[Seen], Rows]


# pure functions


def reconstruction_error(model: Any, x: Tensor) -> Rows:
    """Mean squared error on the way there and back, `(B, …) -> (B,)`, squared data units, ≥ 0."""
    return as_rows(squared_errors(x, Seen(model, x).returned))


@torch.no_grad()
def negative_elbo(model: Any, x: Tensor, *, draws: int = ELBO_DRAWS, seed: int = 0) -> Rows:
    """−ELBO at β = 1, `(B, …) -> (B,)`, nats.

    Models with one inference network take the same noise for every row, so that a row's number
    does not depend on the rows beside it; others draw by the row's place in its chunk.

    Args:
        draws: of the latents, averaged.
        seed: of the draws.
    """
    if not isinstance(model, VariationalModel):
        return -np.mean([as_rows(model.elbo(x, seed=seed + k)) for k in range(draws)], axis=0)
    generator = torch.Generator().manual_seed(seed)
    seen, found = model.look(x), []
    for _ in range(draws):
        noise = torch.randn(1, model.latent_dim, generator=generator).to(x.device)
        drawn = model.draw(seen, noise.expand(len(x), -1))
        found.append(as_rows(model.kl(drawn).sum(1) - model.fit_of(x, drawn.parameters)))
    return np.mean(found, axis=0)


def gradient_norm(model: Any, x: Tensor) -> Rows:
    """How hard the model pulls at the code it gave x itself, `(B, …) -> (B,)`, ≥ 0.

    The norm of the gradient, by the code, of log p(x, z) for models with a likelihood and of the
    squared error for others; after Nguyen et al. 2019 and Kwon et al. 2020, who take the
    gradient by the weights, one row at a time.
    """
    z = Seen(model, x).codes.detach().requires_grad_(True)
    with torch.enable_grad():
        if isinstance(model, VariationalModel) and z.shape[1] == model.latent_dim:
            fit = model.log_likelihood(x, z) + model.log_prior(z)
        else:
            fit = -(x - model.decode(z)).square().flatten(1).sum(1)
        (pull,) = torch.autograd.grad(fit.sum(), z)
    return as_rows(pull.double().norm(dim=1))


# scores fitted to training rows


@dataclass(frozen=True)
class Fitting:
    """How scores are fitted.

    Attributes:
        seed: of every draw.
        examples: pictures that the training of `Views` sees; None leaves it to the data.
    """

    seed: int = 0
    examples: int | None = None


@dataclass(frozen=True)
class Score:
    """One way of being strange.

    Attributes:
        name: key in `SCORES`.
        needs: abilities that a model must have for it.
        reason: what a high value means, in plain words; ends "… because it" reads on with it.
        fit: (model, training rows, how to fit) to a function of rows seen.
        family: scores of one family look at the same thing, and count together once.
        smallest_side: pixels that pictures must have on their shorter side; None: for vectors too.
    """

    name: str
    needs: tuple[type, ...]
    reason: str
    fit: Callable[[Any, Dataset, Fitting], Measure]
    family: str = "model"
    smallest_side: int | None = None

    def fits(self, model: object, shape: tuple[int, ...]) -> bool:
        """Whether the score can be had of this model on rows of this shape."""
        side = min(shape[1:]) if len(shape) == 3 else 0
        large_enough = self.smallest_side is None or side >= self.smallest_side
        if isinstance(model, Denoiser) and Denoiser not in self.needs and self.needs:
            return False  # its codes are as large as the data, bring it back exactly, and are slow
        return large_enough and all(isinstance(model, ability) for ability in self.needs)


def seen_chunks(
    model: Any, data: Dataset, seed: int = 0, limit: int | None = None
) -> Iterator[Seen]:
    """The rows of `data` in order, a chunk at a time; evenly spread ones where there is a limit."""
    rows = spread_rows(len(data), len(data) if limit is None else limit)
    size = max(8, min(256, _CHUNK_VALUES // data.spec.dims))
    device = str(device_of(model))
    for chunk in rows.split(size) if len(rows) else ():
        yield Seen(model, data.batch(chunk, device).x, seed)


def _fit_reconstruction(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: as_rows(squared_errors(seen.x, seen.returned))


def _fit_elbo(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: seen.nll


def _fit_ratio(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: likelihood_ratio(seen.nll, seen.code_length)


def _fit_typicality(model: Any, train: Dataset, how: Fitting) -> Measure:
    found = [seen.nll for seen in seen_chunks(model, train, how.seed, FITTING_ROWS)]
    usual = float(np.mean(np.concatenate(found)))
    return lambda seen: typicality(seen.nll, usual)


def _fit_latent_distance(model: Any, train: Dataset, how: Fitting) -> Measure:
    found = [seen.codes.cpu().numpy() for seen in seen_chunks(model, train, how.seed, FITTING_ROWS)]
    usual = FittedGaussian.fit(np.concatenate(found))
    return lambda seen: latent_distance(seen.codes.cpu().numpy(), usual)


def _fit_gradient(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: gradient_norm(seen.model, seen.x)


def _fit_energy(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: energies(seen.model, seen.x)


def _fit_denoising(model: Any, train: Dataset, how: Fitting) -> Measure:
    return lambda seen: denoising_error(seen.model, seen.x, seed=seen.seed)


def _fit_views(model: Any, train: Dataset, how: Fitting) -> Measure:
    views = Views.fit(train, seed=how.seed, examples=how.examples)
    return lambda seen: views.strangeness(seen.x)


def _fit_surroundings(model: Any, train: Dataset, how: Fitting) -> Measure:
    surroundings = Surroundings.fit(train, how.seed)
    return lambda seen: surroundings.strangeness(seen.x)


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "reconstruction",
            (Encodes, Decodes),
            "the model cannot rebuild it: it has parts that the training examples do not have",
            _fit_reconstruction,
        ),
        Score(
            "negative_elbo",
            (HasElbo,),
            "the model finds it unlikely as a whole",
            _fit_elbo,
        ),
        Score(
            "likelihood_ratio",
            (HasElbo,),
            "the model finds it unlikelier than a picture that simple or that busy should be",
            _fit_ratio,
            smallest_side=1,
        ),
        Score(
            "latent_distance",
            (Encodes,),
            "it has a rare mixture of features: its code lies far from those of the others",
            _fit_latent_distance,
        ),
        Score(
            "typicality",
            (HasElbo,),
            "the model finds it much likelier or much unlikelier than what it usually sees",
            _fit_typicality,
        ),
        Score(
            "gradient_norm",
            (Encodes, Decodes),
            "the model's own description of it fits badly and pulls to another one",
            _fit_gradient,
        ),
        Score(
            "energy",
            (HasEnergy,),
            "the model gives it a higher energy than its own samples: it would hardly come up "
            "with it",
            _fit_energy,
        ),
        Score(
            "denoising",
            (Denoiser,),
            "the model, asked to take noise off it, makes something else of it",
            _fit_denoising,
        ),
        Score(
            "views",
            (),
            "its features, looked at from all sides, are unlike those of the others: another kind "
            "of thing, or an odd form of it",
            _fit_views,
            family="shape",
            smallest_side=8,
        ),
        Score(
            "surroundings",
            (),
            "some place in it does not follow from what is around it, as a spot, a scratch or a "
            "seam would not",
            _fit_surroundings,
            family="place",
            smallest_side=SMALLEST_SIDE,
        ),
    )
}
"""Scores of a model by name."""


PICTURE_SCORES = (
    "likelihood_ratio",
    "latent_distance",
    "energy",
    "denoising",
    "views",
    "surroundings",
)
"""What pictures are judged by unless scores are named.

Reconstruction, −ELBO, typicality and gradient norm grow with how busy a picture is, and call a
smooth one normal whatever it shows; the likelihood ratio takes that out (Serrà et al. 2020).
"""


def default_scores(fitting: Sequence[str], shape: tuple[int, ...]) -> list[str]:
    """The scores that are combined where none are named.

    Args:
        fitting: names of scores that can be had.
        shape: of a row.

    Returns:
        All for vectors; for pictures those of `PICTURE_SCORES`, and the reconstruction in place
        of a likelihood ratio that the model cannot give.

    >>> default_scores(["reconstruction", "views"], (1, 28, 28))
    ['reconstruction', 'views']
    """
    if len(shape) != 3:
        return list(fitting)
    instead: tuple[str, ...] = () if "likelihood_ratio" in fitting else ("reconstruction",)
    return [name for name in fitting if name in PICTURE_SCORES + instead]


def chosen_scores(
    names: Sequence[str] | None, model: object, shape: tuple[int, ...]
) -> dict[str, Score]:
    """The named scores, or the default ones of those that can be had of the model.

    Args:
        names: keys of `SCORES`; None for `default_scores`.
        model: None takes the scores that need no model.
        shape: of a row.

    Raises:
        UserError: an unknown name, one that the model cannot give, or a model that gives none.
    """
    fitting = {name: score for name, score in SCORES.items() if score.fits(model, shape)}
    if names is None:
        if not fitting or (model is not None and not any(s.needs for s in fitting.values())):
            raise UserError(
                f"{type(model).__name__} neither rebuilds nor weighs examples, so it cannot say "
                "which are strange. Train a model that can, such as --model vae."
            )
        return {name: fitting[name] for name in default_scores(list(fitting), shape)}
    if not names:
        raise UserError(f"Name at least one score: {', '.join(SCORES)}.")
    for name in names:
        if name not in SCORES:
            raise UserError(f"There is no score {name!r}: {nearest(name, SCORES)}")
        if name not in fitting:
            raise UserError(
                f"The score {name!r} cannot be had of {type(model).__name__} on rows of shape "
                f"{shape}; these can: {', '.join(fitting) or 'none'}."
            )
    return {name: fitting[name] for name in names}
