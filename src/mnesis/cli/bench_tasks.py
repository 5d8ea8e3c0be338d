"""How fast tasks are drawn, beside the training that reads them.

    mnesis bench-tasks
    mnesis bench-tasks needle babi --batch 64
    mnesis bench-tasks my_task.py:MyTask --length 100
    mnesis bench-tasks working-memory --task-options family=integration --length 4

Rates are units for every CPU second of one thread, at the longest length of a comparison's training; what trains is the
comparison's own network around a minGRU, one of the fastest, so that the ratio is about the least there is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from ..compare.design import Size, build
from ..compare.pace import updating
from ..compare.setting import Budget, Setting
from ..core.catalog import card, list_tasks
from ..measure.progress import Bar
from .options import parse_options

MEMORY, LEAST = "min-gru", 0.5
"""What trains, and for how many CPU seconds both are measured at least."""


def run(
    tasks: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    batch: int = 32,
    length: int | None = None,
    task_options: tuple[str, ...] = (),
    quiet: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Measure.

    Args:
        tasks: of the catalog, or your own (path/to/file.py:MyTask); all that comparisons know lengths of if none is
            named.
        batch: rows of an episode.
        length: of episodes, in a task's own unit; the catalog's if not given.
        task_options: constructor arguments of the tasks as key=value; the catalog's if none is given.
        quiet: no progress bar.
        as_json: a list of {task, length, drawn, trained, ratio}.
    """
    chosen = tasks or [entry.name for entry in list_tasks() if entry.lengths is not None]
    torch.set_num_threads(1)
    rows = []
    with Bar(len(chosen), not quiet) as bar:
        for name in chosen:
            bar.describe(name)
            options = parse_options(task_options) or dict(card("tasks", name).example)
            rows.append(_measured(name, batch, length or card("tasks", name).training_lengths[1], options))
            bar.advance(1)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("task", "length", "drawn, units/s", "trained, units/s", "ratio")
    for row in rows:
        drawn, trained = f"{row['drawn']:,.0f}", f"{row['trained']:,.0f}"
        table.add_row(row["task"], str(row["length"]), drawn, trained, f"{row['ratio']:.0f}")
    Console().print(table)


def _measured(name: str, batch: int, length: int, options: dict[str, Any]) -> dict[str, Any]:
    setting = Setting(name, length, (length,), Budget("tokens", 1), options, batch=batch)
    task, generator = setting.create_task(), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    update = updating(build(setting, task, MEMORY, Size(setting.dim, None, {})))
    episode = task.episodes(batch, length, generator)

    def train() -> int:
        update(episode)
        return episode.units

    drawn, trained = _rate(lambda: task.episodes(batch, length, generator).units), _rate(train)
    return {"task": name, "length": length, "drawn": drawn, "trained": trained, "ratio": drawn / trained}


def _rate(once: Callable[[], int]) -> float:
    """Units for each CPU second, after one call that warms up."""
    once()
    began, units = time.process_time(), 0
    while (spent := time.process_time() - began) < LEAST:
        units += once()
    return units / spent
