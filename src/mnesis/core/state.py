"""Functions over states, and states in files.

A state is a tree of NamedTuples and tuples whose leaves are tensors; the first axis of every leaf is the batch row.
All functions return new trees: no state is ever changed in place.

A class of states may say two things of its fields, without annotation, so that they are no fields themselves.
``growing = {"key": "units"}``: the second axis of ``key`` grows, and ``units [B]`` counts what each row holds of it.
Such leaves have one form: as long as the fullest row, zero where a row holds less; what chooses rows keeps it.
``clocks = ("units",)``: the integer leaves that say when; all are unless it is said, booleans never.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast, get_type_hints

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .catalog import as_of, memory_called
from .domain import Count, argument_domains, require, shown
from .files import DEEPEST, parse_json
from .state_classes import find, is_ours, name_of, note
from .state_classes import register as register
from .tensors import open_tensors, write_tensors

S = TypeVar("S")
FORMAT_VERSION = 1
RESERVED = frozenset({"mnesis_state", "structure", "pairs"})
"""Keys beside a state that the format has for itself."""
_MEND = "save it anew with mnesis.save_state(state, path)"


def leaves(state: Any) -> list[Tensor]:
    """All tensors of a state, in a fixed order."""
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, tuple):
        return [leaf for child in state for leaf in leaves(child)]
    raise _foreign(state)


def tree_map(function: Callable[..., Tensor], state: S, *others: S) -> S:
    """Apply a function to corresponding leaves of states of one structure."""
    if isinstance(state, Tensor):
        return cast(S, function(state, *others))
    if isinstance(state, tuple):
        parts = [tree_map(function, *parts) for parts in zip(state, *cast(Any, others), strict=True)]
        return cast(S, type(state)(*parts) if hasattr(state, "_fields") else tuple(parts))
    raise _foreign(state)


def structure(state: Any) -> Any:
    """The shape of the tree alone: nested tuples of class names, with ``None`` for every leaf."""
    if isinstance(state, Tensor):
        return None
    if not isinstance(state, tuple):
        raise _foreign(state)
    name = name_of(type(state)) if hasattr(state, "_fields") else ""
    return (name, *(structure(child) for child in state))


def _foreign(node: Any) -> TypeError:
    return TypeError(
        f"a state holds tensors, NamedTuples and tuples, not {type(node).__name__}; build it with initial_state()"
    )


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
        return _trimmed(tree_map(lambda leaf: leaf.index_select(0, index), state))
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

    return _trimmed(tree_map(replace, state, new))


def _trimmed(state: S) -> S:
    """Growing leaves no longer than their fullest row, where that can be known."""
    if not isinstance(state, tuple):
        return state
    parts = dict(enumerate(map(_trimmed, state)))
    if growing := getattr(type(state), "growing", None):
        fields = cast(Any, state)._fields
        for leaf, count in growing.items():
            held = parts[fields.index(count)]
            if held.numel() and not (held.is_meta or torch.compiler.is_compiling()):
                place = fields.index(leaf)
                parts[place] = parts[place][:, : int(held.max())]
    return cast(S, type(state)(*parts.values()) if hasattr(state, "_fields") else tuple(parts.values()))


def choose(rows: Bool[Tensor, " B"], chosen: S, otherwise: S) -> S:
    """The rows of one state where a flag is set, of the other where it is not, in the dtypes of the other.

    Where leaves have grown to different lengths, the shorter is zero-padded.
    """

    def pick(a: Tensor, b: Tensor) -> Tensor:
        if a.ndim > 1 and a.shape[1] != b.shape[1]:
            width = max(a.shape[1], b.shape[1])
            a, b = _pad(a, width), _pad(b, width)
        return torch.where(rows.reshape(-1, *[1] * (a.ndim - 1)), a.to(b.dtype), b)

    return _trimmed(tree_map(pick, chosen, otherwise))


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


def save_state(
    state: Any, path: str | os.PathLike[str], *, about: dict[str, str] | None = None, durable: bool = True
) -> None:
    """Write a state to one safetensors file, atomically.

    Args:
        state: the state, of any structure; its leaves may be views of any strides.
        path: the file; an existing one is replaced only after the new one is whole.
        about: what to keep beside it, such as a memory's ``describe()``; ``load_state`` can demand that it matches.
        durable: wait until the disk has it. False is for what can be made again: a loss of power may leave it damaged.

    Raises:
        ValueError: an ``about`` of other than text or with keys that the format has for itself, a state that files
            cannot hold, or a place that cannot be written.
    """
    about = dict(about or {})
    require(about, dict[str, str], "about", "keep text under names, such as memory.describe()")
    if taken := RESERVED & set(about):
        raise ValueError(f"about has the key {min(taken)!r}, which the format has for itself; choose another name")
    try:
        tree, tensors = structure(state), leaves(state)
    except TypeError as error:
        raise ValueError(str(error)) from None
    note(state)
    _check_tree(tree, f"the state for {path}", "give what a memory returned")
    # safetensors knows no complex numbers of double precision: they are kept as pairs.
    pairs = [index for index, leaf in enumerate(tensors) if leaf.dtype == torch.complex128]
    tensors = [
        torch.view_as_real(leaf.resolve_conj()) if index in pairs else leaf for index, leaf in enumerate(tensors)
    ]
    metadata = {"mnesis_state": str(FORMAT_VERSION), "structure": json.dumps(tree), **about}
    if pairs:
        metadata["pairs"] = json.dumps(pairs)
    write_tensors(path, {f"{index:04d}": leaf for index, leaf in enumerate(tensors)}, metadata, durable=durable)


def load_state(path: str | os.PathLike[str], *, about: dict[str, str] | None = None) -> Any:
    """Read a state written by :func:`save_state`.

    Numbers come back as they were, those that are not finite too: a running maximum starts at minus infinity, and a
    reader that has diverged is told by its state.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole safetensors file, not a state, a newer format, classes that no memory of this package
            or program returns (:func:`register`), or made by another memory than ``about`` (whose options may be more
            than the file's version had, where they are at their defaults).
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(f"no state file at {path}; save one with mnesis.save_state(state, path)")
    with open_tensors(path, mend=_MEND) as file:
        metadata, source = file.metadata, file.path
        if "mnesis_state" not in metadata or "structure" not in metadata:
            raise ValueError(
                f"{source} is a safetensors file but holds no mnesis state; give a file made by save_state"
            )
        _check_version(metadata["mnesis_state"], source)
        for key, expected in (about or {}).items():
            if (found := metadata.get(key)) != expected and not (
                key == "arguments" and _before_options(found, expected, (about or {}).get("memory", ""))
            ):
                raise ValueError(
                    f"{source} was made with {key} {found}, not {expected}; load it with the memory that made it"
                )
        keys = {int(key): key for key in file.promises if key.isascii() and key.isdecimal()}
        if len(keys) != len(file.promises) or any(index not in keys for index in range(len(keys))):
            raise ValueError(f"{source} has tensors that are not numbered from 0 on; {_MEND}")
        tree = parse_json(metadata["structure"], Any, source=f"the structure of {source}", mend=_MEND)
        promised = _check_tree(tree, source, _MEND)
        if promised != len(keys):
            more = "fewer" if promised > len(keys) else "more"
            raise ValueError(
                f"{source} holds {more} tensors than its structure names ({len(keys)} and {promised}); {_MEND}"
            )
        pairs = parse_json(metadata.get("pairs", "[]"), list[Count], source=f"the pairs of {source}", mend=_MEND)
        tensors = [file.read(keys[index]) for index in range(promised)]
    for index in pairs:
        if index >= promised or tensors[index].dtype != torch.float64 or tensors[index].shape[-1:] != (2,):
            raise ValueError(f"{source} says that leaf {index} holds complex numbers, and it holds no pairs; {_MEND}")
        tensors[index] = torch.view_as_complex(tensors[index])
    return _rebuild(tree, iter(tensors), source)


def _before_options(found: str | None, expected: str, memory: str) -> bool:
    """Whether a memory's arguments are those of a file, but for options that are newer.

    These are at their defaults, or at what stands for the default that was.
    """
    module, _, name = memory.partition(":")
    cls = getattr(sys.modules.get(module), name, None)
    try:
        had, has = json.loads(found or "null"), json.loads(expected)
    except (ValueError, RecursionError):
        return False
    if not (isinstance(cls, type) and isinstance(had, dict) and isinstance(has, dict)):
        return False
    domains = argument_domains(cls)
    card = memory_called(memory)
    had = as_of({"memory": card and card.name, "arguments": had}, {})["arguments"]
    newer = {key: domains[key][1] for key in has.keys() - had.keys() if key in domains}
    return {**json.loads(json.dumps(newer, default=str)), **had} == has


def _check_version(text: str, source: str) -> None:
    version = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if version < 1:
        raise ValueError(f"{source} has state format {shown(text)}, which is no number from 1 on; {_MEND}")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{source} has state format {version}, this mnesis reads up to {FORMAT_VERSION}; upgrade mnesis"
        )


