"""The debiasing game: what is rare in the latents is shown more, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from games import tiny_run, tiny_trainer, weights
from latentia.data.open import open_data
from latentia.data.stream import Stream
from latentia.errors import UserError
from latentia.fitting import build_trainer
from latentia.game import Batch, Now
from latentia.maths.rarity import Combine, effective_share, latent_rarity, neighbour_density
from latentia.objectives.debias import Debias
from latentia.run import Run

COMBINE: tuple[Combine, ...] = ("neighbours", "product", "max")


def skewed(n: int = 4000, rare: float = 0.02, d: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of which a share lies apart in the first dimension, and which these are."""
    random = torch.Generator().manual_seed(0)
    z = torch.randn(n, d, generator=random)
    apart = torch.arange(n) < rare * n
    z[apart, 0] += 8
    return z, apart


def test_one_dimension_without_smoothing_becomes_flat() -> None:
    z, _ = skewed(d=1)
    weights = latent_rarity(z, alpha=0.0, bins=8, combine="product")
    low, high = z.sort(0).values[[20, -21]].flatten()
    places = ((z[:, 0] - low) / (high - low) * 8).long().clamp(0, 7)
    mass = torch.zeros(8, dtype=torch.float64).index_add(0, places, weights)
    occupied = mass[mass > 0]
    assert torch.allclose(occupied, torch.full_like(occupied, 1 / len(occupied)), rtol=1e-6)


def test_weights_are_a_distribution_and_alpha_flattens_them() -> None:
    z, apart = skewed()
    shares, effective = [], []
    for alpha in (0.0, 0.1, 1.0, 1e6):
        weights = latent_rarity(z, alpha=alpha, combine="product")
        assert weights.min() > 0 and weights.sum() == pytest.approx(1)
        shares.append(float(weights[apart].sum()))
        effective.append(effective_share(weights))
    assert shares == sorted(shares, reverse=True) and effective == sorted(effective)
    assert shares[1] > 0.1 and shares[-1] == pytest.approx(0.02, abs=1e-3)
    assert effective[-1] == pytest.approx(1, abs=1e-3)


def test_the_largest_factor_alone_is_gentler_than_the_product() -> None:
    z, apart = skewed(d=8)
    product, largest = (latent_rarity(z, alpha=0.1, combine=c) for c in ("product", "max"))
    assert effective_share(largest) > effective_share(product)
    assert largest[apart].sum() > 0.04


@pytest.mark.parametrize("combine", ["neighbours", "product"])
@pytest.mark.parametrize("effective", [0.2, 0.6])
def test_smoothing_is_chosen_so_that_enough_rows_count(effective: float, combine: Combine) -> None:
    z, apart = skewed(d=30)
    weights = latent_rarity(z, effective=effective, combine=combine)
    assert effective_share(weights) == pytest.approx(effective, rel=0.02)
    assert effective_share(latent_rarity(z, alpha=0.5, combine="product")) < 0.05
    assert weights[apart].sum() > 0.02


@pytest.mark.parametrize("combine", ["neighbours", "product", "max"])
def test_a_dimension_without_spread_says_nothing(combine: Combine) -> None:
    z, _ = skewed()
    still = torch.cat([z, torch.ones(len(z), 2)], 1)
    both = [latent_rarity(rows, alpha=0.1, combine=combine) for rows in (still, z)]
    torch.testing.assert_close(*both)


def test_what_is_rare_only_in_how_dimensions_go_together_is_found_by_neighbours() -> None:
    random = torch.Generator().manual_seed(0)
    angles = torch.rand(4000, generator=random) * 5.5  # a circle with a gap
    gap = torch.arange(4000) < 40
    angles[gap] = 5.5 + 0.78 * torch.rand(40, generator=random)
    ring = torch.stack([angles.cos(), angles.sin()], 1)
    z = ring + 0.05 * torch.randn(4000, 2, generator=random)
    shares = {c: float(latent_rarity(z, combine=c, effective=0.3)[gap].sum()) for c in COMBINE}
    assert shares["neighbours"] > 0.05 and shares["neighbours"] > 3 * shares["product"]


def test_neighbour_density_meets_the_density_of_a_gaussian() -> None:
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))
    found = neighbour_density(z).log()
    exact = -0.5 * z.square().sum(1).double()
    assert np.corrcoef(found.numpy(), exact.numpy())[0, 1] > 0.85
    assert float(found.median()) == pytest.approx(0, abs=1e-3)


def test_repeated_rows_and_few_rows_have_a_density() -> None:
    same = torch.cat([torch.zeros(50, 3), torch.randn(50, 3)])
    for z in (same, same[:2], torch.zeros(30, 4)):
        found = latent_rarity(z)
        assert found.isfinite().all() and found.sum() == pytest.approx(1)


# drawing by weight


def test_rows_come_as_often_as_their_weights_say() -> None:
    data = open_data("two-moons:100")
    weights = np.arange(len(data), dtype=float)
    stream = Stream(data, 30, seed=1, weights=weights)
    drawn = torch.cat([stream.rows_at(step) for step in range(300)])
    counts = np.bincount(drawn.numpy(), minlength=len(data))
    assert counts[0] == 0
    np.testing.assert_allclose(counts, weights / weights.sum() * 9000, atol=25)
    assert torch.equal(stream.rows_at(7), Stream(data, 30, seed=1, weights=weights).rows_at(7))
    assert not torch.equal(stream.rows_at(7), stream.rows_at(8))
    shares = torch.cat([stream.rows_at(7, rank, 2) for rank in (0, 1)])
    assert torch.equal(shares, stream.rows_at(7))


