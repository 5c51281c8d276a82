"""The verb `translate` with models that were never trained, and pictures to give it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from latentia.cli.main import app
from latentia.run import Run
from latentia.translating.tiling import translated
from translators import Local, run_of

Call = Callable[..., Result]
Using = Callable[..., Call]


@pytest.fixture
def using(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Using:
    """The verb with a run and a model that were never trained."""

    def with_model(model: object, run: Run | None = None) -> Call:
        found = run or run_of(tmp_path / "run")
        monkeypatch.setattr("latentia.cli.translate.opened", lambda folder, device: (found, model))

        def call(*words: object) -> Result:
            return CliRunner().invoke(app, ["translate", "run", *map(str, words)])

        return call

    return with_model


def noise(height: int, width: int, channels: int, depth: int = 8, seed: int = 0) -> np.ndarray:
    kind = np.uint16 if depth == 16 else np.uint8
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 1 << depth, shape, dtype=kind)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + i) + y / (9 - i)) for i in range(3)]
    return ((np.stack(waves, 2) + 1) * 100 + 20).astype(np.uint8)


def save(pixels: np.ndarray, path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)
    return path


def unit(pixels: np.ndarray) -> torch.Tensor:
    """`(H, W, C)` levels as `(1, C, H, W)` in [-1, 1]."""
    full = np.iinfo(pixels.dtype).max
    x = torch.from_numpy(pixels.astype(np.float32) * (2 / full) - 1)
    return (x[..., None] if x.ndim == 2 else x).permute(2, 0, 1)[None]


def expected(pixels: np.ndarray, to: str = "B", full: int = 255) -> np.ndarray:
    y = translated(Local(), unit(pixels), to)
    return ((y[0].permute(1, 2, 0) + 1) * (full / 2)).round().clamp(0, full).numpy()


def facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found
