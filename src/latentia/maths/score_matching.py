"""Two losses under which a network becomes the score of noisy data, by noise level.

The score of x = clean + sigma · noise is the gradient in x of the log-density of such x. Both are
weighted by lambda(sigma) = sigma², under which every level counts alike (Song & Ermon 2019,
eq. 6), are means over the numbers of a row, and differ by a constant that no network changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor, Tensor], Tensor]
"""`(x (B, ...), sigma (B,)) -> (B, ...)`, the gradient of the log-density with noise of sigma."""


def denoising_loss(score: Score, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """sigma² / 2 · |score(clean + sigma · noise) + noise / sigma|² (Vincent 2011, eq. 11), `(B,)`.

    At best what no network knows of the noise is left: 1/2 at levels that drown the data's detail.

    Args:
        score: the network.
        clean: `(B, ...)`.
        noise: like `clean`, standard normal.
        sigma: `(B,)`, above 0.
    """
    wide = _wide(sigma, clean)
    off = wide * score(clean + wide * noise, sigma) + noise
    return off.square().flatten(1).mean(1) / 2


def sliced_loss(score: Score, x: Tensor, probe: Tensor, sigma: Tensor) -> Tensor:
    """sigma² (v · (d score / dx) v + |score|² / 2), `(B,)`, differentiable.

    Sliced score matching with reduced variance (Song et al. 2019, eq. 8): the second term is known
    without the slice. Its mean over x is the score's error but for a constant; only examples of x
    are needed, no noise and no clean data. One more backward pass than `denoising_loss`.

    Args:
        score: the network, twice differentiable.
        x: `(B, ...)`, data with noise of sigma.
        probe: v like `x`, of zero mean and identity covariance, as signs.
        sigma: `(B,)`, above 0.
    """
    x = x.detach().requires_grad_()
    found = score(x, sigma)
    (back,) = torch.autograd.grad((found * probe).sum(), x, create_graph=True)
    both = back * probe + found.square() / 2
    return (_wide(sigma, x).square() * both).flatten(1).mean(1)


def signs(uniform: Tensor) -> Tensor:
    """-1 or 1 for draws in [0, 1): the probes of least variance.

    >>> signs(torch.tensor([0.2, 0.7]))
    tensor([-1.,  1.])
    """
    return torch.where(uniform < 0.5, -1.0, 1.0)


def _wide(sigma: Tensor, x: Tensor) -> Tensor:
    return sigma.reshape(-1, *[1] * (x.ndim - 1))
