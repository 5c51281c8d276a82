"""One generator, content kept by telling patches apart (Park et al. 2020, CUT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from latentia.game import Batch, Now, Player, Terms, Verdict
from latentia.maths.translation import patch_nce
from latentia.objectives.cycle import Carries, Critics, sides


class EncodesMaps(Protocol):
    """A generator whose first half gives maps to compare patches at."""

    encoded: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor: ...

    def encode(self, x: Tensor) -> list[Tensor]:
        """`(B, C, H, W)` to maps of `encoded` channels each."""
        ...


class PatchHeads(nn.Module):
    """A small perceptron for every map, in whose space patches are compared.

    Args:
        channels: of each map.
        features: of the space; 256 in the paper.
    """

    def __init__(self, channels: Sequence[int], features: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, features), nn.ReLU(), nn.Linear(features, features))
            for c in channels
        )

    def forward(self, maps: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Of each map `(B, C, H, W)` the patches at `places` `(S,)`, as `(B, S, features)`."""
        return [
            cast(Tensor, head(each.flatten(2).transpose(1, 2).index_select(1, at)))
            for head, each, at in zip(self.heads, maps, places, strict=True)
        ]


class ContrastiveGame:
    """One-sided: a patch of a translation must be recognisable as the one at its place before.

    Both what becomes of pictures of the source and, with `identity`, of the target domain are
    compared with what they were (eq. 5).

    Args:
        model: carries pictures to `to`.
        net: its network for that.
        heads: in whose spaces patches are compared; they learn with the generator.
        critics: of the domain `to`.
        players: "generator" (with the heads) and "critic".
        to: the domain to be made.
        nce: weight of the contrastive loss; nats in the mean over the maps.
        identity: the same for pictures of the target domain.
        sparse: the identity loss is taken on every so many-th picture.
        temperature: of the contrastive loss.
        patches: S, compared in each map; fewer where it has fewer.
        jitter: pixels by which pictures are shifted at random.
    """

    def __init__(
        self,
        model: Carries,
        net: EncodesMaps,
        heads: PatchHeads,
        critics: Critics,
        players: dict[str, Player],
        to: str,
        *,
        nce: float = 1.0,
        identity: float = 1.0,
        sparse: int = 1,
        temperature: float = 0.07,
        patches: int = 256,
        jitter: int = 0,
    ) -> None:
        self.model, self.net, self.heads, self.critics = model, net, heads, critics
        self.players, self.to = players, to
        self.nce, self.identity, self.sparse, self.temperature = nce, identity, sparse, temperature
        self.patches, self.jitter = patches, jitter

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        real = sides(batch, self.model.domains, self.jitter, now)
        (source,) = (x for name, x in real.items() if name != self.to)
        own = real[self.to][:: self.sparse] if self.identity else source[:0]
        before = torch.cat([source, own])
        after = self.net(before)
        fake = {self.to: after[: len(source)]}
        terms = {"adversarial": self.critics.convince(real, fake, now)}
        yield "generator", terms | self.content_terms(before, after, len(source), now)
        yield "critic", self.critics.unmask(real, fake, now)

    # asked outside a step: `latentia.game.Judges`

    def verdict(self, batch: Batch, now: Now) -> Verdict:
        """The critic's mean answers on pictures of the domain, and on translations to it."""
        return self.critics.verdict(self.model, batch)

    def stakes(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of critic and generator at these verdicts `(B,)`."""
        return self.critics.stakes(real, fake)

    def content_terms(self, before: Tensor, after: Tensor, sources: int, now: Now) -> Terms:
        """The contrastive losses of the first `sources` rows, and of the others."""
        maps = self.net.encode(after)
        places = [self._places(each, now) for each in maps]
        # queries first: autocast would keep the weights of a pass without gradient for both
        queries = self.heads(maps, places)
        with torch.no_grad():  # keys teach; they do not learn
            keys = self.heads(self.net.encode(before), places)
        pairs = list(zip(queries, keys, strict=True))
        terms = {"content": self.nce * self._loss([(q[:sources], k[:sources]) for q, k in pairs])}
        if self.identity:
            kept = self._loss([(q[sources:], k[sources:]) for q, k in pairs])
            terms["identity"] = self.identity * kept
        return terms

    def _loss(self, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        return torch.stack([patch_nce(q, k, self.temperature) for q, k in pairs]).mean()

    def _places(self, each: Tensor, now: Now) -> Tensor:
        """Some places of a map, the same for all pictures and processes."""
        order = torch.randperm(each[0, 0].numel(), generator=now.generator, device=now.device)
        return order[: self.patches]
