"""Classes as an input: of generators by embedding and modulation, of critics by projection."""

from __future__ import annotations

import math
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentia.errors import UserError

EMBEDDING = 64  # numbers that a class becomes

How = Literal["projection", "auxiliary", "both"]


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Labels as rows of weights, float32 `(B, classes)`.

    Args:
        labels: class numbers `(B,)`, below 0 where unknown (a row of zeros), or weights
            `(B, classes)`, which pass.
        classes: how many there are.
    """
    if labels.ndim == 2:
        return labels.float()
    return F.one_hot(labels.clamp(min=0), classes).float() * (labels >= 0)[:, None]


def asked_weights(condition: Tensor, classes: int, n: int) -> Tensor:
    """What a user asks for as rows of weights, float32 `(n, classes)`.

    Args:
        condition: one class number or one for each row `(n,)`, or floats: weights of the classes,
            `(classes,)` or `(n, classes)`, with which one walks from one class to another.
        classes: how many there are.
        n: rows.

    Raises:
        UserError: a class that is not there, or numbers that do not fit the rows.
    """
    if condition.is_floating_point():
        weights = torch.atleast_2d(condition.float())
        fits = weights.ndim == 2 and weights.shape[1] == classes
    else:
        numbers = condition.long().reshape(-1)
        fits = bool(((numbers >= 0) & (numbers < classes)).all())
        weights = class_weights(numbers.clamp(0, classes - 1), classes)
    if not fits or len(weights) not in (1, n):
        raise UserError(
            f"A condition is a class number from 0 to {classes - 1}, or {classes} weights of the "
            f"classes, once or for each of {n} rows; got {condition.tolist()!r:.60}."
        )
    return weights.expand(n, -1)


class ClassEmbedding(nn.Module):
    """A vector for every class, and for mixtures of classes the mixture of theirs.

    Shape: labels `(B,)` or weights `(B, classes)` to `(B, width)`.
    """

    def __init__(self, classes: int, width: int = EMBEDDING) -> None:
        super().__init__()
        self.classes = classes
        self.weight = nn.Parameter(torch.randn(classes, width))

    def forward(self, labels: Tensor) -> Tensor:
        """The vectors of labels, or of weights."""
        return class_weights(labels, self.classes) @ self.weight


class Modulation(nn.Module):
    """x·(1 + scale(e)) + shift(e) for every channel, after Perez et al. (2018, FiLM).

    Starts as the identity.

    Shape: `(B, channels, …)` and `(B, width)` to `(B, channels, …)`.
    """

    def __init__(self, channels: int, width: int = EMBEDDING) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Scale and shift the channels of x by what the class says."""
        both: Tensor = self.linear(e).to(x.dtype)
        scale, shift = both.view(*both.shape, *[1] * (x.ndim - 2)).chunk(2, 1)
        return torch.addcmul(x + shift, x, scale)


class ClassFrequency(nn.Module):
    """How frequent each class is, counted while training; uniform before."""

    seen: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.full((classes,), 1 / classes))

    @torch.no_grad()
    def count(self, shares: Tensor) -> None:
        """Add a batch's shares of the classes, `(classes,)`."""
        self.seen += shares

    def pick(self, z: Tensor) -> Tensor:
        """The classes that standard normal numbers `(B,)` stand for, int64 `(B,)`."""
        edges = self.seen.cumsum(0)
        at = torch.special.ndtr(z.float().contiguous()) * edges[-1]
        return torch.searchsorted(edges, at).clamp(max=len(edges) - 1)


class Featured(Protocol):
    """A critic in two parts: features, and a linear head on them."""

    @property
    def head(self) -> nn.Linear: ...

    def features(self, x: Tensor) -> Tensor:
        """`(B, …) -> (B, F)`."""
        ...


class ConditionalCritic(nn.Module):
    """A critic of pairs (example, class).

    Projection adds ⟨V φ(x), e(y)⟩ to the logit (Miyato & Koyama 2018, eq. 3, φ of low rank);
    an auxiliary classifier on the same features names the class (Odena et al. 2017).

    Args:
        critic: features φ and head.
        classes: how many there are.
        how: by "projection", by an "auxiliary" classifier, or by "both".

    Shape: `(B, …)` and labels `(B,)` or weights `(B, classes)` to `(B,)`, float32.
    """

    def __init__(self, critic: Featured, classes: int, how: How = "projection") -> None:
        super().__init__()
        self.critic, self.names, self.classes = critic, how != "projection", classes
        width = critic.head.in_features
        if how != "auxiliary":
            self.project = nn.Linear(width, EMBEDDING, bias=False)
            self.embed = ClassEmbedding(classes)
        if self.names:
            self.name = nn.Linear(width, classes)
        self.projects = how != "auxiliary"

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Logits of being real, for these labels."""
        return self._logit(self.critic.features(x), labels)

    def judge(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of being real `(B,)` and of every class `(B, classes)`."""
        assert labels is not None
        features = self.critic.features(x)
        return self._logit(features, labels), self.name(features).float()

    def rank(self, x: Tensor, labels: Tensor) -> Tensor:
        """What a candidate is chosen by: real, and of the class that was asked for, `(B,)`."""
        if not self.names:
            return self(x, labels)
        real, names = self.judge(x, labels)
        return real + (class_weights(labels, self.classes) * names.log_softmax(1)).sum(1)

    def _logit(self, features: Tensor, labels: Tensor) -> Tensor:
        logit = self.critic.head(features).float().squeeze(1)
        if not self.projects:
            return logit
        match = self.project(features).float() * self.embed(labels).float()
        return logit + match.sum(1) / math.sqrt(EMBEDDING)
