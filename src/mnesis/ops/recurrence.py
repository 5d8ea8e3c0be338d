"""One recurrence in the forms that it can be computed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

FORMS = ("naive", "chunk", "parallel")
"""Unit after unit; chunk after chunk; all units at once."""


@dataclass(frozen=True)
class Recurrence:
    """``step`` is the equations; the other forms say the same of a whole sequence, faster.

    Every function takes sequences, then what is carried, and returns outputs, then what is carried on.

    Args:
        step: of one unit, ``[B ...]``.
        chunk: of a sequence ``[B T ...]``, with ``chunk=``: linear in T.
        sequences: how many; one that is None is left out.
        outputs: how many of the results belong to units.
        parallel: of a sequence; None = ``chunk`` with a single chunk.
    """

    step: Callable[..., tuple[Tensor, ...]]
    chunk: Callable[..., tuple[Tensor, ...]]
    sequences: int
    outputs: int = 1
    parallel: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, form: str, *parts: Any, chunk: int | None = None) -> tuple[Tensor, ...]:
        """Outputs, then what is carried on.

        Args:
            form: one of ``FORMS``.
            parts: sequences, then what is carried.
            chunk: units in a chunk of that form; None = the operation's own default.
        """
        if form == "naive":
            return self.naive(*parts)
        if form == "parallel":
            time = next(part.shape[1] for part in parts[: self.sequences] if part is not None)
            return self.parallel(*parts) if self.parallel else self.chunk(*parts, chunk=time)
        return self.chunk(*parts, **({} if chunk is None else {"chunk": chunk}))

    def naive(self, *parts: Any) -> tuple[Tensor, ...]:
        """``step``, unit after unit."""
        sequences, carried = parts[: self.sequences], parts[self.sequences :]
        outputs = []
        for unit in zip(*(repeat(None) if part is None else part.unbind(1) for part in sequences), strict=False):
            found = self.step(*unit, *carried)
            outputs.append(found[: self.outputs])
            carried = found[self.outputs :]
        return *(torch.stack(each, 1) for each in zip(*outputs, strict=True)), *carried
