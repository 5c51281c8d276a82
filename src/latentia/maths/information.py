"""How much a latent tells about the data, from the means and variances of its posteriors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from latentia.maths.chunks import in_chunks


def posterior_moments(
    posterior: Callable[[Tensor], Distribution], x: Tensor, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(z | x), `(B, …) -> (B, d), (B, d)`, on the CPU, in chunks."""

    def moments(rows: Tensor) -> Tensor:
        found = posterior(rows)
        return torch.stack([found.mean, found.variance], 1)

    means, variances = in_chunks(moments, x.cpu(), device=device).unbind(1)
    return means, variances


def channel_information(means: Tensor, variances: Tensor) -> Tensor:
    """½ ln(1 + Var_x(μ_i) / E_x(σ_i²)) of every latent, `(N, d), (N, d) -> (d,)`, nats.

    The capacity of a Gaussian channel that carries the posterior means μ over noise of the
    posterior's own variance, whatever the prior: 0 for a latent that ignores the data. (The
    numerator is the activity of Burda et al. 2016, eq. 15.)

    >>> channel_information(torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1)).exp().square()
    tensor([2.])
    """
    signal = means.var(0, correction=0) / variances.mean(0).clamp(min=1e-12)
    return 0.5 * torch.log1p(signal)
