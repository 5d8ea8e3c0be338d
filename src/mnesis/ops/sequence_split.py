"""A sequence over several processes: each holds a piece, and learns from those before it only what it starts from.

Every process sums up its piece (``Recurrence.summary``), all exchange the summaries, which are as large as a state, and
each follows those before it. Gradients take the same way back. Process 0 holds the first piece and gives what is
carried into the sequence; all end with what is carried out of the last piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

from .recurrence import Recurrence, Summary

_groups: list[dist.ProcessGroup] = []


@contextmanager
def split_over(group: dist.ProcessGroup) -> Iterator[None]:
    """Within, sequences are pieces of one sequence, in the order of the group's processes."""
    _groups.append(group)
    try:
        yield
    finally:
        _groups.pop()


def is_split() -> bool:
    """Whether sequences are pieces of one sequence now."""
    return bool(_groups)


def from_processes(x: Tensor) -> Shaped[Tensor, "P ..."]:
    """This tensor of every process, with gradients for all of them."""
    real = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
    gathered = cast(Tensor, _Gather.apply(real, _groups[-1]))
    return torch.view_as_complex(gathered) if x.is_complex() else gathered


def own(x: Shaped[Tensor, "P ..."]) -> Tensor:
    """This process's part of a tensor that all of them have."""
    return x[_groups[-1].rank()]


def compute_split(recurrence: Recurrence, form: str, *parts: Any, chunk: int | None = None) -> tuple[Tensor, ...]:
    """The outputs of this piece, then what is carried on from the last one."""
    sequences, carried = parts[: recurrence.sequences], parts[recurrence.sequences :]
    summary = recurrence.summary(form, *parts, chunk=chunk)
    decays, *updates = (from_processes(part) for part in (summary.decay, *summary.update))
    carried = tuple(from_processes(part)[0] for part in carried)
    starts = []
    for decay, *update in zip(decays.unbind(0), *(part.unbind(0) for part in updates), strict=True):
        starts.append(carried)
        carried = recurrence.follow(Summary(decay, tuple(update)), *carried)
    # Out of all of them, so that every process has a share in every exchange on the way back.
    start = (own(torch.stack(each)) for each in zip(*starts, strict=True))
    return *recurrence.compute(form, *sequences, *start, chunk=chunk)[: recurrence.outputs], *carried


def count_on(start: Shaped[Tensor, "B ..."], units: int) -> tuple[Shaped[Tensor, "B ..."], Shaped[Tensor, "B ..."]]:
    """A count of units read: here, and on from the last piece; as it is carried where no sequence is split."""
    if not _groups:
        return start, start + units
    start = from_processes(start)[0]
    counts = from_processes(torch.full_like(start, units)).cumsum(0)
    return start + own(counts) - units, start + counts[-1]


class _Gather(torch.autograd.Function):
    """This tensor of every process, in their order."""

    @staticmethod
    def forward(x: Tensor, group: dist.ProcessGroup) -> Tensor:
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(group.size())]
        dist.all_gather(parts, x, group)
        return torch.stack(parts)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.group = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return cast(Tensor, _Sum.apply(gradients[0], ctx.group)), None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        return cast(Tensor, _Gather.apply(turns[0], ctx.group))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *parts: Any) -> tuple[Tensor, int]:
        x, group = parts
        return cast(Tensor, _Gather.apply(x.movedim(in_dims[0], 0), group)), 1


class _Sum(torch.autograd.Function):
    """Of what all processes hold for this one, the sum: the way back of _Gather, as that is of this."""

    @staticmethod
    def forward(x: Tensor, group: dist.ProcessGroup) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total[group.rank()]

    setup_context = _Gather.setup_context

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return cast(Tensor, _Gather.apply(gradients[0], ctx.group)), None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        return cast(Tensor, _Sum.apply(turns[0], ctx.group))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *parts: Any) -> tuple[Tensor, int]:
        x, group = parts
        return cast(Tensor, _Sum.apply(x.movedim(in_dims[0], 1), group)), 0
