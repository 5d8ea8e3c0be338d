"""A bar with the time left, for anything that takes longer than two seconds."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

PATIENCE = 2.0


class Bar:
    """Counts work done; appears on standard error after two seconds and vanishes at the end.

    Args:
        total: the work, in any unit.
        show: False = silent.
    """

    def __init__(self, total: int, show: bool) -> None:
        self._show, self._began, self.visible = show, time.monotonic(), False
        console = Console(stderr=True)
        names = Column(max_width=max(16, console.width - 40), no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=names),
            BarColumn(20),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=120,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.visible:
            self._progress.stop()

    def describe(self, text: str) -> None:
        """What is being done now."""
        self._progress.update(self._task, description=text)

    def advance(self, amount: int) -> None:
        """So much more of the work is done."""
        self._progress.advance(self._task, amount)
        if self._show and not self.visible and time.monotonic() - self._began > PATIENCE:
            self.visible = True
            self._progress.start()
