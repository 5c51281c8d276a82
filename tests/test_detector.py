"""The outlier detector of tables: manners of scikit-learn, exact densities, honest calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentia import LatentOutlierDetector, UserError
from latentia.detection.densities import Linear, Marginals, Mixture, neighbour_distance
from latentia.detection.table_vae import FlatAdam, FoldVAEs, Network
from latentia.detection.tabular import DEFAULT_SCORES, REASONS, Rows, TableScores
from latentia.models.vae import VAE
from latentia.nn.likelihoods import Gaussian
from latentia.nn.parallel import ParallelMLP
from latentia.nn.standardise import Standardise

QUICK: dict[str, Any] = {"steps": 60, "hidden": 16, "random_state": 0}


def quick(**chosen: Any) -> LatentOutlierDetector:
    return LatentOutlierDetector(**{**QUICK, **chosen})


def blobs(n: int, seed: int = 0, columns: int = 4) -> np.ndarray:
    """Two kinds of rows with linear relations between the columns."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(99)  # the same relations whatever the seed
    centers, axes = 4 * shape.normal(size=(2, columns)), shape.normal(size=(2, 2, columns))
    kind = rng.integers(2, size=n)
    rows = centers[kind] + np.einsum("nk,nkd->nd", rng.normal(size=(n, 2)), axes[kind])
    return rows + 0.1 * rng.normal(size=(n, columns))


@pytest.fixture(scope="module")
def fitted() -> LatentOutlierDetector:
    return LatentOutlierDetector(random_state=0, steps=200).fit(blobs(400))


@parametrize_with_checks([LatentOutlierDetector(steps=10, hidden=8)])
def test_scikit_learn_agrees(estimator: LatentOutlierDetector, check: Any) -> None:
    check(estimator)


# what it finds


def test_far_outliers_are_found_and_ranked(fitted: LatentOutlierDetector) -> None:
    far = blobs(1, 1) + np.logspace(0.5, 6, 8)[:, None]
    assert (fitted.predict(far) == -1).all()
    assert (np.diff(fitted.outlier_scores(far)) > 0).all()


def test_rarity_is_told_as_far_as_it_is_known(fitted: LatentOutlierDetector) -> None:
    rows = blobs(2000, 7)
    p = fitted.p_values(rows)["total"]
    rare = int(np.argmin(np.abs(p - 0.005)))
    said = str(fitted.explain(rows[rare : rare + 1])[0])
    assert said.startswith(f"Only about 1 in {1 / p[rare]:,.0f} normal rows")


def test_broken_relations_are_found_though_every_value_is_ordinary(
    fitted: LatentOutlierDetector,
) -> None:
    normal = blobs(300, 1)
    rng = np.random.default_rng(0)
    mixed = np.column_stack([rng.permutation(column) for column in blobs(300, 2).T])
    scores = fitted.outlier_scores(np.r_[normal, mixed])
    assert roc_auc_score(np.repeat([0, 1], 300), scores) > 0.95
    assert "do not go together" in REASONS["likelihood_ratio"]


def test_p_values_of_fresh_normal_rows_are_honest(fitted: LatentOutlierDetector) -> None:
    p = fitted.p_values(blobs(3000, 5))["total"]
    assert 0.002 < (p < 0.01).mean() < 0.03
    assert 0.06 < (p < 0.1).mean() < 0.15
    assert abs((p < 0.5).mean() - 0.5) < 0.08


def test_signs_and_threshold(fitted: LatentOutlierDetector) -> None:
    rows = np.r_[blobs(50, 3), blobs(5, 3) + 20]
    normality, strange = fitted.score_samples(rows), fitted.outlier_scores(rows)
    np.testing.assert_array_equal(normality, -strange)
    np.testing.assert_allclose(fitted.decision_function(rows), normality - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(rows) == -1, fitted.decision_function(rows) < 0)
    assert strange.min() >= 0 and fitted.offset_ == pytest.approx(-np.log(100))
    np.testing.assert_allclose(fitted.p_values(rows)["total"], np.exp(-strange))


def test_outliers_in_the_training_rows_do_not_vouch_for_themselves() -> None:
    rows = np.r_[blobs(190), blobs(10, 1) * [1, -1, 1, -1] + 9 * np.arange(1, 11)[:, None]]
    found = quick(contamination=0.05).fit_predict(rows)
    assert (found[190:] == -1).mean() >= 0.9 and (found == -1).sum() == 10


