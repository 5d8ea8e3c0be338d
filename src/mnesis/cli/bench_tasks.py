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

from ..core.catalog import card, list_tasks
from ..core.machine import prepare
from .arguments import Named
from .options import Size, options_of
from .output import print_table

MEMORY, LEAST = "min-gru", 0.5
"""What trains, and for how many CPU seconds both are measured at least."""


def run(
    tasks: Annotated[tuple[str, ...], Named("TASK")] = (),
    /,
    batch: Size = 32,
    length: Size | None = None,
    task_options: tuple[str, ...] = (),
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Measure.

    Args:
        tasks: tasks of the catalog, or your own (path/to/file.py:MyTask); all that comparisons know lengths of if none
            is named.
        batch: rows of an episode.
        length: of episodes, in a task's own unit; the catalog's if not given.
        task_options: constructor arguments of the tasks as key=value; the catalog's if none is given.
        quiet: show no progress bar.
        as_json: print a list of {task, length, drawn, trained, ratio}.
    """
    chosen = tasks or [entry.name for entry in list_tasks() if entry.lengths is not None]
    given = {
        name: (
            length or card("tasks", name).training_lengths[1],
            options_of("tasks", name, task_options) or dict(card("tasks", name).example),
        )
        for name in chosen
    }

    from ..measure.progress import Bar

    prepare(1)
    rows = []
    with Bar(len(given), not quiet) as bar:
        for name, (units, options) in given.items():
            bar.describe(name)
            rows.append(_measured(name, batch, units, options))
            bar.advance(1)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    header = ("task", "length", "drawn, units/s", "trained, units/s", "ratio")
    cells = [
        (row["task"], str(row["length"]), f"{row['drawn']:,.0f}", f"{row['trained']:,.0f}", f"{row['ratio']:.0f}")
        for row in rows
    ]
    print_table(header, cells, right=header[1:])


def _measured(name: str, batch: int, length: int, options: dict[str, Any]) -> dict[str, Any]:
    import torch

    from ..compare import design
    from ..compare.pace import updating
    from ..compare.setting import Budget, Setting

    setting = Setting(name, length, (length,), Budget("tokens", 1), options, batch=batch)
    task, generator = setting.create_task(), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    update = updating(design.build(setting, task, MEMORY, design.Size(setting.dim, None, {})))
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
