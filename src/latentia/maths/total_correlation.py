"""How far latents are from independent: TC(z) = KL( q(z) ‖ Π_j q(z_j) ), from a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentia.maths.divergences import normal_log_prob


def stratified_total_correlation(z: Tensor, mu: Tensor, log_var: Tensor, rows: int) -> Tensor:
    """TC of the aggregate posterior, in nats, a scalar; minibatch-stratified sampling.

    log q(z) and every log q(z_j) are estimated at each z from the posteriors of the batch it came
    with (Chen et al. 2018, appendix C.2): its own has weight 1/N, the others share the rest.

    Args:
        z: `(B, d)`, one draw from each posterior.
        mu, log_var: `(B, d)`, of the posteriors.
        rows: N, examples of the whole data set.
    """
    b = len(z)
    pairs = normal_log_prob(z[:, None], mu[None], log_var[None])  # (draw, posterior, d)
    weights = _log_weights(b, max(rows, b), z)
    joint = torch.logsumexp(pairs.sum(2) + weights, 1)
    apart = torch.logsumexp(pairs + weights[..., None], 1).sum(1)
    return (joint - apart).mean()


def _log_weights(b: int, rows: int, like: Tensor) -> Tensor:
    """`(b, b)`: log of 1/N on the diagonal and (1 − 1/N)/(b − 1) elsewhere."""
    if b == 1:
        return like.new_zeros(1, 1)
    weights = like.new_full((b, b), math.log((1 - 1 / rows) / (b - 1)))
    return weights.fill_diagonal_(-math.log(rows))


def permuted_latents(z: Tensor, order: Tensor) -> Tensor:
    """Draws of Π_j q(z_j): every latent's column in an order of its own (Kim & Mnih 2018, alg. 1).

    Args:
        z: `(B, d)`.
        order: `(B, d)` numbers whose ranks are the orders, uniform noise for random ones.
    """
    return z.gather(0, order.argsort(0))
