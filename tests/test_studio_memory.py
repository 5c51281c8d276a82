"""Free memory is given back while a studio serves, and no longer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from latentia.studio import memory


class Glibc:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.trims: list[int] = []
        self.told: dict[int, int] = {}

    def malloc_trim(self, pad: int) -> int:
        self.trims.append(pad)
        return 1

    def mallopt(self, what: int, value: int) -> int:
        self.told[what] = value
        return 1


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Glibc:
    made = Glibc()
    monkeypatch.setattr(memory, "_glibc", lambda: made)
    return made


def test_free_memory_is_given_back_again_and_again(libc: Glibc) -> None:
    with memory.freed(every=0.01):
        end = time.monotonic() + 20
        while len(libc.trims) < 3:
            assert time.monotonic() < end
            time.sleep(0.005)
    count = len(libc.trims)
    time.sleep(0.1)
    assert len(libc.trims) == count and set(libc.trims) == {0}
    assert libc.told == {-8: memory.ARENAS, -3: memory.LARGE}
    assert "memory" not in {thread.name for thread in threading.enumerate()}


def test_systems_that_need_no_help_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with memory.freed(every=0.01):
        assert "memory" not in {thread.name for thread in threading.enumerate()}


def test_it_ends_with_an_error_too(libc: Glibc) -> None:
    with pytest.raises(KeyboardInterrupt), memory.freed(every=0.01):
        raise KeyboardInterrupt
    assert "memory" not in {thread.name for thread in threading.enumerate()}


_SHARED = """
import ctypes, sys, threading
from latentia.studio.memory import freed

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
seen, meet = set(), threading.Barrier(6)

def take():
    meet.wait()  # all at once, so that none gets the arena of one that has ended
    seen.add(libc.malloc(1000) >> 26)  # an arena of a thread lies within 64 MB of its own
    meet.wait()

def threads():
    six = [threading.Thread(target=take) for _ in range(6)]
    for one in six: one.start()
    for one in six: one.join()

if sys.argv[1] == "freed":
    with freed():
        threads()
else:
    threads()
print(len(seen))
"""


@pytest.mark.skipif(memory._glibc() is None, reason="not glibc")
def test_threads_share_few_heaps() -> None:
    def heaps(how: str) -> int:
        run = [sys.executable, "-c", _SHARED, how]
        return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    assert heaps("freed") <= memory.ARENAS < heaps("as it was")
