"""A classifier that evens out what it sees of a class, without being told what varies in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.rarity import effective_share

RESTING_STEPS = 1  # at step 0 the latents mean nothing yet: the first epoch is drawn evenly


class DebiasingModel(Protocol):
    """What the game needs of a model: `latentia.models.debiasing` has it."""

    @property
    def latent_dim(self) -> int: ...

    def see(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]: ...

    def draw(self, seen: tuple[Tensor, ...], noise: Tensor) -> Any: ...

    def fit_of(self, x: Tensor, parameters: Tensor) -> Tensor: ...

    def kl(self, drawn: Any) -> Tensor: ...

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor: ...


class SamplingWeights(nn.Module):
    """How often to show each of N rows; a buffer, so that it is saved with the player."""

    values: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.full((rows,), 1 / rows, dtype=torch.float64))


class Debias:
    """Classify; learn the hidden variables of the positive class; show its rare examples more.

    Amini et al. 2019: the loss is the cross-entropy plus, for positive examples alone, minus the
    evidence lower bound (eq. 3); each epoch, positive examples are drawn by the rarity of their
    latent means (algorithm 1, `latentia.maths.rarity`). Which examples belong to which group is
    never asked.

    Args:
        model: see `DebiasingModel`.
        player: owns the model; its modules are extended by the sampling weights.
        positive: number of the positive class.
        rows: of the training set.
        values: numbers per example; the bound is divided by it, so that it weighs like a label.
        bound_weight: of the bound per value; 0 leaves a plain classifier.
        beta: weight of the KL term within the bound.
        warmup: share of the budget over which that weight rises from 0.
        rarity: weights `(M,)` from latent means `(M, d)` and −ELBO `(M,)`; None draws positive
            examples evenly.
        positive_share: of positive examples in what is drawn; None: as in the data.
    """

    def __init__(
        self,
        model: DebiasingModel,
        player: Player,
        *,
        positive: int,
        rows: int,
        values: int,
        bound_weight: float,
        beta: float,
        warmup: float,
        rarity: Callable[[Tensor, Tensor], Tensor] | None,
        positive_share: float | None,
    ) -> None:
        self.model, self.positive, self.values = model, positive, values
        self.bound_weight, self.beta, self.rarity = bound_weight, beta, rarity
        self.warmup = warmup
        self.positive_share = positive_share
        self.weights = SamplingWeights(rows)
        player.modules = nn.ModuleDict({"model": player.modules, "sampling": self.weights})
        self.players = {"vae": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        assert batch.labels is not None
        mu, log_var, logits = self.model.see(batch.x)
        terms = {"labels": F.cross_entropy(logits, batch.labels)}
        now.note("accuracy", (logits.argmax(1) == batch.labels).float().mean())
        noise = now.noise(len(batch), self.model.latent_dim)
        theirs = batch.labels == self.positive
        if self.bound_weight and theirs.any():
            drawn = self.model.draw((mu[theirs], log_var[theirs]), noise[theirs])
            scale = self.bound_weight / (self.values * len(batch))
            kl = self.model.kl(drawn).sum()
            fit = self.model.fit_of(batch.x[theirs], drawn.parameters).sum()
            now.note("elbo", (fit - kl) / theirs.sum())
            rising = min(1.0, now.progress / self.warmup) if self.warmup else 1.0
            terms |= {"reconstruction": -scale * fit, "kl": scale * self.beta * rising * kl}
        now.note("effective_share", self.effective)
        yield "vae", terms

    @property
    def sampling(self) -> Tensor:
        """Sampling weights of the training rows, float64 `(N,)`, sum 1."""
        return self.weights.values

    @property
    def effective(self) -> Tensor:
        """Kish's effective share of all rows under the sampling weights."""
        return torch.tensor(effective_share(self.weights.values))

    def resample(self, every: Iterator[Batch], step: int) -> None:
        """Weigh positive examples by their rarity, all others alike."""
        seen, labels = [], []
        for batch in every:
            assert batch.labels is not None
            labels.append(batch.labels)
            theirs = batch.x[batch.labels == self.positive]
            if self.rarity is not None and step >= RESTING_STEPS and len(theirs):
                seen.append((self.model.see(theirs)[0].float(), -self.model.elbo(theirs)))
        theirs = torch.cat(labels) == self.positive
        rarity = None
        if seen and self.rarity is not None:
            means, surprise = (torch.cat(parts).cpu() for parts in zip(*seen, strict=True))
            rarity = self.rarity(means, surprise)
        self.weights.values.copy_(self._weigh(theirs, rarity))

    def _weigh(self, theirs: Tensor, rarity: Tensor | None) -> Tensor:
        """Weights `(N,)` from which rows are positive and the rarity of those, `(M,)`, sum 1."""
        n, count = len(theirs), int(theirs.sum())
        share = count / n if self.positive_share is None else self.positive_share
        if count in (0, n):
            share = count / n
        weights = torch.full((n,), (1 - share) / max(n - count, 1), dtype=torch.float64)
        if count:
            even = torch.full((count,), 1 / count, dtype=torch.float64)
            weights[theirs.cpu()] = share * (even if rarity is None else rarity)
        return weights
