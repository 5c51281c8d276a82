"""Score-based models: the gradient of the log-density of noisy data, at every noise level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from latentia.maths.sdes import Sde
from latentia.models.denoiser import Denoiser, Sampling
from latentia.nn.standardise import Standardise
from latentia.samplers.score import annealed_langevin, predictor_corrector
from latentia.samplers.table import Sampler

SamplerName = Literal["predictor-corrector", "annealed-langevin", "ode"]


@dataclass(frozen=True)
class Langevin:
    """The Langevin steps of a sampler.

    Attributes:
        snr: signal-to-noise ratio of each.
        steps: at each noise level.
    """

    snr: float
    steps: int

    def tuned(self, method: Sampler) -> Sampler:
        """A sampler with these steps, if it takes any."""
        m = self.steps
        if method.name == "predictor-corrector":
            run = partial(predictor_corrector, snr=self.snr, corrector_steps=m)
            return replace(method, run=run, evaluations=lambda n: n + m * (n - 1))
        if method.name == "annealed-langevin":
            run = partial(annealed_langevin, snr=self.snr, langevin_steps=m)
            return replace(method, run=run, evaluations=lambda n: n * m + 1)
        return method


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
        langevin: the Langevin steps of that; None: of none.
    """

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, ...],
        standardise: Standardise,
        sigma_data: float,
        sde: Sde,
        sampling: Sampling,
        langevin: Langevin | None = None,
    ) -> None:
        super().__init__(net, shape, standardise, sigma_data, sampling)
        self.sde, self.langevin = sde, langevin

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

    def levels(self, steps: int | None) -> Tensor:
        """Those of the SDE, for a sampler that follows it back; those of the ODE else."""
        if self.sampling.method.stochastic:
            return self.sde.steps(steps or self.sampling.steps)
        return super().levels(steps)

    def method(self) -> Sampler:
        """The sampler with this model's Langevin steps."""
        method = self.sampling.method
        return method if self.langevin is None else self.langevin.tuned(method)
