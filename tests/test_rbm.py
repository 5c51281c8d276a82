"""The restricted Boltzmann machine: its mathematics by brute force, and what training does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from games import tiny_run, tiny_trainer
from latentia.abilities import HasEnergy, HasLogProb, abilities_of
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.fitting import build_trainer, fit
from latentia.game import Batch, Now
from latentia.maths.boltzmann import (
    Couplings,
    exact_draws,
    log_masses,
    log_partition,
    sum_softplus,
)
from latentia.maths.randomness import Streams
from latentia.models.rbm import RBM
from latentia.objectives.boltzmann import Chains, ContrastiveDivergence
from latentia.recipes.rbm import RBMSettings, build_model, build_objective
from latentia.run import Run, load

CPU = torch.device("cpu")


def random_couplings(visible: int, hidden: int, scale: float = 1.0, seed: int = 0) -> Couplings:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    return Couplings(draw(visible, hidden), draw(visible), draw(hidden))


def every_state(n: int) -> Tensor:
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * n).view(-1, n)


def model_of(couplings: Couplings, side: int = 1) -> RBM:
    """The model of the plain energy: offsets undone."""
    visible, hidden = couplings.weight.shape
    model = RBM((1, side, visible // side), hidden, 50).double()
    with torch.no_grad():
        model.weight.copy_(couplings.weight)
        model.visible.copy_(couplings.visible + 0.5 * couplings.weight.sum(1))
        model.hidden.copy_(couplings.hidden + model.means @ couplings.weight)
    return model


def exact_nll(model: RBM, v: Tensor) -> Tensor:
    """Mean −log p(v), nats, with gradients to the parameters."""
    couplings, states = model.couplings(), every_state(v.shape[1]).to(v.dtype)
    return couplings.free_energy(v).mean() + torch.logsumexp(-couplings.free_energy(states), 0)


# mathematics


def test_the_free_energy_sums_over_hidden_states() -> None:
    couplings = random_couplings(5, 4, 2.0)
    v, h = every_state(5), every_state(4)
    energies = couplings.energy(v[:, None].expand(-1, 16, -1), h.expand(32, -1, -1))
    by_hand = -torch.einsum("vi,ij,hj->vh", v, couplings.weight, h)
    by_hand -= (v @ couplings.visible)[:, None] + h @ couplings.hidden
    torch.testing.assert_close(energies, by_hand)
    torch.testing.assert_close(couplings.free_energy(v), -(-by_hand).logsumexp(1))
    torch.testing.assert_close(log_masses(couplings), (-by_hand).logsumexp(0)[order(4)])


def order(n: int) -> Tensor:
    """Rows of `every_state` in the order of `log_masses`, whose lowest digit comes first."""
    numbers = every_state(n) @ (2.0 ** torch.arange(n).double())
    return numbers.argsort()


@pytest.mark.parametrize(("visible", "hidden"), [(7, 3), (3, 7), (6, 6), (1, 9), (30, 4)])
def test_both_enumerations_give_the_same_partition_function(visible: int, hidden: int) -> None:
    couplings = random_couplings(visible, hidden, 1.5, seed=visible)
    log_z = log_partition(couplings)
    assert log_z == pytest.approx(log_partition(couplings.turned()), abs=1e-9)
    if visible < 10:
        other = float((-couplings.free_energy(every_state(visible))).logsumexp(0))
        assert log_z == pytest.approx(other, abs=1e-9)
        assert float(log_masses(couplings).logsumexp(0)) == pytest.approx(other, abs=1e-9)


def test_a_thousand_factors_do_not_overflow() -> None:
    x = torch.linspace(-900, 900, 2500).double()[None] * torch.tensor([[1.0], [0.0], [1e-3]])
    exact = (x.clamp(min=0) + torch.log1p((-x.abs()).exp())).sum(1)
    torch.testing.assert_close(sum_softplus(x.clone()), exact, rtol=1e-13, atol=0)
    far = F.softplus(torch.tensor([[1e5, -1e5]]).double())
    assert float(sum_softplus(torch.tensor([[1e5, -1e5]]))) == float(far.sum())


def test_gibbs_sweeps_come_to_the_exact_probabilities() -> None:
    couplings = random_couplings(4, 3, 0.8, seed=3)
    exact = (-couplings.free_energy(every_state(4))).softmax(0)
    coins = Streams(range(4000))
    v = torch.zeros(4000, 4).double()
    for _ in range(30):
        v = couplings.sweep(v, coins.uniform(7))
    drawn = exact_draws(couplings, 4000, torch.Generator().manual_seed(0))
    turned = exact_draws(couplings.turned(), 4000, torch.Generator().manual_seed(1))
    for found in (v, drawn):
        assert chi_square(found, exact) < 35  # 15 degrees of freedom: a chance of 0.2 %
    other = (-couplings.turned().free_energy(every_state(3))).softmax(0)
    assert chi_square(turned, other) < 25
    assert chi_square((coins.uniform(4) < 0.5).double(), exact) > 200


def chi_square(v: Tensor, exact: Tensor) -> float:
    places = 2 ** torch.arange(v.shape[1] - 1, -1, -1).double()
    counts = torch.bincount((v @ places).long(), minlength=len(exact))
    return float(((counts - len(v) * exact) ** 2 / (len(v) * exact)).sum())


def test_the_centred_parameters_are_the_same_energy() -> None:
    couplings = random_couplings(6, 4)
    model = model_of(couplings, side=2)
    x = 2 * every_state(6).view(-1, 1, 2, 3) - 1
    torch.testing.assert_close(model.energy(x), couplings.free_energy(every_state(6)))
    before = model.couplings()
    model.begin(torch.full((6,), 0.2).double())
    plain = model.couplings()
    assert torch.equal(plain.weight, before.weight)
    empty = model.energy(-torch.ones(1, 1, 2, 3).double())
    torch.testing.assert_close(empty, -F.softplus(plain.hidden).sum()[None])


# the game


def now(step: int = 1, seed: int = 0) -> Now:
    return Now(step, 0.5, torch.Generator().manual_seed(seed), CPU)


def as_batch(v: Tensor) -> Batch:
    values = (255 * v).to(torch.uint8).view(len(v), 1, 1, -1)
    return Batch(values, None, torch.arange(len(v)))


def gradient(model: RBM, v: Tensor, sweeps: int, chains: Chains | None = None) -> Tensor:
    game = ContrastiveDivergence(model, player_of(model), sweeps, chains)
    ((who, terms),) = game.play(as_batch(v), now())
    assert who == "rbm" and set(terms) == {"divergence"}
    slopes = torch.autograd.grad(terms["divergence"], list(model.parameters()))
    return torch.cat([slope.flatten() for slope in slopes])


def player_of(model: RBM):  # type: ignore[no-untyped-def]
    settings = RBMSettings().resolved(DataSpec("dots", "image", (1, 1, 6), 10, "0" * 16))
    spec = DataSpec("dots", "image", (1, 1, 6), 10, "0" * 16)
    return build_objective(model, spec, settings).players["rbm"]


def test_contrastive_divergence_points_along_the_likelihood() -> None:
    couplings = random_couplings(6, 4, 0.7, seed=5)
    model = model_of(couplings).float()
    v = exact_draws(random_couplings(6, 3, 2.0, seed=9), 30_000, torch.Generator().manual_seed(2))
    exact = torch.autograd.grad(exact_nll(model, v.float()), list(model.parameters()))
    wanted = torch.cat([slope.flatten() for slope in exact])
    angles = [float(F.cosine_similarity(gradient(model, v, k), wanted, 0)) for k in (1, 4, 40)]
    assert angles == sorted(angles)
    assert angles[0] > 0.7 and angles[-1] > 0.999


def test_persistent_chains_move_on_and_are_kept() -> None:
    model = model_of(random_couplings(6, 4, 0.7, seed=5)).float()
    chains = Chains(30_000, 6)
    v = exact_draws(random_couplings(6, 3, 2.0, seed=9), 30_000, torch.Generator().manual_seed(2))
    exact = torch.autograd.grad(exact_nll(model, v.float()), list(model.parameters()))
    wanted = torch.cat([slope.flatten() for slope in exact])
    game = ContrastiveDivergence(model, player_of(model), 1, chains)
    seen = [chains.states.clone()]
    for step in range(1, 40):
        list(game.play(as_batch(v), now(step, seed=step)))
        seen.append(chains.states.clone())
    assert not torch.equal(seen[1], seen[2])
    assert set(chains.states.unique().tolist()) == {0.0, 1.0}
    long = gradient(model, v, 1, chains)  # one sweep more, from where the chains are
    assert float(F.cosine_similarity(long, wanted, 0)) > 0.999


def test_the_first_step_takes_the_means_of_the_data() -> None:
    model, chains = RBM((1, 1, 6), 3, 10), Chains(4000, 6)
    v = (torch.rand(4000, 6, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    v[:, 0] = 1
    list(ContrastiveDivergence(model, player_of(model), 1, chains).play(as_batch(v), now(0)))
    assert 0.999 < float(model.means[0]) < 1
    torch.testing.assert_close(model.means[1:], v.mean(0)[1:], atol=1e-3, rtol=0)
    torch.testing.assert_close(chains.states.mean(0), model.means, atol=0.02, rtol=0)


def bars(n: int, seed: int) -> np.ndarray:
    """Pictures of 3 × 3 pixels: one row or one column is lit, 6 kinds; uint8 `(n, 1, 3, 3)`."""
    random = np.random.default_rng(seed)
    kind, pictures = random.integers(0, 6, n), np.zeros((n, 1, 3, 3), np.uint8)
    for picture, k in zip(pictures, kind, strict=True):
        (picture[0] if k < 3 else picture[0].T)[k % 3] = 255
    return pictures


def independent_nll(v: Tensor) -> float:
    rate = v.mean(0).clamp(1e-4, 1 - 1e-4)
    return float(-(v * rate.log() + (1 - v) * (1 - rate).log()).sum(1).mean())


@pytest.mark.parametrize("chains", ["persistent", "data"])
def test_training_raises_the_exact_likelihood_above_independent_pixels(
    tmp_path: Path, chains: str
) -> None:
    settings = {"latent": 8, "batch_size": 100, "lr": 0.02, "chains": chains, "sweeps": 2}
    data = bars(1000, 0)
    run = fit(
        data, model="rbm", examples=40_000, out=tmp_path / "run", settings=settings, quiet=True
    )
    model = run.model()
    assert isinstance(model, RBM)
    v = torch.from_numpy(data.reshape(-1, 9) // 255).float()
    nll = float(exact_nll(model, v))
    assert nll < independent_nll(v) - 2
    assert nll > math.log(6)  # of the six pictures there are
    drawn = model.sample(range(60), steps=300).flatten(1)
    lit = ((drawn + 1) / 2).sum(1)
    assert float((lit == 3).float().mean()) > 0.5  # by chance a quarter


# as a family


def test_it_has_an_energy_and_no_likelihood(tmp_path: Path) -> None:
    tiny_trainer("rbm", "image", tmp_path).run()
    model = load(tmp_path)
    assert isinstance(model, HasEnergy) and not isinstance(model, HasLogProb)
    assert abilities_of(model) == ("sample", "encode", "decode", "energy")
    drawn = model.sample([3, 4])
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert model.energy(drawn).shape == (2,)
    chance = model.encode(drawn)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert not torch.equal(model.sample(range(9), steps=1), model.sample(range(9), steps=2))


def test_persistent_chains_are_saved_and_not_shipped(tmp_path: Path) -> None:
    trainer = tiny_trainer("rbm", "image", tmp_path)
    trainer.run()
    saved = torch.load(tmp_path / "train.pt", weights_only=True)["players"]["rbm"]
    states = saved["1.states"]
    assert states.shape == (16, 64) and set(states.unique().tolist()) == {0.0, 1.0}
    assert not any("states" in name for name in load(tmp_path).state_dict())
    other, dataset = tiny_run("rbm", "image", tmp_path / "other", chains="data")
    assert len(list(build_trainer(other, dataset, CPU).players["rbm"].modules)) == 1


def test_grey_pictures_are_drawn_anew_where_nothing_is_drawn_before(tmp_path: Path) -> None:
    spec = DataSpec("greys", "image", (1, 4, 4), 200, "0" * 16)
    settings = RBMSettings(binarize="none", latent=3, batch_size=200).resolved(spec)
    model = build_model(spec, settings)
    grey = Dataset(spec, np.full((200, 1, 4, 4), 51, np.uint8))
    list(build_objective(model, spec, settings).play(grey.batch(range(200)), now(0)))
    assert float(model.means.mean()) == pytest.approx(0.2, abs=0.03)


def test_vectors_are_refused_with_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no images: .* another family where it is the default"):
        fit("two-moons:100", model="rbm", examples=10, out=tmp_path / "run", quiet=True)


def test_the_run_says_how_it_was_made(tmp_path: Path) -> None:
    tiny_trainer("rbm", "image", tmp_path).run()
    settings = Run.open(tmp_path).settings.model_dump()
    assert settings["binarize"] == "static" and settings["precision"] == "float32"