def test_what_was_read_ahead_does_not_survive_new_weights() -> None:
    data = open_data("two-moons:100")
    stream = Stream(data, 10, seed=1, weights=np.ones(len(data)), resident_bytes=0)
    stream.batch_at(0)
    only = np.zeros(len(data))
    only[5] = 1
    stream.reweigh(only)
    assert set(stream.batch_at(1).index.tolist()) == {5}
    assert torch.equal(stream.batch_at(2).x[0], data.batch([5]).x[0])
    stream.close()


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(90), np.full(90, np.nan), np.zeros(90)])
def test_unusable_weights_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(UserError, match="weights"):
        Stream(open_data("two-moons:100"), 10, seed=1, weights=weights)


# the game


def objective_of(tmp_path: Path, **changed: object) -> tuple[Debias, Batch]:
    trainer = tiny_trainer("debiasing-vae", "image", tmp_path, **changed)
    assert isinstance(trainer.objective, Debias)
    rows = range(40)  # digits of all classes
    return trainer.objective, open_data("digits").batch(rows)


def terms_of(objective: Debias, batch: Batch) -> dict[str, torch.Tensor]:
    now = Now(3, 1.0, torch.Generator().manual_seed(0), torch.device("cpu"))
    ((_, terms),) = objective.play(batch, now)
    return terms


def test_only_positive_examples_are_reconstructed(tmp_path: Path) -> None:
    objective, batch = objective_of(tmp_path)
    assert batch.labels is not None
    before = terms_of(objective, batch)
    theirs = batch.labels == objective.positive
    assert theirs.any() and not theirs.all()
    values = batch.values.clone()
    values[~theirs] = 0
    after = terms_of(objective, Batch(values, batch.labels, batch.index))
    torch.testing.assert_close(before["reconstruction"], after["reconstruction"])
    torch.testing.assert_close(before["kl"], after["kl"])
    assert not torch.allclose(before["labels"], after["labels"], rtol=1e-3)


def test_a_batch_without_positive_examples_only_classifies(tmp_path: Path) -> None:
    objective, batch = objective_of(tmp_path)
    assert batch.labels is not None
    others = Batch(batch.values, torch.full_like(batch.labels, 7), batch.index)
    assert set(terms_of(objective, others)) == {"labels"}


def test_half_of_what_is_drawn_is_positive_and_the_first_epoch_is_even(tmp_path: Path) -> None:
    run, data = tiny_run("debiasing-vae", "image", tmp_path, examples=2000)
    trainer = build_trainer(run, data, torch.device("cpu"))
    assert isinstance(trainer.objective, Debias)
    objective, stream = trainer.objective, trainer.batches
    assert data.labels is not None
    theirs = torch.from_numpy(data.labels == objective.positive)
    objective.resample(stream.sweep(), 0)
    assert objective.sampling[theirs].sum() == pytest.approx(0.5)
    assert objective.sampling[theirs].std() < 1e-12
    with torch.no_grad():
        objective.resample(stream.sweep(), 200)
    assert objective.sampling[theirs].sum() == pytest.approx(0.5)
    assert objective.sampling[theirs].std() > 0 and objective.sampling[~theirs].std() < 1e-12


def test_the_trainer_asks_anew_in_every_epoch(tmp_path: Path) -> None:
    run, data = tiny_run("debiasing-vae", "vector", tmp_path, examples=600)
    trainer = build_trainer(run, data, torch.device("cpu"))
    asked, told = [], trainer.objective.resample  # type: ignore[attr-defined]
    trainer.objective.resample = lambda every, step: (asked.append(step), told(every, step))  # type: ignore[attr-defined]
    trainer.run()
    assert asked == [0, 12, 23, 34]  # 180 rows, 16 a step


def test_a_wrong_class_name_names_the_nearest(tmp_path: Path) -> None:
    run, _ = tiny_run("debiasing-vae", "image", tmp_path, positive="33")
    with pytest.raises(UserError, match="no class '33'"):
        run.build()


def test_surprise_weighs_by_minus_elbo_alone() -> None:
    z, _ = skewed()
    surprise = torch.randn(len(z), generator=torch.Generator().manual_seed(1))
    surprise[:80] += 3
    weights = latent_rarity(z, surprise, combine="surprise", effective=0.4)
    assert weights[:80].mean() > 3 * weights[80:].mean()
    order = surprise.argsort()
    assert (weights[order].diff() >= 0).all()
    torch.testing.assert_close(
        latent_rarity(z, 10 * surprise + 7, combine="surprise", effective=0.4), weights
    )


def test_a_handful_of_rows_is_never_all_that_is_drawn() -> None:
    z = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    assert effective_share(latent_rarity(z, effective=0.05)) == pytest.approx(0.5, rel=0.02)


def test_a_run_cut_in_a_later_epoch_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    whole = tiny_trainer("debiasing-vae", "vector", tmp_path / "whole", examples=600)
    assert whole.run()
    cut = tiny_trainer("debiasing-vae", "vector", tmp_path / "cut", examples=600)
    cut.course = replace(cut.course, checkpoint_seconds=0.0)
    batch_at = cut.batches.batch_at

    def until(step: int, rank: int = 0, world: int = 1) -> Batch:
        if step == 17:  # of 37, in the second epoch
            raise KeyError
        return batch_at(step, rank, world)

    cut.batches.batch_at = until  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        cut.run()
    run = Run.open(tmp_path / "cut")
    resumed = build_trainer(run, run.data(), torch.device("cpu"))
    resumed.resume()
    assert resumed.position.step == 17 and resumed.run()
    ends = [weights(trainer) for trainer in (whole, resumed)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert ends[0]["vae.sampling.values"].std() > 0
