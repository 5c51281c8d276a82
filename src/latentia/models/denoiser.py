"""Denoisers: diffusion models in the coordinates of Karras et al. 2022 (EDM)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, in_chunks
from latentia.maths.randomness import seeded_noise
from latentia.maths.schedules import edm_scalings, karras_sigmas
from latentia.nn.likelihoods import LEVEL
from latentia.nn.standardise import Standardise
from latentia.precision import autocast, resolve_precision
from latentia.samplers.heun import heun, ode_log_prob, probability_flow

GUIDED_LEVELS = (0.3, 5.0)  # of σ, the lower in units of σ_data: where shapes are decided
GUIDE_MEMORY = 8.0  # exponent of the guide's average over its short training
DENSITY_STEPS = 64  # densities need finer steps than samples
EXACT_DIMENSIONS = 64  # up to here the exact divergence costs less than a good estimate


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
        sigma_min, sigma_max: ends of the ODE.
        steps: default number of sampler steps.
        guidance: w; 1 samples without a guide.
        precision: "auto", "float32" or "bfloat16", of sampling.
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        sigma_data: float,
        sigma_min: float,
        sigma_max: float,
        steps: int,
        guidance: float = 1.0,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.net, self.shape, self.standardise = net, shape, standardise
        self.sigma_data, self.sigma_min, self.sigma_max = sigma_data, sigma_min, sigma_max
        self.steps, self.guidance, self.precision = steps, guidance, precision
        self.latent_dim = math.prod(shape)
        self.is_image = len(shape) == 3
        self.guide: nn.Module | None = None
        if guidance != 1:
            self.guide = copy.deepcopy(net).requires_grad_(False)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x; σ) in standardised units: `(B, …)`, σ `(B,)` -> `(B, …)` (EDM, eq. 7, table 1)."""
        return self._denoise(self.net, x, sigma)

    def guided(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x; σ) pushed away from what the guide would do, at the noise levels in between."""
        good = self(x, sigma)
        low, high = GUIDED_LEVELS
        if self.guide is None or not low * self.sigma_data <= float(sigma[0]) <= high:
            return good
        bad = self._denoise(self.guide, x, sigma)
        return bad + self.guidance * (good - bad)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Average the network's weights into the guide's, after `step` - 1 steps of training."""
        if self.guide is not None:
            weight = 1 - (1 - 1 / step) ** GUIDE_MEMORY
            guides: list[Tensor] = list(self.guide.parameters())
            torch._foreach_lerp_(guides, list(self.net.parameters()), weight)

    def _denoise(self, net: nn.Module, x: Tensor, sigma: Tensor) -> Tensor:
        c = edm_scalings(sigma.reshape(-1, *[1] * (x.ndim - 1)), self.sigma_data)
        inner = net((c.inward * x).float(), c.noise.flatten().float())
        return c.skip * x + c.out * inner.to(x.dtype)

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed by Heun's method with `steps` steps."""
        refuse_condition(self, condition)
        z = seeded_noise(seeds, (self.latent_dim,), device_of(self))
        return in_chunks(lambda rows: self.decode(rows, steps=steps), z)

    def decode(
        self, z: Tensor, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """From noise z = x(σ_max) / σ_max, `(B, d)`, down the ODE to data `(B, …)`."""
        refuse_condition(self, condition)
        start = z.view(-1, *self.shape) * self.sigma_max
        with autocast(z.device, resolve_precision(self.precision, z.device)):
            x = heun(self.guided, start, self._sigmas(steps))
        return self._outside(x)

    def encode(self, x: Tensor, *, steps: int | None = None) -> Tensor:
        """Up the ODE to the noise z that decodes to x, `(B, …) -> (B, d)`."""
        upwards = self._sigmas(steps)[:-1].flip(0)  # without σ = 0, where the ODE is singular
        noisy = probability_flow(self.guided, self.standardise(x), upwards)
        return noisy.flatten(1) / self.sigma_max

    def log_prob(self, x: Tensor, *, samples: int | None = None, seed: int = 0) -> Tensor:
        """log-density by the probability-flow ODE with `samples` steps (default 64), `(B,)`, nats.

        Of the data smoothed at σ_min; exact divergence in up to 64 dimensions, Hutchinson's
        estimate above (Song et al. 2021, eq. 39). For images the density times the width of a
        grey level, so that bits per dimension are of 256 levels.
        """
        density = ode_log_prob(
            self,
            self.standardise(x),
            sigma_min=self.sigma_min,
            sigma_max=self.sigma_max,
            steps=samples or DENSITY_STEPS,
            exact=self.latent_dim <= EXACT_DIMENSIONS,
            generator=torch.Generator(x.device).manual_seed(seed),
        )
        density = density + (0.0 if self.standardise.identity else self.standardise.log_abs_det)
        return density + self.latent_dim * math.log(LEVEL) if self.is_image else density

    def _sigmas(self, steps: int | None) -> Tensor:
        return karras_sigmas(steps or self.steps, self.sigma_min, self.sigma_max)

    def _outside(self, x: Tensor) -> Tensor:
        x = self.standardise.inverse(x)
        return x.clamp(-1, 1) if self.is_image else x
