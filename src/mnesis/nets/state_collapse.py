"""Remedies without training for recurrences that fail beyond their training length (Stuffed Mamba)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..core.memory import Memory
from ..memories.in_forms import MemoryInForms
from ..memories.linear.gla import GLA
from ..memories.linear.linear_attention import LinearAttention
from ..memories.linear.mamba2 import Mamba2
from ..memories.linear.retention import Retention
from ..memories.linear.taylor import TaylorAttention
from ..ops.gated_linear_attention import gated_linear_attention, gated_linear_attention_step
from ..ops.recurrence import Recurrence

REMEDIED = (LinearAttention, Retention, GLA, Mamba2, TaylorAttention)
"""Memories around S_t = a_t S_{t-1} + k_t v_t^T."""
Parts = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]
"""Queries, keys, values, logarithms of decays, and S."""


class Remedy(ABC):
    """Another way to run S_t = a_t S_{t-1} + k_t v_t^T; what it keeps beside S is carried along."""

    def beside(self, memory: Memory[Any], matrix: Float[Tensor, "B H K V"]) -> tuple[Tensor, ...]:
        """What is kept beside a fresh S."""
        return ()

    @abstractmethod
    def run(
        self, form: str, chunk: int | None, parts: Parts, beside: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"], tuple[Tensor, ...]]:
        """Outputs, S and what is kept beside it, after T units."""

    def moved(self, beside: tuple[Tensor, ...], move: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """What is kept beside S, once ``move`` has changed the keys in S ``[... K]``."""
        return beside


@dataclass(frozen=True)
class Scaled(Remedy):
    """Forget more and insert less: S_t = forget a_t S_{t-1} + insert k_t v_t^T.

    Args:
        forget: factor on what is kept from one unit to the next, in (0, 1].
        insert: factor on what is written, above 0.

    Raises:
        ValueError: a factor out of its range.
    """

    forget: float = 1.0
    insert: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.forget <= 1 or not self.insert > 0:
            raise ValueError(
                f"forget={self.forget}, insert={self.insert}: give 0 < forget <= 1 (else states grow) and insert > 0"
            )

    def run(self, form, chunk, parts, beside):
        query, key, value, log_decay, matrix = parts
        log_decay = torch.zeros_like(key[..., 0], dtype=matrix.dtype) if log_decay is None else log_decay
        log_decay = log_decay + math.log(self.forget)
        y, matrix = gated_linear_attention.compute(
            form, query, key, self.insert * value, log_decay, matrix, chunk=chunk
        )
        return y, matrix, beside


@dataclass(frozen=True)
class Clipped(Remedy):
    """Keep the state small: S_t = p S_t / ||S_t|| wherever a head's Frobenius norm exceeds p.

    That is no linear recurrence any more, so that sequences are read unit by unit, in every form.

    Args:
        norm: p.

    Raises:
        ValueError: p is not positive.
    """

    norm: float

    def __post_init__(self) -> None:
        if not self.norm > 0:
            raise ValueError(f"norm={self.norm}: states of that norm hold nothing; give one above 0")

    def run(self, form, chunk, parts, beside):
        recurrence = replace(gated_linear_attention, step=partial(_clipped_step, self.norm), kernel=None)
        y, matrix = recurrence.compute("naive", *parts)
        return y, matrix, beside


def _clipped_step(norm: float, query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor | None, matrix: Tensor):
    _, matrix = gated_linear_attention_step(query, key, value, log_decay, matrix)
    size = torch.linalg.matrix_norm(matrix, keepdim=True)
    matrix = torch.where(size > norm, norm / size, 1.0) * matrix
    return (query.to(matrix.dtype)[..., None, :] @ matrix).squeeze(-2), matrix


@dataclass(frozen=True)
class Windowed(Remedy):
    """Hold exactly the last units: W_t = S_t - (a_{t-w+1} ... a_t) S_{t-w}, the difference of two states.

    Both states run on, the later one over units of w before, whose keys, values and decays are kept: heads K V
    numbers a row more, and w heads (K + V + 1) for those (2 K + V in GLA). A state that hardly decays grows while its
    window does not, and the difference loses digits: with S in float32 about one for every tenfold length.

    Args:
        window: w, units.

    Raises:
        ValueError: a window without units.
    """

    window: int

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window={self.window}: a window holds at least one unit; give 1 or more")

    def beside(self, memory, matrix):
        rows, heads, key, value = matrix.shape
        widths = (key, value, key if isinstance(memory, GLA) else 1)
        return torch.zeros_like(matrix), *(matrix.new_zeros(rows, self.window, heads, width) for width in widths)

    def run(self, form, chunk, parts, beside):
        query, key, value, log_decay, matrix = parts
        delayed, *past = beside
        time, dtype = key.shape[1], matrix.dtype
        log_decay = torch.zeros_like(key[..., 0], dtype=dtype) if log_decay is None else log_decay.to(dtype)
        per_head = log_decay.ndim < key.ndim
        rates = log_decay[..., None] if per_head else log_decay
        keys, values, decays = (
            torch.cat([old, new.to(dtype)], 1) for old, new in zip(past, (key, value, rates), strict=True)
        )
        total = decays.cumsum(1)
        kept = (total[:, self.window :] - total[:, :time]).exp()
        earlier = (keys[:, :time], values[:, :time], decays[:, :time, :, 0] if per_head else decays[:, :time])
        y, matrix = gated_linear_attention.compute(form, query, key, value, log_decay, matrix, chunk=chunk)
        left, delayed = gated_linear_attention.compute(form, kept * query.to(dtype), *earlier, delayed, chunk=chunk)
        return y - left, matrix, (delayed, *(part[:, time:].clone() for part in (keys, values, decays)))

    def moved(self, beside, move):
        delayed, keys, values, decays = beside
        return move(delayed.mT).mT.contiguous(), move(keys), values, decays


class RemediedState(NamedTuple):
    """What a remedied memory carries."""

    own: Any
    """Its state as before."""
    beside: tuple[Tensor, ...]
    """What the remedy keeps."""


class Remedied(Memory[RemediedState]):
    """A memory whose recurrence is run by a remedy. Its parameters are those of the memory.

    Args:
        memory: one of linear attention, retention, GLA, Mamba-2 and Taylor attention.
        remedy: how to run it.

    Raises:
        ValueError: another memory.
    """

    def __init__(self, memory: Memory[Any], remedy: Remedy) -> None:
        super().__init__()
        if not isinstance(memory, REMEDIED):
            raise ValueError(f"there is no remedy for {type(memory).__name__}, only for {_names()}")
        assert isinstance(memory, MemoryInForms)
        self.memory, self.remedy, self.dim = memory, remedy, memory.dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> RemediedState:
        own = self.memory.initial_state(batch, device=device, dtype=dtype)
        return RemediedState(own, self.remedy.beside(self.memory, own.matrix))

    def scan(self, x: Any, state: RemediedState, phase: int = 0) -> tuple[Any, RemediedState]:
        return self._read(x, state, x.shape[1], {"phase": phase})

    def step(self, x: Any, state: RemediedState) -> tuple[Any, RemediedState]:
        return self._read(x, state, 1, {"step": True})

    def _read(self, x: Any, state: RemediedState, units: int, how: dict[str, Any]) -> tuple[Any, RemediedState]:
        kept = []

        def run(recurrence: Recurrence, form: str, *parts: Any) -> tuple[Tensor, Tensor]:
            y, matrix, beside = self.remedy.run(form, self.memory.chunk, parts, state.beside)
            kept.append(beside)
            return y, matrix

        self.memory.run_instead = run
        try:
            y, own = self.memory(x, state.own, **how)
        finally:
            self.memory.run_instead = None
        (beside,) = kept
        memory = self.memory
        if isinstance(memory, Retention):  # whose phases count from the last unit read
            read = torch.tensor(units, device=x.device, dtype=torch.float64)
            beside = self.remedy.moved(beside, lambda keys: memory.recounted(keys, read))
        return y, RemediedState(own, beside)


def remedy_states(network: nn.Module, remedy: Remedy) -> list[str]:
    """Let a remedy run the recurrences inside a trained network (Chen et al. 2024, arXiv 2410.07145, first version).

    Trained on sequences too short for their states, recurrences do not learn to forget; read on, they fill up and fail.
    These remedies need no training; what the paper recommends is to train on longer ones, or from carried states
    (``Stage(start="carried")``). The network is changed in place and reads on with the same weights; save it before.

    Args:
        network: with linear attention, retention, GLA, Mamba-2 or Taylor attention inside.
        remedy: :class:`Scaled`, :class:`Clipped` or :class:`Windowed`.

    Returns:
        Where in the network memories were remedied.

    Raises:
        ValueError: nothing inside can be.
    """
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, REMEDIED)]
    if not found or not found[0][0]:
        raise ValueError(f"nothing inside {type(network).__name__} can be remedied; that is {_names()}")
    for name, module in found:
        network.set_submodule(name, Remedied(module, remedy).train(module.training))
    return [name for name, _ in found]


def _names() -> str:
    return ", ".join(kind.__name__ for kind in REMEDIED)
