"""What both sides of `style_step.py` share; needs nothing but torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

SIZE = 64


def median_seconds(step: Callable[[], object], repeats: int, busy: bool = False) -> float:
    """Median seconds of a step, after one that warms up.

    Args:
        step: what is timed.
        repeats: how often.
        busy: processor time of all threads instead of wall-clock time.
    """
    clock = time.process_time if busy else time.perf_counter
    step()
    seconds = []
    for _ in range(repeats):
        began = clock()
        step()
        seconds.append(clock() - began)
    return statistics.median(seconds)
