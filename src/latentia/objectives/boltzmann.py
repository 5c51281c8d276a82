"""Contrastive divergence: lower the energy of data, raise it where the model's chains are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from latentia.game import Batch, Now, Player, Terms
from latentia.maths.boltzmann import Couplings
from latentia.objectives.pool import gathered

PRIOR_ROWS = 2  # one black and one white row beside the first batch: no mean is 0 or 1


class TwoLayers(Protocol):
    """What the game needs of a model."""

    means: Tensor

    def couplings(self) -> Couplings: ...

    def units(self, x: Tensor) -> Tensor:
        """Pictures in [-1, 1] as pixels in [0, 1], `(B, V)`."""
        ...

    def begin(self, means: Tensor) -> None:
        """Start from pixels of these means, `(V,)`."""
        ...


class Chains(nn.Module):
    """States that go on from step to step (Tieleman 2008, persistent contrastive divergence).

    They are a buffer of the player, as the pictures of an `ImagePool`: saved with it, so that a
    resumed run goes on from the states of the uninterrupted one. Every process moves its share
    and keeps all.

    Args:
        size: how many, over all processes.
        units: of one, V.
    """

    states: Tensor

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.register_buffer("states", torch.zeros(size, units))

    def share(self, now: Now) -> Tensor:
        """This process's chains, `(size / world, V)`."""
        return self.states.chunk(now.world)[now.rank]

    @torch.no_grad()
    def keep(self, rows: Tensor, now: Now) -> None:
        """Where this process's chains have come to."""
        self.states.copy_(gathered(rows.float(), now))


class ContrastiveDivergence:
    """∂ log p = −∂F(data) + E_model ∂F, the second by chains that stop too soon.

    CD-k begins its chains at the data (Hinton 2002), which is quick and blind to modes far from
    them; persistent ones go on where they were, and follow the model wherever it has mass. As
    the sum of the terms has the gradient and is no likelihood, it hovers about 0 in good
    training; `latentia evaluate --metrics partition` says how good the model is.

    Pixels between black and white are drawn anew at every step, white with the probability of
    their intensity, so that the model always learns of 0s and 1s.

    Args:
        model: an energy over two layers.
        player: owns the model, and the chains if they persist.
        sweeps: k, of block Gibbs in every step.
        chains: persistent states; None begins at the data.
    """

    def __init__(
        self, model: TwoLayers, player: Player, sweeps: int, chains: Chains | None = None
    ) -> None:
        self.model, self.sweeps, self.chains = model, sweeps, chains
        self.players = {"rbm": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        intensity = self.model.units(batch.x)
        data = (now.uniform(*intensity.shape) < intensity).float()
        if now.step == 0:
            self._begin(data, now)
        with torch.no_grad():
            dreamt = self._moved(data if self.chains is None else self.chains.share(now), now)
        if self.chains is not None:
            self.chains.keep(dreamt, now)
        couplings = self.model.couplings()
        apart = couplings.free_energy(data).mean() - couplings.free_energy(dreamt).mean()
        yield "rbm", {"divergence": apart}

    def _moved(self, v: Tensor, now: Now) -> Tensor:
        couplings = self.model.couplings()
        for _ in range(self.sweeps):
            v = couplings.sweep(v, now.uniform(len(v), sum(couplings.weight.shape)))
        return v

    def _begin(self, data: Tensor, now: Now) -> None:
        """Pixels start at the means of the first batch, and so do persistent chains."""
        rows = len(data) * now.world
        means = (now.mean(data.mean(0)) * rows + PRIOR_ROWS / 2) / (rows + PRIOR_ROWS)
        self.model.begin(means)
        if self.chains is not None:
            self.chains.keep((now.uniform(*data.shape) < means).float(), now)
