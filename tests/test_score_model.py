"""Score-based models: the two losses, what they make a network learn, samples and settings."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from games import tiny_run
from latentia.data.open import open_data
from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Batch, Now
from latentia.maths.score_matching import denoising_loss, signs, sliced_loss
from latentia.maths.sdes import VarianceExploding
from latentia.models.denoiser import Sampling
from latentia.models.score import Langevin, ScoreModel
from latentia.nn.standardise import Standardise
from latentia.recipes.base import parse_settings
from latentia.recipes.score import ScoreSettings, build_model, build_objective
from mixtures import GaussianMixture, three_heaps

NOISES = ("geometric", "ve", "vp", "sub-vp")


def standard_heaps() -> GaussianMixture:
    """`three_heaps` in standard units, one deviation for both coordinates."""
    heaps = three_heaps()
    scale = float(heaps.covariance.diagonal().mean().sqrt())
    means = (heaps.means - heaps.mean) / scale
    return GaussianMixture(heaps.weights, means, heaps.covariances / scale**2)


# the losses


def losses(shift: float, stretch: float, rows: int = 60_000) -> tuple[float, float]:
    """Denoising and sliced loss of the mixture's score, displaced and stretched."""
    mixture, generator = standard_heaps(), torch.Generator().manual_seed(1)
    clean = mixture.draw(rows)
    noise = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    sigma = torch.rand(rows, generator=generator, dtype=torch.float64) + 0.3

    def score(x: Tensor, sigma: Tensor) -> Tensor:
        return stretch * mixture.score(x + shift, sigma)

    probe = signs(torch.rand(rows, 2, generator=generator, dtype=torch.float64)).double()
    noisy = clean + sigma[:, None] * noise
    sliced = sliced_loss(score, noisy, probe, sigma).detach()
    return float(denoising_loss(score, clean, noise, sigma).mean()), float(sliced.mean())


def test_both_losses_differ_by_a_constant_and_are_least_at_the_score() -> None:
    right = losses(0.0, 1.0)
    for wrong in (losses(0.2, 1.0), losses(0.0, 1.3), losses(0.0, 0.8), losses(-0.1, 1.1)):
        assert wrong[0] > right[0] + 0.006 and wrong[1] > right[1] + 0.006
        assert wrong[1] - right[1] == pytest.approx(wrong[0] - right[0], abs=0.006)


def test_the_sliced_loss_of_a_linear_score_is_its_formula() -> None:
    """σ² (v'Av + |Ax|² / 2) / d, and its gradient reaches A."""
    a = torch.tensor([[-1.0, 0.3], [0.2, -2.0]], requires_grad=True)
    x, v = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, -1.0]])
    sigma = torch.tensor([0.5])
    loss = sliced_loss(lambda x, sigma: x @ a.T, x, v, sigma)
    expected = 0.25 * (v @ a @ v.T + (x @ a.T).square().sum() / 2) / 2
    torch.testing.assert_close(loss, expected.flatten())
    torch.testing.assert_close(
        torch.autograd.grad(loss.sum(), a), torch.autograd.grad(expected.sum(), a)
    )


# what is learned


def spec_of(mixture: GaussianMixture) -> DataSpec:
    rows = mixture.draw(4)
    return DataSpec("mixture", "vector", (2,), len(rows), "", center=(0.0, 0.0), scale=(1.0, 1.0))


def trained(mixture: GaussianMixture, steps: int, **chosen: Any) -> ScoreModel:
    """A small network after `steps` steps of 256 examples, at a rate that falls to zero."""
    settings = parse_settings(
        ScoreSettings, {"width": (48,), "depth": (3,), "precision": "float32", **chosen}, "score"
    )
    spec = spec_of(mixture)
    settings = settings.resolved(spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(spec, settings)
    game = build_objective(model, spec, settings)
    rows, generator = mixture.draw(256 * 80).float(), torch.Generator()
    descent = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.99))
    for step in range(steps):
        index = torch.arange(256) + 256 * (step % 80)
        for group in descent.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
        now = Now(step, step / steps, generator.manual_seed(step), torch.device("cpu"))
        ((_, terms),) = game.play(Batch(rows[index], None, index), now)
        descent.zero_grad()
        sum(terms.values()).backward()  # type: ignore[union-attr]
        descent.step()
    return model.eval().requires_grad_(False)


