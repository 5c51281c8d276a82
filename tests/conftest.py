"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirty_images import build_dirty_folder

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: more threads only wait


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, from `LATENTIA_DATA` or beside the repository; else a skip."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LATENTIA_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set LATENTIA_DATA to the folder that holds it")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never read or fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTIA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def dirty_folder(tmp_path: Path) -> Path:
    """Two classes of images with every oddity of a real folder; five of 120 are unreadable."""
    return build_dirty_folder(tmp_path / "dirty")
