"""What makes a waveform of a log-mel picture: without learning here, learnt in `neural`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentia.data.mel import LogMel, power_of
from latentia.sound.phases import ROUNDS, griffin_lim, magnitudes


class Vocoder(Protocol):
    """Makes waves of log-mel pictures of one form."""

    @property
    def how(self) -> LogMel:
        """The form of the pictures."""
        ...

    @property
    def words(self) -> str:
        """What it is, for a person."""
        ...

    def wave(self, pictures: Tensor, known: Tensor | None = None) -> Tensor:
        """`(B, mels, frames)` in [-1, 1] to `(B, (frames - 1) · hop)`.

        Args:
            pictures: log-mel.
            known: samples `(B, n)` made before for the same beginning, to go on from in phase.
        """
        ...


@dataclass(frozen=True)
class GriffinLim:
    """Phases by iteration: needs no training, sounds a little hollow.

    Attributes:
        how: the form of the pictures.
        rounds: of analysis and synthesis.
    """

    how: LogMel
    rounds: int = ROUNDS

    @property
    def words(self) -> str:
        """Name and effort."""
        return f"Griffin-Lim with momentum, {self.rounds} rounds"

    @torch.no_grad()
    def wave(self, pictures: Tensor, known: Tensor | None = None) -> Tensor:
        """As `Vocoder.wave`."""
        magnitude = magnitudes(power_of(pictures, self.how), self.how)
        return griffin_lim(magnitude, self.how, rounds=self.rounds, known=known)