def wrong_by(model: Any, mixture: GaussianMixture, sigma: float) -> float:
    """Error of the score beside the score, root mean squares over data with noise of sigma."""
    clean = mixture.draw(1000, seed=9)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2)).double()
    x = clean + sigma * noise
    truth = mixture.score(x, sigma)
    off = model.score(x.float(), sigma).double() - truth
    return float((off.square().sum() / truth.square().sum()).sqrt())


@functools.cache
def learned(noise: str, matching: str) -> ScoreModel:
    """A model of the heaps after three hundred steps."""
    return trained(standard_heaps(), 300, noise=noise, matching=matching)


@pytest.mark.parametrize("matching", ["denoising", "sliced"])
@pytest.mark.parametrize("noise", NOISES)
def test_the_score_of_a_mixture_is_learned(noise: str, matching: str) -> None:
    mixture, model = standard_heaps(), learned(noise, matching)
    bounds = {0.3: 0.3, 1.0: 0.18, 4.0: 0.06}
    found = {sigma: wrong_by(model, mixture, sigma) for sigma in bounds}
    assert all(found[sigma] < bounds[sigma] for sigma in bounds), found
    fresh = trained(mixture, 0, noise=noise)
    assert wrong_by(fresh, mixture, 0.3) > 0.4  # a Gaussian's score, before anything is learned


@pytest.fixture(scope="module")
def gaussian() -> tuple[GaussianMixture, ScoreModel]:
    """A tilted Gaussian, and a model of it."""
    f64 = torch.float64
    spread = torch.tensor([[[1.0, 0.6], [0.6, 0.8]]], dtype=f64)
    mixture = GaussianMixture(torch.ones(1, dtype=f64), torch.zeros(1, 2, dtype=f64), spread)
    return mixture, trained(mixture, 400)


def test_the_score_of_a_gaussian_is_learned(gaussian: tuple[GaussianMixture, ScoreModel]) -> None:
    mixture, model = gaussian
    for sigma, bound in ((0.1, 0.2), (0.3, 0.2), (1.0, 0.1), (3.0, 0.05)):
        assert wrong_by(model, mixture, sigma) < bound, sigma


def test_the_density_by_the_ode_is_the_gaussians(
    gaussian: tuple[GaussianMixture, ScoreModel],
) -> None:
    mixture, model = gaussian
    x = mixture.draw(200, seed=4)
    found = model.log_prob(x.float(), samples=48).double() - mixture.log_prob(
        x, model.sampling.sigma_min
    )
    assert abs(float(found.mean())) < 0.05 and float(found.abs().mean()) < 0.15


def test_the_ode_encodes_to_noise_and_back(gaussian: tuple[GaussianMixture, ScoreModel]) -> None:
    mixture, model = gaussian
    x = mixture.draw(500, seed=6).float()
    z = model.encode(x, steps=48)
    assert float(z.std()) == pytest.approx(1, abs=0.1)
    assert float((model.decode(z, steps=48) - x).abs().mean()) < 0.02


class Exact(ScoreModel):
    """With the true denoiser of the heaps in place of a network."""

    def forward(self, x: Tensor, sigma: Tensor, weights: Tensor | None = None) -> Tensor:
        return standard_heaps().denoise(x.double(), sigma.double()).to(x)


def sampled(name: str, steps: int) -> Sampling:
    return Sampling(0.02, 40.0, steps, sampler=name)


def exact_model(sampling: Sampling, langevin: Langevin | None = None) -> Exact:
    sde = VarianceExploding(0.02, 40.0)
    return Exact(torch.nn.Identity(), (2,), Standardise(), 1.0, sde, sampling, langevin)


@pytest.mark.parametrize(
    ("sampling", "langevin"),
    [
        (sampled("predictor-corrector", 80), Langevin(0.16, 1)),
        (sampled("annealed-langevin", 120), Langevin(0.35, 5)),
        (sampled("heun", 18), None),
    ],
)
def test_sampling_hits_the_weights_of_the_mixture(
    sampling: Sampling, langevin: Langevin | None
) -> None:
    heaps, rows = standard_heaps(), 1500
    drawn = exact_model(sampling, langevin).sample(range(rows)).double()
    error = (heaps.weights * (1 - heaps.weights) / rows).sqrt()
    off = (heaps.shares(drawn) - heaps.weights).abs()
    assert (off < 4 * error + 0.012).all(), off
    assert (drawn.T.cov() - heaps.covariance).abs().max() < 0.12


