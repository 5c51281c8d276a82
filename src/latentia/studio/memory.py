"""A studio that serves all day stays as small as it was."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 20.0
"""Seconds between two times; one takes some milliseconds."""

ARENAS = 2
"""Heaps that threads share; glibc's usual eight a core each keep holes of their own."""

LARGE = 256 * 1024
"""Bytes from which a block is the system's and goes back whole; glibc would raise that to 32 MB."""

_LARGE_FROM, _MOST_ARENAS = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX of malloc.h


@contextmanager
def freed(every: float = EVERY) -> Iterator[None]:
    """While this lasts, memory that is free goes back to the system every so many seconds.

    Threads that take and free pictures of all sizes leave holes, which glibc keeps: twenty visitors
    made a studio grow by 45 MB a minute though it held nothing more. Fewer heaps and large blocks
    of their own leave fewer holes; that stays for the process. Other systems need no help.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MOST_ARENAS, ARENAS)
    libc.mallopt(_LARGE_FROM, LARGE)
    trim: Callable[[int], int] = libc.malloc_trim
    over = threading.Event()

    def work() -> None:
        while not over.wait(every):
            trim(0)

    helper = threading.Thread(target=work, name="memory", daemon=True)
    helper.start()
    try:
        yield
    finally:
        over.set()
        helper.join()


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is one that keeps what is freed and can be told not to."""
    try:
        found = ctypes.CDLL(None)
        return found if found.malloc_trim and found.mallopt else None
    except (AttributeError, OSError, TypeError):
        return None
