"""Building what a file describes, without asking for more memory than its weights take."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_lifted: ContextVar[bool] = ContextVar("lifted", default=False)
CONSTANT = 1 << 24
"""Numbers that one constant may have, of a filter or a mask, whatever the weights are."""


@contextlib.contextmanager
def bounded(numbers: int, tensors: int) -> Iterator[None]:
    """Refuse to allocate for a network whose weights have been looked at.

    Args:
        numbers: of the largest of its weights.
        tensors: how many they are.

    Raises:
        ValueError: something far larger, or far more parameters, are asked for in this block.
    """
    here, count, most = threading.get_ident(), 0, 4 * tensors + 64

    def counted(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += threading.get_ident() == here and not _lifted.get()
        if count > most:
            raise ValueError(f"more than {most:,} parameters are asked for, and the weights are {tensors:,} tensors")

    hook = register_module_parameter_registration_hook(counted)
    try:
        with _Bounded(max(CONSTANT, 4 * numbers)):
            yield
    finally:
        hook.remove()


@contextlib.contextmanager
def unbounded() -> Iterator[None]:
    """For weights in other files, which are not of the network that has been looked at: a pretrained host."""
    token = _lifted.set(True)
    try:
        yield
    finally:
        _lifted.reset(token)


class _Bounded(TorchDispatchMode):
    """Looks at the size of every result before it is allocated: on the meta device, where nothing is."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not _lifted.get() and all(
            result.alias_info is None for result in func._schema.returns
        ):  # neither a view nor in place
            numbers = _numbers(func, args, kwargs)
            if numbers > self.most:
                raise ValueError(f"{numbers:,} numbers at once are asked for, where the weights allow {self.most:,}")
        return func(*args, **kwargs)


def _numbers(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Numbers in the results of an operation; 0 where that cannot be told without running it."""
    bare = tree_map(lambda part: part.to("meta") if isinstance(part, Tensor) else part, (args, kwargs))
    options = {key: value for key, value in bare[1].items() if key not in ("device", "generator", "pin_memory")}
    takes_device = any(argument.name == "device" for argument in func._schema.arguments)  # pyright: ignore[reportFunctionMemberAccess]
    try:
        results = func(*bare[0], **options, **({"device": torch.device("meta")} if takes_device else {}))
    except Exception:
        return 0
    return sum(part.numel() for part in tree_leaves(results) if isinstance(part, Tensor))
