"""A stack of memories as a host of segment memories: its blocks are the layers, and their states the caches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.memory import Memory
from ..core.record import losses_alone
from ..core.state import choose


class BlockLayer(nn.Module):
    """A recurrent block as a layer of a host (:class:`mnesis.core.host.HostLayer`): its cache is the block's state.

    Args:
        block: a memory of some width without a grid, whose state keeps its size.
    """

    attention = None
    """A recurrence has none (:class:`mnesis.core.host.AttendingLayer`)."""

    def __init__(self, block: Memory) -> None:
        super().__init__()
        self.block = block

    def initial_cache(self, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        """The block's own start, which has room for any capacity."""
        return self.block.initial_state(batch, device=device, dtype=dtype)

    def forward(
        self,
        h: Float[Tensor, "B T D"],
        cache: Any = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
        attend: Any = None,
    ) -> tuple[Float[Tensor, "B T D"], Any]:
        """Run T more units of a segment; rows at position 0 start as the block does, whatever stands in the cache.

        What the block lets others watch of its units stays inside, its losses do not.

        Raises:
            ValueError: units that shall see later ones, or a way to attend.
        """
        self._check_forward_alone(both_ways, attend)
        with nullcontext() if torch.compiler.is_compiling() else losses_alone():
            return self._read(h, cache, position, length)

    def _read(
        self, h: Tensor, cache: Any, position: int | Int[Tensor, " B"], length: Int[Tensor, " B"] | None
    ) -> tuple[Tensor, Any]:
        if cache is None:
            return self.block(h, None, phase=0)[0], None
        state = self._before(h, cache, position)
        if h.shape[1] == 1 and length is None:
            y, state = self.block(h.squeeze(1), state, step=True)
            return y.unsqueeze(1), state
        if length is None or self.block.native_length:
            return self.block(h, state, phase=0, length=length)
        return self.block(h, state, length=length)

    def _before(self, h: Tensor, cache: Any, position: int | Int[Tensor, " B"]) -> Any:
        """The block's state before these units; None = all rows start fresh."""
        if isinstance(position, int):
            return cache if position else None
        fresh = self.block.initial_state(h.shape[0], device=h.device, dtype=self.block.compute_dtype(h))
        return choose(position == 0, fresh, cache)

    def _check_forward_alone(self, both_ways: tuple[int, int], attend: Any) -> None:
        if tuple(both_ways) != (0, 0):
            raise ValueError(
                f"both_ways={tuple(both_ways)}: a recurrence reads forward alone, so its units cannot see later ones; "
                'give RMT memory_mask="causal"'
            )
        if attend is not None:
            raise ValueError(
                "attend= says how units read keys, and a recurrence has none; give a host whose layers attend "
                "(mnesis.core.host.AttendingHost)"
            )


class StackHost(nn.Module):
    """Blocks one above the other as a host of memories; :meth:`mnesis.nets.Stack.as_host` makes it of a stack.

    The weights are the blocks' own, not copies. A segment starts every block anew, so what passes from segment to
    segment is what the memory around them carries.

    Args:
        dim: width.
        blocks: the layers.
        final_norm: what stands behind the last one.

    Raises:
        ValueError: a block with a grid of its own, or whose state grows.
    """

    vocabulary: int | None = None
    """It reads vectors."""
    longest: int | None = None
    """Segments may have any length."""

    def __init__(self, dim: int, blocks: Sequence[Memory], final_norm: nn.Module) -> None:
        super().__init__()
        for index, block in enumerate(blocks):
            _check_block(index, block)
        self.dim = dim
        self.layers = nn.ModuleList(BlockLayer(block) for block in blocks)
        self.final_norm = final_norm

    def embed(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return x

    def place(self, h: Float[Tensor, "B T D"], position: int | Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        """Recurrences count no positions."""
        return h

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.final_norm(h)

    def head(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return h


def _check_block(index: int, block: Memory) -> None:
    name = type(getattr(block, "memory", block)).__name__
    mend = "give a stack of blocks such as gru, mlstm or gated-delta-rule"
    if block.period is not None:
        raise ValueError(
            f"block {index} of the stack, {name}, has a grid of {block.period} units, and a layer of a host stops "
            f"anywhere in a segment; {mend}"
        )
    if not block.bounded:
        raise ValueError(
            f"block {index} of the stack, {name}, has a state that grows, and the cache of a host's layer keeps its "
            f"size; {mend}"
        )
