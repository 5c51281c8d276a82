"""The evidence lower bound as a one-player game, and the terms that disentangle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.total_correlation import stratified_total_correlation

ACTIVE_NATS = 0.01
CAPACITY_FULL_AT = 0.8  # share of the budget; the rest trains at full capacity


class VariationalModel(Protocol):
    """What the games need of a model: those of `latentia.models` have it."""

    @property
    def latent_dim(self) -> int: ...

    def look(self, x: Tensor) -> tuple[Tensor, ...]: ...

    def draw(self, seen: tuple[Tensor, ...], noise: Tensor) -> Any: ...

    def fit_of(self, x: Tensor, parameters: Tensor) -> Tensor: ...

    def kl(self, drawn: Any) -> Tensor: ...

    def log_weights(
        self, x: Tensor, seen: tuple[Tensor, ...], noise: Tensor, *, path_only: bool = False
    ) -> tuple[Tensor, Tensor]: ...


class Elbo:
    """Minimise −E_q log p(x | z) + β KL(q ‖ p), in nats per example.

    Kingma & Welling 2014, eq. 3; β: Higgins et al. 2017, eq. 4; warm-up: Bowman et al. 2016;
    free bits: Kingma et al. 2016, eq. 15; capacity: Burgess et al. 2018, eq. 8; total
    correlation: Chen et al. 2018, eq. 4, where β − 1 is what is called `tc_weight` here.

    Args:
        model: a VAE of one or more layers of latents.
        player: owns the model.
        beta: weight of the KL term.
        warmup: share of the budget over which the weight rises from 0 to β.
        free_nats: every part of the KL costs at least this much, so that squeezing it further
            earns nothing.
        capacity: nats that the KL is drawn to, from 0 at the start; None draws it to 0.
        tc_weight: weight of the total correlation; needs one layer of latents.
        rows: examples of the training set, for the total correlation.
    """

    def __init__(
        self,
        model: VariationalModel,
        player: Player,
        beta: float = 1.0,
        warmup: float = 0.0,
        free_nats: float = 0.0,
        capacity: float | None = None,
        tc_weight: float = 0.0,
        rows: int = 1,
    ) -> None:
        self.model, self.beta, self.warmup, self.free_nats = model, beta, warmup, free_nats
        self.capacity, self.tc_weight, self.rows = capacity, tc_weight, rows
        self.players = {"vae": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        drawn, terms = self.bound(batch, now)
        if self.tc_weight:
            tc = stratified_total_correlation(drawn.z, drawn.mu, drawn.log_var, self.rows)
            now.note("total_correlation", tc)
            terms["total_correlation"] = self.tc_weight * tc
        yield "vae", terms

    def bound(self, batch: Batch, now: Now) -> tuple[Any, Terms]:
        """One draw for every example, and the terms of the bound."""
        model = self.model
        drawn = model.draw(model.look(batch.x), now.noise(len(batch), model.latent_dim))
        reconstruction = -model.fit_of(batch.x, drawn.parameters).mean()
        kl = model.kl(drawn).mean(0)
        now.note("elbo", -(reconstruction + kl.sum()))
        now.note("active_units", (kl > ACTIVE_NATS).sum().float())
        return drawn, {"reconstruction": reconstruction, "kl": self.price(kl, now)}

    def price(self, kl: Tensor, now: Now) -> Tensor:
        """What the KL `(parts,)` costs at this moment of the run, a scalar."""
        whole = (kl.clamp(min=self.free_nats) if self.free_nats else kl).sum()
        if self.capacity is not None:
            whole = (whole - self.capacity * min(1.0, now.progress / CAPACITY_FULL_AT)).abs()
        return self.beta * (min(1.0, now.progress / self.warmup) if self.warmup else 1.0) * whole
