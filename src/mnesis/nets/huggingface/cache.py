"""The state of a memory as a cache of transformers."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import Cache

from ...core.state import batch_size, nbytes, take


class MnesisCache(Cache):
    """Where a reader stands: its state, of the same size however much it has read, and how many tokens that was.

    The model puts its new state here with every call. States themselves never change: to fork a reader, make a second
    cache of the same ``state``, ``seen`` and ``last``.

    Args:
        state: of the memory; None = nothing is read yet.
        seen: tokens that every row has read, padding among them.
        last: the last of them, a row each; None = nobody knows.
    """

    def __init__(self, state: Any = None, seen: int = 0, last: Int[Tensor, " B"] | None = None) -> None:
        super().__init__(layers=[])
        self.state, self.seen, self.last = state, seen, last

    def __repr__(self) -> str:
        rows = f"{self.batch_size} rows, {nbytes(self.state):,} bytes" if self.state is not None else "nothing read"
        return f"{type(self).__name__}(seen={self.seen:,}, {rows})"

    def __len__(self) -> int:
        return 1

    def read(self, state: Any, tokens: int, last: Int[Tensor, " B"] | None) -> None:
        """Stand behind so many more tokens."""
        self.state, self.seen, self.last = state, self.seen + tokens, last

    @property
    def batch_size(self) -> int:
        """Rows; -1 where nothing is read yet, as transformers has it."""
        rows = None if self.state is None else batch_size(self.state)
        return -1 if rows is None else rows

    def batch_select_indices(self, indices: Int[Tensor, " n"]) -> None:
        """Go on with some of the rows, in the order given; a row may be asked for twice."""
        if self.state is not None:
            self.state = take(self.state, indices)
        if self.last is not None:
            self.last = self.last.index_select(0, indices.to(self.last.device))

    def reorder_cache(self, beam_idx: Int[Tensor, " n"]) -> None:
        """The same, under the name that beam search has for it."""
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row so many times, side by side: for beams from one state."""
        if self.batch_size > 0:
            self.batch_select_indices(torch.arange(self.batch_size).repeat_interleave(repeats))

    def crop(self, tokens_to_remove: int) -> None:
        """Refuse to forget what was read last.

        Raises:
            ValueError: anything is to be removed.
        """
        if tokens_to_remove != 0:
            raise ValueError(
                f"a state cannot be taken back by {abs(tokens_to_remove)} tokens: what was read is no longer there one "
                "by one; keep the cache of the earlier place, MnesisCache(cache.state, cache.seen, cache.last)"
            )

    def reset(self) -> None:
        """Stand where nothing is read yet."""
        self.state, self.seen, self.last = None, 0, None

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens that were read."""
        return self.seen

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """-1: there is no end."""
        return -1

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Length and offset of a mask over all that was read."""
        return self.seen + query_length, 0

    @property
    def is_initialized(self) -> bool:
        """Whether anything was read."""
        return self.state is not None

    @property
    def is_croppable(self) -> bool:
        """Never."""
        return False

    @property
    def is_compileable(self) -> bool:
        """Not by transformers, which asks for keys and values of a fixed length."""
        return False

    @property
    def is_linear(self) -> list[bool]:
        """Not what transformers takes for it: a caller may hand in the whole text, and what is read is left out."""
        return [False]
