"""Two generators, there and back, against a critic of each domain (Zhu et al. 2017, CycleGAN)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from latentia.game import Batch, Now, Player, Terms, Verdict
from latentia.maths import adversarial as maths
from latentia.maths.translation import cycle_loss, identity_loss, jittered
from latentia.nn.augment import Augment
from latentia.objectives.adversarial import CRITIC_LOSS, GENERATOR_LOSS
from latentia.objectives.pool import ImagePool

PatchLoss = Literal["least-squares", "relativistic", "non-saturating", "hinge"]
Sides = dict[str, Tensor]
"""Pictures `(B, C, H, W)` by the name of their domain."""


class Carries(Protocol):
    """What the game needs of the model: pictures of the other domain, unclamped."""

    domains: tuple[str, ...]

    @property
    def targets(self) -> tuple[str, ...]: ...

    def __call__(self, x: Tensor, to: str) -> Tensor: ...


class Critics(nn.Module):
    """A patch critic of each domain that is made, with a pool of past fakes each.

    Args:
        nets: by domain; `(B, C, H, W)` to verdicts of any shape with B first.
        shape: of a picture, `(C, H, W)`.
        loss: of the game.
        pool: how many past fakes of each domain to keep.
        other: weight of a second lesson: real pictures of the *other* domain are no pictures of
            one's own. So a critic never forgets what tells the domains apart, once fakes look
            real otherwise.
        gamma: weight of the R1 penalty (Mescheder et al. 2018, eq. 9) on every fourth picture.
        augment: changes of all that the critics see.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        shape: Sequence[int],
        loss: PatchLoss = "least-squares",
        *,
        pool: int = 50,
        other: float = 0.0,
        gamma: float = 0.0,
        augment: Augment | None = None,
    ) -> None:
        super().__init__()
        self.loss, self.other, self.gamma, self.augment = loss, other, gamma, augment
        self._names = tuple(nets)
        self.nets = nn.ModuleList(nets.values())
        self.pools = nn.ModuleList(ImagePool(pool, shape) for _ in nets)

    def unmask(self, real: Sides, fake: Sides, now: Now) -> Terms:
        """The critics' turn: terms of all domains together.

        Args:
            real: pictures of both domains.
            fake: of those that are made; no gradient flows into them.
            now: draws from the pools.
        """
        terms: Terms = {}
        verdicts: list[Tensor] = []
        for name, net, pool in zip(self._names, self.nets, self.pools, strict=True):
            assert isinstance(pool, ImagePool)
            shown = pool.exchange(fake[name].detach(), now)
            seen = [self._seen(real[name], now), self._seen(shown, now)]
            if self.other:
                (away,) = (x for domain, x in real.items() if domain != name)
                seen.append(self._seen(away, now))
            said = net(torch.cat(seen)).split([len(x) for x in seen])
            verdicts += [said[0], said[1]]
            _add(terms, "adversarial", CRITIC_LOSS[self.loss](said[0], said[1]))
            if self.other:
                _add(terms, "other", self.other * CRITIC_LOSS[self.loss](said[0], said[2]))
            if self.gamma:
                _add(terms, "r1", self.gamma * _r1(net, seen[0]))
        self._look(verdicts, now)
        return terms

    def convince(self, real: Sides, fake: Sides, now: Now) -> Tensor:
        """The generators' loss, a scalar: how far their fakes are from passing as real."""
        total: list[Tensor] = []
        for name, net in zip(self._names, self.nets, strict=True):
            on_fake = on_real = net(self._seen(fake[name], now))
            if self.loss == "relativistic":  # the only one that looks at both
                with torch.no_grad():  # data do not depend on the generators
                    on_real = net(self._seen(real[name], now))
            total.append(self._convinced(on_real, on_fake))
        return torch.stack(total).sum()

    def verdict(self, model: Carries, batch: Batch) -> Verdict:
        """Mean answers on the pictures of a batch in any order, and on as many translations."""
        assert batch.labels is not None, "domains are labels"
        real = {name: batch.x[batch.labels == i] for i, name in enumerate(model.domains)}
        nobody = batch.x[:0]
        answers = [(nobody.new_zeros(0), nobody.new_zeros(0), nobody, nobody)]
        for name, net in zip(self._names, self.nets, strict=True):
            (source,) = (x for domain, x in real.items() if domain != name)
            both = min(len(source), len(real[name]))
            if not both:
                continue
            own, made = real[name][:both], model(source[:both], name)
            on_own, on_made = net(torch.cat([own, made])).reshape(2 * both, -1).mean(1).split(both)
            answers.append((on_own, on_made, own, made))
        return Verdict(*(torch.cat(each) for each in zip(*answers, strict=True)))

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critics and generators at these verdicts `(B,)`."""
        return CRITIC_LOSS[self.loss](real, fake), self._convinced(real, fake)

    def _convinced(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        if self.loss == "relativistic":
            return maths.relativistic_generator(on_real, on_fake)
        return GENERATOR_LOSS[self.loss](on_fake)

    def _seen(self, x: Tensor, now: Now) -> Tensor:
        return x if self.augment is None else self.augment(x, now)

    def _look(self, verdicts: list[Tensor], now: Now) -> None:
        """Note how often the critics are right, and let the augmentation adapt to it."""
        every = [v.detach().reshape(len(v), -1).mean(1) for v in verdicts]
        real, fake = torch.cat(every[0::2]), torch.cat(every[1::2])
        middle = (real.mean() + fake.mean()) / 2
        right = (real > middle).float().mean() + (fake < middle).float().mean()
        now.note("critic_right", right / 2)
        if self.augment is not None:
            self.augment.update(real, fake, len(real) * now.world, now)
            now.note("augment_p", self.augment.p)


class CycleGame:
    """min over both generators, max over both critics, with content kept by cycles.

    Both generators are one player and take one turn, the critics another. What is carried by the
    same generator in the same turn goes through it in one pass.

    Rows of a batch are of the two domains by turns: A, B, A, B, …

    Args:
        model: makes pictures of either domain from those of the other.
        critics: of both domains.
        players: "generator" and "critic".
        cycle: weight of what a way there and back changes (`maths.translation.cycle_loss`).
        identity: weight of what is changed though it is of the target domain already.
        sparse: the identity loss is taken on every so many-th picture.
        jitter: pixels by which pictures are shifted at random.
    """

    def __init__(
        self,
        model: Carries,
        critics: Critics,
        players: dict[str, Player],
        *,
        cycle: float = 5.0,
        identity: float = 2.5,
        sparse: int = 1,
        jitter: int = 0,
    ) -> None:
        self.model, self.critics, self.players = model, critics, players
        self.cycle, self.identity = cycle, identity
        self.sparse, self.jitter = sparse, jitter

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        real = self.real(batch, now)
        fake, kept = self.there(self.shown(real, now))
        back = self.back(fake)
        yield "generator", self.generator_terms(real, fake, kept, back, now)
        yield "critic", self.critics.unmask(real, fake, now)

    # asked outside a step: `latentia.game.Judges`

    def verdict(self, batch: Batch, now: Now) -> Verdict:
        """The critics' mean answers on the pictures of a batch, and on their translations."""
        return self.critics.verdict(self.model, batch)

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critics and generators at these verdicts `(B,)`."""
        return self.critics.stakes(real, fake)

    # what a variant of the game overrides

    def real(self, batch: Batch, now: Now) -> Sides:
        """The pictures of each domain, as everybody sees them this time."""
        return sides(batch, self.model.domains, self.jitter, now)

    def shown(self, real: Sides, now: Now) -> Sides:
        """What the generators see of pictures on the way there: all of them."""
        return real

    def there(self, real: Sides) -> tuple[Sides, Sides]:
        """Fakes of each domain, and what becomes of some pictures that are of it already."""
        fake, kept = {}, {}
        for to, source in _crossed(self.model.domains):
            own = real[to][:: self.sparse] if self.identity else real[to][:0]
            made = self.model(torch.cat([real[source], own]), to)
            fake[to], kept[to] = made.split([len(real[source]), len(own)])
        return fake, kept

    def back(self, fake: Sides) -> Sides:
        """Fakes carried to where they came from, by the domain that they should be of."""
        return {to: self.model(fake[source], to) for to, source in _crossed(self.model.domains)}

    def generator_terms(
        self, real: Sides, fake: Sides, kept: Sides, back: Sides, now: Now
    ) -> Terms:
        """What the generators descend on."""
        terms = {"adversarial": self.critics.convince(real, fake, now)}
        terms["cycle"] = self.cycle * _sum(cycle_loss, back, real)
        if self.identity:
            some = {name: x[:: self.sparse] for name, x in real.items()}
            terms["identity"] = self.identity * _sum(identity_loss, kept, some)
        return terms


def sides(batch: Batch, domains: Sequence[str], jitter: int, now: Now) -> Sides:
    """The pictures of each domain: rows of a batch are of the two by turns."""
    found = {name: batch.x[place::2] for place, name in enumerate(domains)}
    if not jitter:
        return found
    return {name: jittered(x, now.uniform(len(x), 2), jitter) for name, x in found.items()}


def _crossed(domains: Sequence[str]) -> list[tuple[str, str]]:
    """Each domain to be made, and the one it is made from; the second one first, as in A to B."""
    a, b = domains
    return [(b, a), (a, b)]


def _sum(loss: Callable[[Tensor, Tensor], Tensor], made: Sides, wanted: Sides) -> Tensor:
    return torch.stack([loss(made[name], wanted[name]) for name in made]).sum()


def _add(terms: Terms, name: str, value: Tensor) -> None:
    terms[name] = terms[name] + value if name in terms else value


def _r1(net: nn.Module, real: Tensor) -> Tensor:
    """On every fourth picture; of a map of verdicts the mean is judged."""
    return maths.gradient_penalty(lambda x: net(x).flatten(1).mean(1), real[::4])
