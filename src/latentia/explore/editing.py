"""Pictures changed by a model that takes noise off: varied, filled in, enlarged.

What is known of a picture is kept by giving the sampler a denoiser that cannot contradict it: the
clean guess is corrected in what is known, D + A⁺(y − A D), where y = A x is what one has of x, and
A⁺ puts it back (Wang et al. 2023, DDNM, eq. 11, without noise on y).
"""

from __future__ import annotations

import math
from itertools import count, pairwise
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from latentia.abilities import Seeds
from latentia.errors import UserError
from latentia.maths.randomness import SeededSteps, seeded_noise
from latentia.samplers.ancestral import ancestral
from latentia.samplers.levels import Denoise, Noise

FILL_STEPS = 30
AGAIN = 3  # times each step is taken, so that what is made grows into what is known
AGAIN_ENLARGED = 8  # by 3, tiles that should hold a little ink keep a ghost of it in the ground


@runtime_checkable
class TakesNoiseOff(Protocol):
    """A model that samples by following noise down."""

    shape: tuple[int, ...]
    sampling: Any

    def guided(self, weights: Tensor | None = None) -> Denoise: ...

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None: ...

    def standardise(self, x: Tensor) -> Tensor: ...

    def outside(self, x: Tensor) -> Tensor: ...


@torch.no_grad()
def vary(
    model: TakesNoiseOff,
    x: Tensor,
    seeds: Seeds,
    *,
    strength: float = 0.5,
    condition: Tensor | None = None,
    steps: int | None = None,
) -> Tensor:
    """Variations: noise added up to some level and followed down again (SDEdit, Meng et al. 2022).

    What is finer than the noise is made anew, what is coarser stays. The same turns a rough
    drawing, or a picture of another world, into one of the data's.

    Args:
        model: takes noise off.
        x: `(B, …)`, one for each seed.
        seeds: of the noise.
        strength: from 0, the same picture, to 1, another one altogether.
        condition: the classes to become, for a model that takes them.
        steps: of the whole way down from pure noise; a share of them is taken. None takes those
            of a sample, 24 at least.

    Returns:
        `(B, …)`, as the model samples.

    Raises:
        UserError: a strength outside [0, 1], or x of another shape than the model's.
    """
    _fits(model, x)
    if not 0 <= strength <= 1:
        raise UserError(f"strength is {strength}; it goes from 0 (the same) to 1 (all new).")
    how = model.sampling
    levels = how.sigmas_from(strength, steps or max(how.steps, how.path_steps))
    if len(levels) < 2:
        return x
    noise = seeded_noise(seeds, model.shape, x.device)
    start = model.standardise(x) + float(levels[0]) * noise
    weights = model.asked(condition, len(x))
    inward = SeededSteps(seeds, model.shape, x.device)
    return model.outside(how.method(model.guided(weights), start, levels, inward))


@torch.no_grad()
def fill(
    model: TakesNoiseOff,
    x: Tensor,
    missing: Tensor,
    seeds: Seeds,
    *,
    condition: Tensor | None = None,
    steps: int | None = None,
) -> Tensor:
    """What is missing of pictures made up to fit the rest, which stays as it is (inpainting).

    Args:
        model: takes noise off.
        x: `(B, …)`, one for each seed; values that are missing are not looked at.
        missing: 1 where values are to be made, else 0; broadcasts to x.
        seeds: of the noise.
        condition: the classes to become, for a model that takes them.
        steps: levels of noise; None takes 30. Each is visited three times.

    Returns:
        `(B, …)`; where nothing is missing, exactly x.

    Raises:
        UserError: x or the mask is of another shape than the model's.
    """
    _fits(model, x)
    missing = _mask_for(missing, x)
    known = model.standardise(torch.where(missing > 0, torch.zeros_like(x), x))

    def keep(clean: Tensor) -> Tensor:
        return torch.where(missing > 0, clean, known.to(clean))

    made = _made(model, keep, seeds, condition, steps, x.device)
    return torch.where(missing > 0, made, x)


@torch.no_grad()
def enlarge(
    model: TakesNoiseOff,
    small: Tensor,
    seeds: Seeds,
    *,
    condition: Tensor | None = None,
    steps: int | None = None,
) -> Tensor:
    """Pictures at the model's size that shrink to those given (super-resolution).

    Detail is made up, one of many that are possible: another seed makes another one.

    Args:
        model: takes noise off pictures.
        small: `(B, C, h, w)`, one for each seed, of sides that are the model's divided by one
            whole number.
        seeds: of the noise.
        condition: the classes to become, for a model that takes them.
        steps: levels of noise; None takes 30. Each is visited eight times.

    Returns:
        `(B, C, H, W)`; the means of its tiles are the pixels given, but for what leaves [-1, 1].

    Raises:
        UserError: sides that do not divide the model's.
    """
    factor = _factor(model.shape, small)
    wanted = model.standardise(small)

    def keep(clean: Tensor) -> Tensor:
        wrong = wanted.to(clean) - F.avg_pool2d(clean, factor)
        return clean + wrong.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    return _made(model, keep, seeds, condition, steps, small.device, AGAIN_ENLARGED)


def _made(
    model: TakesNoiseOff,
    keep: Any,
    seeds: Seeds,
    condition: Tensor | None,
    steps: int | None,
    device: torch.device,
    again: int = AGAIN,
) -> Tensor:
    """Samples by a denoiser whose guess is corrected by `keep`."""
    how = model.sampling
    denoise = model.guided(model.asked(condition, len(seeds)))
    x = how.sigma_max * seeded_noise(seeds, model.shape, device)
    noise = SeededSteps(seeds, model.shape, device)
    levels = how.sigmas(steps or FILL_STEPS)

    def corrected(x: Tensor, sigma: Tensor) -> Tensor:
        """The clean guess within what data can be, and not against what is known."""
        return keep(model.standardise(model.outside(denoise(x, sigma))))

    return model.outside(_there_and_back(corrected, x, levels, noise, again))


def _there_and_back(
    denoise: Denoise, x: Tensor, levels: Tensor, noise: Noise, again: int
) -> Tensor:
    """Ancestral steps, each but the last taken back by noise and again (Lugmayr et al. 2022).

    A single way down decides what is made before it has seen what is known next to it.
    """
    draws = count()
    for now, then in pairwise(levels.tolist()):
        for last in reversed(range(again)):
            lower = ancestral(denoise, x, (now, then), lambda _: noise(next(draws)))
            if then == 0 or not last:
                break
            x = lower + math.sqrt(now**2 - then**2) * noise(next(draws)).to(x)
        x = lower
    return x


def _fits(model: TakesNoiseOff, x: Tensor) -> None:
    if tuple(x.shape[1:]) != tuple(model.shape):
        raise UserError(f"The model takes {tuple(model.shape)}, not {tuple(x.shape[1:])}.")


def _mask_for(missing: Tensor, x: Tensor) -> Tensor:
    try:
        return missing.to(x).expand_as(x)
    except RuntimeError:
        raise UserError(
            f"A mask of shape {tuple(missing.shape)} does not lie over {tuple(x.shape)}."
        ) from None


def _factor(shape: tuple[int, ...], small: Tensor) -> int:
    """How many times larger the model's pictures are."""
    channels, height, width = shape
    factor = height // max(1, small.shape[2])
    whole = tuple(side * factor for side in small.shape[2:])
    if factor < 2 or (small.shape[1], *whole) != (channels, height, width):
        raise UserError(
            f"The model makes pictures of {tuple(shape)}; those given are "
            f"{tuple(small.shape[1:])}, which is not a whole part of that."
        )
    return factor
