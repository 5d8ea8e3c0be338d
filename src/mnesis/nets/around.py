"""What a network around one memory shares with it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ..core.memory import Memory


class Around(Memory[Any]):
    """A memory whose state is that of the memory inside."""

    splits = True

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
