"""Averages of the weights over training: what a run ships."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """Power-function average of a model's weights (Karras et al. 2024, eq. 121).

    Its memory is a fixed *share of the run so far*, so it needs no half-life in steps and is
    right for every budget: weight at step t goes as t^γ.

    Args:
        model: the live model; parameters are averaged, buffers copied.
        gamma: larger forgets sooner; about 17 for a relative width of 5 %, 7 for 10 %.
    """

    def __init__(self, model: nn.Module, gamma: float) -> None:
        self.gamma = gamma
        self.live = model
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, step: int, span: int = 1) -> None:
        """Fold in the weights after `step` (counted from 1), standing for the last `span` steps."""
        weight = 1 - (1 - span / step) ** (self.gamma + 1)
        shadows: list[Tensor] = list(self.model.parameters())
        lives: list[Tensor] = list(self.live.parameters())
        torch._foreach_lerp_(shadows, lives, weight)
        for shadow, live in zip(self.model.buffers(), self.live.buffers(), strict=True):
            shadow.copy_(live)
