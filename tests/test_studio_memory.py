"""Free memory is given back while a studio serves, and no longer."""

from __future__ import annotations

import threading
import time

import pytest

from latentia.studio import memory


def test_free_memory_is_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(memory, "_trim", lambda: asked.append)
    with memory.freed(every=0.01):
        end = time.monotonic() + 20
        while len(asked) < 3:
            assert time.monotonic() < end
            time.sleep(0.005)
    count = len(asked)
    time.sleep(0.1)
    assert len(asked) == count and set(asked) == {0}
    assert "memory" not in {thread.name for thread in threading.enumerate()}


def test_systems_that_need_no_help_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    with memory.freed(every=0.01):
        assert "memory" not in {thread.name for thread in threading.enumerate()}


def test_it_ends_with_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: lambda _: 0)
    with pytest.raises(KeyboardInterrupt), memory.freed(every=0.01):
        raise KeyboardInterrupt
    assert "memory" not in {thread.name for thread in threading.enumerate()}
