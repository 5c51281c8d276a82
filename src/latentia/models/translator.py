"""Networks that carry pictures from one domain to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from latentia.errors import UserError, nearest
from latentia.nn.translating import padded_to


class Translator(nn.Module):
    """One network for each domain that can be translated to; the source is the other domain.

    A network maps `(B, C, H, W)` to `(B, C', H, W)`, float32, unbounded, and says two things of
    itself as attributes: `multiple`, of which H and W must be multiples, and `reach`, the radius
    in pixels of what one output pixel depends on, None for the whole picture.

    Args:
        domains: the two names, A's first.
        channels: of A's and of B's pictures.
        nets: by the name of the domain that they make; one, or both.

    Raises:
        UserError: domains without two different names.
    """

    def __init__(
        self, domains: Sequence[str], channels: Sequence[int], nets: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        if len(domains) != 2 or domains[0] == domains[1]:
            raise UserError(
                f"Translation is between two domains of different names, not {', '.join(domains)}."
            )
        self.domains: tuple[str, ...] = tuple(domains)
        self.channels: tuple[int, ...] = tuple(channels)
        # by number: a domain may be called what no module may
        self.nets = nn.ModuleDict({f"to_{self._place(to)}": net for to, net in nets.items()})

    @property
    def targets(self) -> tuple[str, ...]:
        """The domains that it translates to."""
        return tuple(d for i, d in enumerate(self.domains) if f"to_{i}" in self.nets)

    @property
    def multiple(self) -> int:
        """Sides that are multiples of it need no continuation."""
        return math.lcm(*(cast(int, net.multiple) for net in self.nets.values()))

    @property
    def reach(self) -> int | None:
        """Radius in pixels of what one output pixel depends on; None for the whole picture."""
        every = [cast("int | None", net.reach) for net in self.nets.values()]
        known = [reach for reach in every if reach is not None]
        return max(known) if len(known) == len(every) else None

    def net_to(self, to: str) -> nn.Module:
        """The network that makes pictures of the domain `to`.

        Raises:
            UserError: it makes none of that domain.
        """
        if to not in self.targets:
            made = " and ".join(map(repr, self.targets))
            why = f"was trained to make {made} only" if to in self.domains else f"makes {made}"
            raise UserError(f"This model {why}, not {to!r}: {nearest(to, self.targets)}")
        return self.nets[f"to_{self._place(to)}"]

    def source_of(self, to: str) -> str:
        """The domain that is translated to `to`: the other one."""
        return self.domains[1 - self._place(to)]

    def channels_of(self, domain: str) -> int:
        """Channels of a domain's pictures."""
        return self.channels[self._place(domain)]

    def forward(self, x: Tensor, to: str) -> Tensor:
        """As `translate`, not yet clamped, and without a look at the shape: for training."""
        made: Tensor = self.net_to(to)(x)
        return made

    def translate(self, x: Tensor, to: str) -> Tensor:
        """`(B, C, H, W) -> (B, C', H, W)`, both in [-1, 1].

        Pictures whose sides are no multiples of `multiple` are continued by reflection, and cut.

        Raises:
            UserError: an unknown domain, other channels than the source's, or sides too small to
                be continued.
        """
        net, wanted = self.net_to(to), self.channels_of(self.source_of(to))
        if x.shape[1] != wanted:
            raise UserError(
                f"Pictures of {self.source_of(to)!r} have {wanted} channels, these have "
                f"{x.shape[1]}; turn them to {'grey' if wanted == 1 else 'colour'} first."
            )
        height, width = x.shape[2:]
        if any(-side % self.multiple >= side for side in (height, width)):
            raise UserError(
                f"Pictures of {width} by {height} pixels are too small for this model: both sides "
                f"must have {self.multiple // 2 + 1} pixels or more."
            )
        made: Tensor = net(padded_to(x, self.multiple))
        return made[..., :height, :width].float().clamp(-1, 1)

    def _place(self, domain: str) -> int:
        if domain not in self.domains:
            raise UserError(f"There is no domain {domain!r} here: {nearest(domain, self.domains)}")
        return self.domains.index(domain)
