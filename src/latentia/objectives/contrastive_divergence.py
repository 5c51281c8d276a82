"""Maximum likelihood with Langevin negatives: the one-player game of energy-based models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentia.game import Batch, Now, Player, Terms
from latentia.objectives.pool import gathered

Draw = Callable[[], Tensor]
"""Standard normal noise like a batch, `(B, …)`; another at every call."""

MARGIN = 3.0  # nats; 2 told digits from clothes at an AUROC of 0.937, 3 at 0.974
SPARSE = 2  # every so many-th example is broken
UNKNOWN = -1  # label of an example whose class is not known


class Roams(Protocol):
    """What the game needs of a model; everything in standardised units."""

    def standardise(self, x: Tensor) -> Tensor: ...

    def kept(self, x: Tensor) -> Tensor:
        """States within the bounds of the chains."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """−E of x, `(B, …) -> (B, K)`: one number, or one for each class."""
        ...

    def start(self, draw: Draw, strange: float) -> Tensor:
        """Where chains start, `(B, …)`, from draws of as many rows of noise.

        A share of them is `strange`: such as no sample will start from.
        """
        ...

    def roam(self, x: Tensor, draw: Draw, steps: int) -> Tensor:
        """Chains from x, `(B, …)` to the same shape."""
        ...

    def broken(self, x: Tensor, draw: Draw) -> Tensor:
        """Examples that are wrong in some way, `(B, …)`, from draws of as many rows of noise."""
        ...


class ReplayBuffer(nn.Module):
    """Where chains ended, so that they can go on (Tieleman 2008; Du & Mordatch 2019, sec. 3.3).

    It fills with the ends of fresh chains. Then a step takes that many chains out at random, lets
    a few of them start afresh, and puts all back where they were. The states are buffers, saved
    with the player that owns them, so that a resumed run goes on with its chains; every process
    keeps the chains of all.

    Args:
        size: how many chains it keeps; at least the batch of all processes.
        shape: of a state.
        refresh: share of the chains that start afresh at a step.
    """

    states: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: Sequence[int], refresh: float) -> None:
        super().__init__()
        self.size, self.refresh = size, refresh
        self.register_buffer("states", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.tensor(0))

    def take(self, fresh: Tensor, now: Now) -> tuple[Tensor, Tensor]:
        """Starts of this process's chains, like `fresh` `(B, …)`, and the places of all of them."""
        count, filled = len(fresh) * now.world, int(self.filled)
        if filled < self.size:
            return fresh, torch.arange(filled, filled + count, device=now.device) % self.size
        places = torch.randperm(self.size, generator=now.generator, device=now.device)[:count]
        mine = places[now.rank * len(fresh) : (now.rank + 1) * len(fresh)]
        again = now.uniform(len(fresh)) < self.refresh
        return torch.where(
            again.view(-1, *[1] * (fresh.ndim - 1)), fresh, self.states[mine]
        ), places

    @torch.no_grad()
    def put(self, ends: Tensor, places: Tensor, now: Now) -> None:
        """Keep where this process's chains `(B, …)`, and those of the others, ended."""
        self.states[places] = gathered(ends.float(), now)
        self.filled.add_(len(places)).clamp_(max=self.size)


