"""One long sequence read by several processes at once, each with its own piece."""

from __future__ import annotations

from typing import Any, TypeVar

import torch.distributed as dist

from ..core.memory import Memory
from ..ops.sequence_split import split_over

S = TypeVar("S")


def read_over_processes(
    memory: Memory[S], x: Any, state: S | None = None, *, group: dist.ProcessGroup | None = None
) -> tuple[Any, S]:
    """Read a sequence of which every process of a group holds a piece: the same as one call on all of it.

    Linear recurrences alone can do so, in stacks and language models too: each process sums up its piece, as (decay,
    update), and what it starts from follows from the summaries of those before it. A piece is read twice, and one state
    for each process is exchanged, whatever the length.

    All processes must make the same calls, and end in a backward pass where any of them does. Each then holds the
    gradient of its own outputs and of its part in others': the gradient of the whole is the sum over processes.

    Args:
        memory: with the same weights everywhere.
        x: this process's piece ``[B T ...]``; pieces stand in the order of the processes and may differ in length.
        state: before the whole sequence; that of the first process counts. None = fresh.
        group: of processes; None = all.

    Returns:
        Outputs of this piece, and the state after the last one, the same for all.

    Raises:
        ValueError: a memory whose pieces cannot be read at once, no processes, or a piece shorter than what a
            convolution looks back.
    """
    inside = [module for module in memory.modules() if isinstance(module, Memory) and not module.splits]
    if inside:
        raise ValueError(
            f"{type(inside[0]).__name__} cannot be read by several processes at once, as its recurrence has no summary "
            "of a piece; read the pieces one after the other"
        )
    if group is None:
        if not dist.is_initialized():
            raise ValueError("there are no processes to split over; call torch.distributed.init_process_group first")
        group = dist.group.WORLD
    assert group is not None
    with split_over(group):
        return memory(x, state)
