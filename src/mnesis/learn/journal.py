"""What a training tells: metrics.jsonl always, trackers when asked, a progress bar on a terminal."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..core.files import atomic_path, told
from ..core.run_files import METRICS, read_metrics
from .position import Outcome, Position, Sums
from .recipe import Recipe

_QUIET_SECONDS = 30.0
"""Between two plain lines where there is no terminal."""


class Journal:
    """Writes one line for every ``log_every`` updates and at the end of a stage; only the main process does anything.

    A line holds update, stage (from 0), length (as last drawn), loss (mean over its updates), accuracy (over its
    answers), learning_rate, gradient_norm (of its last update), units (seen so far), units_per_second, seconds (of
    training, over all sittings), and validation (its figures, where they were taken). What had no answer is null.
    """

    def __init__(
        self, folder: Path, accelerator: Accelerator, recipe: Recipe, *, progress: bool | Callable[[int, int], object]
    ) -> None:
        self.path, self.accelerator, self.recipe = folder / METRICS, accelerator, recipe
        self.main = accelerator.is_main_process
        self.console = Console(stderr=True)
        self.told = progress if callable(progress) and self.main else None
        self.speaks = progress is True and self.main
        self.bar = None
        self.spoke = -_QUIET_SECONDS
        if self.speaks and self.console.is_terminal:
            columns = (
                TextColumn("stage {task.fields[stage]}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"), TimeRemainingColumn(),
            )  # fmt: skip
            self.bar = Progress(*columns, console=self.console)

    def open(self, position: Position) -> None:
        """Begin, or go on: lines written after the checkpoint, or torn by a kill, are dropped."""
        if not self.main:
            return
        mend = "restore the file, or start anew with overwrite=True"
        kept = [line for line in read_metrics(self.path.parent, mend=mend) if line["update"] <= position.update]
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self.file = self.path.open("a", encoding="utf-8")
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task("", total=self.recipe.steps, completed=position.update, stage="", figures="")

    def close(self) -> None:
        if self.main and hasattr(self, "file"):
            self.file.close()
        if self.bar is not None:
            self.bar.stop()

    def flush(self) -> None:
        """Put the lines on disk, before a checkpoint that counts on them."""
        if self.main:
            with told(self.path):
                self.file.flush()
                os.fsync(self.file.fileno())

    def update(
        self, position: Position, outcome: Outcome, *, length: int, line: bool, validation: dict[str, float] | None
    ) -> None:
        """Tell of one update, and of a validation after it; ``line`` closes a line of metrics."""
        total = position.update + position.left(self.recipe)
        if self.told is not None:
            self.told(position.update, total)
        if self.bar is not None:
            stage = f"{position.stage + 1}/{len(self.recipe.stages)}"
            speed = position.line.units / max(position.line.seconds, 1e-9)
            figures = _figures(position.running_loss, position.running_accuracy, speed)
            self.bar.update(self.task, completed=position.update, total=total, stage=stage, figures=figures)
        if line:
            self._line(position, outcome, length, validation)
            position.line = Sums()

    def _line(self, position: Position, outcome: Outcome, length: int, validation: dict[str, float] | None) -> None:
        if not self.main:
            return
        sums = position.line
        values: dict[str, Any] = {
            "update": position.update,
            "stage": position.stage,
            "length": length,
            "loss": sums.loss / sums.learned if sums.learned else None,
            "accuracy": sums.correct / sums.asked if sums.asked and position.graded else None,
            "learning_rate": outcome.rate,
            "gradient_norm": outcome.norm,
            "units": position.units,
            "units_per_second": sums.units / max(sums.seconds, 1e-9),
            "seconds": position.seconds,
        }
        whole = values if validation is None else {**values, "validation": validation}
        with told(self.path):
            self.file.write(json.dumps(whole) + "\n")
            self.file.flush()
        tracked = {**values, **{f"validation/{name}": value for name, value in (validation or {}).items()}}
        self.accelerator.log({key: value for key, value in tracked.items() if value is not None}, step=position.update)
        if self.speaks and self.bar is None and time.monotonic() - self.spoke >= _QUIET_SECONDS:
            self.spoke = time.monotonic()
            figures = _figures(values["loss"], values["accuracy"], values["units_per_second"])
            budget = position.update + position.left(self.recipe)
            self.console.print(
                f"update {position.update} of {budget}, stage {position.stage + 1}, length {length}, {figures}",
                soft_wrap=True,
            )


def _figures(loss: float | None, accuracy: float | None, speed: float) -> str:
    shown = [] if loss is None else [f"loss {loss:.4f}"]
    shown += [] if accuracy is None else [f"accuracy {accuracy:.3f}"]
    return ", ".join([*shown, f"{speed:,.0f} units/s"])
