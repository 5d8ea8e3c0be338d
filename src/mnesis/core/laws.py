"""The laws of memory, as functions that return measured gaps.

``check(memory)`` runs all of them on any :class:`Memory`, ours or a stranger's, and yields one :class:`Gap` per law,
form and dtype. A gap is max|a - b| / max(1, max|a|); tolerances are 1e-9 in float64, 1e-4 in float32 and 3e-2 in
bfloat16 (outputs only). Before anything is measured every parameter is redrawn, because a zero-initialised write obeys
every law. What goes wrong inside a law breaks it, with the reason in one sentence, and the other laws go on.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from .adapt import Adapted
from .examination import Broken, NotOffered, shapes
from .host_law import host, wraps_a_host
from .memory import Memory
from .pieces import first_leaf, map_leaves
from .reason import reason_for
from .record import silent
from .rollback_law import rollback
from .state import clone, detach, leaves, load_state, nbytes, put, save_state, take, tree_map
from .subject import (
    TOLERANCE,
    Subject,
    check_drawable,
    chunked,
    compare,
    cuttings,
    difference,
    graded,
    in_form,
    joined,
    lengthened,
    stacked,
)

LENGTHS = (1, 2, 63, 100)
REMEMBERED = 1e-3
"""How far later outputs must move when the carried state is replaced by a fresh one."""
LATE = 10_000_000
LONG = 16_384


@dataclass(frozen=True)
class Gap:
    """How far a memory is from obeying one law."""

    memory: str
    law: str
    form: str
    dtype: str
    gap: float
    """Infinite where nothing could be measured, NaN where the memory does not offer what the law asks for."""
    tolerance: float
    reason: str = ""
    """Why it is broken or not offered, where that is known: one sentence."""

    @property
    def holds(self) -> bool | None:
        """None where the memory does not offer what the law asks for."""
        return None if math.isnan(self.gap) else self.gap <= self.tolerance


def check(
    memory: Memory,
    *,
    name: str | None = None,
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32, torch.bfloat16),
    laws: Sequence[str] | None = None,
    forms: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[Gap]:
    """Measure a memory against the laws.

    Args:
        memory: any memory; it is copied, never changed. One with ``forms`` is rebuilt in each of them.
        name: what to call it in the results; the class name if None.
        dtypes: where to measure the numeric laws; the others are measured in the first.
        laws: names out of ``LAWS``; all that apply to the memory if None.
        forms: names out of ``memory.forms``; all if None.
        seed: of parameters and inputs.

    Raises:
        ValueError: an unknown law or form, or a memory that does not say what it reads.
    """
    name = name or type(memory).__name__
    chosen = laws_for(memory) if laws is None else list(laws)
    if unknown := [law for law in chosen if law not in LAWS]:
        raise ValueError(f"no law is called {unknown[0]!r}; the laws are {', '.join(LAWS)}")
    check_drawable(memory)
    with silent():
        for form, variant in _forms(memory, forms):
            for law in chosen:
                spec = LAWS[law]
                for dtype in dtypes if spec.numeric else dtypes[:1]:
                    if dtype is torch.bfloat16 and not spec.coarse:
                        continue
                    gap, reason = _measured(law, variant, dtype, seed)
                    tolerance = TOLERANCE[dtype] if spec.numeric else 0.0
                    yield Gap(name, law, form, str(dtype).removeprefix("torch."), gap, tolerance, reason)


def laws_for(memory: Memory) -> list[str]:
    """Names of the laws that have something to ask of a memory."""
    return [law for law, spec in LAWS.items() if spec.applies(memory)]


def _measured(law: str, memory: Memory, dtype: torch.dtype, seed: int) -> tuple[float, str]:
    """A gap and its reason, whatever happens."""
    if isinstance(memory, Adapted) and law in memory.lacks:
        return math.nan, memory.lacks[law]
    try:
        gap, error = LAWS[law].measure(Subject(memory, dtype, seed)), None
    except NotOffered as lack:
        return math.nan, str(lack)
    except Broken as broken:
        return math.inf, str(broken)
    except Exception as raised:  # of somebody else's class, anything
        gap, error = math.inf, raised
    if not math.isinf(gap):
        return gap, ""
    try:  # A mistake that many laws stumble over has its sentence there.
        shapes(Subject(memory, dtype, seed))
    except Broken as broken:
        return gap, str(broken)
    except Exception as raised:
        error = error or raised
    return gap, f"it raises {reason_for(error)}; mend it there" if error else ""


def _forms(memory: Memory, chosen: Sequence[str] | None) -> Iterator[tuple[str, Memory]]:
    forms = getattr(memory, "forms", ())
    if unknown := [form for form in chosen or () if form not in forms]:
        raise ValueError(
            f"{type(memory).__name__} has no form {unknown[0]!r}; it has {', '.join(forms) or 'one form only'}"
        )
    if not forms:
        yield "scan", memory
    for form in forms if chosen is None else chosen:
        yield form, in_form(memory, form)


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
        # A mechanism that ``truncates`` stops gradients at its grid by definition; inside a segment they must flow.
        stopped = getattr(memory, "truncates", False) and before % period == 0
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
    """Counters moved to ten million change nothing: there is no clock that runs out of precision."""
    memory = subject.memory
    period = memory.period or 1
    shift = LATE // period * period
    with torch.no_grad():
        _, state = memory(subject.draw(2, 100))
        moved = tree_map(lambda leaf: leaf if leaf.is_floating_point() else leaf + shift, state)
        x = subject.draw(2, 63)
        a, b = memory(x, state)[0], memory(x, moved)[0]
        c, d = (memory.step(map_leaves(x, lambda leaf: leaf[:, 0]), s)[0] for s in (state, moved))
    return max(difference(a, b), difference(c, d))


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


def compiles(subject: Subject) -> float:
    """``scan`` at phase 0 and ``step`` compile whole (fullgraph), with at most 3 compilations over 32 steps."""
    graphs = 0

    def count(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1
        return graph.forward

    memory = subject.memory
    x = subject.draw(2, 32)
    torch.compiler.reset()
    try:
        with torch.no_grad():
            scan = torch.compile(lambda x, state: memory.scan(x, state), backend=count, fullgraph=True)
            gap = difference(list(scan(x, subject.fresh(2))), list(memory.scan(x, subject.fresh(2))))
            graphs = 0
            step = torch.compile(lambda x, state: memory.step(x, state), backend=count, fullgraph=True)
            state = expected = subject.fresh(2)
            for t in range(32):
                unit = map_leaves(x, lambda leaf, t=t: leaf[:, t].clone())
                y, state = step(unit, state)
                y_expected, expected = memory.step(unit, expected)
                gap = max(gap, difference(y, y_expected))
    except TorchDynamoException as error:
        raise Broken(
            f"it does not compile whole: {reason_for(error)}; keep scan and step to tensor operations"
        ) from None
    finally:
        torch.compiler.reset()
    if gap > subject.tolerance:
        return gap
    return float(max(0, graphs - 3))


@dataclass(frozen=True)
class Law:
    """How a law is measured, and where."""

    measure: Callable[[Subject], float]
    numeric: bool
    """Measured in every dtype against its tolerance; otherwise in one, and the gap must be 0."""
    coarse: bool = True
    """Measured in bfloat16 too."""
    applies: Callable[[Memory], bool] = lambda memory: True
    """Whether it has anything to ask of a memory; where it has not, it is measured only if it is named."""


LAWS: dict[str, Law] = {
    "shapes": Law(shapes, numeric=True),
    "cuts": Law(cuts, numeric=True),
    "remembers": Law(remembers, numeric=False),
    "causality": Law(causality, numeric=True),
    "resets": Law(resets, numeric=True),
    "padding": Law(padding, numeric=True),
    "rollback": Law(rollback, numeric=True),
    "rows": Law(rows, numeric=True),
    "forms": Law(forms, numeric=True),
    "bounded": Law(bounded, numeric=False),
    "saved": Law(saved, numeric=False),
    "purity": Law(purity, numeric=False),
    "dtypes": Law(dtypes, numeric=False),
    "late": Law(late, numeric=True, coarse=False),
    "extremes": Law(extremes, numeric=False),
    "compiles": Law(compiles, numeric=False),
    "host": Law(host, numeric=True, applies=wraps_a_host),
}
