"""mnesis: the memory layer for neural networks.

>>> memory = mnesis.create_memory("armt", dim=64)
>>> y, state = memory(x)            # x: [batch, time, 64]
>>> y, state = memory(more, state)  # the same as one call on both
"""

from .core.catalog import (
    create_memory,
    create_task,
    list_claims,
    list_memories,
    list_tasks,
)
from .core.memory import Memory, align_left
from .core.record import recording
from .core.state import detach, load_state, nbytes, put, save_state, take, to
from .core.task import Episode, Question, Stream, Task

__version__ = "0.1.0"

__all__ = [
    "Episode",
    "Memory",
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
]
