"""A name for the numbers in a module: sha256 over its parameters and buffers, remembered until one of them changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim.optimizer import register_optimizer_step_post_hook

SAMPLED = 1024
"""Numbers of each tensor that are looked at when a digest is asked for again."""


@dataclass(frozen=True)
class _Seen:
    """How a tensor stood when it was read."""

    name: str
    storage: StorageWeakRef
    """Held weakly: weights may go, and yet no other storage can be taken for theirs."""
    version: int
    look: tuple[Any, ...]
    sample: bytes


_REMEMBERED: WeakKeyDictionary[nn.Module, tuple[int, tuple[_Seen, ...], str]] = WeakKeyDictionary()
_steps = 0
"""Steps of any optimizer since this file was imported: fused ones raise no version counters."""


def digest(module: nn.Module) -> str:
    """The sha256 of a module's weights, in hexadecimal: another one if any number, dtype, shape or name differs.

    Read are the parameters and buffers, those that are not saved too, in the order of their names; ones that share a
    tensor once. The bytes are read where they stand (1.3 s a GB measured on one core with SHA instructions), and those
    of a GPU tensor by tensor. The result is remembered with the module, so that asking again takes milliseconds, until
    a tensor was written to (its version counter) or replaced, or an optimizer has made a step. What is written past
    torch's counters, through ``.data`` or numpy, is noticed where it moves one of 1,024 numbers of each tensor.

    Raises:
        ValueError: a tensor without numbers (on the meta device), or one whose bytes cannot be read.
    """
    found = list(_tensors(module))
    if (kept := _REMEMBERED.get(module)) is not None and kept[0] == _steps and _stand_as(kept[1], found):
        return kept[2]
    result = digest_tensors(found)
    if not any(tensor.is_inference() for _, tensor in found):  # these count no versions
        _REMEMBERED[module] = _steps, tuple(_seen(name, tensor) for name, tensor in found), result
    return result


def digest_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """The sha256 of named tensors in the order given, in hexadecimal.

    Raises:
        ValueError: a tensor without numbers, or one whose bytes cannot be read.
    """
    total, first = hashlib.sha256(), {}
    for name, tensor in tensors:
        same_as = first.setdefault(id(tensor), name)
        total.update(json.dumps([name, same_as, str(tensor.dtype), list(tensor.shape)]).encode() + b"\0")
        if same_as == name:
            total.update(_bytes(name, tensor))
    return total.hexdigest()


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    yield from sorted(named, key=lambda pair: pair[0])


def _bytes(name: str, tensor: Tensor) -> Any:
    """What a tensor holds, as something to be hashed; a copy only of one that is not contiguous or not in memory."""
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device, without numbers; load its weights first")
    try:
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        return plain.view(torch.uint8).numpy()
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"the bytes of {name}, a {type(tensor).__name__} of {tensor.dtype}, cannot be read ({reason}); "
            "give a module whose weights are dense tensors"
        ) from None


def _seen(name: str, tensor: Tensor) -> _Seen:
    return _Seen(name, StorageWeakRef(tensor.untyped_storage()), tensor._version, _look(tensor), _sample(name, tensor))


def _look(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.is_conj(), tensor.is_neg()


def _sample(name: str, tensor: Tensor) -> bytes:
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach()[:1].reshape(-1)
    return bytes(_bytes(name, flat[:: max(1, flat.numel() // SAMPLED)]))


def _stand_as(seen: tuple[_Seen, ...], found: list[tuple[str, Tensor]]) -> bool:
    """Whether all tensors are those that were read, and hold what they held."""
    return len(seen) == len(found) and all(
        each.name == name
        and not tensor.is_inference()
        and each.storage.cdata == tensor.untyped_storage()._cdata
        and each.version == tensor._version
        and each.look == _look(tensor)
        and each.sample == _sample(name, tensor)
        for each, (name, tensor) in zip(seen, found, strict=True)
    )


def _count_step(*_: Any) -> None:
    global _steps
    _steps += 1


register_optimizer_step_post_hook(_count_step)
