"""Scores of strangeness: what each must be by definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from games import TINY
from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.detection.denoising import denoising_error
from latentia.detection.gaussian import FittedGaussian
from latentia.detection.measures import (
    code_length,
    latent_distance,
    likelihood_ratio,
    typicality,
)
from latentia.detection.scores import (
    SCORES,
    Fitting,
    Seen,
    chosen_scores,
    default_scores,
    gradient_norm,
    negative_elbo,
    reconstruction_error,
    seen_chunks,
)
from latentia.detection.surroundings import (
    HOLE,
    RADIUS,
    Surroundings,
    foretelling_kernel,
    strangest_places,
)
from latentia.detection.views import QUESTIONS, Views, changed, from_side, questions, train_views
from latentia.errors import UserError
from latentia.fitting import plan
from latentia.training.budget import Budget


class Perfect:
    """Loses nothing, and says how much it likes an example: minus its squared norm."""

    latent_dim = 4

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
        return z

    def elbo(self, x: Tensor, *, seed: int = 0) -> Tensor:
        return -x.flatten(1).square().sum(1)


def model_of(family: str, kind: str = "image") -> torch.nn.Module:
    source = "digits" if kind == "image" else "two-moons:200"
    run, _ = plan(source, family, Budget(examples=64), None, 0, TINY[family, kind])
    return run.build().eval()


def stripes(n: int, seed: int, side: int = 28, spots: bool = False) -> np.ndarray:
    """Grey stripes of random phase with a little noise; and on request a dark spot on each."""
    random = np.random.default_rng(seed)
    across = np.arange(side)[None, None] / 3 + random.uniform(0, 6, (n, 1, 1))
    pictures = 128 + 60 * np.sin(across) + random.normal(0, 6, (n, side, side))
    if spots:
        for picture, (y, x) in zip(pictures, random.integers(6, side - 9, (n, 2)), strict=True):
            picture[y : y + 4, x : x + 4] = 10
    return np.clip(pictures, 0, 255).astype(np.uint8)


def pictures_of(values: np.ndarray) -> Dataset:
    return open_data(values, split="all")


def test_a_perfect_model_rebuilds_without_error() -> None:
    x = torch.randn(7, 4)
    assert reconstruction_error(Perfect(), x).tolist() == [0.0] * 7
    assert np.allclose(negative_elbo(Perfect(), x), x.square().sum(1).numpy())
    assert gradient_norm(Perfect(), x).max() == 0  # nothing better is near


def test_reconstruction_error_is_the_mean_square() -> None:
    class Forgets(Perfect):
        def decode(self, z: Tensor, *, condition: Tensor | None = None) -> Tensor:
            return torch.zeros_like(z)

    x = torch.tensor([[1.0, 1.0], [3.0, 1.0]])
    assert reconstruction_error(Forgets(), x).tolist() == [1.0, 5.0]
    assert np.allclose(gradient_norm(Perfect(), x), 0)


def test_the_ratio_forgets_what_both_sides_pay() -> None:
    nll, code = np.array([3.0, 8.0]), np.array([1.0, 2.0])
    plain = likelihood_ratio(nll, code)
    assert np.allclose(likelihood_ratio(nll + 5, code + 5), plain)
    assert plain.tolist() == [2.0, 6.0]
    assert likelihood_ratio(code, nll).tolist() == [-2.0, -6.0]


def test_typicality_is_symmetric() -> None:
    assert typicality(np.array([8.0, 12.0, 10.0]), 10.0).tolist() == [2.0, 2.0, 0.0]


def test_codes_of_busy_pictures_are_longer() -> None:
    flat = torch.zeros(1, 1, 16, 16)
    noise = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    short, long = code_length(torch.cat([flat, noise]))
    assert 0 < short < long
    assert long - short > 100 * 8 * np.log(2)  # 256 random bytes do not shrink


def test_distance_in_whitened_units() -> None:
    random = np.random.default_rng(0)
    mixing = np.array([[3.0, 1.0], [0.0, 0.2]])
    rows = random.normal(size=(20_000, 2)) @ mixing + 7
    far = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]) @ mixing + 7
    assert np.allclose(latent_distance(far, FittedGaussian.fit(rows)), [2, 2, 0], atol=0.1)


def test_a_dimension_that_never_moves_does_no_harm() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3))
    rows[:, 2] = 1.0
    found = FittedGaussian.fit(rows).squared_distance(rows)
    assert np.isfinite(found).all() and 1 < found.mean() < 4


@pytest.mark.parametrize("family", ["vae", "autoencoder", "conditional-vae"])
def test_scores_are_finite_and_one_per_row(family: str) -> None:
    model, data = model_of(family), open_data("digits").subset(slice(0, 60))
    fitting = [n for n, s in SCORES.items() if s.fits(model, data.spec.shape) and s.needs]
    assert {"reconstruction", "latent_distance", "gradient_norm"} <= set(fitting)
    assert ("negative_elbo" in fitting) == (family != "autoencoder")
    for name in fitting:
        measure = SCORES[name].fit(model, data, Fitting())
        seen = next(iter(seen_chunks(model, data)))
        values = measure(seen)
        assert values.shape == (60,) and values.dtype == np.float64 and np.isfinite(values).all()


def test_the_bound_of_a_row_does_not_depend_on_the_others() -> None:
    model, x = model_of("vae"), open_data("digits").batch(range(9)).x
    whole = negative_elbo(model, x)
    alone = np.concatenate([negative_elbo(model, row[None]) for row in x])
    assert np.allclose(whole, alone, rtol=1e-4)
    assert not np.allclose(whole, negative_elbo(model, x, seed=1), rtol=1e-6)
    assert not np.allclose(whole, negative_elbo(model, x, draws=4), rtol=1e-6)


def test_diffusion_is_judged_by_taking_noise_off() -> None:
    model, data = model_of("diffusion"), open_data("digits")
    assert list(chosen_scores(None, model, data.spec.shape)) == ["denoising", "views"]
    x = data.batch(range(5)).x
    errors = denoising_error(model, x)  # type: ignore[arg-type]
    assert errors.shape == (5,) and (errors > 0).all()
    assert not np.allclose(errors, denoising_error(model, x, seed=1))  # type: ignore[arg-type]


def test_defaults_and_refusals() -> None:
    vae, gan = model_of("vae"), model_of("gan")
    assert set(chosen_scores(None, vae, (1, 28, 28))) == {
        "likelihood_ratio",
        "latent_distance",
        "views",
        "surroundings",
    }
    assert set(chosen_scores(None, None, (1, 28, 28))) == {"views", "surroundings"}
    assert list(default_scores(["reconstruction", "typicality"], (2,))) == [
        "reconstruction",
        "typicality",
    ]
    for names, model, shape, words in (
        (None, gan, (1, 28, 28), "neither rebuilds nor weighs"),
        (None, None, (2,), "neither rebuilds nor weighs"),
        (["likelyhood_ratio"], vae, (1, 28, 28), "did you mean 'likelihood_ratio'"),
        (["surroundings"], vae, (1, 8, 8), "cannot be had"),
        ([], vae, (1, 28, 28), "Name at least one"),
    ):
        with pytest.raises(UserError, match=words):
            chosen_scores(names, model, shape)


def test_shuffled_scores_say_nothing() -> None:
    """A bad oracle: the measure of success must not reward what has no information."""
    random = np.random.default_rng(0)
    truth, score = np.repeat([0, 1], 4000), random.permutation(np.arange(8000.0))
    assert abs(roc_auc_score(truth, score) - 0.5) < 0.03


# places


def test_what_follows_from_its_surroundings_leaves_nothing_over() -> None:
    data = pictures_of(stripes(40, 0))
    kernel = foretelling_kernel(data.batch(range(40)).x)
    assert kernel.shape == (1, 1, 2 * RADIUS + 1, 2 * RADIUS + 1)
    assert abs(float(kernel.sum())) < 1e-4  # brightness alone is never strange
    assert float(kernel[0, 0, RADIUS, RADIUS + HOLE]) == 0  # the gap between patch and ring


def test_spots_are_strange_and_found() -> None:
    surroundings = Surroundings.fit(pictures_of(stripes(80, 0)))
    fine, spotted = (pictures_of(stripes(30, s, spots=s == 2)) for s in (1, 2))
    scores = [surroundings.strangeness(d.batch(range(30)).x) for d in (fine, spotted)]
    assert roc_auc_score(np.repeat([0, 1], 30), np.concatenate(scores)) > 0.95
    maps = surroundings.maps(spotted.batch(range(30)).x).numpy()
    assert maps.shape == (30, 28, 28)
    dark = spotted.values[:, 0] == 10
    assert roc_auc_score(dark.ravel(), maps.ravel()) > 0.8
    assert strangest_places(torch.ones(2, 10, 10)).tolist() == [1, 1]


def test_a_darker_exposure_is_not_strange() -> None:
    data = pictures_of(stripes(80, 0))
    surroundings = Surroundings.fit(data)
    x = data.batch(range(20)).x
    assert np.allclose(surroundings.strangeness(x), surroundings.strangeness(x * 0.7), rtol=0.05)
    assert np.allclose(surroundings.strangeness(x), surroundings.strangeness(x + 0.2), rtol=1e-3)


# views


def test_changes_do_what_they_say() -> None:
    x = open_data("digits").batch(range(3)).x
    assert torch.allclose(from_side(x, 0, 0), x, atol=1e-5)
    assert torch.allclose(from_side(x, 0, 1), x.flip(3), atol=1e-5)
    turned = from_side(x, 1, 0)
    assert torch.allclose(turned, x.rot90(1, (2, 3)), atol=1e-5) or torch.allclose(
        turned, x.rot90(-1, (2, 3)), atol=1e-5
    )
    for name in QUESTIONS:
        plain = {n: torch.full((3,), 0 if n in ("turn", "mirror") else 1) for n in QUESTIONS}
        other = changed(
            x, {**plain, name: torch.full((3,), 1 if name in ("turn", "mirror") else 2)}
        )
        assert not torch.allclose(other, x, atol=0.1), name


def test_colours_are_asked_of_pictures_that_have_them() -> None:
    assert set(questions(3)) - set(questions(1)) == {"colours"}
    x = torch.rand(4, 3, 8, 8) * 2 - 1
    plain = {n: torch.full((4,), 0 if n in ("turn", "mirror") else 1) for n in QUESTIONS}
    negative, same, next_one, last = changed(x, {**plain, "colours": torch.arange(4)})
    assert torch.allclose(negative, -x[0], atol=1e-5) and torch.allclose(same, x[1], atol=1e-5)
    assert torch.allclose(next_one, x[2].roll(1, 0), atol=1e-5)
    assert torch.allclose(last, x[3].roll(2, 0), atol=1e-5)


def test_trimmed_views_are_not_led_by_strangers() -> None:
    data = open_data("digits", split="all")
    assert data.labels is not None
    own, other = (np.flatnonzero(data.labels == k) for k in (4, 0))
    rows = np.concatenate([own[:120], other[:6]])
    plain, trimmed = (
        Views.fit(data.subset(rows), examples=2560, trim=trim).strangeness(
            data.batch(torch.from_numpy(rows)).x
        )
        for trim in (0.0, 0.06)
    )
    strangers = [score[120:].mean() / score[:120].mean() for score in (plain, trimmed)]
    assert strangers[1] > strangers[0] > 1


def test_views_tell_another_digit() -> None:
    data = open_data("digits", split="all")
    assert data.labels is not None
    own, other = (np.flatnonzero(data.labels == k) for k in (4, 0))
    views = Views.fit(data.subset(own[:120]), examples=2560)
    rows = [data.subset(r).batch(range(40)).x for r in (own[120:160], other[:40])]
    scores = np.concatenate([views.strangeness(x) for x in rows])
    assert roc_auc_score(np.repeat([0, 1], 40), scores) > 0.9
    again = Views.fit(data.subset(own[:120]), examples=2560)
    assert np.array_equal(again.strangeness(rows[0]), views.strangeness(rows[0]))


def test_training_of_views_depends_on_seed_and_budget() -> None:
    data = open_data("digits").subset(slice(0, 100))
    first, second, longer = (
        train_views(data, seed=s, examples=n).head.weight for s, n in ((0, 300), (1, 300), (0, 600))
    )
    assert not torch.equal(first, second) and not torch.equal(first, longer)
    assert torch.equal(first, train_views(data, seed=0, examples=300).head.weight)


def test_what_is_seen_is_worked_out_once() -> None:
    seen = Seen(Perfect(), torch.randn(3, 4))
    assert seen.codes is seen.codes and len(seen) == 3
