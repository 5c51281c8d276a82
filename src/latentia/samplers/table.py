"""All samplers by name, with one signature, so that a model or a command line can choose.

They start from noise of level `sigmas[0]` and end at `sigmas[-1]`, 0 for clean data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from latentia.errors import UserError, nearest
from latentia.samplers.ancestral import ancestral, ddim
from latentia.samplers.churn import churn
from latentia.samplers.heun import euler, heun
from latentia.samplers.levels import Denoise, Noise, Sigmas
from latentia.samplers.multistep import dpm_solver_2m
from latentia.samplers.score import annealed_langevin, predictor_corrector

Solve = Callable[[Denoise, Tensor, Sigmas], Tensor]
Draw = Callable[[Denoise, Tensor, Sigmas, Noise], Tensor]


@dataclass(frozen=True)
class Sampler:
    """A line of the table; called as `sampler(denoise, x, sigmas, noise)`.

    Attributes:
        name: what a setting takes.
        about: in a line.
        run: the function, with its usual settings.
        evaluations: of the network, for `n` steps of which the last goes to zero.
        stochastic: whether it draws noise on the way.
        order: of convergence to the ODE's solution; None of those that follow no path.
    """

    name: str
    about: str
    run: Draw
    evaluations: Callable[[int], int]
    stochastic: bool
    order: int | None = None

    def __call__(
        self, denoise: Denoise, x: Tensor, sigmas: Sigmas, noise: Noise | None = None
    ) -> Tensor:
        """From `x (B, ...)` at level `sigmas[0]` to `(B, ...)` at `sigmas[-1]`.

        Raises:
            UserError: no noise for a sampler that draws some, or senseless levels.
        """
        if noise is None and self.stochastic:
            raise UserError(
                f"the sampler {self.name} draws noise at every step: pass one, such as "
                "SeededSteps(seeds, shape)"
            )
        return self.run(denoise, x, sigmas, noise or _none)


def sampler(name: str) -> Sampler:
    """The sampler called `name`.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    if name not in SAMPLERS:
        raise UserError(f"There is no sampler {name!r}: {nearest(name, SAMPLERS)}")
    return SAMPLERS[name]


def _none(step: int) -> Tensor:
    """The noise of a sampler that draws none."""
    raise AssertionError(f"a deterministic sampler asked for the noise of step {step}")


def _solver(solve: Solve) -> Draw:
    """A deterministic sampler under the signature of all."""
    return lambda denoise, x, sigmas, noise: solve(denoise, x, sigmas)


SAMPLERS: dict[str, Sampler] = {
    line.name: line
    for line in (
        Sampler(
            "euler",
            "the ODE by Euler's method; ddim by another name",
            _solver(euler),
            lambda n: n,
            stochastic=False,
            order=1,
        ),
        Sampler(
            "heun",
            "the ODE by Heun's method (EDM algorithm 1): the best for its steps",
            _solver(heun),
            lambda n: 2 * n - 1,
            stochastic=False,
            order=2,
        ),
        Sampler(
            "ddim",
            "DDIM with eta = 0 (Song et al. 2021a): deterministic",
            _solver(ddim),
            lambda n: n,
            stochastic=False,
            order=1,
        ),
        Sampler(
            "dpm-solver-2m",
            "the ODE by DPM-Solver++ 2M (Lu et al. 2022): the best for its evaluations",
            _solver(dpm_solver_2m),
            lambda n: n,
            stochastic=False,
            order=2,
        ),
        Sampler(
            "ancestral",
            "DDPM's ancestral sampling (Ho et al. 2020): DDIM with eta = 1",
            ancestral,
            lambda n: n,
            stochastic=True,
        ),
        Sampler(
            "churn",
            "Heun's method with noise added on the way (EDM algorithm 2)",
            churn,
            lambda n: 2 * n - 1,
            stochastic=True,
        ),
        Sampler(
            "predictor-corrector",
            "reverse diffusion, a Langevin step at each level (Song et al. 2021b)",
            predictor_corrector,
            lambda n: 2 * n - 1,
            stochastic=True,
        ),
        Sampler(
            "annealed-langevin",
            "five Langevin steps at each level (Song & Ermon 2019)",
            annealed_langevin,
            lambda n: 5 * n + 1,
            stochastic=True,
        ),
    )
}
