"""The accuracy of a reader in training as a curve in the terminal, drawn anew with every line that it tells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ..core.run_files import read_metrics

ROWS, WIDEST = 10, 72
_BLANK, _DOTS = 0x2800, ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Braille, which has two columns of four dots a character."""


class LiveCurve(GeneralTracker):
    """A tracker of ``fit`` that draws what stands in a reader's folder, over all of its phases.

    Args:
        folder: of the reader.
        names: of its phases.
        updates: of each at most.
        console: where to draw.
    """

    name = "live"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, folder: Path, names: Sequence[str], updates: Sequence[int], console: Console) -> None:
        super().__init__()
        self.folder, self.names, self.updates, self.console = folder, names, updates, console
        self.live = Live(console=console, auto_refresh=False)

    @property
    def tracker(self) -> Live:
        return self.live

    def __enter__(self) -> LiveCurve:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Of one phase; its folder says it too."""

    def log(self, values: dict[str, Any], step: int | None = None, **options: Any) -> None:
        """A line was written."""
        self.live.update(self.drawn(), refresh=True)

    def finish(self) -> None:
        """A phase is over; the picture stays."""

    def drawn(self) -> Group:
        """The picture as it is now."""
        points, borders, told = [], [], {}
        for phase in range(len(self.names)):
            lines = read_metrics(self.folder / f"phase-{phase + 1}", mend="--overwrite the run")
            if not lines:
                break
            before = points[-1][0] if points else 0.0
            borders += [before] if before else []
            points += [
                (before + float(line["units"]), line["accuracy"]) for line in lines if line["accuracy"] is not None
            ]
            told = {**lines[-1], "phase": phase}
        width = min(WIDEST, self.console.width - 8)
        most, accuracy = points[-1] if points else (0.0, 0.0)
        rows = [
            Text(f"{label:>5} ", style="dim").append(row, style="cyan not dim")
            for label, row in zip(_labels(), braille(points, borders, most, width), strict=True)
        ]
        end = f"{most / 1e6:.1f} million tokens"
        return Group(*self._heading(accuracy, told), *rows, Text(f"      0{end:>{width - 1}}", style="dim"))

    def _heading(self, accuracy: float, told: dict[str, Any]) -> tuple[Text, Text]:
        phase, done = told.get("phase", 0), max(told.get("update", 0), 1)
        left = int((self.updates[phase] - done) * told.get("seconds", 0.0) / done)
        speed = f"{told.get('units_per_second', 0.0):,.0f} tokens/s"
        clock = f"at most {left // 60}:{left % 60:02} of it left"
        second = f"{phase + 1} of {len(self.names)}, {self.names[phase]}: {speed}, {clock}"
        return Text(f"right answers in training: {accuracy:.0%}", style="bold"), Text(second, style="dim")


def _labels() -> list[str]:
    """One a row of the picture, most of them empty."""
    told = {0: "100%", ROWS // 2: "50%", ROWS - 1: "0%"}
    return [told.get(row, "") for row in range(ROWS)]


def braille(
    points: Sequence[tuple[float, float]], borders: Sequence[float], most: float, width: int, rows: int = ROWS
) -> list[str]:
    """A curve of values from 0 to 1 over 0 to ``most``, with a dotted line at every border, as lines of characters."""
    across, high = 2 * width, 4 * rows
    dots: set[tuple[int, int]] = set()

    def column(x: float) -> int:
        return min(across - 1, int(x / max(most, 1e-9) * (across - 1)))

    def row(y: float) -> int:
        return round((1 - min(max(y, 0.0), 1.0)) * (high - 1))

    for border in borders:
        dots |= {(column(border), y) for y in range(0, high, 4)}
    for (x0, y0), (x1, y1) in pairwise(points):
        first, last = column(x0), column(x1)
        count = max(last - first, abs(row(y1) - row(y0)), 1)
        for step in range(count + 1):
            share = step / count
            dots.add((round(first + share * (last - first)), round(row(y0) + share * (row(y1) - row(y0)))))
    return ["".join(_character(dots, 2 * x, 4 * y) for x in range(width)) for y in range(rows)]


def _character(dots: set[tuple[int, int]], left: int, top: int) -> str:
    return chr(_BLANK + sum(_DOTS[x][y] for x in range(2) for y in range(4) if (left + x, top + y) in dots))
