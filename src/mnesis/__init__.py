"""mnesis: the memory layer for neural networks.

>>> memory = mnesis.create_memory("armt", dim=64)
>>> y, state = memory(x)            # x: [batch, time, 64]
>>> y, state = memory(more, state)  # the same as one call on both
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.catalog import (
    create_memory,
    create_task,
    list_claims,
    list_memories,
    list_tasks,
)
from .core.moved import find_moved
from .core.state_classes import tell_torch

if TYPE_CHECKING:
    from .core.history import History
    from .core.machine import tune
    from .core.memory import Memory, align_left
    from .core.prefix_store import PrefixStore
    from .core.record import recording
    from .core.state import detach, load_state, nbytes, put, save_state, take, to
    from .core.task import Episode, Question, Stream, Task

find_moved()
tell_torch()

__version__ = "0.1.0"

__all__ = [
    "Episode",
    "History",
    "Memory",
    "PrefixStore",
    "Question",
    "Stream",
    "Task",
    "align_left",
    "create_memory",
    "create_task",
    "detach",
    "list_claims",
    "list_memories",
    "list_tasks",
    "load_state",
    "nbytes",
    "put",
    "recording",
    "save_state",
    "take",
    "to",
    "tune",
]

_AT_FIRST_USE = {
    "history": ("History",),
    "memory": ("Memory", "align_left"),
    "prefix_store": ("PrefixStore",),
    "record": ("recording",),
    "machine": ("tune",),
    "state": ("detach", "load_state", "nbytes", "put", "save_state", "take", "to"),
    "task": ("Episode", "Question", "Stream", "Task"),
}
"""Names by the module of core that defines them: most of these import torch, which takes seconds, and the catalog and
the command line can say much without it."""


if not TYPE_CHECKING:  # or every name would seem to be there

    def __getattr__(name: str) -> Any:
        for module, names in _AT_FIRST_USE.items():
            if name in names:
                value = getattr(import_module(f"mnesis.core.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module 'mnesis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
