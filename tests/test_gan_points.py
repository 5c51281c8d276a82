"""The critic's answer on points of known density; long runs, as benchmarks/gan_points.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def gan_points(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import gan_points

    return gan_points


@pytest.mark.parametrize(("data", "count"), [("gaussians-1d", 4), ("gaussians-25", 25)])
def test_all_modes_and_a_critic_that_cannot_tell(
    gan_points: ModuleType, data: str, count: int, tmp_path: Path
) -> None:
    found = gan_points.judged(gan_points.trained(data, 0, tmp_path / "run"), data)
    assert found["modes_found"] == found["modes"] == count
    assert found["apart_mean"] <= 0.05 and found["apart_95"] <= 0.05
