"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, from `LATENTIA_DATA` or beside the repository; else a skip."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LATENTIA_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set LATENTIA_DATA to the folder that holds it")
    return folder
