"""CycleGAN over spectrograms whose frames are partly hidden (Kaneko et al. 2021, MaskCycleGAN-VC).

To fill in the hidden frames a generator has to learn how its target's speech goes on in time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from latentia.game import Batch, Now, Player
from latentia.objectives.cycle import Carries, Critics, CycleGame, Sides, sides


class MaskedCycleGame(CycleGame):
    """The game of the CycleGAN; on the way there a stretch of frames is hidden in each picture.

    Fakes, filled in, have to convince the critics and to lead back to the *whole* picture. The
    way back and what is of the target already see everything.

    Args:
        model: its networks take a mask as a second channel, and no mask as one that hides nothing.
        critics, players, cycle, identity, sparse: as in `CycleGame`.
        hidden: the largest share of frames hidden; each picture draws its own, from 0 to this.
        tempo: by what share clips are spoken faster or slower at random, everybody's: few clips
            become many, and no critic can go by a tempo that no generator can change.
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
        tempo: float = 0.0,
    ) -> None:
        super().__init__(model, critics, players, cycle=cycle, identity=identity, sparse=sparse)
        self.hidden, self.tempo = hidden, tempo

    def real(self, batch: Batch, now: Now) -> Sides:
        """Clips of each voice, at another tempo and from another moment on each time."""
        found = sides(batch, self.model.domains, 0, now)
        if not self.tempo:
            return found
        return {name: retimed(x, now.uniform(len(x), 2), self.tempo) for name, x in found.items()}

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


def retimed(x: Tensor, uniform: Tensor, most: float) -> Tensor:
    """Each picture faster or slower, and begun at another frame; its end leads to its beginning.

    Frames between two are interpolated, so that spectra stay what they are.

    Args:
        x: pictures `(B, C, H, W)`, frames last.
        uniform: in [0, 1), `(B, 2)`: the tempo, from 1 / (1 + most) to 1 + most with 1 in the
            middle, and the first frame.
        most: 0.25 for up to 5/4 of the tempo.
    """
    width = x.shape[-1]
    pace = (1 + most) ** (2 * uniform[:, :1] - 1)
    first = (uniform[:, 1:] * width).floor()
    places = (first + pace * torch.arange(width, device=x.device)) % width
    before = places.long()
    share = (places - before)[:, None, None].to(x.dtype)
    left, right = (
        x.gather(3, at[:, None, None].expand_as(x)) for at in (before, (before + 1) % width)
    )
    return left.lerp(right, share.expand_as(x))


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
