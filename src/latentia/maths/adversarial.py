"""Losses of the adversarial game, and the gradient penalties that steady it.

All losses take the critic's raw outputs: `real` and `fake` are C(x) on data and on generated
examples, shape `(B,)` each. For the logistic losses they are logits and D(x) = sigmoid(C(x)) is the
probability that x is REAL, as in Goodfellow et al. (2014): min_G max_D E log D(x) +
E log(1 − D(G(z))). (Some lectures let D give the probability of fake; their formulas have the two
logarithms swapped.) Every function returns a scalar that its player *minimises*, for the logistic
losses in nats: a critic's loss is minus its part of the objective.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def minimax_critic(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))): the critic of the minimax and non-saturating games.

    Goodfellow et al. (2014), eq. 1, negated. Where data and samples are alike the best critic
    answers D = 1/2 and the loss is log 4 (theorem 1: the objective is −log 4).

    Args:
        real: logits on data, `(B,)`.
        fake: logits on generated examples, `(B,)`.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_generator(fake: Tensor) -> Tensor:
    """E log(1 − D(G(z))), ≤ 0: the generator's part of the minimax game.

    Goodfellow et al. (2014), eq. 1. Its gradient fades where the critic is sure of a fake
    (section 3): it is −D with respect to the logit.

    Args:
        fake: logits on generated examples, `(B,)`.
    """
    return -F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """−E log D(G(z)): the generator of the non-saturating game.

    Goodfellow et al. (2014), section 3: same fixed point as minimax, strong gradients early.

    Args:
        fake: logits on generated examples, `(B,)`.
    """
    return F.softplus(-fake).mean()


def relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 + exp(C(G(z)) − C(x))): the critic of the relativistic pairing game.

    Jolicoeur-Martineau (2019), relativistic standard GAN, with the sign convention of Huang et
    al. (2024, R3GAN), eq. 2 with f(t) = −log(1 + e^−t). Only differences of logits within a pair
    count, so the critic cannot win by putting all fakes on one side of a fixed boundary, the
    cause of dropped modes. The loss is log 2 at equal logits.

    Args:
        real: logits on data, `(B,)`.
        fake: logits on as many generated examples, `(B,)`, paired by position.
    """
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 + exp(C(x) − C(G(z)))): the generator of the relativistic pairing game.

    Huang et al. (2024), eq. 2, in its non-saturating form: the critic's loss with the pair
    swapped. `real` may be computed without gradient, since no data depend on the generator.

    Args:
        real: logits on data, `(B,)`.
        fake: logits on as many generated examples, `(B,)`, paired by position.
    """
    return F.softplus(real - fake).mean()


def least_squares_critic(real: Tensor, fake: Tensor, *, a: float = 0.0, b: float = 1.0) -> Tensor:
    """½ E(C(x) − b)² + ½ E(C(G(z)) − a)²: the critic of the least-squares game.

    Mao et al. (2017), eq. 2. Its optimum is (b p + a g) / (p + g) (eq. 5): with a = 0 and b = 1
    the output itself, not its sigmoid, is the probability of real.

    Args:
        real: outputs on data, `(B,)`.
        fake: outputs on generated examples, `(B,)`.
        a, b: what the critic should answer to a fake and to a real example.
    """
    return 0.5 * ((real - b).square().mean() + (fake - a).square().mean())


def least_squares_generator(fake: Tensor, *, c: float = 1.0) -> Tensor:
    """½ E(C(G(z)) − c)²: the generator of the least-squares game, Mao et al. (2017), eq. 2.

    Args:
        fake: outputs on generated examples, `(B,)`.
        c: what the critic should answer to a fake if the generator had its way.
    """
    return 0.5 * (fake - c).square().mean()


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 − C(x)) + E max(0, 1 + C(G(z))): the critic of the hinge game.

    Lim & Ye (2017), Miyato et al. (2018), eq. 16. It stops at a margin of 1, and its best
    answer is the sign of p − g.

    Args:
        real: outputs on data, `(B,)`.
        fake: outputs on generated examples, `(B,)`.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E C(G(z)) − E C(x): the critic of the Wasserstein game.

    Arjovsky et al. (2017), eq. 2, negated: over critics of slope at most 1 its minimum is minus
    the earth mover's distance, so something must bound the slope (`slope_penalty`).

    Args:
        real: outputs on data, `(B,)`.
        fake: outputs on generated examples, `(B,)`.
    """
    return fake.mean() - real.mean()


def linear_generator(fake: Tensor) -> Tensor:
    """−E C(G(z)): the generator of the hinge and of the Wasserstein game.

    Args:
        fake: outputs on generated examples, `(B,)`.
    """
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """½ E‖∇ₓC(x)‖², the zero-centred gradient penalty, unweighted.

    On data it is R1 (Mescheder et al. 2018, eq. 9), on generated examples R2 (eq. 10); multiply
    by γ, and by the interval where it is applied lazily. It differentiates again into the
    critic's parameters. The sum over the batch before the derivative gives each example its own
    gradient, provided the critic treats examples independently (no batch normalisation). Under
    autocast the critic should return float32 logits; the slopes are of x's type.

    Args:
        critic: maps `(B, …)` to logits `(B,)`.
        x: where to penalise, `(B, …)`; no gradient flows back through it.
    """
    return 0.5 * _slopes(critic, x).square().sum() / len(x)


def slope_penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E(‖∇ₓC(x)‖ − 1)², unweighted: draws the critic's slope to 1 (WGAN-GP).

    Gulrajani et al. (2017), eq. 3, there with weight 10 and x between data and samples (see
    `between`). The same cautions as for `gradient_penalty`.

    Args:
        critic: maps `(B, …)` to outputs `(B,)`.
        x: where to penalise, `(B, …)`; no gradient flows back through it.
    """
    squares = _slopes(critic, x).flatten(1).square().sum(1)
    # the root has no slope of its own at zero
    return (squares.clamp(min=1e-12).sqrt() - 1).square().mean()


def between(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Points on the lines from fake to real examples, `(B, …)`.

    Args:
        real, fake: `(B, …)`, paired by position.
        share: `(B,)` in [0, 1]; 1 is the real end.
    """
    return fake.lerp(real, share.view(-1, *[1] * (real.ndim - 1)))


def _slopes(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∇ₓC(x) of every example, `(B, …)`, differentiable into the critic's parameters."""
    x = x.detach().requires_grad_()
    # also a value worth watching where gradients are off
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slope
