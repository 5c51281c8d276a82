"""Denoisers: diffusion models in the coordinates of Karras et al. 2022 (EDM)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Literal

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, stacked
from latentia.maths.randomness import SeededSteps, seeded_noise
from latentia.maths.schedules import SCALINGS, Prediction, Scalings, karras_sigmas
from latentia.nn.conditioning import ClassFrequency, asked_weights, class_weights
from latentia.nn.likelihoods import LEVEL
from latentia.nn.standardise import Standardise
from latentia.precision import autocast, resolve_precision
from latentia.samplers.heun import ode_log_prob, probability_flow
from latentia.samplers.levels import Denoise, Noise
from latentia.samplers.table import Sampler, sampler
from latentia.seeds import mixed_seed

GUIDE_MEMORY = 8.0  # exponent of the guide's average over its short training
DENSITY_STEPS = 64  # densities need finer steps than samples
EXACT_DIMENSIONS = 64  # up to here the exact divergence costs less than a good estimate
PATH_CALLS = 24  # of the network by encode and decode at least: data must come back
CHUNK = 256  # rows denoised at once

Guide = Literal["early", "classless"]


@dataclass(frozen=True)
class Sampling:
    """How a denoiser is sampled.

    Attributes:
        sigma_min, sigma_max: ends of the ODE.
        steps: of the sampler, unless others are asked for.
        guidance: w; 1 samples without a guide.
        guided_from, guided_to: the levels σ at which the guide is asked: where shapes are decided
            (Kynkäänniemi et al. 2024).
        precision: "auto", "float32" or "bfloat16".
        sampler: a name of `samplers.table.SAMPLERS`.
    """

    sigma_min: float
    sigma_max: float
    steps: int
    guidance: float = 1.0
    guided_from: float = 0.0
    guided_to: float = math.inf
    precision: str = "float32"
    sampler: str = "dpm-solver-2m"

    @property
    def method(self) -> Sampler:
        """The sampler.

        Raises:
            UserError: there is none of this name.
        """
        return sampler(self.sampler)

    @property
    def path(self) -> Sampler:
        """The sampler where it follows the ODE, DPM-Solver++ where it draws noise on the way."""
        return sampler("dpm-solver-2m") if self.method.stochastic else self.method

    @property
    def path_steps(self) -> int:
        """Steps of `path`: those of a sample, or finer, so that data come back as they were."""
        enough = next(n for n in count(1) if self.path.evaluations(n) >= PATH_CALLS)
        return enough if self.method.stochastic else max(self.steps, enough)

    def path_sigmas(self, steps: int | None = None) -> Tensor:
        """The levels at which `path` goes from noise to data."""
        return self.sigmas(steps or self.path_steps)

    def guided_share(self, levels: Tensor) -> float:
        """The share of these levels at which the guide is asked as well."""
        inside = (levels >= self.guided_from) & (levels <= self.guided_to)
        return float(inside.double().mean()) if self.guidance != 1 else 0.0

    def sigmas_from(self, strength: float, steps: int | None = None) -> Tensor:
        """The lower part of the levels, falling to 0; with strength 0 the 0 alone."""
        every = self.sigmas(steps)
        return every[round((1 - strength) * (len(every) - 1)) :]

    def sigmas(self, steps: int | None = None) -> Tensor:
        """The levels of so many steps, falling to 0, `(steps + 1,)`."""
        return karras_sigmas(steps or self.steps, self.sigma_min, self.sigma_max)


class Denoiser(nn.Module):
    """D(x; σ), the expected clean data behind x = clean + σ · noise.

    Sampling, encoding and likelihood all follow the probability-flow ODE
    dx/dσ = (x − D(x; σ)) / σ (EDM, eq. 1 and 3).

    An early, still bad copy of the network can guide the sampler: what the good one does
    better is done more of, D_bad + w (D − D_bad) (autoguidance, Karras et al. 2024b, eq. 3).
    It trades spread for quality; densities never use it.

    Args:
        net: F(c_in x, c_noise) -> `(B, …)`, of unit scale (EDM, eq. 7).
        shape: `(C, H, W)` or `(features,)`.
        standardise: shift and scale of the data.
        sigma_data: standard deviation of the standardised data.
        sampling: how it is sampled.
        predict: what the network says, a name of `maths.schedules.SCALINGS`.
        bounded: clamp what is sampled into [-1, 1]; None: pictures are.
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        sigma_data: float,
        sampling: Sampling,
        predict: Prediction = "edm",
        bounded: bool | None = None,
    ) -> None:
        super().__init__()
        self.net, self.shape, self.standardise = net, shape, standardise
        self.sigma_data, self.sampling, self.predict = sigma_data, sampling, predict
        self.latent_dim = math.prod(shape)
        self.is_image = len(shape) == 3 if bounded is None else bounded
        self.guide: nn.Module | None = None
        if sampling.guidance != 1 and self._guided_by_itself:
            self.guide = copy.deepcopy(net).requires_grad_(False)

    @property
    def has_guide(self) -> bool:
        """Whether there is something that samples can be pushed away from."""
        return self.guide is not None

    @property
    def _guided_by_itself(self) -> bool:
        """Whether the guide is an early copy of the network."""
        return True

    def forward(self, x: Tensor, sigma: Tensor, weights: Tensor | None = None) -> Tensor:
        """D(x; σ) in standardised units: `(B, …)`, σ `(B,)` -> `(B, …)` (EDM, eq. 7, table 1)."""
        return self._denoise(self.net, x, sigma, weights)

    def scalings(self, sigma: Tensor) -> Scalings:
        """How D is made of what the network says, at these levels of noise."""
        return SCALINGS[self.predict](sigma, self.sigma_data)

    def guided(self, weights: Tensor | None = None) -> Denoise:
        """D, pushed away from what the guide would do at the noise levels in between.

        Args:
            weights: of the classes asked for, `(B, classes)`; None asks for none.
        """
        how = self.sampling

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            good = self(x, sigma, weights)
            inside = (sigma >= how.guided_from) & (sigma <= how.guided_to)
            if how.guidance == 1 or not inside.any():
                return good
            bad = self._worse(x, sigma, weights)
            push = torch.where(inside, how.guidance, 1.0).to(good)
            return bad + push.view(-1, *[1] * (x.ndim - 1)) * (good - bad)

        return denoise

    def _worse(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor:
        """What the guide makes of x."""
        assert self.guide is not None
        return self._denoise(self.guide, x, sigma, weights)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Average the network's weights into the guide's, after `step` - 1 steps of training."""
        if self.guide is not None:
            weight = 1 - (1 - 1 / step) ** GUIDE_MEMORY
            guides: list[Tensor] = list(self.guide.parameters())
            torch._foreach_lerp_(guides, list(self.net.parameters()), weight)

    def _denoise(self, net: nn.Module, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor:
        c = self.scalings(sigma.reshape(-1, *[1] * (x.ndim - 1)))
        inner = net((c.inward * x).float(), c.noise.flatten().float(), weights)
        return c.skip * x + c.out * inner.to(x.dtype)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed, by the sampler and with `steps` steps."""
        weights = self.wanted(condition, seeds)
        every = range(len(seeds))
        return stacked(
            self._drawn(seeds, weights, every[at : at + CHUNK], steps) for at in every[::CHUNK]
        )

    def _drawn(
        self, seeds: Seeds, weights: Tensor | None, rows: range, steps: int | None
    ) -> Tensor:
        """Samples of some of the seeds."""
        some, device = [seeds[row] for row in rows], device_of(self)
        z = seeded_noise(some, (self.latent_dim,), device)
        noise = SeededSteps(some, self.shape, device)
        asked = None if weights is None else weights[rows.start : rows.stop]
        return self._generate(z, asked, self.levels(steps), self.method(), noise)

    def levels(self, steps: int | None) -> Tensor:
        """The noise levels of sampling in so many steps, falling to 0."""
        return self.sampling.sigmas(steps)

    def method(self) -> Sampler:
        """The sampler, as this model uses it."""
        return self.sampling.method

    def wanted(self, condition: Tensor | None, seeds: Seeds) -> Tensor | None:
        """Weights of the classes that samples are to be of; None where there are none."""
        return self.asked(condition, len(seeds))

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """A condition as weights `(n, classes)`; None where there is none.

        Raises:
            UserError: the model takes no condition, or not this one.
        """
        refuse_condition(self, condition)
        return None

    def decode(
        self, z: Tensor, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """From noise z = x(σ_max) / σ_max, `(B, d)`, down the ODE to data `(B, …)`."""
        levels = self.sampling.path_sigmas(steps)
        return self._generate(z, self.asked(condition, len(z)), levels, self.sampling.path)

    def _generate(
        self,
        z: Tensor,
        weights: Tensor | None,
        levels: Tensor,
        method: Sampler,
        noise: Noise | None = None,
    ) -> Tensor:
        start = z.view(-1, *self.shape) * self.sampling.sigma_max
        with autocast(z.device, resolve_precision(self.sampling.precision, z.device)):
            x = method(self.guided(weights), start, levels, noise)
        return self.outside(x)

    @torch.no_grad()
    def seconds_for(self, n: int, steps: int | None = None) -> float:
        """About how long n samples take here, by the time of two calls of the network."""
        rows = min(n, CHUNK)
        x = torch.zeros(rows, *self.shape, device=device_of(self))
        level = torch.ones(rows, device=x.device)
        with autocast(x.device, resolve_precision(self.sampling.precision, x.device)):
            self(x[:1], level[:1])
            start = time.perf_counter()
            self(x, level).sum().item()  # item waits for a GPU
        return (time.perf_counter() - start) * self.calls(steps) * math.ceil(n / rows)

    def calls(self, steps: int | None = None) -> float:
        """About how often the network is called for a sample, guide included."""
        levels = self.levels(steps)[:-1]
        return self.method().evaluations(len(levels)) * (1 + self.sampling.guided_share(levels))

    def encode(self, x: Tensor, *, steps: int | None = None) -> Tensor:
        """Up the ODE to the noise z that decodes to x, `(B, …) -> (B, d)`."""
        upwards = self.sampling.path_sigmas(steps)[:-1].flip(0)  # not to 0, where it is singular
        noisy = probability_flow(self.guided(), self.standardise(x), upwards)
        return noisy.flatten(1) / self.sampling.sigma_max

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """log-density by the probability-flow ODE with `samples` steps (default 64), `(B,)`, nats.

        Of the data smoothed at σ_min; exact divergence in up to 64 dimensions, Hutchinson's
        estimate above (Song et al. 2021, eq. 39). For images the density times the width of a
        grey level, so that bits per dimension are of 256 levels.
        """
        density = ode_log_prob(
            self,
            self.standardise(x),
            sigma_min=self.sampling.sigma_min,
            sigma_max=self.sampling.sigma_max,
            steps=samples or DENSITY_STEPS,
            exact=self.latent_dim <= EXACT_DIMENSIONS,
            generator=torch.Generator(x.device).manual_seed(seed),
        )
        density = density + (0.0 if self.standardise.identity else self.standardise.log_abs_det)
        return density + self.latent_dim * math.log(LEVEL) if self.is_image else density

    def outside(self, x: Tensor) -> Tensor:
        """From standardised units to the data's own; pictures within [-1, 1]."""
        x = self.standardise.inverse(x)
        return x.clamp(-1, 1) if self.is_image else x


class ConditionalDenoiser(Denoiser):
    """D(x; σ, class): generates what it is asked for.

    The network is shown some examples without their class, so that it also knows D(x; σ) of
    everything: encoding and density use that, and so can guidance: away from what it would do
    without the class, D + (w − 1)(D_class − D) more (classifier-free guidance, Ho & Salimans
    2022). Where no class is asked for, a sample's seed chooses one, as frequent as in the data.

    Args:
        classes: how many there are.
        guided_by: an "early" copy of the network that is told the class as well, or the network
            without the class.
        net, shape, standardise, sigma_data, sampling, predict, bounded: as in `Denoiser`.
    """

    def __init__(
        self,
        classes: int,
        guided_by: Guide,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        sigma_data: float,
        sampling: Sampling,
        predict: Prediction = "edm",
        bounded: bool | None = None,
    ) -> None:
        self._guided_by = guided_by
        super().__init__(net, shape, standardise, sigma_data, sampling, predict, bounded)
        self.classes, self.frequency = classes, ClassFrequency(classes)

    @property
    def has_guide(self) -> bool:
        return self._guided_by == "classless" or self.guide is not None

    @property
    def _guided_by_itself(self) -> bool:
        return self._guided_by == "early"

    def _worse(self, x: Tensor, sigma: Tensor, weights: Tensor | None) -> Tensor:
        return super()._worse(x, sigma, weights) if self.guide else self(x, sigma)

    def asked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """A condition as weights `(n, classes)`; None where there is none."""
        if condition is None:
            return None
        return asked_weights(torch.as_tensor(condition, device=device_of(self)), self.classes, n)

    def count_classes(self, labels: Tensor, share: Callable[[Tensor], Tensor]) -> None:
        """Count the labels of a batch; `share` is their mean over all processes."""
        self.frequency.count(share(class_weights(labels, self.classes).mean(0)))

    def wanted(self, condition: Tensor | None, seeds: Seeds) -> Tensor | None:
        if condition is not None:
            return self.asked(condition, len(seeds))
        chance = seeded_noise([mixed_seed(seed, 1) for seed in seeds], (), device_of(self))
        return class_weights(self.frequency.pick(chance), self.classes)
