"""What a person sees while a run trains; nothing here touches the training."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Display(Protocol):
    """Receives the state of a run about once a second."""

    def show(self, progress: float, line: str) -> None: ...

    def say(self, text: str) -> None: ...


class Silent:
    """Shows nothing."""

    def show(self, progress: float, line: str) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Bar:
    """A progress bar on a terminal, a line at each tenth elsewhere; always on standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.tenth = -1
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if sys.stderr.isatty():
            self.bar.stop()

    def show(self, progress: float, line: str) -> None:
        if sys.stderr.isatty():
            self.bar.update(self.task, completed=progress, description=line)
        elif int(progress * 10) > self.tenth:
            self.tenth = int(progress * 10)
            self.console.print(f"{progress:4.0%}  {line}", soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)
