"""How far a comparison is: cells done, what is being trained, and when it ends. Light, so that it speaks at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..measure.lengths import format_duration

if TYPE_CHECKING:
    from .place import Place, Told

QUIET = 30.0
"""Seconds between two plain lines where there is no terminal."""
LINES = 8
"""Cells that are told one by one."""
_BAR = 20


class Watch:
    """Tells on standard error: on a terminal in a picture that stays in its place, from the first moment on, elsewhere
    in a plain line now and then, once there is something to do. For a ``with`` statement.

    Args:
        show: False = silent.
    """

    def __init__(self, show: bool) -> None:
        self.console = Console(stderr=True, soft_wrap=False)
        self.doing, self.total, self.done, self.trials, self.tries = "loading", 0, 0, 0, 0
        self.cells: dict[Path, tuple[Place, Told | None]] = {}
        self.began: float | None = None
        """When the first training did."""
        self.filled = 0.0
        """Cells since then, parts of cells among them."""
        self.spoke = 0.0
        self.show, self.live = show, None
        if show and self.console.is_terminal:
            self.live = Live(self, console=self.console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Watch:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, sentence: str) -> None:
        """Something that stays."""
        if self.show:
            self.console.print(Text(sentence), soft_wrap=self.live is None)

    def trying(self, count: int) -> None:
        """So many cells are tried now."""
        self.doing, self.trials = "trying", count
        self._speak()

    def tried(self) -> None:
        """One more is."""
        self.tries += 1
        self._speak(now=False)

    def training(self, total: int, done: int) -> None:
        """Cells are filled from here on, of which so many stand."""
        self.doing, self.total, self.done, self.began = "training", total, done, time.monotonic()
        self._speak()

    def begun(self, place: Place) -> None:
        """A cell is given to a process."""
        if self.doing == "training":
            self.cells[place.folder] = place, None

    def told(self, place: Place, told: Told | None) -> None:
        """How far a cell is; None = its process has begun."""
        if told is not None:
            self.cells[place.folder] = place, told
        self._speak(now=False)

    def counted(self, place: Place) -> None:
        """One more cell is filled."""
        self.cells.pop(place.folder, None)
        self.done += 1
        self.filled += 1
        self._speak(now=False)

    def left(self) -> float | None:
        """Seconds until the end, as fast as it went so far; None as long as nobody can know."""
        if self.began is None:
            return None
        gone = time.monotonic() - self.began
        now = self._now()
        if (made := self.filled + now) < 0.02 or gone < 2:
            return None
        return gone / made * (self.total - self.done - now)

    def __rich__(self) -> Any:
        """What stands on a terminal."""
        if self.doing != "training":
            return Text(self._headline())
        share = (self.done + self._now()) / max(self.total, 1)
        filled = round(_BAR * share)
        head = Text.assemble(("━" * filled, "green"), ("━" * (_BAR - filled), "bright_black"), " ", self._headline())
        head.truncate(self.console.width, overflow="ellipsis")
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(12, self.console.width - 48))
        grid.add_column(no_wrap=True)
        for name, how in list(self._rows())[:LINES]:
            grid.add_row(Text(f"  {name}", no_wrap=True, overflow="ellipsis"), Text(how))
        more = [Text(f"  and {len(self.cells) - LINES} more")] if len(self.cells) > LINES else []
        return Group(head, grid, *more)

    def _now(self) -> float:
        """Cells that are being filled, as far as they are."""
        return sum((told.share for _, told in self.cells.values() if told is not None), 0.0)

    def _rows(self) -> Iterable[tuple[str, str]]:
        for place, told in self.cells.values():
            how = "starting"
            if told is not None:
                how = f"training {told.training} of {told.trainings}, update {told.update:,} of {told.updates:,}"
            yield f"{place.memory} on {place.setting.task}", how

    def _headline(self) -> str:
        if self.doing == "loading":
            return "loading ..."
        if self.doing == "trying":
            return f"trying every memory on every task: {self.tries} of {self.trials}"
        left = self.left()
        when = "" if left is None else f", {format_duration(left)} left, until {_clock(left)}"
        return f"{self.done} of {self.total} cells{when}"

    def _speak(self, *, now: bool = True) -> None:
        """A plain line, at once or if the last is long ago."""
        if not self.show or self.live is not None or not (now or time.monotonic() - self.spoke >= QUIET):
            return
        self.spoke = time.monotonic()
        cells = "".join(f"; {name}: {how}" for name, how in list(self._rows())[:LINES])
        self.console.print(Text(self._headline() + cells), soft_wrap=True)


def _clock(seconds: float) -> str:
    at = time.localtime(time.time() + seconds)
    return time.strftime("%H:%M" if seconds < 72_000 else "%d %b %H:%M", at)
