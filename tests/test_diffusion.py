"""Diffusion: ways of training, classes, guidance, each against what is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from itertools import count as count_from
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from latentia import fit, load
from latentia.data.open import open_data
from latentia.errors import UserError
from latentia.game import Batch, Now, Player
from latentia.maths.schedules import (
    SCALINGS,
    Levels,
    Prediction,
    cosine_sigmas,
    flow_sigmas,
    linear_sigmas,
    training_sigmas,
)
from latentia.models import denoiser
from latentia.models.denoiser import ConditionalDenoiser, Denoiser, Sampling
from latentia.nn.standardise import Standardise
from latentia.nn.unet import PointDenoiser, UNet
from latentia.objectives.denoising import Denoising, NoiseLevels
from latentia.recipes.base import parse_settings
from latentia.recipes.diffusion import DiffusionSettings, SamplerName, build_model
from latentia.samplers.levels import Denoise
from latentia.samplers.table import SAMPLERS

PREDICTIONS = get_args(Prediction)
CENTERS, SPREAD = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]]), 0.5


def noisy(sigma: float, n: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean points, noise, their mixture and its level."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, n, 2, generator=generator, dtype=torch.float64)
    return clean, noise, clean + sigma * noise, torch.full((n, 1), sigma, dtype=torch.float64)


SAID = {
    "epsilon": lambda clean, noise, sigma: noise,
    "v": lambda clean, noise, sigma: (noise - sigma * clean) / (1 + sigma**2).sqrt(),
    "flow": lambda clean, noise, sigma: noise - clean,
}
"""What a network that knows everything would say."""


@pytest.mark.parametrize("predict", SAID)
@pytest.mark.parametrize("sigma", [0.05, 1.0, 30.0])
def test_what_is_said_leads_to_the_clean_data(predict: Prediction, sigma: float) -> None:
    clean, noise, x, level = noisy(sigma)
    c = SCALINGS[predict](level, 0.5)
    torch.testing.assert_close(c.skip * x + c.out * SAID[predict](clean, noise, level), clean)


@pytest.mark.parametrize("predict", SAID)
def test_the_loss_is_the_error_of_what_is_said(predict: Prediction) -> None:
    clean, noise, x, level = noisy(0.7)
    c = SCALINGS[predict](level, 0.5)
    wrong = SAID[predict](clean, noise, level) + 0.1
    error = (c.skip * x + c.out * wrong - clean) / c.out
    torch.testing.assert_close(error.square(), torch.full_like(error, 0.01))


def test_networks_are_shown_what_the_papers_show_them() -> None:
    """√ᾱ x₀ + √(1 − ᾱ) ε of DDPM and (1 − t) x₀ + t ε of the flow, from one coordinate."""
    clean, noise, x, level = noisy(3.0)
    alpha_bar = 1 / (1 + level**2)
    mixed = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise
    torch.testing.assert_close(SCALINGS["epsilon"](level, 9.0).inward * x, mixed)
    t = level / (1 + level)
    torch.testing.assert_close(SCALINGS["flow"](level, 9.0).inward * x, (1 - t) * clean + t * noise)


def test_v_is_edm_but_for_the_sign_where_data_have_unit_variance() -> None:
    level = torch.tensor([0.1, 2.0])
    edm, v = SCALINGS["edm"](level, 1.0), SCALINGS["v"](level, 0.3)
    torch.testing.assert_close(v._replace(out=-v.out), edm)
    assert not torch.allclose(SCALINGS["edm"](level, 0.3).skip, v.skip)


def test_linear_levels_are_those_of_ddpm() -> None:
    """ᾱ of the thousand discrete steps, β from 1e-4 to 0.02, within three percent."""
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    discrete = (1 / alpha_bar - 1).sqrt()
    steps = torch.tensor([9, 99, 499, 899])
    found = linear_sigmas((steps + 1).double() / 1000)
    torch.testing.assert_close(found, discrete[steps], rtol=0.03, atol=0)


def test_levels_by_time_rise_through_their_known_middles() -> None:
    half = torch.tensor([0.5], dtype=torch.float64)
    assert float(cosine_sigmas(half)) == pytest.approx(1)
    assert float(flow_sigmas(half)) == pytest.approx(1)
    uniform = torch.linspace(0, 1 - 1e-6, 50)
    for kind in get_args(Levels):
        sigmas = training_sigmas(kind, uniform, 0.0, 1.0)
        assert bool((sigmas.diff() > 0).all()) and bool(sigmas.isfinite().all())
        assert float(sigmas[0]) > 0


# what is learned


def mixture(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of three equal Gaussians and which one each is of."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (n,), generator=generator)
    return CENTERS[which] + SPREAD * torch.randn(n, 2, generator=generator), which


def exact(x: Tensor, sigma: Tensor, which: int | None = None) -> Tensor:
    """E[clean | x] of the mixture, or of one of its Gaussians; σ `(2,)` of each coordinate."""
    total = SPREAD**2 + sigma.square()
    means = (SPREAD**2 * x[:, None] + sigma.square() * CENTERS) / total
    if which is not None:
        return means[:, which]
    logits = -((x[:, None] - CENTERS).square() / (2 * total)).sum(2)
    return (logits.softmax(1)[..., None] * means).sum(1)


def at_level(model: Denoiser, level: float) -> tuple[Tensor, Tensor]:
    """Points of the mixture with noise of a level, in standardised units, and its σ outside."""
    sigma = level * model.standardise.scale
    clean, _ = mixture(1000, seed=1)
    return clean + sigma * torch.randn(1000, 2, generator=torch.Generator().manual_seed(2)), sigma


def denoised(denoise: Denoise, model: Denoiser, x: Tensor, level: float) -> Tensor:
    """What a denoiser of standardised units makes of x, in the data's own units."""
    inner = model.standardise
    return inner.inverse(denoise(inner(x), torch.full((len(x),), level)))


