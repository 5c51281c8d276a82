"""Trained on 50 pictures a model is called a copier, on 6,000 it is not; `make slow`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentia.data.open import open_data
from test_evidence import Fitted, fitted, measured

pytestmark = pytest.mark.slow
__all__ = ["fitted"]
HOW: dict[str, dict[str, Any]] = {
    "gan": {"examples": 100_000, "settings": {"width": 16, "gamma": 0.2, "gamma_end": 0.01}},
    "diffusion": {"examples": 80_000, "settings": {"width": (32, 64), "depth": (1, 2)}},
    "vae": {"examples": 60_000, "settings": {}},
}


def some_digits(shared_data: Path, folder: Path, n: int) -> Path:
    """n training digits and 3,000 test digits of MNIST in one file."""
    parts = [open_data(shared_data / "mnist", split=split) for split in ("train", "test")]
    rows = np.random.default_rng(0).permutation(len(parts[0]))[:n]
    chosen = [part.subset(index) for part, index in zip(parts, (rows, slice(3000)), strict=True)]
    file = folder / f"mnist{n}.npz"
    values = {f"x_{s}": part.values for s, part in zip(("train", "test"), chosen, strict=True)}
    labels = {f"y_{s}": part.labels for s, part in zip(("train", "test"), chosen, strict=True)}
    np.savez_compressed(file, **values, **labels)
    return file


@pytest.mark.parametrize("family", HOW)
@pytest.mark.parametrize("n", [50, 6000])
def test_few_pictures_make_a_copier(
    fitted: Fitted, shared_data: Path, tmp_path: Path, family: str, n: int
) -> None:
    data, how = some_digits(shared_data, tmp_path, n), HOW[family]
    settings = {"size": 8, **how["settings"]}
    name = f"memo-{family}8-{n}"
    run = fitted(name, data, model=family, examples=how["examples"], settings=settings)
    found = measured(run, data, "memorisation", samples=1000)
    assert (found["verdict"] == "none") == (n == 6000), found["sentences"]
    if n == 50:
        # a VAE of so few small pictures blends them: too near to them, but no outright copies
        assert found["verdict"] == "copies" or family == "vae", found["sentences"]
        assert found["membership"][found["strongest"]]["low"] > 0.9
