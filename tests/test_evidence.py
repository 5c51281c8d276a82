"""The long runs behind docs/benchmarks.md; `make slow` makes them, an hour on two cores.

`LATENTIA_EVIDENCE` names a folder where finished runs are kept and taken up again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentia.fitting import fit
from latentia.metrics.evaluate import evaluate
from latentia.run import Run

pytestmark = pytest.mark.slow
Fitted = Callable[..., Run]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Fits, or takes up the finished run of that name."""
    kept = os.environ.get("LATENTIA_EVIDENCE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("evidence")

    def make(name: str, data: Path | str, **how: Any) -> Run:
        if (folder / name / "recipe.json").exists() and Run.open(folder / name).finished:
            return Run.open(folder / name)
        return fit(data, out=folder / name, quiet=True, **how)

    return make


def measured(run: Run, data: Path | str, metric: str, **how: Any) -> dict[str, Any]:
    train, test = run.data("train", str(data)), run.data("test", str(data))
    return evaluate(run.model(), train, test, metrics=[metric], **how)[metric]


def test_vae_likelihood_of_static_mnist(fitted: Fitted, shared_data: Path) -> None:
    data, settings = shared_data / "mnist", {"likelihood": "bernoulli", "binarize": "static"}
    run = fitted("vae-mnist", data, model="vae", minutes=15, settings=settings)
    found = measured(run, data, "likelihood", importance_samples=5000, every=10)
    assert found["examples"] == 1000 and found["nll_nats"] <= 86.0


@pytest.mark.parametrize("family", ["gan", "diffusion"])
def test_digits_that_a_classifier_knows(fitted: Fitted, shared_data: Path, family: str) -> None:
    data = shared_data / "mnist"
    run = fitted(f"{family}-mnist", data, model=family, minutes=20)
    found = measured(run, data, "classes", samples=10_000)
    assert found["confident_share"] >= 0.90
    assert 0.05 <= found["smallest"] <= found["largest"] <= 0.15


def test_gan_finds_all_25_gaussians(fitted: Fitted) -> None:
    run = fitted("gan-25", "gaussians-25", model="gan", minutes=3)
    found = measured(run, "gaussians-25", "modes", samples=10_000)
    assert found["modes_found"] == 25 and found["smallest_share"] > 0.005


def test_hierarchical_likelihood_of_static_mnist(fitted: Fitted, shared_data: Path) -> None:
    data, settings = shared_data / "mnist", {"binarize": "static", "layers": 3}
    run = fitted("ladder-mnist", data, model="vae", minutes=45, settings=settings)
    found = measured(run, data, "likelihood", importance_samples=5000, every=10)
    assert found["examples"] == 1000 and found["nll_nats"] <= 83.0


def test_importance_weighting_beats_its_elbo_twin(fitted: Fitted, shared_data: Path) -> None:
    data = shared_data / "mnist"
    twin = {"binarize": "static", "network": "mlp", "width": 200, "latent": 50, "lr": 1e-3}
    twin |= {"prior": "standard", "batch_size": 100}
    found = {}
    for name, more in {"elbo": {}, "iwae": {"objective": "iwae", "draws": 50}}.items():
        how = {"model": "vae", "examples": 300_000, "settings": {**twin, **more}}
        run = fitted(f"{name}-twin", data, **how)
        likelihood = measured(run, data, "likelihood", importance_samples=5000, every=10)
        found[name] = likelihood["nll_nats"]
    assert found["iwae"] < found["elbo"]


def test_sprites_come_apart(fitted: Fitted) -> None:
    sprites, found = "sprites:100000@64", {}
    plain = {"channels": 1, "likelihood": "bernoulli", "network": "broadcast", "latent": 10}
    plain["prior"] = "standard"
    for name, more in {"plain": {}, "tc": {"objective": "tc", "tc_weight": 5.0}}.items():
        for seed in range(3):
            how = {"model": "vae", "examples": 500_000, "settings": {**plain, **more}}
            run = fitted(f"sprites-{name}-{seed}", sprites, seed=seed, **how)
            found[name, seed] = measured(run, sprites, "disentanglement")

    def mean(name: str, figure: str) -> float:
        return sum(found[name, seed][figure] for seed in range(3)) / 3

    assert mean("tc", "mig") >= 0.30 and mean("tc", "factor_vae") >= 0.75
    assert mean("plain", "mig") < mean("tc", "mig") - 0.05


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "faces/olivetti_64.npz"])
def test_regularised_spaces_are_more_continuous_and_complete(
    fitted: Fitted, shared_data: Path, name: str
) -> None:
    data, found = shared_data / name, {}
    for beta in (1.0, 0.0):
        settings = {"network": "mlp", "latent": 16, "lr": 1e-3, "beta": beta}
        settings |= {"prior": "standard", "likelihood": "bernoulli"}
        stem = f"space-{Path(name).stem}-{beta:g}"
        run = fitted(stem, data, model="vae", examples=150_000, settings=settings)
        found[beta] = measured(run, data, "latent_space")
    step = {b: f["continuity"]["change_per_step"] for b, f in found.items()}
    inside = {b: f["completeness"]["prior_precision"] for b, f in found.items()}
    assert step[1.0] < step[0.0] and inside[1.0] > inside[0.0]
