"""The evidence lower bound as a one-player game."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from latentia.game import Batch, Now, Player, Terms


class VariationalModel(Protocol):
    """What the game needs of a model: `latentia.models.vae.VAE` has it."""

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor: ...

    def kl(self, z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor: ...


class Elbo:
    """Minimise −E_q log p(x | z) + β KL(q ‖ p), in nats per example.

    Kingma & Welling 2014, eq. 3; β: Higgins et al. 2017, eq. 4; warm-up: Bowman et al. 2016;
    free bits: Kingma et al. 2016, eq. 15.

    Args:
        model: a VAE (`moments`, `log_likelihood`, `kl`).
        player: owns the model.
        beta: weight of the KL term.
        warmup: share of the budget over which the weight rises from 0 to β.
        free_nats: every part of the KL costs at least this much, so that squeezing it further
            earns nothing.
    """

    def __init__(
        self, model: VariationalModel, player: Player, beta: float, warmup: float, free_nats: float
    ) -> None:
        self.model, self.beta, self.warmup, self.free_nats = model, beta, warmup, free_nats
        self.players = {"vae": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        mu, log_var = self.model.moments(batch.x)
        z = mu + (0.5 * log_var).exp() * now.noise(*mu.shape)
        reconstruction = -self.model.log_likelihood(batch.x, z).mean()
        kl = self.model.kl(z, mu, log_var).mean(0)
        now.note("elbo", -(reconstruction + kl.sum()))
        now.note("active_units", (kl > 0.01).sum().float())
        floored = kl.clamp(min=self.free_nats) if self.free_nats else kl
        yield "vae", {"reconstruction": reconstruction, "kl": self.weight(now) * floored.sum()}

    def weight(self, now: Now) -> float:
        """The KL weight at this moment of the run."""
        return self.beta * (min(1.0, now.progress / self.warmup) if self.warmup else 1.0)
