"""Laws of states: what they weigh, how they are kept, that nothing changes them, and that no clock runs out."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..adapt import Adapted
from ..pieces import first_leaf, map_leaves
from ..state import clone, leaves, load_state, nbytes, save_state
from .examining import Broken, NotOffered
from .subject import Subject, difference

LATE = 10_000_000
LONG = 16_384


def bounded(subject: Subject) -> float:
    """The bytes of a bounded state are known at construction and stay constant."""
    if not subject.memory.bounded:
        raise NotOffered("its state grows with the stream")
    with torch.no_grad():
        state = clone(subject.fresh(2))
        expected, seen = nbytes(state), []
        for time in (1, 2, 63, 100):
            try:
                _, state = subject.memory(subject.draw(2, time), state)
            except ValueError:  # forward refuses a state that has changed its shape
                return float("inf")
            seen.append(nbytes(state))
        for _ in range(3):
            _, state = subject.memory.step(map_leaves(subject.draw(2, 1), lambda leaf: leaf[:, 0]), state)
            seen.append(nbytes(state))
    return float(max(abs(size - expected) for size in seen))


def grows(subject: Subject) -> float:
    """A state that is not bounded grows by what the memory declares, and no faster.

    Raises:
        Broken: it declares nothing, or its state does not grow.
    """
    memory, name = subject.memory, type(subject.memory).__name__
    if memory.bounded:
        raise NotOffered("its state is bounded")
    if memory.growth <= 0:
        raise Broken(f"{name} is not bounded and declares no growth; set growth to the numbers that a unit adds")
    numbers = lambda state: sum(leaf[0].numel() for leaf in leaves(state))  # noqa: E731
    with torch.no_grad():
        state, units, worst = subject.fresh(2), 0, 0.0
        start = numbers(state)
        for time in (1, 2, 63, 100, 200):
            _, state = memory(subject.draw(2, time), state)
            units += time
            worst = max(worst, numbers(state) - start - memory.growth * units)
    if numbers(state) == start:
        raise Broken(f"the state of {name} does not grow in {units} units; set bounded = True")
    return worst


def saved(subject: Subject) -> float:
    """A state written to a file and read back continues bit for bit."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        state, path = subject.started(2), Path(folder) / "state.safetensors"
        save_state(state, path, about=subject.memory.describe())
        restored = load_state(path, about=subject.memory.describe())
        x = subject.draw(2, 63)
        (y, after), (y_restored, after_restored) = subject.memory(x, state), subject.memory(x, restored)
    pairs = zip([*leaves(y), *leaves(after)], [*leaves(y_restored), *leaves(after_restored)], strict=True)
    return 0.0 if type(state) is type(restored) and all(torch.equal(a, b) for a, b in pairs) else float("inf")


def purity(subject: Subject) -> float:
    """No call changes the state or the input that it was given, and none changes the memory."""
    memory = subject.memory
    ragged = {} if isinstance(memory, Adapted) else {"length": torch.tensor([63, 20])}
    with torch.no_grad():
        state, x = subject.started(2), subject.draw(2, 63)
        before, x_before = clone(state), map_leaves(x, Tensor.clone)
        first = memory(x, state)
        memory(x, state, reset=subject.flags(2, 63, 0.1) if ragged else None, **ragged)
        memory.step(map_leaves(x, lambda leaf: leaf[:, 0]), state)
        second = memory(x, state)

    def alike(a: Any, b: Any) -> bool:
        pairs = zip(leaves(a), leaves(b), strict=True)
        return all(torch.equal(u.nan_to_num(), v.nan_to_num()) for u, v in pairs)

    for what, old, new in (("state", before, state), ("input", x_before, x)):
        if not alike(old, new):
            raise Broken(f"a call changes the {what} that it is given; make new tensors (h = h + u, not h += u)")
    if not alike(first, second):
        raise Broken(
            "the same call gives other numbers the second time; keep in the state what a call leaves behind, not on "
            "self, and draw nothing in eval mode"
        )
    return 0.0


def dtypes(subject: Subject) -> float:
    """A leaf's dtype never changes, under autocast neither; outputs have the dtype of the arithmetic."""
    memory = subject.memory
    wrong = 0
    for dtype, autocast in ((subject.dtype, False), (torch.float32, True), (torch.bfloat16, False)):
        other = copy.deepcopy(memory).to(dtype)
        x = subject.draw(2, 9)
        x = x.to(dtype) if x.is_floating_point() else x
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            compute = other.compute_dtype(x)
            state = other.initial_state(2, device=torch.device("cpu"), dtype=compute)
            expected = [leaf.dtype for leaf in leaves(state)]
            for _ in range(2):
                _, state = other(x, state)
                wrong += sum(a != leaf.dtype for a, leaf in zip(expected, leaves(state), strict=True))
            _, state = other.step(map_leaves(x, lambda leaf: leaf[:, 0]), state)
            wrong += sum(a != leaf.dtype for a, leaf in zip(expected, leaves(state), strict=True))
            if not autocast and first_leaf(other(x, state)[0]).dtype != dtype:
                wrong += 1
    return float(wrong)


def late(subject: Subject) -> float:
    """Clocks moved to ten million change nothing: there is none that runs out of precision."""
    memory = subject.memory
    period = memory.period or 1
    shift = LATE // period * period
    with torch.no_grad():
        _, state = memory(subject.draw(2, 100))
        moved = _later(state, shift)
        x = subject.draw(2, 63)
        a, b = memory(x, state)[0], memory(x, moved)[0]
        c, d = (memory.step(map_leaves(x, lambda leaf: leaf[:, 0]), s)[0] for s in (state, moved))
    return max(difference(a, b), difference(c, d))


def _later(state: Any, shift: int) -> Any:
    """The state with its clocks moved on, and nothing else: what it holds is as old as before."""
    if isinstance(state, Tensor):
        whole = not (state.is_floating_point() or state.is_complex() or state.dtype == torch.bool)
        return state + shift if whole else state
    clocks, fields = getattr(type(state), "clocks", None), getattr(state, "_fields", (None,) * len(state))
    parts = [
        part if isinstance(part, Tensor) and clocks is not None and field not in clocks else _later(part, shift)
        for field, part in zip(fields, state, strict=True)
    ]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def extremes(subject: Subject) -> float:
    """16,384 units of large inputs through gates pushed to both ends: nothing becomes NaN or infinite."""
    subject, broken = Subject(subject.memory, torch.float32), 0
    with torch.no_grad():
        for shift in (0.0, 8.0, -8.0):
            subject.redraw(shift)
            state = None
            for _ in range(LONG // 512):
                y, state = subject.memory(subject.draw(1, 512, scale=10.0), state)
                broken += sum(int((~leaf.isfinite()).sum()) for leaf in [*leaves(y), *leaves(state)])
                if broken:
                    return float(broken)
    return float(broken)
