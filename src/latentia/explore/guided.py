"""Moves of single codes that a judge of decoded examples guides: no one vector for all.

A direction is the same for everyone; where the decoder bends, so should the way. Each code is
moved to where the judge sees the wanted attribute, and among such places to one where it sees
everything else as before and few pixels change. (Gradient search in the latent space of a decoder,
as for counterfactual explanations: Joshi et al. 2018, "xGEMs".)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentia.abilities import Decodes
from latentia.errors import UserError
from latentia.maths.chunks import device_of

_RATE = 0.06  # of Adam, in deviations of the codes
_KEPT = 3.0  # weight of what should stay, per probability of the target
_NEAR = 0.002  # weight of the squared way, in deviations
_STILL = 2.0  # weight of the squared change of the decoded values
_CHUNK = 64


def guided_moves(
    model: Decodes,
    z: Tensor,
    judge: Callable[[Tensor], Tensor],
    target: int,
    *,
    start: Tensor,
    scale: Tensor,
    goal: float = 0.78,
    steps: int = 100,
) -> Tensor:
    """A move for every code; deterministic.

    Minimises, by Adam, thrice the mean absolute change of all other probabilities, plus what the
    target lacks to the goal, plus small weights of way and of decoded change. Several judges in
    one, as a mean of their answers, transfer better to others than one does.

    Args:
        model: decodes, differentiably.
        z: codes `(B, d)`.
        judge: decoded examples to probabilities `(B, A)`, differentiable. Figures of the result
            are worth something only by another judge.
        target: the attribute to add.
        start: `(d,)`, where the search begins, for example half a direction.
        scale: `(d,)`, deviations of the codes.
        goal: probability to reach.
        steps: of the search.

    Returns:
        `(B, d)`, to be added to z, wholly or in part.

    Raises:
        UserError: a goal outside 0 to 1.
    """
    if not 0 < goal < 1:
        raise UserError(f"goal={goal:g} is no probability between 0 and 1.")
    device = device_of(model)
    parts = [
        _search(model, part.to(device), judge, target, start.to(part), scale.to(part), goal, steps)
        for part in z.split(_CHUNK)
    ]
    return torch.cat(parts).to(z)


def _search(
    model: Decodes,
    z: Tensor,
    judge: Callable[[Tensor], Tensor],
    target: int,
    start: Tensor,
    scale: Tensor,
    goal: float,
    steps: int,
) -> Tensor:
    start, scale = start.to(z.device), scale.to(z.device)
    with torch.no_grad():
        still = model.decode(z)
        before = judge(still)
    others = torch.arange(before.shape[1], device=z.device) != target
    way = (start / scale).repeat(len(z), 1).requires_grad_(True)
    optimiser = torch.optim.Adam([way], lr=_RATE)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, steps)
    for _ in range(steps):
        x = model.decode(z + way * scale)
        now = judge(x)
        kept = (now - before)[:, others].abs().sum(1) / max(1, int(others.sum()))
        lacking = torch.relu(goal - now[:, target])
        small = _NEAR * way.square().sum(1) + _STILL * (x - still).square().flatten(1).mean(1)
        optimiser.zero_grad()
        (_KEPT * kept + lacking + small).sum().backward()
        optimiser.step()
        slower.step()
    return (way * scale).detach()
