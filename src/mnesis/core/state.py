"""Functions over states.

A state is a tree of NamedTuples and tuples whose leaves are tensors; the first axis of every leaf is the batch row.
All functions return new trees: no state is ever changed in place.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .files import atomic_path

S = TypeVar("S")
FORMAT_VERSION = 1


def leaves(state: Any) -> list[Tensor]:
    """All tensors of a state, in a fixed order."""
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, tuple):
        return [leaf for child in state for leaf in leaves(child)]
    raise TypeError(
        f"a state holds tensors, NamedTuples and tuples, not {type(state).__name__}; build it with initial_state()"
    )


def tree_map(function: Callable[..., Tensor], state: S, *others: S) -> S:
    """Apply a function to corresponding leaves of states of one structure."""
    if isinstance(state, Tensor):
        return cast(S, function(state, *others))
    if isinstance(state, tuple):
        parts = [tree_map(function, *parts) for parts in zip(state, *cast(Any, others), strict=True)]
        return cast(S, type(state)(*parts) if hasattr(state, "_fields") else tuple(parts))
    raise TypeError(f"a state holds tensors, NamedTuples and tuples, not {type(state).__name__}")


def structure(state: Any) -> Any:
    """The shape of the tree alone: nested tuples of class names, with ``None`` for every leaf."""
    if isinstance(state, Tensor):
        return None
    name = f"{type(state).__module__}:{type(state).__qualname__}" if hasattr(state, "_fields") else ""
    return (name, *(structure(child) for child in state))


def batch_size(state: Any) -> int | None:
    """Rows of a state; None for a state without leaves."""
    tensors = leaves(state)
    return tensors[0].shape[0] if tensors else None


def take(state: S, rows: Int[Tensor, " n"] | Sequence[int]) -> S:
    """The states of some rows, in the order given; a row may be asked for twice (to fork a reader)."""
    tensors = leaves(state)
    if not tensors:
        return state
    index = torch.as_tensor(rows, dtype=torch.long, device=tensors[0].device)
    try:
        return tree_map(lambda leaf: leaf.index_select(0, index), state)
    except IndexError:
        raise ValueError(
            f"rows {index.tolist()} of a state of {len(tensors[0])}: they count from 0 to {len(tensors[0]) - 1}; "
            "choose among these"
        ) from None


def put(state: S, rows: Int[Tensor, " n"] | Sequence[int], new: S) -> S:
    """``state`` with some rows replaced; where leaves have grown to different lengths, the shorter is zero-padded."""
    tensors = leaves(state)
    if not tensors:
        return state
    index = torch.as_tensor(rows, dtype=torch.long, device=tensors[0].device)

    def replace(old: Tensor, fresh: Tensor) -> Tensor:
        if old.ndim > 1 and old.shape[1] != fresh.shape[1]:
            width = max(old.shape[1], fresh.shape[1])
            old, fresh = _pad(old, width), _pad(fresh, width)
        return old.index_copy(0, index, fresh.to(old.dtype))

    return tree_map(replace, state, new)


def _pad(leaf: Tensor, width: int) -> Tensor:
    missing = width - leaf.shape[1]
    return torch.cat([leaf, leaf.new_zeros(leaf.shape[0], missing, *leaf.shape[2:])], 1) if missing else leaf


def concatenate(states: Sequence[S]) -> S:
    """The rows of several states as the rows of one; leaves that have grown to different lengths are zero-padded."""
    first, *rest = states

    def join(*parts: Tensor) -> Tensor:
        if parts[0].ndim > 1 and len({part.shape[1] for part in parts}) > 1:
            width = max(part.shape[1] for part in parts)
            parts = tuple(_pad(part, width) for part in parts)
        return torch.cat(parts, 0)

    return tree_map(join, first, *rest) if rest else first


def detach(state: S) -> S:
    """The same state, cut from the graph that made it (truncated back-propagation)."""
    return tree_map(Tensor.detach, state)


def clone(state: S) -> S:
    """A copy that owns its storage."""
    return tree_map(Tensor.clone, state)


def to(state: S, device: torch.device | str) -> S:
    """The same state on another device."""
    return tree_map(lambda leaf: leaf.to(device), state)


def nbytes(state: Any) -> int:
    """Bytes of storage that the state keeps alive, views counted at the size of what they keep."""
    storages = {leaf.untyped_storage().data_ptr(): leaf.untyped_storage().nbytes() for leaf in leaves(state)}
    return sum(storages.values())


def save_state(state: Any, path: str | os.PathLike[str], *, about: dict[str, str] | None = None) -> None:
    """Write a state to one safetensors file, atomically.

    Args:
        state: the state, of any structure.
        path: the file; an existing one is replaced only after the new one is whole.
        about: what to keep beside it, such as a memory's ``describe()``; ``load_state`` can demand that it matches.
    """
    tensors = {f"{index:04d}": leaf.detach().cpu().contiguous().clone() for index, leaf in enumerate(leaves(state))}
    metadata = {"mnesis_state": str(FORMAT_VERSION), "structure": json.dumps(structure(state)), **(about or {})}
    with atomic_path(Path(path)) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_state(path: str | os.PathLike[str], *, about: dict[str, str] | None = None) -> Any:
    """Read a state written by :func:`save_state`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole safetensors file, not a state, a newer format, or made by another memory than ``about``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no state file at {path}; save one with mnesis.save_state(state, path)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Cloned: kernels sum in another order on unaligned memory, and a resumed stream continues bit for bit.
            tensors = [file.get_tensor(key).clone() for key in sorted(file.keys())]
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); it was truncated or is of another kind: save it anew"
        ) from None
    if "mnesis_state" not in metadata:
        raise ValueError(f"{path} is a safetensors file but holds no mnesis state; give a file made by save_state")
    if int(metadata["mnesis_state"]) > FORMAT_VERSION:
        raise ValueError(
            f"{path} has state format {metadata['mnesis_state']}, this mnesis reads up to {FORMAT_VERSION}; "
            "upgrade mnesis"
        )
    for key, expected in (about or {}).items():
        if (found := metadata.get(key)) != expected:
            raise ValueError(
                f"{path} was made with {key} {found}, not {expected}; load it with the memory that made it"
            )
    remaining = iter(tensors)
    return _rebuild(json.loads(metadata["structure"]), remaining, path)


def _rebuild(node: Any, tensors: Iterator[Tensor], path: Path) -> Any:
    if node is None:
        try:
            return next(tensors)
        except StopIteration:
            raise ValueError(f"{path} holds fewer tensors than its structure names; save it anew") from None
    name, *children = node
    parts = [_rebuild(child, tensors, path) for child in children]
    return _state_class(name, path)(*parts) if name else tuple(parts)


def _state_class(name: str, path: Path) -> type:
    module_name, _, qualified = name.partition(":")
    # A file must not be able to run code: only our own modules are imported, others must be in memory already.
    if module_name == "mnesis" or module_name.startswith("mnesis."):
        with contextlib.suppress(ImportError):
            import_module(module_name)
    found: Any = sys.modules.get(module_name)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields")):
        raise ValueError(f"{path} needs the state class {name}; import the module that defines it before loading")
    return found
