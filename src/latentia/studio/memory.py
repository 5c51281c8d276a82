"""A studio that serves all day stays as small as it was."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 20.0
"""Seconds between two times; one takes some milliseconds."""


@contextmanager
def freed(every: float = EVERY) -> Iterator[None]:
    """While this lasts, memory that is free goes back to the system every so many seconds.

    Threads that take and free pictures of all sizes leave holes, which glibc keeps: twenty visitors
    made a studio grow by 45 MB a minute though it held nothing more. Other systems need no help.
    """
    trim, over = _trim(), threading.Event()
    if trim is None:
        yield
        return

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


def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim, where there is one."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
