"""A history of generated pictures, so that a critic does not forget what it has unmasked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from latentia.game import Now


class ImagePool(nn.Module):
    """Past fakes; half of what the critic sees is from there (Shrivastava et al. 2017, sec. 2.3).

    Until it is full, fakes are kept and shown. Then each is with probability one half exchanged
    for one of the past. Its pictures are buffers, saved with the player that owns it, so that a
    resumed run sees what it would have seen. Every process keeps the fakes of all of them, and so
    the same pool as one process alone.

    Args:
        size: how many it keeps; 50 in the CycleGAN, 0 keeps none.
        shape: of one, `(C, H, W)`.
    """

    past: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("past", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, fakes: Tensor, now: Now) -> Tensor:
        """What the critic is to see instead of these fakes `(B, C, H, W)`, of the same shape."""
        if not self.size:
            return fakes
        share = len(fakes)
        fakes = gathered(fakes.float(), now)
        shown, filled = fakes.clone(), int(self.filled)
        # every process draws for all rows
        chance = torch.rand(len(fakes), 2, generator=now.generator, device=now.device).tolist()
        for row, (swap, place) in enumerate(chance):
            if filled < self.size:
                self.past[filled] = fakes[row]
                filled += 1
            elif swap < 0.5:
                at = int(place * self.size)
                shown[row] = self.past[at]
                self.past[at] = fakes[row]
        self.filled.fill_(filled)
        return shown[now.rank * share : (now.rank + 1) * share]


def gathered(rows: Tensor, now: Now) -> Tensor:
    """The rows of all processes, in the order of one process's batch, without gradient."""
    if now.world == 1:
        return rows.detach()
    whole = rows.new_zeros(now.world * len(rows), *rows.shape[1:])
    whole[now.rank * len(rows) : (now.rank + 1) * len(rows)] = rows.detach()
    return now.mean(whole) * now.world
