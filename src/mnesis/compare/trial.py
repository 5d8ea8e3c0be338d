"""Two updates of every memory on every task, before anything is trained: what cannot be built is refused at once."""

from __future__ import annotations

import torch

from ..core.catalog import card
from ..core.reason import reason_for
from .design import Unfit, build, matched
from .pace import updating
from .place import Place

ROWS = 2
"""Of an update that tries."""


def fault_in(place: Place) -> str | None:
    """What keeps a memory from being compared, in a sentence; None where nothing does.

    It is built as its cell would have it, and takes an update of two rows at the shortest and at the longest training
    length. A memory whose size cannot be matched is none of it: its cell says so.
    """
    setting, memory, options, _ = place
    task = setting.create_task()
    try:
        size = matched(setting, task, memory, options)
    except Unfit:
        return None
    except ValueError as error:
        told = str(error)
        return told if memory in told else f"{memory} cannot be built: {told}"
    except Exception as error:
        return f"{memory} cannot be built: {reason_for(error)}; mend it there, or leave it out of --memories"
    torch.manual_seed(0)
    try:
        network = build(setting, task, memory, size)
        update, generator = updating(network), torch.Generator().manual_seed(0)
        for length in setting.lengths:
            episode = task.episodes(ROWS, length, generator)
            if card("memories", memory).search:
                network(episode.inputs, reset=episode.reset, length=episode.length)
            else:
                update(episode)
    except Exception as error:
        where = f"{memory} cannot be trained on {setting.task}: {reason_for(error)}"
        return f"{where}; mend it there, or leave it out of --memories"
    return None
