"""Laws of reading: any cut, order, form or padding of a stream gives the same outputs, states and gradients."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..memory import Memory
from ..pieces import first_leaf, map_leaves
from ..state import detach, put, take
from .subject import Subject, chunked, compare, cuttings, difference, graded, in_form, joined, lengthened, stacked

LENGTHS = (1, 2, 63, 100)
REMEMBERED = 1e-3
"""How far later outputs must move when the carried state is replaced by a fresh one."""


def cuts(subject: Subject) -> float:
    """Outputs, final state and gradients do not depend on where the stream is cut."""
    worst = 0.0
    whole_periods = (2 * subject.memory.period,) if subject.memory.period else ()
    for time in LENGTHS + whole_periods:
        x = subject.draw(2, time)
        for state in (subject.fresh(2), subject.started(2)):
            whole = chunked(subject.memory, [time])
            cut = [chunked(subject.memory, sizes) for sizes in cuttings(time, subject.generator)]
            if cut:
                worst = max(worst, compare(subject, x, detach(state), whole, *cut))
    return worst


def remembers(subject: Subject) -> float:
    """The carried state moves later outputs, and gradients reach inputs before the cut."""
    memory = subject.memory
    period = memory.period or 8
    worst = 0.0
    for before in (2 * period, 2 * period - 1):
        x, later = subject.draw(2, before), subject.draw(2, period + 1)
        x = x.requires_grad_() if x.is_floating_point() else x
        y_carried, _ = memory(later, memory(x)[1])
        y_fresh, _ = memory(later)
        moved = difference(y_carried, y_fresh)
        # A mechanism that ``truncates`` stops gradients at its grid by definition, or after every unit where it has
        # none; inside a segment they must flow.
        stopped = getattr(memory, "truncates", False) and (memory.period is None or before % period == 0)
        if x.is_floating_point() and not stopped:
            scalar = first_leaf(y_carried).double().square().sum()
            gradient = torch.autograd.grad(scalar, x, allow_unused=True)[0] if scalar.requires_grad else None
            moved = min(moved, 0.0 if gradient is None else float(gradient.abs().max()))
        worst = max(worst, 1 - moved / REMEMBERED)
    return max(0.0, worst)


def causality(subject: Subject) -> float:
    """No output depends on a later unit."""
    worst = 0.0
    with torch.no_grad():
        for time, at in ((2, 1), (63, 20), (100, 64), (100, 99)):
            x, other = subject.draw(2, time), subject.draw(2, time)
            changed = joined(
                [map_leaves(x, lambda leaf, t=at: leaf[:, :t]), map_leaves(other, lambda leaf, t=at: leaf[:, t:])]
            )
            a, b = subject.memory(x)[0], subject.memory(changed)[0]
            early = lambda y, t=at: map_leaves(y, lambda leaf: leaf[:, :t])  # noqa: E731
            worst = max(worst, difference(early(a), early(b)))
    return worst


def resets(subject: Subject) -> float:
    """A reset is a fresh start: ragged resets equal the episodes run alone, and a reset stream may be cut too."""
    memory, worst = subject.memory, 0.0
    for time in (1, 2, 63, 100):
        x, flags, state = subject.draw(3, time), subject.flags(3, time, 4 / time), subject.started(3)

        def alone(x: Any, state: Any, flags: Tensor = flags, time: int = time) -> tuple[Any, Any]:
            outputs, states = [], []
            for row in range(3):
                marks = flags[row].nonzero().flatten().tolist()
                edges = [0, *[t for t in marks if t > 0], time]
                row_state = subject.fresh(1) if marks[:1] == [0] else take(state, [row])
                row_outputs = []
                for index, (begin, end) in enumerate(pairwise(edges)):
                    row_state = subject.fresh(1) if index else row_state
                    y, row_state = memory(
                        map_leaves(x, lambda leaf, r=row, a=begin, b=end: leaf[r : r + 1, a:b]), row_state
                    )
                    row_outputs.append(y)
                outputs.append(joined(row_outputs))
                states.append(row_state)
            return joined(outputs, 0), stacked(states)

        together = chunked(memory, [time], reset=flags)
        cut = [chunked(memory, sizes, reset=flags) for sizes in cuttings(time, subject.generator)[-1:]]
        worst = max(worst, compare(subject, x, state, together, alone, *cut))
    return worst


def padding(subject: Subject) -> float:
    """What stands beyond a row's length, NaN included, changes nothing; rows agree with their unpadded runs."""
    memory, worst = subject.memory, 0.0
    for time in (2, 63, 100):
        length = torch.tensor([time, time // 2, 0])
        x, state = subject.draw(3, time), subject.started(3)
        beyond = torch.arange(time)[None] >= length[:, None]

        def filled(value: float, x: Any = x, beyond: Tensor = beyond) -> Any:
            def fill(leaf: Tensor) -> Tensor:
                mask = beyond.reshape(*beyond.shape, *[1] * (leaf.ndim - 2))
                return leaf.masked_fill(mask, value if leaf.is_floating_point() else 0)

            return map_leaves(x, fill)

        def padded(x: Any, state: Any, length: Tensor = length) -> tuple[Any, Any]:
            return memory(x, state, length=length)

        def alone(x: Any, state: Any, length: Tensor = length, time: int = time) -> tuple[Any, Any]:
            outputs, states = [], []
            for row, units in enumerate(length.tolist()):
                row_state = take(state, [row])
                if units:
                    y, row_state = memory(map_leaves(x, lambda leaf, r=row, n=units: leaf[r : r + 1, :n]), row_state)
                else:
                    y = map_leaves(outputs[0], lambda leaf: torch.zeros_like(leaf[:, :0]))
                outputs.append(map_leaves(y, lambda leaf, time=time: lengthened(leaf, time)))
                states.append(row_state)
            return joined(outputs, 0), stacked(states)

        clean, state = filled(0.0), detach(state)
        if subject.dtype is not torch.bfloat16:
            (a, grad_a), (b, grad_b) = (graded(subject, padded, filled(v), state) for v in (0.0, float("nan")))
            same = all(torch.equal(u, v) for u, v in zip([*a, *grad_a], [*b, *grad_b], strict=True))
            worst = max(worst, 0.0 if same else float("inf"))
            for row, units in enumerate(length.tolist()):
                if bool(first_leaf(padded(clean, state)[0])[row, units:].ne(0).any()):
                    return float("inf")
        worst = max(worst, compare(subject, clean, state, alone, padded))
    return worst


def rows(subject: Subject) -> float:
    """Rows are independent, and their order is only an order."""
    x, state = subject.draw(4, 63), subject.started(4)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        y, after = subject.memory(x, state)
        y_turned, after_turned = subject.memory(map_leaves(x, lambda leaf: leaf[order]), take(state, order))
        turned = max(
            difference(map_leaves(y, lambda leaf: leaf[order]), y_turned), difference(take(after, order), after_turned)
        )
        other = joined([map_leaves(subject.draw(1, 63), lambda leaf: leaf), map_leaves(x, lambda leaf: leaf[1:])], 0)
        y_other, after_other = subject.memory(other, state)
        tail = lambda tree: map_leaves(tree, lambda leaf: leaf[1:])  # noqa: E731
        independent = max(
            difference(tail(y), tail(y_other)), difference(take(after, [1, 2, 3]), take(after_other, [1, 2, 3]))
        )
    return max(turned, independent)


def forms(subject: Subject) -> float:
    """Every form agrees with the naive twin (if there is one) and with ``step``, gradients included."""
    memory, worst = subject.memory, 0.0

    def stepped(x: Any, state: Any) -> tuple[Any, Any]:
        outputs = []
        for t in range(first_leaf(x).shape[1]):
            y, state = memory.step(map_leaves(x, lambda leaf, t=t: leaf[:, t]), state)
            outputs.append(map_leaves(y, lambda leaf: leaf.unsqueeze(1)))
        return joined(outputs), state

    twin = in_form(memory, "naive").to(subject.dtype).eval() if "naive" in getattr(memory, "forms", ()) else None
    for time in LENGTHS:
        x = subject.draw(2, time)
        for state in (subject.fresh(2), subject.started(2)):
            state = detach(state)
            whole = chunked(memory, [time])
            worst = max(worst, compare(subject, x, state, whole, stepped))
            if twin is not None and twin.config != memory.config:
                worst = max(worst, _against_twin(subject, twin, x, state, time))
    phases = subject.started(3)
    if memory.period is not None:
        with torch.no_grad():
            for row in range(1, 3):
                phases = put(phases, [row], memory(subject.draw(1, row * 3), take(phases, [row]))[1])
    worst = max(worst, compare(subject, subject.draw(3, 5), detach(phases), stepped, chunked(memory, [5])))
    return worst


def _against_twin(subject: Subject, twin: Memory, x: Any, state: Any, time: int) -> float:
    if subject.dtype is torch.bfloat16:
        with torch.no_grad():
            return difference(twin(x, state)[0], subject.memory(x, state)[0])
    own = graded(subject, chunked(subject.memory, [time]), x, state)
    original, subject.memory = subject.memory, twin
    try:
        reference = graded(subject, chunked(twin, [time]), x, state)
    finally:
        subject.memory = original
    return max(difference(a, b) for a, b in zip(reference, own, strict=True))
