"""Deterministic samplers: order of convergence, exact cases, and oracles that miss the order."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentia.maths.schedules import karras_sigmas
from latentia.samplers.ancestral import ddim
from latentia.samplers.heun import euler, heun
from latentia.samplers.levels import Denoise, Sigmas
from latentia.samplers.multistep import dpm_solver_2m
from latentia.samplers.table import SAMPLERS
from mixtures import GaussianMixture, three_heaps

Solve = Callable[[Denoise, Tensor, Sigmas], Tensor]
SOLVERS = {name: line for name, line in SAMPLERS.items() if not line.stochastic}
TOP, BOTTOM = 10.0, 0.1


def one_gaussian() -> GaussianMixture:
    """A tilted ellipse off the origin."""
    factor = torch.tensor([[1.0, 0.0], [0.8, 0.3]], dtype=torch.float64)
    mean = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    return GaussianMixture(torch.ones(1, dtype=torch.float64), mean, (factor @ factor.T)[None])


def exact(gaussian: GaussianMixture, x: Tensor, start: float, end: float) -> Tensor:
    """The ODE's solution: along each axis standardised values stay what they are."""
    variances, axes = torch.linalg.eigh(gaussian.covariances[0])
    stretch = ((variances + end**2) / (variances + start**2)).sqrt()
    return gaussian.mean + (x - gaussian.mean) @ axes * stretch @ axes.T


def noise(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return TOP * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def smooth(n: int) -> Tensor:
    return karras_sigmas(n + 1, BOTTOM, TOP)[:-1]


def uneven(n: int) -> Tensor:
    """Steps in ln σ that are long and short by turns, 3 : 1."""
    lengths = torch.tensor([1.5, 0.5], dtype=torch.float64).repeat(n // 2)
    at = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]) / n
    return TOP * (BOTTOM / TOP) ** at


def order(solve: Solve, denoise: Denoise, truth: Tensor, levels: Callable[[int], Tensor]) -> float:
    """How many times the error halves when the steps do, at 128 to 512 steps; the least."""
    x = noise(len(truth))
    errors = [float((solve(denoise, x, levels(n)) - truth).norm()) for n in (128, 256, 512)]
    return min(math.log2(coarse / fine) for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("levels", [smooth, uneven])
@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_converge_at_their_order(name: str, levels: Callable[[int], Tensor]) -> None:
    gaussian, solver = one_gaussian(), SOLVERS[name]
    truth = exact(gaussian, noise(32), TOP, BOTTOM)
    found = order(solver, gaussian.denoise, truth, levels)
    assert found == pytest.approx(solver.order, abs=0.15)


@pytest.fixture(scope="module")
def on_the_mixture() -> Tensor:
    """Where the ODE of `three_heaps` leads, with a sixtieth of the error of 512 Heun steps."""
    return heun(three_heaps().denoise, noise(32), smooth(4000))


@pytest.mark.parametrize("name", SOLVERS)
def test_the_order_holds_on_a_mixture(name: str, on_the_mixture: Tensor) -> None:
    solver = SOLVERS[name]
    found = order(solver, three_heaps().denoise, on_the_mixture, smooth)
    assert found == pytest.approx(solver.order, abs=0.25)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_denoiser_told_the_wrong_level_misses_the_order(name: str) -> None:
    gaussian = one_gaussian()
    truth = exact(gaussian, noise(32), TOP, BOTTOM)

    def wrong(x: Tensor, sigma: Tensor) -> Tensor:
        return gaussian.denoise(x, 1.05 * sigma)

    assert order(SOLVERS[name], wrong, truth, smooth) < 0.5


def test_a_multistep_blind_to_its_step_lengths_is_of_first_order() -> None:
    """The test of uneven steps tells: with a fixed half for h / 2 h_before, 2M falls to order 1."""
    gaussian = one_gaussian()
    truth = exact(gaussian, noise(32), TOP, BOTTOM)

    def blind(denoise: Denoise, x: Tensor, sigmas: Sigmas) -> Tensor:
        before = None
        for now, then in pairwise(torch.as_tensor(sigmas).tolist()):
            clean = denoise(x, x.new_full((len(x),), now))
            ahead = clean if before is None else clean + 0.5 * (clean - before)
            x, before = then / now * x + (1 - then / now) * ahead, clean
        return x

    assert order(blind, gaussian.denoise, truth, uneven) < 1.3


def test_ddim_without_noise_is_eulers_method() -> None:
    mixture, levels = three_heaps(), karras_sigmas(20, 0.02, TOP)
    x = noise(64)
    torch.testing.assert_close(
        ddim(mixture.denoise, x, levels), euler(mixture.denoise, x, levels), rtol=0, atol=1e-12
    )
    up = levels[:-1].flip(0)  # and may encode
    torch.testing.assert_close(
        ddim(mixture.denoise, x, up), euler(mixture.denoise, x, up), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("solve", [ddim, dpm_solver_2m])
def test_one_clean_point_is_reached_exactly_in_any_steps(solve: Solve) -> None:
    """A constant D makes the ODE linear, which both formulas solve exactly."""
    point = torch.tensor([1.0, -2.0], dtype=torch.float64)
    x = noise(8)
    found = solve(lambda x, sigma: point.expand_as(x), x, [TOP, 3.0, 0.5])
    torch.testing.assert_close(found, point + (x - point) * 0.5 / TOP)
    last = solve(lambda x, sigma: point.expand_as(x), x, [TOP, 3.0, 0.0])
    torch.testing.assert_close(last, point.expand_as(x))


def test_a_step_to_zero_leaves_the_clean_guess() -> None:
    """Of DPM-Solver++ too: no extrapolation over an endless step."""
    mixture, x = three_heaps(), noise(16)
    down = dpm_solver_2m(mixture.denoise, x, [TOP, 4.0, 1.0])
    clean = mixture.denoise(down, torch.ones(16, dtype=torch.float64))
    torch.testing.assert_close(dpm_solver_2m(mixture.denoise, x, [TOP, 4.0, 1.0, 0.0]), clean)


def test_second_order_pays_at_equal_evaluations(on_the_mixture: Tensor) -> None:
    """At 36 evaluations: 2M in 36 steps, Heun in 18, Euler in 36."""
    x, error = noise(32), {}
    for name, n in (("euler", 36), ("heun", 18), ("dpm-solver-2m", 36)):
        found = SAMPLERS[name](three_heaps().denoise, x, smooth(n))
        error[name] = float((found - on_the_mixture).norm(dim=1).median())
    assert 2 * error["heun"] < error["euler"], error
    assert 10 * error["dpm-solver-2m"] < error["euler"], error
