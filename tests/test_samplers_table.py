"""All samplers by name: what they cost, what they reach, and how a row keeps to itself."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from latentia.errors import UserError
from latentia.maths.randomness import SeededSteps, seeded_noise
from latentia.maths.schedules import karras_sigmas
from latentia.samplers.ancestral import ancestral, ddim
from latentia.samplers.churn import churn
from latentia.samplers.heun import heun
from latentia.samplers.score import annealed_langevin, predictor_corrector
from latentia.samplers.table import SAMPLERS, sampler
from mixtures import GaussianMixture, three_heaps

EVERY = pytest.mark.parametrize("name", SAMPLERS)
STOCHASTIC = [name for name, line in SAMPLERS.items() if line.stochastic]
TOP = 40.0
STEPS = {"annealed-langevin": 150}  # walks to where the others are led
FEW = karras_sigmas(12, 0.02, TOP)


def start(rows: int, mixture: GaussianMixture | None = None) -> Tensor:
    """Noise of the highest level, on data where a mixture is given."""
    z = TOP * seeded_noise(range(rows), (2,)).double()
    return z if mixture is None else mixture.draw(rows) + z


@EVERY
@pytest.mark.parametrize("n", [2, 7, 18])
def test_evaluations_are_counted(name: str, n: int) -> None:
    calls: list[Tensor] = []
    mixture = three_heaps()

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(sigma)
        return mixture.denoise(x, sigma)

    x = SAMPLERS[name](counted, start(3), karras_sigmas(n, 0.02, TOP), SeededSteps(range(3), (2,)))
    assert len(calls) == SAMPLERS[name].evaluations(n)
    assert x.shape == (3, 2) and x.dtype == torch.float64 and x.isfinite().all()
    assert all(sigma.shape == (3,) and bool((sigma > 0).all()) for sigma in calls)


@EVERY
def test_samplers_reach_the_mixture(name: str) -> None:
    """Weights, mean and covariance of all and of each part, within five standard errors."""
    mixture, rows = three_heaps(), 3000
    levels = karras_sigmas(STEPS.get(name, 100), 0.02, TOP, rho=100.0)
    x = SAMPLERS[name](
        mixture.denoise, start(rows, mixture), levels, SeededSteps(range(rows), (2,))
    )
    wander = 0.01 if name == "annealed-langevin" else 0.0  # not yet mixed at any finite speed
    weights = mixture.weights
    error = (weights * (1 - weights) / rows).sqrt()
    assert ((mixture.shares(x) - weights).abs() < 5 * error + wander).all(), mixture.shares(x)
    spread = mixture.covariance.diagonal().sqrt()
    assert ((x.mean(0) - mixture.mean).abs() < spread * (5 / math.sqrt(rows) + 3 * wander)).all()
    assert (x.T.cov() - mixture.covariance).abs().max() < 0.1 * spread.max() ** 2
    for k, part in enumerate(parts_of(mixture, x)):
        scale = mixture.covariances[k].diagonal().sqrt()
        off = (part.T.cov() - mixture.covariances[k]) / (scale[:, None] * scale)
        # five standard errors of a variance, and what is known to be left at finite steps
        assert off.abs().max() < 5 * math.sqrt(2 / len(part)) + 0.08, (k, off)


def parts_of(mixture: GaussianMixture, x: Tensor) -> list[Tensor]:
    """The points nearest to each mean."""
    which = torch.cdist(x, mixture.means).argmin(1)
    return [x[which == k] for k in range(len(mixture.weights))]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_wrong_level_misses_the_mixture(name: str) -> None:
    """The oracle is able to fail: a denoiser that is told twice the noise makes parts too tight."""
    mixture = three_heaps()
    x = SAMPLERS[name](
        lambda x, sigma: mixture.denoise(x, 2 * sigma),
        start(1000, mixture),
        karras_sigmas(50, 0.02, TOP, rho=100.0),
        SeededSteps(range(1000), (2,)),
    )
    parts = parts_of(mixture, x)
    ratio = [
        float(p.T.cov().trace() / c.trace())
        for p, c in zip(parts, mixture.covariances, strict=True)
    ]
    assert all(not 0.75 < r < 1.25 for r in ratio), ratio


@EVERY
def test_a_row_does_not_depend_on_its_batch(name: str) -> None:
    mixture, line, seeds = three_heaps(), SAMPLERS[name], [5, 9, 2]

    def drawn(seeds: list[int]) -> Tensor:
        x = TOP * seeded_noise(seeds, (2,)).double()
        return line(mixture.denoise, x, FEW, SeededSteps(seeds, (2,)))

    together, alone = drawn(seeds), torch.cat([drawn([seed]) for seed in seeds])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    x = start(1)
    paths = [line(mixture.denoise, x, FEW, SeededSteps([seed], (2,))) for seed in (1, 2)]
    assert torch.equal(*paths) is not line.stochastic


def test_steps_of_noise_are_a_function_of_seed_and_step() -> None:
    noise = SeededSteps([7, 8], (2, 3))
    late, early = noise(3000), noise(1)  # blocks are drawn anew when they are asked for again
    assert late.shape == (2, 2, 3)
    assert torch.equal(late, noise(3000)) and torch.equal(early, SeededSteps([7, 8], (2, 3))(1))
    assert torch.equal(late[1], SeededSteps([8], (2, 3))(3000)[0])
    many = torch.stack([SeededSteps([1], (40,))(step)[0] for step in range(300)])
    flat = torch.cat([many, seeded_noise([1], (40,))])
    assert abs(float(flat.mean())) < 0.04 and float(flat.std()) == pytest.approx(1, abs=0.03)
    likeness = torch.corrcoef(flat).fill_diagonal_(0).abs().max()
    assert likeness < 0.9  # no step repeats another, nor the start
    large = SeededSteps([3], (5000,))
    assert not torch.equal(large(0), large(1)) and torch.equal(large(1), large(1))


# limits


def test_churn_without_churn_is_heun_to_the_last_bit() -> None:
    mixture, x, noise = three_heaps(), start(50), SeededSteps(range(50), (2,))
    plain = heun(mixture.denoise, x, FEW)
    assert torch.equal(churn(mixture.denoise, x, FEW, noise, s_churn=0.0), plain)
    assert torch.equal(churn(mixture.denoise, x, FEW, noise, s_min=100.0, s_max=200.0), plain)
    assert not torch.equal(churn(mixture.denoise, x, FEW, noise), plain)


def test_churn_raises_the_level_by_at_most_the_square_root_of_two() -> None:
    seen: list[float] = []
    mixture = three_heaps()

    def watched(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(float(sigma[0]))
        return mixture.denoise(x, sigma)

    noise = SeededSteps([0], (2,))
    levels = [30.0, 3.0, 0.3, 0.0]
    churn(watched, start(1), levels, noise, s_churn=100.0, s_min=1.0, s_max=10.0)
    assert seen[::2] == pytest.approx([30.0, 3.0 * math.sqrt(2), 0.3])
    seen.clear()
    churn(watched, start(1), levels, noise, s_churn=0.3)
    assert seen[::2] == pytest.approx([33.0, 3.3, 0.33])


def test_ancestral_is_ddim_with_all_noise_renewed() -> None:
    mixture, x, noise = three_heaps(), start(50), SeededSteps(range(50), (2,))
    whole = ddim(mixture.denoise, x, FEW, noise, eta=1.0)
    assert torch.equal(ancestral(mixture.denoise, x, FEW, noise), whole)
    half = ddim(mixture.denoise, x, FEW, noise, eta=0.5)
    assert not torch.allclose(half, whole)
    assert torch.equal(ddim(mixture.denoise, x, FEW, noise), ddim(mixture.denoise, x, FEW))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_is_the_papers_formula_in_the_papers_coordinate(eta: float) -> None:
    """Song et al. 2021a, eq. 12 and 16, of √a · x with a = 1 / (1 + σ²)."""
    mixture, noise = three_heaps(), SeededSteps(range(20), (2,))
    levels = [TOP, 5.0, 1.0, 0.2]
    found = ddim(mixture.denoise, start(20), levels, noise, eta=eta)
    a = [1 / (1 + s**2) for s in levels]
    y = math.sqrt(a[0]) * start(20)
    for step, (now, then) in enumerate(pairwise(a)):
        level = torch.full((20,), levels[step], dtype=torch.float64)
        clean = mixture.denoise(y / math.sqrt(now), level)
        seen = (y - math.sqrt(now) * clean) / math.sqrt(1 - now)
        s = eta * math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then)
        y = math.sqrt(then) * clean + math.sqrt(1 - then - s**2) * seen + s * noise(step)
    torch.testing.assert_close(found, y / math.sqrt(a[-1]))


def test_correction_helps_at_few_steps() -> None:
    """The point of predictor and corrector (Song et al. 2021b, table 1)."""
    mixture, rows = three_heaps(), 2000
    levels = karras_sigmas(30, 0.02, TOP, rho=100.0)
    wrong = {}
    for steps in (0, 2):
        noise = SeededSteps(range(rows), (2,))
        x = predictor_corrector(
            mixture.denoise, start(rows, mixture), levels, noise, snr=0.3, corrector_steps=steps
        )
        parts = zip(parts_of(mixture, x), mixture.covariances, strict=True)
        wrong[steps] = max(abs(float(p.T.cov().trace() / c.trace()) - 1) for p, c in parts)
    assert wrong[2] < 0.6 * wrong[0], wrong


def test_a_langevin_step_keeps_a_gaussian_but_for_its_square() -> None:
    """e = 2 (r σ)² on N(0, σ²): the variance at rest is σ² / (1 - r²), the docstring's bound."""

    def nothing(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.zeros_like(x)

    noise = SeededSteps(range(4000), (2,))
    x = start(4000)
    rest = annealed_langevin(nothing, x, [TOP, TOP * 0.9999], noise, snr=0.4, langevin_steps=20)
    assert float(rest.std()) / TOP == pytest.approx(1 / math.sqrt(1 - 0.4**2), rel=0.03)


# refusals


def test_unfit_settings_are_refused() -> None:
    mixture, x, noise = three_heaps(), start(2), SeededSteps(range(2), (2,))
    rising = FEW[:-1].flip(0)
    for name in STOCHASTIC:
        with pytest.raises(UserError, match="only goes down"):
            SAMPLERS[name](mixture.denoise, x, rising, noise)
        with pytest.raises(UserError, match="draws noise"):
            SAMPLERS[name](mixture.denoise, x, FEW)
    with pytest.raises(UserError, match="eta of DDIM"):
        ddim(mixture.denoise, x, FEW, noise, eta=1.5)
    with pytest.raises(UserError, match="draws noise"):
        ddim(mixture.denoise, x, FEW, eta=0.5)
    with pytest.raises(UserError, match="s_churn"):
        churn(mixture.denoise, x, FEW, noise, s_churn=-1.0)
    with pytest.raises(UserError, match="signal-to-noise"):
        predictor_corrector(mixture.denoise, x, FEW, noise, snr=1.0)
    with pytest.raises(UserError, match="1 or more steps"):
        annealed_langevin(mixture.denoise, x, FEW, noise, langevin_steps=0)
    with pytest.raises(UserError, match="did you mean 'heun'"):
        sampler("huen")
    assert sampler("heun") is SAMPLERS["heun"]
