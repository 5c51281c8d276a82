"""Score-based models: the gradient of the log-density of noisy data, at every noise level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from latentia.abilities import Seeds, refuse_condition
from latentia.maths.chunks import device_of, stacked
from latentia.maths.randomness import SeededSteps, seeded_noise
from latentia.maths.sdes import Sde
from latentia.models.denoiser import Denoiser
from latentia.nn.standardise import Standardise
from latentia.precision import autocast, resolve_precision
from latentia.samplers.score import annealed_langevin, predictor_corrector
from latentia.samplers.table import Draw

SamplerName = Literal["predictor-corrector", "annealed-langevin", "ode"]
ODE_STEPS = 18  # of encode and decode, whatever samples
CHUNK = 256  # rows that are sampled together


@dataclass(frozen=True)
class Sampling:
    """How a score-based model samples.

    Attributes:
        sampler: its name.
        steps: noise levels it visits.
        snr: signal-to-noise ratio of its Langevin steps; not of "ode".
        langevin_steps: of these at each level; not of "ode".
    """

    sampler: SamplerName
    steps: int
    snr: float = 0.0
    langevin_steps: int = 0

    def draw(self) -> Draw:
        """The sampler; one that adds noise."""
        if self.sampler == "annealed-langevin":
            return partial(annealed_langevin, snr=self.snr, langevin_steps=self.langevin_steps)
        return partial(predictor_corrector, snr=self.snr, corrector_steps=self.langevin_steps)


class ScoreModel(Denoiser):
    """s(x; σ) = ∇ log p(x; σ) for data with noise of σ, by way of the denoiser, (D − x) / σ².

    A preconditioned denoiser is a score whose size is right at every level from the start
    (Karras et al. 2022, eq. 3 and 7). Encoding, decoding and likelihood follow the
    probability-flow ODE, which in σ is the same for every SDE; sampling may also follow the
    reverse SDE or Langevin dynamics.

    Args:
        net: F(c_in x, c_noise) -> `(B, …)`, of unit scale.
        shape: `(C, H, W)` or `(features,)`.
        standardise: shift and scale of the data.
        sigma_data: standard deviation of the standardised data.
        sde: which noise levels are trained and visited.
        sampling: how samples are drawn.
        precision: "auto", "float32" or "bfloat16", of sampling.
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        sigma_data: float,
        sde: Sde,
        sampling: Sampling,
        precision: str = "float32",
    ) -> None:
        super().__init__(
            net,
            shape,
            standardise,
            sigma_data,
            sigma_min=sde.sigma_min,
            sigma_max=sde.sigma_max,
            steps=sampling.steps if sampling.sampler == "ode" else ODE_STEPS,
            precision=precision,
        )
        self.sde, self.sampling = sde, sampling

    def inner_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The score in standardised units: `(B, …)`, σ `(B,)` -> `(B, …)`."""
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        return (self(x, sigma) - x) / wide.square()

    def score(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Gradient of the log-density of the data with noise, in the data's own units.

        Args:
            x: `(B, …)`, images in [-1, 1] or vectors, with noise or without.
            sigma: deviation of the noise, above 0, a number or `(B,)`: of images in their units,
                of vectors as a multiple of each feature's own deviation.

        Returns:
            `(B, …)`, nats per unit of x.
        """
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).expand(len(x))
        return self.inner_score(self.standardise(x), level) / self.standardise.scale

    @torch.no_grad()
    def sample(
        self, seeds: Seeds, *, condition: Tensor | None = None, steps: int | None = None
    ) -> Tensor:
        """One sample per seed, by the chosen sampler with `steps` steps."""
        refuse_condition(self, condition)
        if self.sampling.sampler == "ode":
            return super().sample(seeds, steps=steps)
        parts = (seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK))
        return stacked(self._drawn(part, steps or self.sampling.steps) for part in parts)

    def _drawn(self, seeds: Seeds, steps: int) -> Tensor:
        """A few samples, from noise down the levels of the SDE."""
        where = device_of(self)
        start = seeded_noise(seeds, self.shape, where) * self.sigma_max
        noise = SeededSteps(seeds, self.shape, where)
        with autocast(where, resolve_precision(self.precision, where)):
            x = self.sampling.draw()(self, start, self.sde.steps(steps), noise)
        return self._outside(x)
