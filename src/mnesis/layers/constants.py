"""Tensors that a module needs and never learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from ..ops.transforms import readable

T = TypeVar("T", bound=tuple[Any, ...])


class Constants(Generic[T]):
    """A NamedTuple of tensors that follow from sizes alone, on whatever device and in whatever dtype they are wanted.

    They are no buffers: no state dict holds them, conversions of the module do not round them, and a module that is
    built on the meta device and filled later has them whole, since they are made on the CPU in any case. A copy is kept
    for every device and dtype that asked.

    Args:
        make: makes them.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        with torch.device("cpu"), torch.inference_mode(False):
            self.made = make()
        self.copies: dict[tuple[torch.device, torch.dtype | None], T] = {}

    def on(self, device: torch.device, dtype: torch.dtype | None = None) -> T:
        """Them there, in that dtype or in their own."""
        if torch.compiler.is_compiling():
            return self._copy(device, dtype)
        if (device, dtype) not in self.copies:
            with torch.inference_mode(False):
                copy = self._copy(device, dtype)
            if not all(map(readable, copy)):
                return copy  # what is made inside a transform ends with it
            self.copies[device, dtype] = copy
        return self.copies[device, dtype]

    def _copy(self, device: torch.device, dtype: torch.dtype | None) -> T:
        return cast(Any, type(self.made))(*(part.to(device, dtype) for part in self.made))

    def __getstate__(self) -> dict[str, Any]:
        return {"made": self.made, "copies": {}}


class Table:
    """One tensor that follows from sizes alone, made in the dtype and on the device in which it is wanted, and kept.

    Args:
        make: makes it there; a partial of a function of a module, so that it can be pickled.
    """

    def __init__(self, make: Callable[[torch.device, torch.dtype], Tensor]) -> None:
        self.make = make
        self.made: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def on(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """It there, in that dtype."""
        if torch.compiler.is_compiling():
            return self.make(device, dtype)
        if (device, dtype) not in self.made:
            with torch.inference_mode(False):
                table = self.make(device, dtype)
            if not readable(table):
                return table
            self.made[device, dtype] = table
        return self.made[device, dtype]

    def __getstate__(self) -> dict[str, Any]:
        return {"make": self.make, "made": {}}
