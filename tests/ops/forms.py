"""What the tests of scan forms share: gaps, and the bytes that a backward pass moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def normal(*shape: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Drawn in float64, so that every dtype gets the same numbers."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def gap(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).detach().abs().max())


class Bytes(TorchDispatchMode):
    """Counts the bytes of everything that operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.total += sum(leaf.nbytes for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result


def backward_bytes(form: Callable[..., Any], parts: Sequence[Tensor]) -> int:
    loss = sum(part.sum() for part in form(*(part.requires_grad_() for part in parts)))
    assert isinstance(loss, Tensor)
    with Bytes() as counted:
        loss.backward()
    return counted.total
