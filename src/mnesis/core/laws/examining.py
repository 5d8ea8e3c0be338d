"""What a memory must give back: the law ``shapes``, and sentences for the mistakes that break it and others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..adapt import Adapted
from ..memory import Memory
from ..pieces import first_leaf, map_leaves
from ..reason import reason_for
from ..state import clone, leaves, structure
from .subject import Subject

ROWS = 2


class Broken(Exception):  # noqa: N818 - the law is
    """A law does not hold, for a reason that one sentence says: what was found, the rule, and the mend."""


class NotOffered(Exception):  # noqa: N818
    """A law asks for what the memory does not claim to do; the text says what."""


def shapes(subject: Subject) -> float:
    """Outputs are [batch, time, dim], finite and of the input's dtype; a state keeps shapes, dtypes and rows.

    Raises:
        Broken: with the sentence.
    """
    memory = subject.memory
    _is_written(memory)
    with torch.no_grad():
        fresh = _initial(subject)
        for time in sorted({1, 5, (memory.period or 4) + 1}):
            state = _read(subject, subject.draw(ROWS, time), fresh, 0, fresh)
            _read(subject, subject.draw(ROWS, time), state, time % (memory.period or 1), fresh)
        _step(subject, fresh)
    _gradient(subject, fresh)
    return 0.0


def _is_written(memory: Memory) -> None:
    """Both methods that an author writes are there and can be called as they will be."""
    for method, parameters, arguments in (
        ("initial_state", "batch, *, device, dtype", ((0,), {"device": None, "dtype": None})),
        ("scan", "x, state, phase=0", ((None, None, 0), {})),
    ):
        own = getattr(memory, method)
        if getattr(own, "__isabstractmethod__", False):
            raise Broken(f"{type(memory).__name__} has no {method}; define {method}(self, {parameters})")
        try:
            inspect.signature(own).bind(*arguments[0], **arguments[1])
        except TypeError as error:
            found = ", ".join(["self", *map(str, inspect.signature(own).parameters.values())])
            raise Broken(f"{method}({found}) cannot be called ({error}); write {method}(self, {parameters})") from None


def _initial(subject: Subject) -> Any:
    state = _called("initial_state", lambda: subject.fresh(ROWS))
    _is_tree(state, "initial_state gives")
    for leaf in leaves(state):
        if leaf.shape[:1] != (ROWS,):
            raise Broken(
                f"initial_state({ROWS}) gives a leaf of shape {list(leaf.shape)}; the first axis of every leaf is the "
                f"batch: [{ROWS}, ...]"
            )
    return state


def _read(subject: Subject, x: Any, state: Any, phase: int, fresh: Any) -> Any:
    """One scan, and everything about what it returns."""
    memory, before, x_before = subject.memory, clone(state), map_leaves(x, Tensor.clone)
    other = [leaf.dtype for leaf in leaves(state) if leaf.is_floating_point() and leaf.dtype != subject.dtype]
    hint = f"initial_state gives {_short(other[0])} for dtype={_short(subject.dtype)}: pass dtype on" if other else ""
    y, after = _pair("scan", _called("scan", lambda: memory.scan(x, state, phase), hint))
    _output(subject, y, x, "scan")
    _state(memory, after, fresh, "scan")
    _untouched("scan", state, before, "the state")
    _untouched("scan", x, x_before, "the input")
    return after


def _step(subject: Subject, fresh: Any) -> None:
    unit, memory = map_leaves(subject.draw(ROWS, 1), lambda leaf: leaf[:, 0]), subject.memory
    y, after = _pair("step", _called("step", lambda: memory.step(unit, fresh)))
    _output(subject, y, unit, "step")
    _state(memory, after, fresh, "step")
    if memory.period is not None:
        phases = _called("phase_of", lambda: memory.phase_of(after))
        if not isinstance(phases, Tensor) or tuple(phases.shape) != (ROWS,):
            raise Broken(
                f"phase_of gives {_told(phases)} of a state of {ROWS} rows; with period={memory.period}, give each "
                f"row's place in it: [{ROWS}]"
            )


def _gradient(subject: Subject, fresh: Any) -> None:
    """One backward pass through two scans."""
    x, memory = subject.draw(ROWS, 3), subject.memory

    def backward() -> None:
        y, state = memory.scan(x, clone(fresh), 0)
        more, _ = memory(x, state)
        scalar = sum(leaf.double().sum() for leaf in [*leaves(y), *leaves(more)])
        if isinstance(scalar, Tensor) and scalar.requires_grad:
            scalar.backward()

    _called("the backward pass of scan", backward)
    memory.zero_grad()


def _called(name: str, function: Callable[[], Any], hint: str = "") -> Any:
    try:
        return function()
    except Exception as error:
        raise Broken(f"{name} raises {reason_for(error)}; {hint or 'mend it there'}") from error


def _pair(method: str, result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        found = f"{len(result)} things" if isinstance(result, (tuple, list)) else _told(result)
        raise Broken(f"{method} returns {found}; return (y, state)")
    return result


def _is_tree(state: Any, what: str) -> None:
    if isinstance(state, tuple):
        for child in state:
            _is_tree(child, what)
    elif not isinstance(state, Tensor):
        raise Broken(f"{what} a state that holds {_told(state)}; hold tensors in tuples or NamedTuples")


def _output(subject: Subject, y: Any, x: Any, method: str) -> None:
    """Outputs of ``scan``, and those of ``step``, which have no axis of time."""
    memory, given = subject.memory, first_leaf(x)
    axes = ("batch", "time") if method == "scan" else ("batch",)
    tensors = [y] if isinstance(y, Tensor) else list(y) if hasattr(y, "_fields") else []
    if not tensors or not all(isinstance(leaf, Tensor) for leaf in tensors):
        raise Broken(f"{method} returns outputs that are {_told(y)}; return a tensor [{', '.join(axes)}, dim]")
    # Behind a memory with a head stand logits, of as many classes as it likes; so it is with strangers.
    free = isinstance(memory, Adapted) or memory.parts()[0] is not memory or len(tensors) > 1
    width = [] if free or memory.dim is None else [memory.dim]
    dtype = given.dtype if given.is_floating_point() else subject.dtype
    for leaf in tensors:
        shape, lead = list(leaf.shape), list(given.shape[: len(axes)])
        if (shape != lead + width) if width else (shape[: len(lead)] != lead):
            rule, here = [*axes, "dim" if width else "..."], [*lead, *(width or ["..."])]
            raise Broken(f"{method} returns outputs of shape {shape}; return {_listed(rule)}, here {_listed(here)}")
        if leaf.dtype != dtype:
            raise Broken(f"{method} returns {_short(leaf.dtype)} where {_short(dtype)} is read; return y.to(x.dtype)")
        if not bool(leaf.isfinite().all()):
            what = "NaN" if bool(leaf.isnan().any()) else "infinite numbers"
            raise Broken(f"{method} returns {what} for inputs of size 1; keep its outputs finite")


def _state(memory: Memory, after: Any, fresh: Any, method: str) -> None:
    _is_tree(after, f"{method} returns")
    if structure(after) != structure(fresh):
        raise Broken(
            f"{method} returns a state that is {_told(after)} where initial_state gives {_told(fresh)}; return the "
            "same structure"
        )
    for leaf, first in zip(leaves(after), leaves(fresh), strict=True):
        rows = leaf.shape[0] if leaf.ndim else 0
        if rows != ROWS:
            raise Broken(
                f"{method} returns a state of {rows} rows for a batch of {ROWS} (a leaf of shape {list(leaf.shape)}); "
                "the first axis of every leaf is the batch"
            )
        if memory.bounded and leaf.shape != first.shape:
            raise Broken(
                f"{method} returns a state with a leaf of shape {list(leaf.shape)} where initial_state gives "
                f"{list(first.shape)}; keep its shape, or set bounded = False in the class"
            )
        if leaf.dtype != first.dtype:
            raise Broken(
                f"{method} returns a state in {_short(leaf.dtype)} where initial_state gives {_short(first.dtype)}; "
                "keep its dtype: h.to(state.dtype)"
            )
        if bool(leaf.isnan().any()):
            raise Broken(f"{method} returns a state that holds NaN after inputs of size 1; a state holds numbers")


def _untouched(method: str, tree: Any, before: Any, what: str) -> None:
    if not all(torch.equal(a, b) for a, b in zip(leaves(tree), leaves(before), strict=True)):
        raise Broken(
            f"{method} writes into {what} that it was given; make a new tensor (h = h + u, not h += u or h.copy_(u))"
        )


def _told(value: Any) -> str:
    """A value by its kind."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    if hasattr(value, "_fields"):
        return f"{type(value).__name__}({', '.join(value._fields)})"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _listed(shape: list[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"
