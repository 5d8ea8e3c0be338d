"""Two updates of every memory on every task, before anything is trained: what cannot be built is refused at once."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..core.catalog import card
from ..core.reason import reason_for
from .design import Unfit, build, matched
from .pace import pace, reading, updating
from .place import Place

ROWS = 3
"""Of an update that tries: two would pass for a pair where a scan returns its outputs alone."""


class Tried(NamedTuple):
    """What came of it."""

    fault: str | None
    """What keeps the memory from being compared, in a sentence; None where nothing does."""
    speed: float | None = None
    """Units trained a second of CPU time, from one update of all rows; None where the size cannot be matched."""


def tried(place: Place) -> Tried:
    """Try a memory on a task.

    It is built as its cell would have it, and takes an update of three rows at the shortest and at the longest training
    length. A memory whose size cannot be matched is none of it: its cell says so.
    """
    setting, memory, options, *_ = place
    task = setting.create_task()
    try:
        size = matched(setting, task, memory, options)
    except Unfit:
        return Tried(None)
    except ValueError as error:
        told = str(error)
        return Tried(told if memory in told else f"{memory} cannot be built: {told}")
    except Exception as error:
        return Tried(f"{memory} cannot be built: {reason_for(error)}; mend it there, or leave it out of --memories")
    torch.manual_seed(0)
    try:
        network = build(setting, task, memory, size)
        do = reading(network) if card("memories", memory).search else updating(network)
        generator = torch.Generator().manual_seed(0)
        for length in setting.lengths:
            do(task.episodes(ROWS, length, generator))
        ((units, seconds),) = pace(task, do, setting.batch, setting.lengths)
    except Exception as error:
        where = f"{memory} cannot be trained on {setting.task}: {reason_for(error)}"
        return Tried(f"{where}; mend it there, or leave it out of --memories")
    return Tried(None, units / seconds)
