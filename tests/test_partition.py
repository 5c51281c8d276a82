"""log Z where it is known: by brute force, on a grid, between bounds; and bad oracles."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from games import tiny_run
from latentia.data.spec import Dataset, DataSpec
from latentia.data.toys import two_moons
from latentia.errors import UserError
from latentia.maths.boltzmann import Couplings, exact_draws, log_partition
from latentia.metrics.annealed import schedule
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.partition import partition
from latentia.metrics.partition_bounds import Bound, Bounds, bennett, both_bounds, bound, judged
from latentia.metrics.partition_grid import grid_partition
from latentia.metrics.partition_paths import Gaussian, HamiltonianWay, LayeredWay, base_rates
from latentia.metrics.tables import conditions_of, figures_of, words_of
from latentia.models.rbm import RBM
from test_rbm import every_state, model_of, random_couplings

CPU = torch.device("cpu")


def pictures(v: Tensor) -> Dataset:
    """0/1 rows as pictures of one line."""
    values = (255 * v).to(torch.uint8).view(len(v), 1, 1, -1).numpy()
    return Dataset(DataSpec("dots", "image", values.shape[1:], len(v), "0" * 16), values)


def points(values: Tensor) -> Dataset:
    spec = DataSpec("points", "vector", tuple(values.shape[1:]), len(values), "0" * 16)
    return Dataset(spec, values.float().numpy())


def machine(
    visible: int, hidden: int, scale: float, seed: int = 0, rows: int = 300
) -> tuple[RBM, Dataset]:
    """A random machine and exact draws from it."""
    couplings = random_couplings(visible, hidden, scale, seed)
    drawn = exact_draws(couplings, rows, torch.Generator().manual_seed(seed))
    return model_of(couplings).float(), pictures(drawn)


def large_machine() -> tuple[RBM, Dataset]:
    """More units than can be summed over."""
    v = torch.rand(60, 30, generator=torch.Generator().manual_seed(0)) < 0.5
    return model_of(random_couplings(30, 25, 0.3)).float(), pictures(v)


class Known:
    """An energy over vectors whose log Z is `log_z`."""

    def __init__(self, log_density: object, log_z: float = 0.0, scale: float = 1.0) -> None:
        self.log_density, self.log_z, self.scale = log_density, log_z, scale

    def energy(self, x: Tensor) -> Tensor:
        return -self.scale * self.log_density(x) - self.log_z  # type: ignore[operator]


def normal(dims: int = 2) -> MultivariateNormal:
    generator = torch.Generator().manual_seed(4)
    root = torch.randn(dims, dims, generator=generator)
    return MultivariateNormal(torch.ones(dims), root @ root.T + 0.1 * torch.eye(dims))


def mixture(x: Tensor) -> Tensor:
    """Three normals of one width, log-density `(M, 2) -> (M,)`."""
    middles = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    apart = (x[:, None] - middles).square().sum(-1) / (2 * 0.6**2)
    return torch.logsumexp(-apart, 1) - math.log(3 * 2 * math.pi * 0.6**2)


def mixture_rows(n: int = 2000) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    middles = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    which = torch.randint(3, (n,), generator=generator)
    return middles[which] + 0.6 * torch.randn(n, 2, generator=generator)


# exact


def test_enumeration_gives_the_likelihood_of_held_out_rows() -> None:
    model, data = machine(9, 5, 1.0)
    found = partition(model, data, data)
    v = torch.from_numpy(data.values).flatten(1).double() / 255
    couplings = model.double().couplings().double()
    log_z = float((-couplings.free_energy(every_state(9))).logsumexp(0))
    nll = couplings.free_energy(v) + log_z
    assert (found["method"], found["trusted"], found["log_z_error"]) == ("enumeration", True, 0)
    assert found["log_z"] == pytest.approx(log_z, abs=1e-5)
    assert found["nll_nats"] == pytest.approx(float(nll.mean()), abs=1e-4)
    assert found["nll_standard_error"] == pytest.approx(float(nll.std()) / math.sqrt(300), rel=1e-3)
    assert found["bits_per_dim"] == pytest.approx(found["nll_nats"] / 9 / math.log(2))
    assert found["nll_range"] == [found["nll_nats"]] * 2 and found["levels"] == 2
    assert "all 32 states of the 5 units" in found["verdict"]


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_grid_finds_a_known_integral(shift: float) -> None:
    law = normal()
    rows = law.sample((2000,))
    found = partition(Known(law.log_prob, shift), points(rows), points(rows[:500]))
    assert found["method"] == "grid" and found["trusted"]
    assert found["log_z"] == pytest.approx(shift, abs=1e-3)
    assert found["log_z_error"] < 1e-4
    assert found["nll_nats"] == pytest.approx(float(-law.log_prob(rows[:500]).mean()), abs=1e-3)
    assert found["levels"] is None


def test_a_wrong_scale_of_the_energy_shifts_log_z_by_the_right_amount() -> None:
    rows = mixture_rows()
    law, data = normal(), points(rows)
    # ∫ p^s of a normal density: (2π)^(d(1−s)/2) |Σ|^((1−s)/2) s^(−d/2)
    right = -0.5 * (math.log(2 * math.pi) * 2 + float(law.covariance_matrix.logdet()))
    found = partition(Known(law.log_prob, scale=2.0), data, data)
    assert found["log_z"] == pytest.approx(right - math.log(2), abs=1e-3)
    couplings = random_couplings(6, 4)
    doubled = Couplings(2 * couplings.weight, 2 * couplings.visible, 2 * couplings.hidden)
    states = every_state(6)
    hot, cold = (log_partition(c) for c in (couplings, doubled))
    assert cold == pytest.approx(float((-doubled.free_energy(states)).logsumexp(0)), abs=1e-9)
    assert abs(cold - hot) > 1


def test_the_grid_goes_to_where_the_mass_is_and_draws_from_there() -> None:
    energy = Known(mixture).energy
    near = grid_partition(energy, mixture_rows(5) * 0.05)  # data far narrower than the energy
    assert near.log_z == pytest.approx(0, abs=1e-3) and near.framed < 1e-6
    draws = near.draws(4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), mixture_rows(20_000).mean(0), atol=0.1, rtol=0)
    line = grid_partition(lambda x: 0.5 * (x[:, 0] - 7).square(), torch.zeros(3, 1))
    assert line.log_z == pytest.approx(0.5 * math.log(2 * math.pi), abs=1e-4)
    moons = two_moons()
    fine = grid_partition(
        lambda x: -torch.from_numpy(moons.log_density(x.numpy())),
        torch.from_numpy(moons.draw(500, np.random.default_rng(0))[0]),
    )
    assert fine.log_z == pytest.approx(0, abs=1e-3)


def test_an_energy_without_an_integral_is_refused() -> None:
    flat = Known(lambda x: torch.zeros(len(x)))
    with pytest.raises(UserError, match="no finite Z"):
        partition(flat, points(mixture_rows(50)), points(mixture_rows(50)))


# between bounds


@pytest.mark.parametrize("seed", range(5))
def test_the_bounds_bracket_the_exact_sum_of_random_machines(seed: int) -> None:
    model, data = machine(12, 8, 0.8, seed)
    exact = partition(model, data, data)["log_z"]
    found = partition(
        model, data, data, method="annealing", chains=200, temperatures=300, seed=seed
    )
    lower, upper = found["lower"], found["upper"]
    assert lower["log_z"] - 3 * lower["standard_error"] < exact
    assert exact < upper["log_z"] + 3 * upper["standard_error"]
    assert found["trusted"] and abs(found["gap"]) < 0.1
    assert found["log_z_error"] >= abs(found["gap"]) / 2
    assert abs(found["log_z"] - exact) < 0.1
    low, high = found["nll_range"]
    assert high - low == pytest.approx(abs(found["gap"]))


def test_few_temperatures_are_apart_and_their_mean_weights_are_unbiased() -> None:
    couplings = random_couplings(8, 5, 1.0, seed=2)
    way = LayeredWay(couplings, base_rates(torch.full((8,), 0.4).double(), 100))
    exact = log_partition(couplings)
    shares = []
    for steps in (1, 5, 50):
        found = both_bounds(
            way,
            schedule(steps).tolist(),
            20_000,
            lambda n, generator: exact_draws(couplings, n, generator),
            seed=1,
            device=CPU,
        )
        lower, upper = found.lower, found.upper
        assert abs(found.log_z - exact) < 4 * (found.standard_error or 0) + 0.002
        for side in (lower, upper):  # of the weights, not of their logarithms
            assert abs(side.log_z - exact) < 5 * (side.standard_error or 0) + 0.005
        shares.append((lower.effective + upper.effective) / 40_000)
    assert shares == sorted(shares) and shares[-1] > 0.8


@pytest.mark.parametrize("name", ["normal", "mixture"])
def test_hamiltonian_bounds_bracket_known_integrals(name: str) -> None:
    law = normal()
    log_density = law.log_prob if name == "normal" else mixture
    rows = law.sample((2000,)) if name == "normal" else mixture_rows()
    data = points(rows)
    found = partition(
        Known(log_density, 2.5), data, data, method="annealing", chains=200, temperatures=100
    )
    lower, upper = found["lower"], found["upper"]
    assert lower["log_z"] - 3 * lower["standard_error"] < 2.5
    assert upper["log_z"] + 3 * upper["standard_error"] > 2.5
    assert abs(found["log_z"] - 2.5) < 0.1 and found["trusted"]
    assert "drawn exactly" in found["verdict"]


def test_more_dimensions_start_from_data_and_say_so() -> None:
    law = normal(5)
    data = points(law.sample((2000,)))
    found = partition(Known(law.log_prob, -1.0), data, data, temperatures=150)
    assert found["method"] == "annealing" and found["trusted"]
    assert abs(found["log_z"] + 1.0) < 0.15
    assert "from training rows" in found["verdict"]


def test_a_start_without_spread_in_a_direction_still_has_a_density() -> None:
    rows = torch.cat([torch.randn(100, 3), torch.zeros(100, 1)], 1)
    start = Gaussian(rows)
    drawn = start.draw_n(50, torch.Generator().manual_seed(0))
    assert start.log_prob(drawn).isfinite().all() and float(drawn[:, 3].abs().max()) < 0.1
    wide = Gaussian(torch.randn(10, 100))
    covariance = torch.diag(wide.root.diagonal().square())
    whole = MultivariateNormal(wide.mean, covariance)
    x = torch.randn(4, 100)
    torch.testing.assert_close(wide.log_prob(x), whole.log_prob(x), rtol=1e-4, atol=1e-3)


# bad oracles


def two_modes(units: int = 24, pull: float = 1.2) -> tuple[RBM, Dataset]:
    """All pixels on or all off, with a barrier in between that two temperatures do not cross."""
    weight = torch.full((units, 6), pull).double()
    weight += 0.05 * random_couplings(units, 6, seed=1).weight
    couplings = Couplings(weight, -weight.sum(1) / 2, -weight.sum(0) / 2)
    drawn = exact_draws(couplings, 400, torch.Generator().manual_seed(0))
    share = float((drawn.mean(1) > 0.5).double().mean())
    assert 0.2 < share < 0.8
    return model_of(couplings).float(), pictures(drawn)


def test_two_temperatures_on_a_hard_machine_are_not_trusted() -> None:
    model, data = two_modes()
    exact = partition(model, data, data)["log_z"]
    found = partition(model, data, data, method="annealing", temperatures=2)
    assert not found["trusted"] and found["verdict"].startswith("Do not trust log Z")
    assert "nats apart" in found["verdict"] and "temperatures=…" in found["verdict"]
    assert found["lower"]["log_z"] < exact - 1 and found["upper"]["log_z"] > exact + 1
    enough = partition(model, data, data, method="annealing", temperatures=1500)
    assert enough["trusted"] and abs(enough["log_z"] - exact) < 0.15


def met(lower: Bound, upper: Bound) -> Bounds:
    return Bounds(lower, upper, (lower.log_z + upper.log_z) / 2, 0.1)


def test_one_mode_that_annealing_never_sees_shows_from_above() -> None:
    """Chains all in one of two modes agree with each other, and are log 2 too low."""
    fine = bound(torch.zeros(100).double(), -math.log(2))
    truth = torch.cat([torch.zeros(50), torch.full((50,), 4.0)]).double()
    back = bound(truth[torch.randperm(100, generator=torch.Generator().manual_seed(0))], 3.0)
    assert fine.effective == pytest.approx(100) and fine.halves == 0
    assert not judged(met(fine, back), "").trusted


def test_what_speaks_against_a_bound_is_named() -> None:
    good = Bound(10.0, 0.02, 90.0, 0.01, 100)
    assert judged(met(good, good), "Drawn exactly.").sentence.endswith("Drawn exactly.")
    assert judged(met(good, good), "").trusted
    for other, words in (
        (Bound(11.0, 0.02, 90.0, 0.01, 100), "1 nats apart"),
        (Bound(9.0, 0.02, 90.0, 0.01, 100), "have crossed by 1 nats"),
        (Bound(10.1, 0.02, 2.0, 0.01, 100), "2.0 effective of 100 chains"),
        (Bound(10.1, 0.02, 90.0, 0.01, 2000), "90.0 effective of 2000 chains"),
        (Bound(10.1, 0.02, 90.0, 1.5, 100), "halves of the upper one's chains differ by 1.5"),
        (Bound(10.1, None, 1.0, 0.0, 1), "1.0 effective of 1 chains"),
        (Bound(math.nan, None, 90.0, 0.0, 100), "not finite"),
    ):
        said = judged(met(good, other), "")
        assert not said.trusted and words in said.sentence
    assert not judged(met(good, Bound(10.3, 0.02, 90.0, 0.01, 100)), "", tolerance=0.2).trusted


# as a metric


def test_figures_their_words_and_evaluate(tmp_path: Path) -> None:
    run, dataset = tiny_run("rbm", "image", tmp_path / "run")
    model = run.build().eval().requires_grad_(False)
    assert METRICS["partition"].unasked(model, dataset)
    named = evaluate(model, dataset, dataset, metrics=["partition"], every=20)["partition"]
    assert named["examples"] == -(-len(dataset) // 20)
    json.dumps(named, allow_nan=False)
    lines = {line.name: line for line in figures_of({"partition": named})}
    assert lines["to be trusted"].value == "yes" and lines["log Z (nats)"].value.endswith("± 0")
    assert "bits per dimension, 2 levels" in lines
    assert "by enumeration" in conditions_of("partition", named)
    assert words_of("partition", named) == [named["verdict"]]
    steps: list[tuple[int, int]] = []
    bounds = partition(
        model,
        dataset,
        dataset,
        method="annealing",
        temperatures=20,
        chains=10,
        every=50,
        progress=lambda *at: steps.append(at),
    )
    assert steps[-1] == (40, 40) and steps == sorted(steps)
    told = {line.name: line for line in figures_of({"partition": bounds})}
    assert told["from above (nats)"].reference_name == "effective of 10 chains"
    assert "20 temperatures" in conditions_of("partition", bounds)
    json.dumps(bounds, allow_nan=False)


def test_grey_pictures_get_no_likelihood_under_0_and_1() -> None:
    model, data = machine(9, 5, 1.0)
    grey = Dataset(data.spec, np.full_like(data.values, 100))
    found = partition(model, data, grey)
    assert found["nll_nats"] is None and not found["is_probability"] and found["trusted"]
    assert "no probability" in conditions_of("partition", found)
    assert not any("likelihood" in line.name for line in figures_of({"partition": found}))


def test_a_large_machine_is_annealed_and_only_when_named() -> None:
    model, data = large_machine()
    assert METRICS["partition"].fits(model, data)
    assert not METRICS["partition"].unasked(model, data)
    found = partition(model, data, data, temperatures=30, chains=10)
    assert found["method"] == "annealing" and "Gibbs sweeps from training rows" in found["verdict"]


def test_errors_say_what_is_wrong() -> None:
    model, data = large_machine()
    law = points(mixture_rows(10))
    for named, words in (
        ({"chains": 0}, "chains is 0"),
        ({"temperatures": 0}, "temperatures is 0"),
        ({"every": 0}, "every is 0"),
        ({"method": "guessing"}, "no method 'guessing'"),
        ({"method": "enumeration"}, "at most 20 units.*use 'annealing'"),
        ({"method": "grid"}, "over one or two numbers"),
    ):
        with pytest.raises(UserError, match=words):
            partition(model, data, data, **named)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="has no energy"):
        partition(object(), law, law)
    with pytest.raises(UserError, match=r"25 units has 2\^25 terms"):
        log_partition(model.couplings())
    with pytest.raises(UserError, match="one or two dimensions"):
        grid_partition(lambda x: x.sum(1), torch.zeros(3, 3))


def test_the_start_of_a_hamiltonian_way_is_normalised() -> None:
    start = Gaussian(mixture_rows())
    way = HamiltonianWay(lambda x: -start.log_prob(x), start)
    found = both_bounds(
        way,
        schedule(3).tolist(),
        50,
        start.draw_n,
        seed=0,
        device=CPU,
    )
    assert found.lower.log_z == pytest.approx(0, abs=1e-4)
    assert found.upper.log_z == pytest.approx(0, abs=1e-4)
    assert found.log_z == pytest.approx(0, abs=1e-4)


def test_bennett_is_right_where_both_bounds_are_far_off() -> None:
    """Gaussian work of variance s²: L + N(−s²/2, s²) up, −L + N(−s²/2, s²) down (Crooks 1999)."""
    generator, spread, errors, bounds = torch.Generator().manual_seed(0), 4.0, [], []
    for _ in range(200):
        noise = spread * torch.randn(2, 100, generator=generator).double()
        up, down = (
            sign * 7.0 - spread**2 / 2 + part for sign, part in zip((1, -1), noise, strict=True)
        )
        value, error = bennett(up, down)
        errors.append((value - 7.0) / error)
        bounds.append(bound(up, 0.0).log_z - 7.0)
    assert abs(float(np.mean(errors))) < 0.35 and 0.8 < float(np.std(errors)) < 1.2
    assert float(np.mean(bounds)) < -1