class ContrastiveDivergence:
    """Lower the energy of data, raise that of the chains' ends: E_data[E] − E_chains[E].

    Its gradient is that of the negative log-likelihood where the chains have converged to the
    model at temperature 1 (Hinton 2002; Du & Mordatch 2019, eq. 3). Chains either go on from step
    to step ("persistent", with a `ReplayBuffer`), or are as many steps from noise as they will be
    when one samples ("short-run": Nijkamp et al. 2019; the energy is then a sampler that was
    learned, more than a density).

    What keeps energies bounded is α E[E²] of data and ends (Du & Mordatch 2019, eq. 4): the loss
    is then least, wherever the chains end, at energies −1 / 2α and 1 / 2α. Data get the chains'
    own noise, since an example without it could be told from an end by that alone.

    Chains that always start from the same kind of noise teach the energy nothing of what lies off
    their way, where it then may be as low as at the data. So some start from strange pictures, and
    examples that were broken are to be `MARGIN` nats higher than whole ones.

    With classes the cross-entropy of log p(y | x) comes beside it (Grathwohl et al. 2020, eq. 7).

    Args:
        model: what roams.
        player: owns the model and the replay.
        steps: of a chain between two updates.
        replay: past chains; None for short runs.
        alpha: α, per nat.
        data_noise: standard deviation of the noise on data, in standardised units.
        strange: share of the chains that start where no sample will.
        broken: weight of finding examples strange that are broken (`Roams.broken`).
        labels: whether classes are learned beside the density.
        weight: of everything but the cross-entropy.
    """

    def __init__(
        self,
        model: Roams,
        player: Player,
        steps: int,
        replay: ReplayBuffer | None,
        alpha: float,
        data_noise: float,
        strange: float = 0.0,
        broken: float = 0.0,
        labels: bool = False,
        weight: float = 1.0,
    ) -> None:
        self.model, self.steps, self.replay = model, steps, replay
        self.alpha, self.data_noise = alpha, data_noise
        self.strange, self.broken = strange, broken
        self.labels, self.weight = labels, weight
        self.players = {"energy": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        ends = self.negatives(batch.x.shape, now)
        noise = self.data_noise * now.noise(*batch.x.shape)
        data = self.model.kept(self.model.standardise(batch.x) + noise)
        logits = self.model.logits(torch.cat([data, ends]))
        real, made = (-torch.logsumexp(logits, 1)).chunk(2)
        terms = {"contrast": self.weight * (real.mean() - made.mean())}
        if self.alpha:
            square = (real.square() + made.square()).mean()
            terms["bound"] = self.weight * self.alpha * square
        if self.broken:
            wrong = self._broken(data, real.mean().detach(), now)
            terms["broken"] = self.weight * self.broken * wrong
        if self.labels:
            terms["labels"] = self._cross_entropy(logits[: len(batch)], batch, now)
        self._note(real, made, now)
        yield "energy", terms

    def _broken(self, data: Tensor, usual: Tensor, now: Now) -> Tensor:
        """How far broken examples are from being `MARGIN` nats stranger than usual ones.

        A margin, and no more: pushed on for ever they would leave the chains a plateau.
        """
        wrong = self.model.broken(data, lambda: now.noise(*data.shape))[::SPARSE]
        energy = -torch.logsumexp(self.model.logits(wrong), 1)
        return F.relu(MARGIN + usual - energy).mean()

    def negatives(self, shape: Sequence[int], now: Now) -> Tensor:
        """Where this step's chains end, `(B, …)`, without gradient."""

        def draw() -> Tensor:
            return now.noise(*shape)

        starts, places = self.model.start(draw, self.strange), None
        if self.replay is not None:
            starts, places = self.replay.take(starts, now)
        ends = self.model.roam(starts, draw, self.steps)
        if self.replay is not None and places is not None:
            self.replay.put(ends, places, now)
        return ends

    def _cross_entropy(self, logits: Tensor, batch: Batch, now: Now) -> Tensor:
        """−log p(y | x), mean over the batch, 0 where the class is unknown."""
        assert batch.labels is not None
        right = (logits.argmax(1) == batch.labels)[batch.labels != UNKNOWN]
        now.note("accuracy", right.float().mean())
        total = F.cross_entropy(logits, batch.labels, ignore_index=UNKNOWN, reduction="sum")
        return total / len(batch)

    def _note(self, real: Tensor, made: Tensor, now: Now) -> None:
        """How high energies are, and how far apart, for the run's history."""
        now.note("energy_data", real.mean())
        now.note("energy_chains", made.mean())
        now.note("energy_gap", made.mean() - real.mean())
        now.note("energy_largest", torch.cat([real, made]).abs().max())
