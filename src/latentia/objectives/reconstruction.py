"""Reconstruction alone: the game of a plain autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.game import Batch, Now, Player, Terms


class Codec(Protocol):
    """What the game needs of a model."""

    def encode(self, x: Tensor) -> Tensor: ...

    def decode(self, z: Tensor) -> Tensor: ...

    def standardise(self, x: Tensor) -> Tensor: ...


class Reconstruction:
    """Minimise the distance of x and its reconstruction, summed over the values of an example.

    Args:
        model: encodes and decodes.
        player: owns the model.
        distance: "squared" or "absolute" error.
        noise: standard deviation of Gaussian noise added to the input, whose clean original is
            the target (denoising autoencoder, Vincent et al. 2008).
        sparsity: weight of the mean absolute code.
    """

    def __init__(
        self,
        model: Codec,
        player: Player,
        distance: Literal["squared", "absolute"],
        noise: float,
        sparsity: float,
    ) -> None:
        self.model, self.noise, self.sparsity = model, noise, sparsity
        self.error = F.mse_loss if distance == "squared" else F.l1_loss
        self.players = {"autoencoder": player}

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        seen = batch.x + self.noise * now.noise(*batch.x.shape) if self.noise else batch.x
        code = self.model.encode(seen)
        guess, truth = self.model.standardise(self.model.decode(code)), batch.x
        error = self.error(guess, self.model.standardise(truth), reduction="none")
        terms = {"reconstruction": error.flatten(1).sum(1).mean()}
        if self.sparsity:
            terms["sparsity"] = self.sparsity * code.abs().sum(1).mean()
        now.note("code_scale", torch.linalg.vector_norm(code.detach(), dim=1).mean())
        yield "autoencoder", terms