def test_thirty_rows_and_five() -> None:
    small = quick().fit(blobs(30))
    far = blobs(4, 1) + 12
    assert small.score_samples(blobs(20, 2)).mean() > small.score_samples(far).max()
    assert np.isfinite(quick().fit(blobs(5)).outlier_scores(far)).all()


def test_constant_columns_and_duplicated_rows() -> None:
    rows = np.repeat(np.c_[blobs(20), np.full(20, 7.0)], 5, axis=0)
    detector = quick().fit(rows)
    assert (detector.predict(rows) == 1).mean() > 0.9
    same = np.full((40, 3), 2.0)
    alike = quick().fit(same)
    assert (alike.predict(same) == 1).all() and (alike.predict(same + 9) == -1).all()


def test_rows_are_judged_one_by_one(fitted: LatentOutlierDetector) -> None:
    rows = blobs(70, 8)
    alone = [float(fitted.outlier_scores(row[None])[0]) for row in rows]
    np.testing.assert_allclose(fitted.outlier_scores(rows), alone, rtol=1e-9)


# tables as people have them


class Frame:
    """The least of a data frame: named columns with types."""

    def __init__(self, columns: dict[str, list[Any]], dtypes: dict[str, Any]) -> None:
        self._held = {name: np.array(v, dtypes[name]) for name, v in columns.items()}
        self.columns, self.dtypes = list(columns), [np.dtype(d) for d in dtypes.values()]
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, name: str) -> Any:
        return _Series(self._held[name])

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(list(zip(*self._held.values(), strict=True)), dtype or object)


class _Series:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def to_numpy(self) -> np.ndarray:
        return self._values


def mixed_table(n: int, seed: int = 0) -> np.ndarray:
    """Objects: a number with gaps, a city, and a temperature that depends on the city."""
    rng = np.random.default_rng(seed)
    city = rng.choice(["Rome", "Oslo"], n)
    warmth = np.where(city == "Rome", 25.0, 5.0) + rng.normal(size=n)
    size = rng.normal(100, 5, n)
    size[rng.random(n) < 0.1] = np.nan
    return np.column_stack([size.astype(object), city.astype(object), warmth.astype(object)])


def test_categories_and_missing_values() -> None:
    detector = LatentOutlierDetector(random_state=0, steps=200).fit(mixed_table(400))
    normal = np.array([[101.0, "Rome", 24.5], [np.nan, "Oslo", 4.0]], object)
    odd = np.array([[100.0, "Oslo", 25.0], [99.0, "Paris", 24.0], [300.0, "Rome", 25.0]], object)
    assert (detector.predict(normal) == 1).all()
    assert (detector.predict(odd) == -1).all()
    cold, _, huge = detector.explain(odd)
    assert cold.column in ("1", "2") and huge.column == "0" and huge.value == pytest.approx(300)
    assert "300" in str(huge) and "column 0" in str(huge) and "Stranger than the 400" in str(huge)
    assert str(detector.explain(normal)[0]).startswith("Nothing unusual")


def test_data_frames_keep_their_names() -> None:
    values = mixed_table(300)
    kinds = {"size": float, "city": object, "warmth": float}
    table = lambda rows: Frame(  # noqa: E731
        {name: rows[:, i].tolist() for i, name in enumerate(kinds)}, kinds
    )
    detector = quick(steps=150).fit(table(values))
    (found,) = detector.explain(table(np.array([[180.0, "Rome", 25.0]], object)))
    assert found.column == "size" and "size = 180" in str(found)


# every parameter counts


@pytest.mark.parametrize(
    "chosen",
    [
        {"scores": ["mixture"]},
        {"rule": "fisher"},
        {"folds": 3},
        {"latent": 1},
        {"hidden": 8},
        {"steps": 30},
        {"smoothing": 0.5},
        {"random_state": 1},
    ],
)
def test_every_parameter_changes_the_scores(chosen: dict[str, Any]) -> None:
    rows, fresh = blobs(80), blobs(20, 1)
    plain = quick().fit(rows).outlier_scores(fresh)
    np.testing.assert_array_equal(plain, clone(quick()).fit(rows).outlier_scores(fresh))
    assert not np.allclose(plain, quick(**chosen).fit(rows).outlier_scores(fresh))


