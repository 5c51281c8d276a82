"""Bounds, priors and layers of latents: mathematics that variational models must keep."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from games import example_rows, tiny_run, tiny_trainer
from latentia.errors import UserError
from latentia.fitting import build_trainer, fit
from latentia.game import Batch, Now, Player
from latentia.maths.total_correlation import permuted_latents, stratified_total_correlation
from latentia.models.vae import VAE
from latentia.nn.likelihoods import Gaussian
from latentia.nn.mlp import MLP
from latentia.nn.priors import CouplingFlowPrior, MixturePrior, SplinePrior, VampPrior
from latentia.nn.standardise import Standardise
from latentia.objectives.elbo import CAPACITY_FULL_AT, Elbo
from latentia.objectives.importance import ImportanceWeighted
from latentia.run import load

CPU = torch.device("cpu")
VARIANTS: dict[str, dict[str, Any]] = {
    "two layers": {"layers": 2},
    "four layers": {"layers": 4},
    "two layers by iwae": {"layers": 2, "objective": "iwae", "draws": 3},
    "mixture": {"prior": "mixture", "components": 5},
    "vamp": {"prior": "vamp", "components": 5},
    "flow": {"prior": "flow"},
    "spline": {"prior": "spline"},
    "layers over a mixture": {"layers": 2, "prior": "mixture", "components": 5},
    "dreg": {"objective": "dreg", "draws": 3},
    "tc": {"objective": "tc"},
    "capacity": {"capacity": 4.0},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def small_vae(seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    return VAE(MLP(5, [16], 4), MLP(2, [16], 5), Gaussian(), 2, Standardise())


def moment(step: int = 0, progress: float = 1.0) -> Now:
    return Now(step, progress, torch.Generator().manual_seed(step), CPU)


# every variant as a whole


@every_variant
@pytest.mark.parametrize("kind", ["image", "vector"])
def test_a_variant_trains_loads_and_bounds(variant: str, kind: str, tmp_path: Path) -> None:
    tiny_trainer("vae", kind, tmp_path, examples=160, **VARIANTS[variant]).run()
    model, x = load(tmp_path), example_rows(kind, 40)
    again = load(tmp_path)
    assert torch.equal(model.sample(range(4)), again.sample(range(4)))
    z = model.encode(x)
    assert z.shape == (40, model.latent_dim) and model.decode(z).shape == x.shape
    assert model.log_prior(z).shape == (40,)
    elbo = torch.stack([model.elbo(x, seed=s) for s in range(30)]).mean()
    bounds = [float(model.log_prob(x, samples=k, seed=5).mean()) for k in (1, 8, 200)]
    assert all(a < b + 0.05 for a, b in pairwise([float(elbo), bounds[1], bounds[2]]))
    assert math.isfinite(bounds[2])


@every_variant
def test_a_variant_resumes_bit_for_bit(variant: str, tmp_path: Path) -> None:
    whole = tiny_trainer("vae", "image", tmp_path / "whole", examples=64, **VARIANTS[variant])
    whole.run()
    run, data = tiny_run("vae", "image", tmp_path / "cut", examples=64, **VARIANTS[variant])
    first = build_trainer(run, data, CPU)
    for _ in range(2):
        first._step(first._progress())
    first._save()
    second = build_trainer(run, data, CPU)
    second.resume()
    second.run()
    ends = [list(t.model.state_dict().values()) for t in (whole, second)]
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("kind", ["image", "vector"])
def test_layers_decode_what_they_drew(kind: str, tmp_path: Path) -> None:
    """Inference and generation share one way down: parameters agree, noise 0 is the mean."""
    run, _ = tiny_run("vae", kind, tmp_path, layers=3)
    model, x = run.build().eval(), example_rows(kind)
    with torch.no_grad():
        drawn = model.draw(model.look(x), torch.randn(len(x), model.latent_dim))
        torch.testing.assert_close(model.decoder(drawn.z), drawn.parameters)
        still = model.draw(model.look(x), torch.zeros(len(x), model.latent_dim))
        torch.testing.assert_close(still.z, still.mu)
        torch.testing.assert_close(model.encode(x), still.mu)
        lower = drawn.z.clone()
        lower[:, -1] += 3
        assert not torch.allclose(model.decoder(lower), drawn.parameters)  # details matter


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"layers": 2, "objective": "dreg"}, "layers"),
        ({"layers": 2, "objective": "tc"}, "layers"),
        ({"layers": 2, "prior": "vamp"}, "layers"),
        ({"layers": 2, "network": "mlp"}, "network"),
        ({"objective": "tc", "prior": "flow"}, "prior=standard"),
        ({"objective": "iwae", "beta": 2.0}, "beta"),
        ({"objective": "iwae", "free_nats": 1.0}, "free_nats"),
        ({"prior": "spline", "latent": 1}, "at least 2"),
        ({"detail": 2}, "detail=2 would change nothing"),
        ({"components": 7, "prior": "flow"}, "components"),
        ({"draws": 3}, "objective=iwae"),
        ({"tc_weight": 2.0}, "objective=tc"),
    ],
)
def test_contradictions_are_refused(chosen: dict[str, Any], word: str, tmp_path: Path) -> None:
    run, _ = tiny_run("vae", "image", tmp_path, **chosen)
    with pytest.raises(UserError, match=word):
        run.build()


def test_a_refused_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="draws"):
        fit("digits", examples=50, out=tmp_path / "run", settings={"draws": 3}, quiet=True)
    assert not (tmp_path / "run").exists()


# priors


def priors(d: int = 2) -> dict[str, nn.Module]:
    torch.manual_seed(3)
    encoder = MLP(5, [8], 2 * d)
    found: dict[str, nn.Module] = {
        "flow": CouplingFlowPrior(d, layers=3, hidden=16),
        "mixture": MixturePrior(d, 4),
        "vamp": VampPrior(encoder, (5,), d, 4),
        "spline": SplinePrior(d, layers=2, hidden=16),
    }
    for prior in found.values():
        with torch.no_grad():
            for parameter in prior.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return found


@pytest.mark.parametrize("name", ["flow", "mixture", "vamp", "spline"])
def test_a_prior_integrates_to_one_and_samples_itself(name: str) -> None:
    prior = priors()[name]
    side = torch.linspace(-14, 14, 561)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        density = prior.log_prob(grid).exp() * 0.05**2
        drawn = prior.sample(torch.randn(40_000, prior.noise_dim))
    assert float(density.sum()) == pytest.approx(1, abs=0.01)
    mean = (grid * density[:, None]).sum(0)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    entropy = -(density * (density / 0.05**2).clamp(min=1e-30).log()).sum()
    assert float(-prior.log_prob(drawn).mean()) == pytest.approx(float(entropy), abs=0.03)


def test_a_mixture_is_what_torch_says() -> None:
    prior = priors()["mixture"]
    parts = Independent(Normal(prior.mu, (0.5 * prior.log_var).exp()), 1)
    reference = MixtureSameFamily(Categorical(logits=prior.logits), parts)
    z = 2 * torch.randn(50, 2)
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z), atol=1e-4, rtol=1e-4)


def test_a_vamp_prior_moves_with_its_encoder() -> None:
    encoder = MLP(5, [8], 4)
    prior = VampPrior(encoder, (5,), 2, 3)
    assert not any("encoder" in name for name, _ in prior.named_parameters())
    prior.log_prob(torch.zeros(1, 2)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


# bounds


def test_doubly_reparameterised_gradients_have_the_mean_of_plain_ones_and_less_noise() -> None:
    model, x = small_vae(), torch.randn(4, 5)
    batch, inference = Batch(x, None, torch.arange(4)), list(model.encoder.parameters())

    def slopes(doubly: bool, k: int, first: int, count: int) -> torch.Tensor:
        game = ImportanceWeighted(model, Player(model, 1e-3), k, doubly)
        found = []
        for step in range(first, first + count):
            _, terms = next(game.play(batch, moment(step)))
            grads = torch.autograd.grad(sum(terms.values()), inference)
            found.append(torch.cat([g.flatten() for g in grads]))
        return torch.stack(found)

    plain, doubly = slopes(False, 8, 0, 3000), slopes(True, 8, 3000, 1500)
    error = (plain.var(0) / len(plain) + doubly.var(0) / len(doubly)).sqrt()
    far = (plain.mean(0) - doubly.mean(0)).abs() / error.clamp(min=1e-6)
    assert float(far.mean()) < 1.2 and float(far.max()) < 5  # |N(0, 1)| has mean 0.8
    assert doubly.var(0).sum() < 0.5 * plain.var(0).sum()


def test_one_draw_is_the_elbo_and_more_draws_bound_closer() -> None:
    model, x = small_vae(), torch.randn(64, 5)
    batch = Batch(x, None, torch.arange(64))

    def bound(k: int) -> float:
        game = ImportanceWeighted(model, Player(model, 1e-3), k, False)
        values = [
            float(next(game.play(batch, moment(s)))[1]["importance_bound"]) for s in range(40)
        ]
        return -sum(values) / len(values)

    elbo = float(torch.stack([model.elbo(x, seed=s) for s in range(200)]).mean().detach())
    assert bound(1) == pytest.approx(elbo, abs=0.15)
    assert bound(1) < bound(5) < bound(50)


def test_capacity_draws_the_kl_to_its_target() -> None:
    game = Elbo(small_vae(), Player(nn.Linear(1, 1), 1e-3), beta=3.0, capacity=5.0)
    kl = torch.tensor([2.0, 2.0])
    assert float(game.price(kl, moment(progress=0.0))) == pytest.approx(3 * 4)
    assert float(game.price(kl, moment(progress=CAPACITY_FULL_AT))) == pytest.approx(3 * 1)
    assert float(game.price(kl, moment(progress=CAPACITY_FULL_AT / 2))) == pytest.approx(3 * 1.5)


# total correlation


def test_total_correlation_of_gaussian_codes_is_found() -> None:
    """Aggregate N(0, [[1, ρ], [ρ, 1]]): TC = −½ ln(1 − ρ²)."""
    torch.manual_seed(0)
    n, inner = 1500, 0.3
    log_var = torch.full((n, 2), 2 * math.log(inner))
    for rho in (0.0, 0.8):
        rest = torch.tensor([[1.0, rho], [rho, 1.0]]) - inner**2 * torch.eye(2)
        mu = torch.randn(n, 2) @ torch.linalg.cholesky(rest).T
        z = mu + inner * torch.randn(n, 2)
        found = float(stratified_total_correlation(z, mu, log_var, n))
        assert found == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.07)


def test_total_correlation_rises_with_dependence_and_alone_is_none() -> None:
    torch.manual_seed(1)
    mu = torch.randn(300, 2)
    twin = mu[:, :1].expand(-1, 2)
    narrow = torch.full((300, 2), -3.0)
    assert stratified_total_correlation(mu, mu, narrow, 300) + 0.5 < (
        stratified_total_correlation(twin, twin, narrow, 300)
    )
    assert float(stratified_total_correlation(mu[:1], mu[:1], narrow[:1], 300)) == 0


def test_permuted_latents_keep_the_margins_and_lose_the_rest() -> None:
    torch.manual_seed(2)
    z = torch.randn(500, 1).expand(-1, 3).contiguous()
    apart = permuted_latents(z, torch.rand(500, 3))
    torch.testing.assert_close(apart.sort(0).values, z.sort(0).values)
    assert abs(float(torch.corrcoef(apart.T)[0, 1])) < 0.15


# classes


@pytest.fixture(scope="module")
def classifying(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = {
        "latent": 6,
        "width": 32,
        "depth": 1,
        "label_share": 0.5,
        "batch_size": 64,
        "lr": 4e-3,
    }
    out = tmp_path_factory.mktemp("conditional") / "run"
    return fit("digits", model="conditional-vae", examples=20_000, out=out, settings=settings,
               quiet=True)  # fmt: skip


def test_a_conditional_vae_classifies_and_obeys(classifying: Any) -> None:
    model, test = classifying.model(), classifying.data("test")
    rows = test.batch(range(len(test)))
    told = model.predict_proba(rows.x)
    torch.testing.assert_close(told.sum(1), torch.ones(len(told)))
    assert float((told.argmax(1) == rows.labels).float().mean()) > 0.85
    asked = torch.arange(10).repeat(8)
    drawn = model.sample(range(80), condition=asked)
    obeyed = (model.predict_proba(drawn).argmax(1) == asked).float().mean()
    assert float(obeyed) > 0.8
    z = model.encode(rows.x[:5])
    three = model.predict_proba(model.decode(z, condition=torch.tensor(3))).argmax(1)
    assert int((three == 3).sum()) >= 3


def test_its_densities_sum_over_classes(classifying: Any) -> None:
    model = classifying.model()
    x = classifying.data("test").batch(range(8)).x
    mu, _, _ = model.look(x)
    every = model.log_joints(x, mu)
    each = torch.stack([model.log_joint(x, mu, torch.full((8,), k)) for k in range(10)], 1)
    torch.testing.assert_close(every, each, atol=1e-3, rtol=1e-4)
    elbo = torch.stack([model.elbo(x, seed=s) for s in range(20)]).mean()
    assert float(elbo) < float(model.log_prob(x, samples=100).mean())
    with pytest.raises(UserError, match="class number"):
        model.sample([1, 2], condition=torch.tensor([0, 10]))
    with pytest.raises(UserError, match="class number"):
        model.sample([1, 2, 3], condition=torch.tensor([0, 1]))


def test_without_labels_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no labels"):
        fit(np.random.rand(40, 8), model="conditional-vae", examples=100, out=tmp_path / "r",
            quiet=True)  # fmt: skip
