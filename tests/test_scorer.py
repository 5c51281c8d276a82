"""Scores together: calibrated, combined, with reasons, maps and the manners of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

import latentia
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.detection.image_estimator import ImageOutlierDetector
from latentia.detection.maps import OutlierMaps, heat_pictures, side_by_side
from latentia.detection.scorer import OutlierScorer
from latentia.detection.scores import SCORES
from latentia.errors import UserError
from latentia.fitting import fit
from test_scores import pictures_of, stripes

TINY = {"latent": 4, "width": 8, "depth": 1, "batch_size": 32}
QUICK = ["reconstruction", "negative_elbo", "surroundings"]


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Dataset, Dataset]:
    """A small VAE of stripes, its training rows and held-out ones."""
    train, held_out = pictures_of(stripes(160, 0)), pictures_of(stripes(80, 1))
    out = tmp_path_factory.mktemp("runs") / "stripes"
    run = fit(train, examples=1600, out=out, settings=TINY, quiet=True)
    return run.model(), train, held_out


@pytest.fixture(scope="module")
def scorer(striped: tuple[torch.nn.Module, Dataset, Dataset]) -> OutlierScorer:
    return OutlierScorer.fit(*striped, scores=QUICK)


def test_spotted_pictures_come_first_with_the_right_reason(scorer: OutlierScorer) -> None:
    fine, spotted = stripes(40, 2), stripes(10, 3, spots=True)
    result = scorer.score(pictures_of(np.concatenate([fine, spotted])))
    truth = np.repeat([0, 1], [40, 10])
    assert roc_auc_score(truth, result.total) > 0.95
    first = result.order()[:5]
    assert set(first) <= set(range(40, 50))
    assert {result.reason(i) for i in first} & {"surroundings"}
    assert all(result.words(i) == SCORES[result.reason(i)].reason for i in first)
    assert set(result.parts) == set(result.p_values) == set(QUICK)
    assert len(result) == 50 and result.total.dtype == np.float64


def test_p_values_of_normal_rows_are_about_uniform(scorer: OutlierScorer) -> None:
    p = scorer.score(pictures_of(stripes(200, 4))).p_value
    assert ((p >= 0) & (p <= 1)).all()
    assert 0.3 < p.mean() < 0.7 and (p < 0.05).mean() < 0.2


def test_rows_are_judged_alone_whatever_the_order(scorer: OutlierScorer) -> None:
    data = pictures_of(stripes(300, 5, spots=True))  # more than one chunk
    whole, order = scorer.score(data), np.random.default_rng(0).permutation(300)
    assert np.allclose(whole.total[order], scorer.score(data.subset(order)).total, rtol=1e-3)
    few = scorer.score(data.subset(slice(0, 3)))
    assert np.allclose(few.total, whole.total[:3], rtol=1e-3)


def test_every_setting_matters(
    striped: tuple[torch.nn.Module, Dataset, Dataset], scorer: OutlierScorer
) -> None:
    data = pictures_of(stripes(20, 6, spots=True))
    base = scorer.score(data).total
    for named in ({"scores": QUICK[:2]}, {"scores": QUICK, "rule": "fisher"}, {"seed": 1}):
        other = OutlierScorer.fit(*striped, **{"scores": QUICK, **named})  # type: ignore[arg-type]
        assert not np.allclose(other.score(data).total, base, rtol=1e-6), named


def test_families_count_together_once(scorer: OutlierScorer) -> None:
    assert set(scorer.calibrations) == {"model", "place"}
    assert set(scorer.calibrations["model"].margins) == set(QUICK[:2])
    assert set(scorer.total.margins) == {"model", "place"}


def test_no_model_is_needed_for_pictures() -> None:
    parts = [pictures_of(stripes(60, seed)) for seed in (0, 1)]
    found = OutlierScorer.fit(None, *parts, scores=["surroundings"])
    assert len(found.score(parts[1])) == 60


def test_an_empty_set_has_no_scores(scorer: OutlierScorer) -> None:
    assert len(scorer.score(pictures_of(stripes(3, 0)).subset(slice(0, 0)))) == 0


def test_plain_refusals(striped: tuple[torch.nn.Module, Dataset, Dataset]) -> None:
    model, train, held_out = striped
    scorer = OutlierScorer.fit(model, train, held_out, scores=["reconstruction"])
    with pytest.raises(UserError, match="rows of shape"):
        scorer.score(open_data("digits"))
    with pytest.raises(UserError, match="held-out"):
        OutlierScorer.fit(model, train, held_out.subset(slice(0, 2)), scores=["reconstruction"])
    with pytest.raises(UserError, match="no score"):
        OutlierScorer.fit(model, train, held_out, scores=["strangeness"])


# maps


def test_maps_show_where(striped: tuple[torch.nn.Module, Dataset, Dataset], tmp_path: Path) -> None:
    maps = OutlierMaps.fit(*striped)
    spotted = pictures_of(stripes(20, 7, spots=True))
    found = maps.maps(spotted)
    assert found.shape == (20, 28, 28) and found.dtype == np.float32 and np.isfinite(found).all()
    assert roc_auc_score((spotted.values[:, 0] == 10).ravel(), found.ravel()) > 0.8
    heats = heat_pictures(spotted.values, found)
    assert heats.shape == (20, 3, 28, 28) and heats.dtype == np.uint8
    calm = heat_pictures(spotted.values, np.zeros_like(found))
    assert (calm[:, 0] == calm[:, 1]).all() and not np.array_equal(calm, heats)
    assert side_by_side(spotted.values, heats, 8).size[0] > 8 * 28
    alone = OutlierMaps.fit(None, *striped[1:])
    assert alone.usual is None and not np.allclose(alone.maps(spotted), found)


def test_maps_refuse_what_they_cannot_see(
    striped: tuple[torch.nn.Module, Dataset, Dataset],
) -> None:
    digits, moons = open_data("digits"), open_data("two-moons:100")
    with pytest.raises(UserError, match="need a model"):
        OutlierMaps.fit(None, digits, digits)
    with pytest.raises(UserError, match="no pictures"):
        OutlierMaps.fit(None, moons, moons)
    with pytest.raises(UserError, match="of shape"):
        OutlierMaps.fit(*striped).maps(digits)


# the estimator


@pytest.fixture(scope="module")
def detector() -> ImageOutlierDetector:
    detector = ImageOutlierDetector(examples=960, settings=TINY, scores=QUICK)
    return detector.fit(stripes(160, 0)[..., None])


def test_signs_follow_scikit_learn(detector: ImageOutlierDetector) -> None:
    pictures = np.concatenate([stripes(40, 2), stripes(20, 3, spots=True)])
    scores = detector.outlier_scores(pictures)
    assert np.array_equal(detector.score_samples(pictures), -scores)
    decided = detector.decision_function(pictures)
    assert np.allclose(decided, -scores - detector.offset_)
    assert np.array_equal(detector.predict(pictures), np.where(decided < 0, -1, 1))
    assert (
        (detector.predict(pictures[40:]) == -1).mean()
        > 0.5
        > (detector.predict(pictures[:40]) == -1).mean()
    )
    assert detector.shape_ == (1, 28, 28) and detector.n_held_out_ == 20


def test_layouts_of_arrays_are_one(detector: ImageOutlierDetector) -> None:
    pictures = stripes(5, 2)
    base = detector.outlier_scores(pictures)
    for other in (pictures[..., None], pictures[:, None], pictures[:, None] / 255):
        assert np.allclose(detector.outlier_scores(other), base, rtol=1e-3)
    assert detector.maps(pictures).shape == (5, 28, 28)
    result = detector.scores_of(pictures)
    assert set(result.parts) == set(QUICK)


def test_contamination_moves_the_threshold(detector: ImageOutlierDetector) -> None:
    usual = detector.scorer_.score(pictures_of(stripes(200, 8))).total
    many = clone(detector).set_params(contamination=0.3, examples=320).fit(stripes(160, 0))
    assert many.get_params()["contamination"] == 0.3
    shares = [(d.predict(stripes(100, 8)) == -1).mean() for d in (detector, many)]
    assert shares[0] < shares[1] and np.isfinite(usual).all()


def test_features_have_a_budget_of_their_own() -> None:
    tiny = {"examples": 64, "settings": TINY, "scores": ["views"]}
    pictures = stripes(60, 0)
    few, more = (
        ImageOutlierDetector(feature_examples=n, **tiny).fit(pictures)  # type: ignore[arg-type]
        for n in (64, 512)
    )
    assert not np.allclose(few.outlier_scores(pictures), more.outlier_scores(pictures))


def test_the_detector_refuses_in_plain_words() -> None:
    for named, X, words in (
        ({}, stripes(10, 0), "too few"),
        ({"contamination": 0.9}, stripes(60, 0), "contamination"),
        ({"contamination": "some"}, stripes(60, 0), "contamination"),
        ({}, np.zeros((60, 5)), "LatentOutlierDetector"),
        ({"minutes": 1, "examples": 5}, stripes(60, 0), "not both"),
        ({"model": "vea"}, stripes(60, 0), "did you mean"),
    ):
        with pytest.raises(UserError, match=words):
            ImageOutlierDetector(**named).fit(X)  # type: ignore[arg-type]
    with pytest.raises(NotFittedError):
        ImageOutlierDetector().predict(stripes(2, 0))
    assert latentia.ImageOutlierDetector is ImageOutlierDetector


def test_a_result_is_ordered_by_its_total(scorer: OutlierScorer) -> None:
    result = scorer.score(pictures_of(stripes(4, 0)))
    turned = replace(result, total=np.array([1.0, 3.0, 2.0, 3.0]))
    assert turned.order().tolist() == [1, 3, 2, 0]
