"""Learning with labels for some or all examples, as a one-player game."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.divergences import kl_to_standard_normal
from latentia.objectives.elbo import ACTIVE_NATS

_MIX, _SPAN = 2654435761, 2**32  # Knuth's multiplicative hash


class LabelledModel(Protocol):
    """What the game needs of a model: `latentia.models.conditional` has it."""

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]: ...

    def log_joint(self, x: Tensor, z: Tensor, y: Tensor) -> Tensor: ...

    def log_joints(self, x: Tensor, z: Tensor) -> Tensor: ...


class SemiSupervised:
    """Maximise the bound on log p(x, y) where y is known, on log p(x) where it is not.

    Kingma et al. 2014, eq. 6, 7 and 9, with q(z | x) for both. An unknown y is summed over.

    Args:
        model: see `LabelledModel`.
        player: owns the model.
        label_weight: of the classifier's cross-entropy, in nats per labelled example.
        label_share: share of the examples whose label is used; a label below 0 is unknown anyway.
        warmup: share of the budget over which the KL's weight rises to 1.
    """

    def __init__(
        self,
        model: LabelledModel,
        player: Player,
        label_weight: float,
        label_share: float,
        warmup: float,
    ) -> None:
        self.model, self.label_weight, self.label_share = model, label_weight, label_share
        self.warmup, self.players = warmup, {"vae": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        mu, log_var, logits = self.model.look(batch.x)
        z = mu + (0.5 * log_var).exp() * now.noise(*mu.shape)
        kl = kl_to_standard_normal(mu, log_var).mean(0)
        y, known = self.labels(batch)
        fit = self.fits(batch.x, z, y, known, logits)
        told = F.cross_entropy(logits, y, reduction="none") * known
        now.note("elbo", fit.mean() - kl.sum())
        now.note("active_units", (kl > ACTIVE_NATS).sum().float())
        now.note("accuracy", (logits.argmax(1) == y).float().mean())
        weight = min(1.0, now.progress / self.warmup) if self.warmup else 1.0
        yield (
            "vae",
            {
                "reconstruction": -fit.mean(),
                "kl": weight * kl.sum(),
                "labels": self.label_weight * told.mean(),
            },
        )

    def labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Class numbers `(B,)`, 0 where unknown, and which are known, bool `(B,)`."""
        assert batch.labels is not None
        kept = (batch.index * _MIX % _SPAN) < self.label_share * _SPAN
        return batch.labels.clamp(min=0), kept & (batch.labels >= 0)

    def fits(self, x: Tensor, z: Tensor, y: Tensor, known: Tensor, logits: Tensor) -> Tensor:
        """log p(x, y | z) of the known y; its mean under q(y | x) plus entropy otherwise."""
        fit = torch.empty(len(x), device=x.device)
        if known.any():
            fit[known] = self.model.log_joint(x[known], z[known], y[known])
        if not known.all():
            log_q = logits[~known].log_softmax(1)
            joint = self.model.log_joints(x[~known], z[~known])
            fit[~known] = (log_q.exp() * (joint - log_q)).sum(1)
        return fit