def test_contamination_moves_the_threshold() -> None:
    rows = blobs(100)
    offsets = [quick(contamination=c).fit(rows).offset_ for c in (0.05, 0.2, "auto")]
    assert offsets[0] < offsets[1] and len(set(offsets)) == 3
    assert (quick(contamination=0.2).fit_predict(rows) == -1).sum() == 20


@pytest.mark.parametrize("name", REASONS)
def test_every_score_works_alone(name: str) -> None:
    rows = blobs(150)
    detector = quick(scores=[name], steps=150).fit(rows)
    assert list(detector.calibration_.margins) == [name]
    far = detector.outlier_scores(blobs(20, 1) + 30)
    assert np.median(far) > np.median(detector.outlier_scores(blobs(60, 2)))


@pytest.mark.parametrize(
    ("chosen", "rows", "said"),
    [
        ({"scores": ["mixtur"]}, blobs(20), "did you mean 'mixture'"),
        ({"scores": []}, blobs(20), "list of names"),
        ({}, blobs(4), "minimum of 5"),
        ({}, np.array([[np.inf, 1.0]] * 9), "infinity"),
        ({}, np.full((9, 2), np.nan), "No column of the table can be modelled"),
        ({"contamination": 0.7}, blobs(20), "contamination"),
        ({"rule": "mean"}, blobs(20), "rule"),
    ],
)
def test_errors_say_what_is_wrong(chosen: dict[str, Any], rows: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        quick(**chosen).fit(rows)


def test_another_table_is_refused(fitted: LatentOutlierDetector) -> None:
    with pytest.raises(ValueError, match="expecting 4 features"):
        fitted.predict(np.zeros((3, 5)))
    with pytest.raises(UserError, match="'0' held numbers"):
        fitted.predict(np.array([["a", 1, 2, 3]], object))


# mathematics of the parts


def test_linear_density_is_the_exact_gaussian() -> None:
    rng = np.random.default_rng(0)
    rows, fold = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), np.arange(60) % 3
    linear = Linear.fit(rows, fold, share=0.8)
    found, fresh = linear.measures(rows[:7] + 1), rows[:7] + 1
    for k in range(3):
        axes, noise = linear.axes[k], linear.noise[k]
        loadings = axes * np.sqrt(linear.variances[k] - noise)
        law = stats.multivariate_normal(linear.center[k], loadings @ loadings.T + noise * np.eye(5))
        np.testing.assert_allclose(found["linear_density"][:, k], -law.logpdf(fresh), rtol=1e-9)
    total = found["linear_latent"] + found["linear_error"]
    assert linear.axes.shape[2] < 5 and (total > 0).all()


def test_a_mixture_of_one_kind_is_the_gaussian_of_the_other_folds() -> None:
    rows, fold = blobs(90, columns=3), np.arange(90) % 3
    mixture = Mixture.fit(rows, fold, kinds=1, ridge=0.02, passes=3, seed=0)
    found = mixture.measures(rows)["mixture"]
    floor = 0.02 * rows.var(0, ddof=1).mean()
    for k in range(3):
        own = rows[fold != k]
        law = stats.multivariate_normal(own.mean(0), np.cov(own.T, bias=True) + floor * np.eye(3))
        np.testing.assert_allclose(found[:, k], -law.logpdf(rows), rtol=1e-3, atol=1e-3)


def test_more_kinds_fit_two_blobs_better() -> None:
    rows, fold, fresh = blobs(200), np.arange(200) % 2, blobs(200, 1)
    one, two = (Mixture.fit(rows, fold, c, 0.01, 15, 0).measures(fresh)["mixture"] for c in (1, 2))
    assert two.mean() < one.mean() - 0.5


def test_marginals_are_densities_near_the_truth() -> None:
    rows, fold = np.random.default_rng(0).normal(size=(4000, 1)), np.arange(4000) % 2
    marginals = Marginals.fit(rows, fold, 0.05)
    grid = np.linspace(-9, 9, 5001)[:, None]
    density = np.exp(-marginals.measures(grid)["marginal"])
    np.testing.assert_allclose(density.sum(0) * (grid[1] - grid[0]), 1, atol=0.01)
    middle = np.abs(grid[:, 0]) < 2
    np.testing.assert_allclose(density[middle, 0], stats.norm.pdf(grid[middle, 0]), atol=0.045)
    far = marginals.measures(np.array([[10.0], [100.0], [1000.0]]))["marginal"]
    assert (np.diff(far, axis=0) > 0).all() and np.isfinite(far).all()


