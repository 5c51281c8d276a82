"""What the studio writes for its visitors: kept for a while, and gone when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the studio needs the extra `studio`: gradio is missing")

import httpx

from latentia.studio.scratch import Scratch

PATIENCE = 240.0  # seconds, on a busy machine


def test_scratch_keeps_the_newest_folders() -> None:
    scratch = Scratch(kept=2)
    first, second, third = (scratch.folder() for _ in range(3))
    assert not first.exists() and second.is_dir() and third.is_dir()
    assert not list(third.iterdir())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def studio(runs: Path, temporary: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`latentia studio` as a process of its own, and its address."""
    port = free_port()
    words = ["--port", str(port), "--no-browser", "--device", "cpu"]
    command = [sys.executable, "-m", "latentia", "studio", str(runs), *words]
    without = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    process = subprocess.Popen(command, env={**without, "TMPDIR": str(temporary)})
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def uploaded(address: str) -> Path:
    """Where the studio keeps a file that it was sent; tried until it listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            answer = httpx.post(
                f"{address}/gradio_api/upload", files={"files": ("mine.txt", b"mine")}
            )
            return Path(answer.json()[0])
        except httpx.TransportError:
            assert time.monotonic() < end, "the studio never listened"
            time.sleep(0.3)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_studio_ends(tmp_path: Path, sign: signal.Signals) -> None:
    runs, temporary = tmp_path / "runs", tmp_path / "temporary"
    runs.mkdir()
    temporary.mkdir()
    with studio(runs, temporary) as (process, address):
        kept = uploaded(address)
        homes = [folder.name for folder in temporary.iterdir()]
        assert kept.read_bytes() == b"mine" and kept.is_relative_to(temporary)
        assert len(homes) == 1 and homes[0].startswith("latentia-studio-")
        process.send_signal(sign)
        assert process.wait(PATIENCE) in (0, 130)  # 130: it was not yet quite up
    assert list(temporary.iterdir()) == []