def error_of(found: Tensor, wanted: Tensor, x: Tensor) -> float:
    """Mean square, in units of all the denoising there is to do."""
    return float((found - wanted).square().mean() / (x - wanted).square().mean())


def labelled(n: int, folder: Path) -> Path:
    """The mixture as a table whose columns are of one scale."""
    x, which = mixture(n)
    path = folder / "points.npz"
    np.savez(path, x=x.numpy(), labels=which.numpy())
    return path


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_every_way_of_training_finds_the_denoiser_of_a_mixture(
    predict: Prediction, tmp_path: Path
) -> None:
    rows, _ = mixture(20_000)
    how = {"predict": predict, "width": (64,), "depth": (3,), "batch_size": 256}
    how |= {"levels": "lognormal"}
    fit(rows.numpy(), model="diffusion", settings=how, examples=150_000, out=tmp_path, quiet=True)
    model = load(tmp_path)
    for level in (0.2, 0.5, 2.0):
        x, sigma = at_level(model, level)
        found = denoised(model, model, x, level)
        assert error_of(found, exact(x, sigma), x) < 0.04, (predict, level)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the three Gaussians as classes, guided by itself without the class."""
    folder = tmp_path_factory.mktemp("conditional")
    how = {"conditional": True, "guide": "classless", "guidance": 2.0, "guided_from": 0.0}
    how |= {"width": (64,), "depth": (3,), "guided_to": 100.0, "batch_size": 256}
    data = str(labelled(20_000, folder))
    fit(data, model="diffusion", settings=how, examples=300_000, out=folder / "run", quiet=True)
    return folder / "run"


def test_classes_and_their_guidance_are_those_of_the_closed_form(conditional: Path) -> None:
    """D + w (D_class − D) of Gaussians, and the same with w = 1 by a model told not to guide."""
    model = load(conditional)
    assert isinstance(model, ConditionalDenoiser) and model.classes == 3
    for level in (0.2, 1.0):
        x, sigma = at_level(model, level)
        for which in range(3):
            weights = torch.eye(3)[which].expand(len(x), -1)
            own = exact(x, sigma, which)
            plain = denoised(lambda y, s, w=weights: model(y, s, w), model, x, level)
            assert error_of(plain, own, x) < 0.03 < error_of(exact(x, sigma), own, x)
            wanted = 2 * own - exact(x, sigma)
            assert error_of(denoised(model.guided(weights), model, x, level), wanted, x) < 0.05


def test_samples_are_of_the_class_asked_for_and_else_of_all(conditional: Path) -> None:
    model = load(conditional)
    for which in range(3):
        found = model.sample(range(200), condition=torch.tensor(which))
        nearest = torch.cdist(found, CENTERS).argmin(1)
        assert float((nearest == which).float().mean()) > 0.97
    free = torch.cdist(model.sample(range(600)), CENTERS).argmin(1).bincount(minlength=3)
    assert int(free.min()) > 150  # a third each, 200 ± 12
    halves = model.sample(range(200), condition=torch.tensor([0.5, 0.5, 0.0]))
    assert halves.isfinite().all()


def test_densities_and_codes_know_no_class(conditional: Path) -> None:
    model, (x, _) = load(conditional), mixture(300, seed=3)
    logits = -(x[:, None] - CENTERS).square().sum(2) / (2 * SPREAD**2)
    truth = logits.logsumexp(1) - np.log(3 * 2 * np.pi * SPREAD**2)
    assert float((model.log_prob(x) - truth).mean().abs()) < 0.08
    z = model.encode(x, steps=48)
    assert abs(float(z.std()) - 1) < 0.2


def test_guidance_sharpens_classes(conditional: Path) -> None:
    """The further from the other classes, the higher w: the mean of class 0 moves outward."""
    guided = load(conditional)
    plain = load(conditional)
    plain.sampling = Sampling(**{**vars(guided.sampling), "guidance": 1.0})
    asked = torch.tensor(0)
    far = [m.sample(range(200), condition=asked).mean(0)[0] for m in (plain, guided)]
    assert abs(float(far[0]) + 2) < 0.15 and float(far[1]) < float(far[0]) - 0.1


# details


def a_model(guided_by: str, guidance: float = 3.0) -> ConditionalDenoiser:
    torch.manual_seed(0)
    net = PointDenoiser(2, width=16, depth=1, classes=3)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sampling = Sampling(0.02, 40.0, 6, guidance)
    return ConditionalDenoiser(3, guided_by, net, (2,), Standardise(), 1.0, sampling)


def test_the_classless_guide_is_the_network_itself() -> None:
    model, early = a_model("classless"), a_model("early")
    assert model.guide is None and early.guide is not None
    x, level, weights = torch.randn(4, 2), torch.ones(4), torch.eye(3)[[0, 1, 2, 0]]
    with torch.no_grad():
        told, free = model(x, level, weights), model(x, level)
        assert not torch.allclose(told, free)
        torch.testing.assert_close(model.guided(weights)(x, level), free + 3 * (told - free))
        torch.testing.assert_close(model(x, level, torch.zeros(4, 3)), free)


def test_a_share_of_examples_is_shown_without_its_class() -> None:
    seen: list[Tensor] = []
    model = a_model("classless")
    model.register_forward_pre_hook(lambda module, args: seen.append(args[2]))
    game = Denoising(model, Player(model, 1e-3), NoiseLevels(), 0.1, forget=0.25)
    batch = Batch(torch.randn(4000, 2), torch.arange(4000) % 3, torch.arange(4000))
    list(game.play(batch, Now(1, 0.5, torch.Generator().manual_seed(0), torch.device("cpu"))))
    told = seen[0].sum(1)
    assert set(told.tolist()) == {0.0, 1.0} and abs(float(told.mean()) - 0.75) < 0.03
    assert bool((seen[0].argmax(1) == batch.labels)[told > 0].all())


def test_a_u_net_that_knows_classes_obeys_them_alone() -> None:
    net = UNet((1, 8, 8), width=(8,), depth=(1,), classes=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, noise = torch.randn(2, 1, 8, 8), torch.zeros(2)
    first, second = (net(x, noise, torch.eye(2)[[i, i]]) for i in (0, 1))
    assert not torch.allclose(first, second)
    torch.testing.assert_close(net(x, noise), net(x, noise, torch.zeros(2, 2)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"predict": "flow", "p_mean": 1.0}, "levels=lognormal"),
        ({"forget": 0.3}, "conditional=true"),
        ({"guidance": 1.0, "guided_to": 2.0}, "guidance other than 1"),
        ({"conditional": True, "guide": "classless", "guide_until": 0.5}, "guide=early"),
        ({"predict": "x0"}, "predict"),
    ],
)
def test_settings_without_effect_are_refused(
    settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        fit("digits", model="diffusion", settings=settings, examples=10, out=tmp_path / "run")


def test_classes_need_labels(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    with pytest.raises(UserError, match="no labels"):
        fit(
            rows,
            model="diffusion",
            settings={"conditional": True},
            examples=10,
            out=tmp_path / "run",
        )


# how it is sampled


def test_the_setting_offers_every_sampler() -> None:
    assert get_args(SamplerName) == tuple(SAMPLERS)


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_sampler_reaches_the_mixture_and_follows_seeds(name: str, conditional: Path) -> None:
    model = load(conditional)
    model.sampling = replace(model.sampling, sampler=name, guidance=1.0)
    found = model.sample(range(300), steps=40)
    free = torch.cdist(found, CENTERS).min(1)
    assert int(free.indices.bincount(minlength=3).min()) > 60
    assert 0.4 < float(free.values.square().mean().sqrt()) < 0.95  # 0.71 in truth
    torch.testing.assert_close(model.sample([7, 299], steps=40), found[[7, 299]], atol=1e-3, rtol=0)


def test_one_step_is_the_mean_of_everything(conditional: Path) -> None:
    model = load(conditional)
    model.sampling = replace(model.sampling, guidance=1.0)
    asked = torch.tensor(1)
    one = model.sample(range(50), condition=asked, steps=1)
    assert float((one.mean(0) - CENTERS[1]).norm()) < 0.3
    assert float(one.std(0).max()) < 0.3  # of points that spread by 0.5


def test_calls_are_counted_and_timed(conditional: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, count = load(conditional), [0]
    model.net.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    for name, guidance in (("heun", 1.0), ("euler", 1.0), ("euler", 2.0)):
        model.sampling = replace(model.sampling, sampler=name, guidance=guidance)
        count[0] = 0
        model.sample([1], steps=10)
        assert count[0] == model.calls(10), (name, guidance)
    assert 0 < model.seconds_for(100, 10) < 30
    clock = SimpleNamespace(perf_counter=count_from(0).__next__)  # a second for every look
    monkeypatch.setattr(denoiser, "time", clock)
    for n, steps in ((1, 10), (2000, 10), (2000, 20)):
        assert model.seconds_for(n, steps) == model.calls(steps) * -(-n // denoiser.CHUNK)


@pytest.mark.parametrize(("channels", "guidance"), [(1, 2.5), (3, 1.5)])
def test_colours_are_pushed_less_than_greys(channels: int, guidance: float) -> None:
    spec = replace(open_data("digits").spec, shape=(channels, 8, 8))
    settings = parse_settings(DiffusionSettings, {}, "diffusion").resolved(spec)
    assert build_model(spec, settings).sampling.guidance == guidance


def test_the_way_there_and_back_is_finer_than_that_of_a_sample() -> None:
    few, many = Sampling(0.02, 40.0, 4), Sampling(0.02, 40.0, 60)
    assert (few.path_steps, many.path_steps) == (24, 60)
    assert replace(few, sampler="heun").path_steps == 13  # 25 calls
    assert replace(many, sampler="ancestral").path_steps == 24
    assert replace(few, sampler="ancestral").path is SAMPLERS["dpm-solver-2m"]
    assert len(few.path_sigmas()) == 25 and len(few.path_sigmas(7)) == 8
