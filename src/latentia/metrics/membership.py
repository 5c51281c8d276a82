"""Membership inference: can one tell from a model which examples it was trained on?

Every score that model and data allow is tried; its AUC is the probability that it puts a random
training row above a random held-out row: 0.5 tells nothing apart, 1 gives every member away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor

from latentia.abilities import Decodes, Encodes, HasElbo, HasLogProb, TakesClasses
from latentia.data.spec import Dataset
from latentia.maths.chunks import device_of, in_chunks, spread_rows
from latentia.metrics.intervals import REPLICATES, Estimate, between_replicates

ROWS = 500
_LEVELS = (0.3, 0.6, 1.2)  # noise over that of the data: between too easy and too hard to restore
_DRAWS = 4
_MOST_CLASSES = 32  # that a critic of pairs is asked about one by one


class Denoises(Protocol):
    """Restores noisy data; `standardise` maps data to what it works on."""

    sigma_data: float
    standardise: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """`(B, …)`, σ `(B,)` -> `(B, …)`, standardised."""
        ...


class HasCritic(Protocol):
    """Ships the critic it was trained against."""

    critic: Callable[..., Tensor]
    standardise: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Membership:
    """How well each score tells training rows from held-out ones.

    Attributes:
        scores: name -> AUC with its interval.
        rows: training rows, and as many held-out ones (or all there are).
        held_out_rows: those.
    """

    scores: dict[str, Estimate]
    rows: int
    held_out_rows: int

    @property
    def strongest(self) -> tuple[str, Estimate] | None:
        """The score that gives most away, surely: by the lower end of its interval."""
        return max(self.scores.items(), key=lambda item: item[1].low or 0.0, default=None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def membership(
    model: object,
    train: Dataset,
    held_out: Dataset,
    *,
    samples: Tensor | None = None,
    rows: int = ROWS,
    seed: int = 0,
) -> Membership:
    """AUC of every score of the model's own, and of the distance to its nearest sample.

    The last needs samples only (GAN-Leaks, Chen et al. 2020, section 4.1).

    Args:
        model: anything with abilities.
        train, held_out: members and others, of the same source.
        samples: of the model, `(N, …)`.
        rows: at most, of each.
        seed: of noise and bootstrap.
    """
    ours, theirs = (data.batch(spread_rows(len(data), rows)).x for data in (train, held_out))
    found = {}
    for number, (name, score) in enumerate(scores_of(model, samples, seed).items()):
        inside, outside = (score(x).double().cpu().numpy() for x in (ours, theirs))
        if np.isfinite(inside).all() and np.isfinite(outside).all():
            found[name] = auc(inside, outside, seed=seed + number)
    return Membership(found, len(ours), len(theirs))


def scores_of(
    model: object, samples: Tensor | None = None, seed: int = 0
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Name -> score of rows `(B, …) -> (B,)`, higher for what the model knows; those it allows."""
    where = device_of(model)
    found: dict[str, Callable[[Tensor], Tensor]] = {}
    if isinstance(model, HasElbo):
        found["ELBO"] = lambda x: in_chunks(lambda c: model.elbo(c, seed=seed), x, device=where)
    elif _denoises(model):  # as telling as its log-likelihood, and far quicker
        found["denoising error"] = lambda x: _denoised(model, x, where, seed)
    elif isinstance(model, HasLogProb):
        found["log-likelihood"] = lambda x: in_chunks(
            lambda c: model.log_prob(c, seed=seed), x, device=where
        )
    if not _denoises(model) and isinstance(model, Encodes) and isinstance(model, Decodes):
        found["reconstruction"] = lambda x: in_chunks(
            lambda c: -_squared(model.decode(model.encode(c)), c), x, device=where
        )
    if _has_critic(model):
        found["critic"] = lambda x: _criticised(model, x, where)
    if samples is not None and len(samples):
        pool = samples.float().flatten(1).cpu()
        found["nearest sample"] = lambda x: in_chunks(
            lambda c: -torch.cdist(c.flatten(1), pool).amin(1), x.float()
        )
    return found


def auc(inside: np.ndarray, outside: np.ndarray, *, seed: int = 0) -> Estimate:
    """Probability that a value of the first exceeds one of the second; ties count half.

    Args:
        inside, outside: `(N,)` and `(M,)`.
        seed: of the bootstrap over rows of both.

    >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0])).value
    0.875
    """
    above = (inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)
    random = np.random.default_rng(seed)
    n, m = above.shape
    first = random.multinomial(n, np.full(n, 1 / n), size=REPLICATES).astype(np.float32)
    second = random.multinomial(m, np.full(m, 1 / m), size=REPLICATES).astype(np.float32)
    again = ((first @ above.astype(np.float32)) * second).sum(1) / (n * m)
    return between_replicates(float(above.mean()), np.asarray(again, dtype=np.float64))


def _denoises(model: object) -> TypeGuard[Denoises]:
    # by hasattr: from Python 3.12 on, isinstance does not see submodules of a network
    return all(hasattr(model, name) for name in ("sigma_data", "standardise")) and callable(model)


def _has_critic(model: object) -> TypeGuard[HasCritic]:
    return getattr(model, "critic", None) is not None and hasattr(model, "standardise")


def _denoised(model: Denoises, x: Tensor, where: torch.device, seed: int) -> Tensor:
    """Minus the squared error of restored data, over a few noise levels and draws, `(B,)`.

    Every row meets the same noise, so that noise does not blur the comparison.
    """
    generator = torch.Generator().manual_seed(seed)
    noises = torch.randn(_DRAWS, *x.shape[1:], generator=generator).to(where)

    def score(chunk: Tensor) -> Tensor:
        clean, total = model.standardise(chunk), torch.zeros(len(chunk), device=where)
        for level in _LEVELS:
            sigma = torch.full((len(chunk),), level * model.sigma_data, device=where)
            for noise in noises:
                total -= _squared(model(clean + sigma[0] * noise, sigma), clean)
        return total

    return in_chunks(score, x, device=where)


def _criticised(model: HasCritic, x: Tensor, where: torch.device) -> Tensor:
    """The critic's logit of being real, `(B,)`; of pairs with a class that of the likeliest."""

    def judged(rows: Tensor) -> Tensor:
        rows = model.standardise(rows)
        if not isinstance(model, TakesClasses):
            return model.critic(rows).flatten()
        few = model.classes <= _MOST_CLASSES
        numbers = range(model.classes) if few else [-1]  # -1: of no known class
        labels = [torch.full((len(rows),), number, device=rows.device) for number in numbers]
        return torch.stack([model.critic(rows, each).flatten() for each in labels]).amax(0)

    return in_chunks(judged, x, device=where)


def _squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).pow(2).mean(1)
