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
