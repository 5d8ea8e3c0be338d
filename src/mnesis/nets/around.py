"""What a network around one memory shares with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.memory import Memory


class Around(Memory[Any]):
    """A memory whose state is that of the memory inside."""

    splits = True
    starts_inside = True

    @property
    @abstractmethod
    def inner(self) -> Memory[Any]:
        """The memory inside."""

    @property
    def bounded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the state keeps its size: as that of the memory inside."""
        return self.inner.bounded

    @property
    def native_length(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether ``scan`` takes rows of different lengths: as that of the memory inside."""
        return self.inner.native_length

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return self.inner.initial_state(batch, device=device, dtype=dtype)

    def phase_of(self, state: Any) -> Int[Tensor, " B"] | None:
        return self.inner.phase_of(state)


class Headed(Around):
    """A reader, whose state it is, and a head that makes of every hidden vector what is asked for."""

    reader: Reader
    head: nn.Module

    def parts(self) -> tuple[Memory[Any], Callable[[Any], Any]]:
        return self.reader, self.head

    def read_out(self, y: Float[Tensor, "... D"]) -> Float[Tensor, "... O"]:
        """What is asked for, of hidden vectors."""
        return self.head(y)

    @property
    def inner(self) -> Memory[Any]:
        return self.reader

    def scan(self, x: Tensor, state: Any, phase: int = 0, **ragged: Any) -> tuple[Float[Tensor, "B T O"], Any]:
        y, state = self.reader(x, state, phase=phase, **ragged)
        return self.read_out(y), state

    def step(self, x: Tensor, state: Any) -> tuple[Float[Tensor, "B O"], Any]:
        y, state = self.reader(x, state, step=True)
        return self.read_out(y), state


class Reader(Around):
    """An embedding, of token ids or vectors, and the body behind it: hidden vectors out.

    Args:
        embedding: of every unit.
        body: what reads the embedded units.
        scale: embeddings are multiplied by it.
    """

    def __init__(self, embedding: nn.Embedding | nn.Linear, body: Memory, scale: float = 1.0) -> None:
        super().__init__()
        self.body, self.period, self.embedding, self.scale = body, body.period, embedding, scale
        if isinstance(embedding, nn.Embedding):
            self.vocabulary = embedding.num_embeddings
        else:
            self.dim = embedding.in_features

    @property
    def inner(self) -> Memory[Any]:
        return self.body

    def scan(self, x: Tensor, state: Any, phase: int = 0, **ragged: Any) -> tuple[Float[Tensor, "B T D"], Any]:
        return self.body(self.scaled(self.embedding(x)), state, phase=phase, **ragged)

    def step(self, x: Tensor, state: Any) -> tuple[Float[Tensor, "B D"], Any]:
        return self.body(self.scaled(self.embedding(x)), state, step=True)

    def scaled(self, embedded: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """What the body reads of embedded units."""
        return embedded if self.scale == 1 else embedded * self.scale
