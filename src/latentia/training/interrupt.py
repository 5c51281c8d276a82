"""Ctrl-C as a wish: the step at hand is finished, the run saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """Within the `with` block the first Ctrl-C or SIGTERM only sets `wanted`."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in self.SIGNALS:
                self._before[name] = signal.signal(name, self._wish)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _wish(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:  # a second Ctrl-C means it
            raise KeyboardInterrupt
        self.wanted = True
