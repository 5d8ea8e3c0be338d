"""A state file with any structure, and a memory whose state is a class of its own."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from mnesis.core.memory import Memory


class Own(NamedTuple):
    sum: Tensor


class Total(Memory[Own]):
    """Sums what it reads."""

    state: type = Own

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return self.state(torch.zeros(batch, 4, device=device, dtype=dtype))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state[0][:, None] + x.cumsum(1)
        return y, self.state(y[:, -1].clone())


def written(path, tree: Any, tensors: dict[str, Tensor] | None = None, **metadata: str):
    """A file with any structure."""
    structured = {} if tree is None else {"structure": tree if isinstance(tree, str) else json.dumps(tree)}
    save_file(
        {"0000": torch.ones(2, 4)} if tensors is None else tensors,
        path,
        {"mnesis_state": "1", **structured, **metadata},
    )
    return path
