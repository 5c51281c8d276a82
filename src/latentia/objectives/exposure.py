"""Outlier exposure: a model of densities is also shown what it should find strange."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, relu

from latentia.game import Batch, Now, Objective, Terms
from latentia.objectives.elbo import VariationalModel

MARGIN = 1.0  # nats per value by which an outlier's bound should lie below the data's


class Outliers(Protocol):
    """Batches of examples that are known to be strange."""

    def batch_at(self, step: int, rank: int = 0, world: int = 1) -> Batch: ...


class Exposed:
    """Another game with one term more (Hendrycks et al. 2019, section 4.4, with a hinge).

    The term is the mean of max(0, m + ELBO(outlier) − mean ELBO of the batch), divided by the
    numbers per example, m being `MARGIN` for each of them: an outlier that is already far costs
    nothing, so the bound on the data itself is not traded for ever stranger outliers.

    Args:
        game: played by one player who owns `model`, and which notes "elbo".
        model: a model with a bound.
        outliers: known to be strange; as large a batch as the data's.
        values: numbers per example.
    """

    def __init__(
        self, game: Objective, model: VariationalModel, outliers: Outliers, values: int
    ) -> None:
        self.game, self.model, self.outliers, self.values = game, model, outliers, values
        self.players = game.players

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        for who, terms in self.game.play(batch, now):
            usual = now.notes["elbo"] / self.values
            strange = self.bound(self.outliers.batch_at(now.step, now.rank, now.world), now)
            now.note("elbo_outliers", strange.mean() * self.values)
            yield who, {**terms, "exposure": self.values * relu(MARGIN + strange - usual).mean()}

    def bound(self, batch: Batch, now: Now) -> Tensor:
        """The ELBO of each outlier per value, `(B,)`, nats."""
        noise = now.noise(len(batch), self.model.latent_dim)
        drawn = self.model.draw(self.model.look(batch.x), noise)
        fit = self.model.fit_of(batch.x, drawn.parameters)
        return (fit - self.model.kl(drawn).sum(1)) / self.values