def _check_tree(tree: Any, source: str, mend: str) -> int:
    """How many leaves a structure names.

    Raises:
        ValueError: it is no structure, is nested too deeply, or names a class that no file may hold or that has another
            number of fields.
    """
    count, depth, level = 0, 0, [tree]
    while level:
        count += sum(node is None for node in level)
        nodes = [node for node in level if node is not None]
        for node in nodes:
            if not (isinstance(node, (list, tuple)) and node and isinstance(node[0], str)):
                raise ValueError(
                    f"{source} has {shown(node)} in its structure, where a class and its parts belong; {mend}"
                )
            if node[0]:
                _check_class(node[0], len(node) - 1, source, mend)
        level, depth = [child for node in nodes for child in node[1:]], depth + 1
        if depth > DEEPEST:
            raise ValueError(f"{source} is nested deeper than the {DEEPEST} levels that states have; {mend}")
    return count


def _check_class(name: str, parts: int, source: str, mend: str) -> None:
    cls = find(name)
    if cls is None:
        raise ValueError(
            f"{source} needs the state class {shown(name)[1:-1]}, which no memory of this program returns; import what "
            "defines it before loading, and where that is not enough, give it to mnesis.core.state.register"
        )
    fields: tuple[str, ...] = cast(Any, cls)._fields
    if parts != len(fields):
        raise ValueError(f"{source} has {parts} parts of a {cls.__name__}, which is made of {len(fields)}; {mend}")


def _rebuild(node: Any, tensors: Iterator[Tensor], source: str) -> Any:
    if node is None:
        return next(tensors)
    name, *children = node
    parts = [_rebuild(child, tensors, source) for child in children]
    if not name:
        return tuple(parts)
    cls = cast(type, find(name))
    if is_ours(cls):
        _check_dtypes(cls, parts, source)
    return cls(*parts)


def _check_dtypes(cls: type, parts: list[Any], source: str) -> None:
    """Refuse whole numbers where a class of ours keeps floating point, and the like."""
    for (field, hint), part in zip(get_type_hints(cls).items(), parts, strict=True):
        known = getattr(hint, "dtypes", None)
        dtype = str(part.dtype).removeprefix("torch.") if isinstance(part, Tensor) else None
        if dtype is not None and isinstance(known, (list, tuple)) and dtype not in known:
            raise ValueError(f"{source} holds {dtype} as {field} of a {cls.__name__}, which never does; {_MEND}")
