"""Spectral normalisation: layers whose largest singular value is one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

SETTLING = 20  # power iterations before the first step


class SpectralNorm(nn.Module):
    """W / σ(W), σ by one power iteration per use in training (Miyato et al. 2018, algorithm 1).

    The weight is read as a matrix of outputs by everything else. The iteration's vectors are
    buffers: saved with the weights, so that a resumed run goes on as it was. In evaluation they
    stay as they are.

    Args:
        weight: the layer's, `(outputs, …)`, not all zero.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        self._iterate(matrix, SETTLING)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its largest singular value, as estimated."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.float().flatten(1)
            if self.training:
                self._iterate(matrix.detach(), 1)
            # copies: a later use must not change what this one differentiates
            sigma = self.u.clone() @ (matrix @ self.v.clone())
            return weight / sigma

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        for _ in range(times):
            self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
            self.u.copy_(F.normalize(matrix @ self.v, dim=0))


def normalise_spectrally(net: nn.Module) -> nn.Module:
    """Put `SpectralNorm` on the weight of every linear and convolutional layer of `net`.

    Weights that start at zero, whose direction would be undefined, start at random instead.
    """
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in layers:
        if not layer.weight.any():
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.weight[0].numel()))
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return net
