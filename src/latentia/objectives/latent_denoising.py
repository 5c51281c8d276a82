"""Two players on one budget: a coder that learns first, a denoiser of what it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.game import Batch, Now, Player, Terms
from latentia.objectives.denoising import Denoising


class Coder(Protocol):
    """Pictures to maps of numbers and back."""

    def raw(self, x: Tensor) -> Tensor: ...

    def standardised(self, raw: Tensor) -> Tensor: ...

    def encode(self, x: Tensor) -> Tensor: ...

    def decode(self, code: Tensor) -> Tensor: ...

    def follow(self, mean: Tensor, square: Tensor) -> None: ...


class LatentDenoising:
    """Reconstruction by the coder up to a share of the budget; denoising of its codes all along.

    While the coder learns, the denoiser follows with what is cheap to learn; after that the codes
    stand still. Noise is laid on codes before they are decoded, so that near codes mean near
    pictures, and what the denoiser gets slightly wrong does no harm.

    Args:
        coder: pictures to codes and back.
        denoising: the game of the denoiser, whose batches are codes.
        player: owns the coder.
        until: share of the budget at which the coder stops learning.
        roughness: deviation of the noise on codes, which have deviation 1.
        edges: weight of the error of differences between neighbouring pixels, beside that of the
            pixels: blur costs more.
    """

    def __init__(
        self,
        coder: Coder,
        denoising: Denoising,
        player: Player,
        until: float,
        roughness: float,
        edges: float,
    ) -> None:
        self.coder, self.denoising = coder, denoising
        self.until, self.roughness, self.edges = until, roughness, edges
        self.players = {"coder": player, **denoising.players}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        if now.progress < self.until:
            yield "coder", self._coded(batch.x, now)
        with torch.no_grad():
            codes = self.coder.encode(batch.x)
        yield from self.denoising.play(replace(batch, values=codes.detach()), now)

    def _coded(self, x: Tensor, now: Now) -> Terms:
        """The coder's terms: pixels, and differences between neighbours."""
        raw = self.coder.raw(x)
        moments = raw.detach().mean((0, 2, 3)), raw.detach().square().mean((0, 2, 3))
        self.coder.follow(*(now.mean(moment)[:, None, None] for moment in moments))
        code = self.coder.standardised(raw)
        made = self.coder.decode(code + self.roughness * now.noise(*code.shape))
        terms = {"pixels": F.l1_loss(made, x)}
        if self.edges:
            apart = [F.l1_loss(made.diff(dim=d), x.diff(dim=d)) for d in (2, 3)]
            terms["edges"] = self.edges * (apart[0] + apart[1])
        return terms
