"""CycleGAN over spectrograms whose frames are partly hidden (Kaneko et al. 2021, MaskCycleGAN-VC).

To fill in the hidden frames a generator has to learn how its target's speech goes on in time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentia.game import Now, Player
from latentia.objectives.cycle import Carries, Critics, CycleGame, Sides


class MaskedCycleGame(CycleGame):
    """The game of the CycleGAN; on the way there a stretch of frames is hidden in each picture.

    Fakes, filled in, have to convince the critics and to lead back to the *whole* picture. The
    way back and what is of the target already see everything.

    Args:
        model: its networks take a mask as a second channel, and no mask as one that hides nothing.
        critics, players, cycle, identity, sparse: as in `CycleGame`.
        hidden: the largest share of frames hidden; each picture draws its own, from 0 to this.
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
        hidden: float = 0.5,
    ) -> None:
        super().__init__(model, critics, players, cycle=cycle, identity=identity, sparse=sparse)
        self.hidden = hidden

    def shown(self, real: Sides, now: Now) -> Sides:
        """Pictures with their masks as a second channel, `(B, 2, H, W)`."""
        return {
            name: torch.cat([x, frame_mask(x, now.uniform(len(x), 2), self.hidden)], 1)
            for name, x in real.items()
        }

    def there(self, real: Sides) -> tuple[Sides, Sides]:
        """Fakes of partly hidden pictures; what is of the target already is shown whole."""
        a, b = self.model.domains
        fake, kept = {}, {}
        for to, source in ((b, a), (a, b)):
            own = real[to][:: self.sparse] if self.identity else real[to][:0]
            whole = torch.cat([own[:, :1], torch.ones_like(own[:, 1:])], 1)
            made = self.model(torch.cat([real[source], whole]), to)
            fake[to], kept[to] = made.split([len(real[source]), len(own)])
        return fake, kept


def frame_mask(x: Tensor, uniform: Tensor, most: float) -> Tensor:
    """1 where a frame is shown and 0 in one stretch, `(B, 1, H, W)` for pictures `(B, C, H, W)`.

    Args:
        x: pictures, frames last.
        uniform: in [0, 1), `(B, 2)`: how long each stretch is, and where.
        most: the largest share of the frames.
    """
    width = x.shape[-1]
    length = (uniform[:, :1] * (most * width + 1)).floor()
    first = (uniform[:, 1:] * (width - length + 1)).floor()
    at = torch.arange(width, device=x.device)
    shown = ((at < first) | (at >= first + length)).to(x.dtype)
    return shown[:, None, None].expand(-1, 1, x.shape[2], -1)