@pytest.mark.parametrize(
    ("sampling", "langevin"),
    [
        (sampled("predictor-corrector", 60), Langevin(0.16, 1)),
        (sampled("annealed-langevin", 60), Langevin(0.35, 5)),
    ],
)
def test_samples_of_a_trained_model_lie_where_the_data_does(
    sampling: Sampling, langevin: Langevin
) -> None:
    heaps, model = standard_heaps(), copy.copy(learned("ve", "denoising"))
    model.sampling, model.langevin = sampling, langevin
    drawn = model.sample(range(600)).double()
    assert (heaps.shares(drawn) - heaps.weights).abs().max() < 0.1
    usual = float(heaps.log_prob(heaps.draw(600)).mean())
    assert float(heaps.log_prob(drawn).mean()) > usual - 1


def test_the_score_is_per_unit_of_the_data() -> None:
    """Of standardised features the gradient is divided by their deviation, checked on log_prob."""
    scale = torch.tensor([2.0, 0.5])
    model = exact_model(sampled("heun", 18))
    model.standardise = Standardise((1.0, -1.0), tuple(scale.tolist()))
    x = torch.tensor([[2.0, -0.7], [-1.0, -1.2]])
    heaps = standard_heaps()
    inner = model.standardise(x).double().requires_grad_()
    (slope,) = torch.autograd.grad(heaps.log_prob(inner, 0.5).sum(), inner)
    torch.testing.assert_close(model.score(x, 0.5), (slope / scale).float())
    levels = torch.tensor([0.5, 2.0])
    each = torch.cat([model.score(x[:1], 0.5), model.score(x[1:], 2.0)])
    torch.testing.assert_close(model.score(x, levels), each)


# settings


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"sampler": "ode", "snr": 0.1}, "snr=0.1 would change nothing"),
        ({"sampler": "ode", "corrector_steps": 2}, "corrector_steps=2 would change nothing"),
        ({"corrector_steps": 0, "snr": 0.1}, "snr=0.1 would change nothing"),
        ({"sampler": "annealed-langevin", "corrector_steps": 0}, "without any step"),
        ({"noise": "vp", "sigma_max": 20.0}, "sigma_max=20.0 would change nothing"),
        ({"beta_max": 10.0}, "beta_max=10.0 would change nothing"),
        ({"levels": 12}, "levels=12 would change nothing"),
        ({"noise": "vp", "beta_max": 0.01}, "beta_min"),
        ({"sigma_max": 0.001}, "sigma_min < sigma_max"),
    ],
)
def test_what_would_change_nothing_is_refused(
    chosen: dict[str, Any], words: str, tmp_path: Path
) -> None:
    run, _ = tiny_run("score", "vector", tmp_path, **chosen)
    with pytest.raises(UserError, match=words):
        run.build()


def test_defaults_follow_the_sampler() -> None:
    def model_of(**chosen: Any) -> ScoreModel:
        settings = parse_settings(ScoreSettings, chosen, "score")
        spec = spec_of(standard_heaps())
        return build_model(spec, settings.resolved(spec))

    def how(model: ScoreModel) -> tuple[str, int, Langevin | None]:
        return model.sampling.sampler, model.sampling.steps, model.langevin

    assert how(model_of()) == ("predictor-corrector", 100, Langevin(0.16, 1))
    assert how(model_of(sampler="annealed-langevin"))[1:] == (100, Langevin(0.35, 5))
    assert how(model_of(sampler="ode"))[:2] == ("heun", 18)
    assert how(model_of(noise="geometric", levels=30))[1] == 30  # the levels it was trained at
    assert how(model_of(noise="geometric", sampler="ode"))[1] == 18
    assert model_of(corrector_steps=0).sample([1]).isfinite().all()
    pictures = open_data("digits").spec
    on_pictures = parse_settings(ScoreSettings, {}, "score").resolved(pictures)
    assert build_model(pictures, on_pictures).sampling.sampler == "heun"


def test_calls_are_counted_with_the_langevin_steps() -> None:
    count = [0]
    for name, m in (("predictor-corrector", 2), ("annealed-langevin", 3), ("heun", 0)):
        model = exact_model(sampled(name, 6), Langevin(0.2, m))
        model.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
        count[0] = 0
        model.sample([1])
        assert count[0] == model.calls(), name