def test_nearest_neighbours_do_not_count_the_row_itself() -> None:
    rows = np.array([[0.0], [1.0], [1.0], [5.0]])
    np.testing.assert_allclose(neighbour_distance(rows, rows, np.arange(4)), [1, 0, 0, 4])
    np.testing.assert_allclose(neighbour_distance(rows, rows), 0)


def test_parallel_networks_share_nothing() -> None:
    network = ParallelMLP(3, 2, (8, 8), 4, parts=2)
    x = torch.randn(5, 6, requires_grad=True)
    out = network(x).view(5, 2, 3, 2)
    (slope,) = torch.autograd.grad(out[:, :, 1].sum(), x)
    assert (slope[:, 2:4] != 0).all() and (slope[:, :2] == 0).all() and (slope[:, 4:] == 0).all()


def test_members_side_by_side_are_the_members_alone() -> None:
    """−ELBO of the joint model is the sum of those of its members."""
    rows, fold = blobs(40), np.arange(40) % 3
    vaes = FoldVAEs.fit(rows, fold, Network(latent=2, hidden=8, steps=20), seed=0)
    wide = torch.from_numpy(rows).repeat(1, 3)
    seen = tuple(part.clamp(-12, 6) for part in vaes.model.encoder(wide).chunk(2, 1))
    generator, total = torch.Generator().manual_seed(0), torch.zeros(40, dtype=torch.float64)
    for _ in range(4):
        noise = torch.randn(1, 6, generator=generator).double().expand(40, -1)
        drawn = vaes.model.draw(seen, noise)
        fit = vaes.model.likelihood.log_prob(wide, drawn.parameters)
        total += (vaes.model.kl(drawn).sum(1) - fit) / 4
    np.testing.assert_allclose(vaes.measures(rows)["negative_elbo"].sum(1), total.numpy())
    assert isinstance(vaes.model, VAE)


def test_the_elbo_of_linear_autoencoders_is_below_the_exact_likelihood() -> None:
    """Of a decoder z ↦ W z: log p(x) is that of N(0, W Wᵀ + σ²)."""
    decoder = ParallelMLP(1, 2, (), 3)
    with torch.no_grad():
        decoder.biases[0].zero_()
    model = VAE(ParallelMLP(1, 3, (8,), 4, parts=2), decoder, Gaussian(), 2, Standardise())
    vaes = FoldVAEs(model.double().requires_grad_(False), 1, torch.zeros(1, 2), torch.eye(2)[None])
    vaes = FoldVAEs(vaes.model, 1, vaes.center.double(), vaes.precision.double())
    rows = blobs(50, columns=3) / 4
    weight = decoder.weights[0][0].numpy()
    sigma = float(model.likelihood.log_sigma.exp())
    law = stats.multivariate_normal(np.zeros(3), weight.T @ weight + sigma**2 * np.eye(3))
    assert (vaes.measures(rows)["negative_elbo"][:, 0] > -law.logpdf(rows) - 1e-6).mean() > 0.95


def test_adam_on_one_vector_is_adam() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    theirs.load_state_dict(ours.state_dict())
    flat = FlatAdam(list(ours.parameters()))
    adam = torch.optim.Adam(theirs.parameters(), 1e-2, betas=FlatAdam.DECAYS)
    for _ in range(5):
        x = torch.randn(6, 3)
        ours(x).square().sum().backward()
        flat.step(1e-2)
        adam.zero_grad()
        theirs(x).square().sum().backward()
        adam.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_held_out_scores_come_from_models_that_have_not_seen_the_row() -> None:
    """A row repeated with an absurd value in one fold is absurd to the models without it only."""
    rows, fold = blobs(100), np.arange(100) % 5
    rows[5] += 50
    scores = TableScores.fit(Rows(rows, fold), ["mixture"], Network(), 0)
    seen = scores.members["mixture"].measures(rows[5:6])["mixture"][0]
    assert scores.held_out["mixture"][5] == seen[fold[5]] == seen.max()
    assert scores.measured(rows[5:6])["mixture"][0] == pytest.approx(seen.mean())
    assert set(DEFAULT_SCORES) <= set(REASONS)
