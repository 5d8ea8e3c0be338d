"""What of PyTorch a memory can be used with: each capability as a check that raises where it is missing or wrong.

A check knows the contract alone, so that it examines any :class:`Memory`, ours or a stranger's. The memory is copied
and its parameters are drawn anew, in float64; where numbers must agree they do so to 1e-9, against plain calls and
``torch.autograd``. A carried state is handed in with its phase (``memory(x, state, phase=...)``): inside a transform or
an exported program nobody can read it from the state.
"""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from .capabilities_of_modules import OF_MODULES
from .laws import compiles
from .laws.subject import Subject, difference
from .memory import Memory
from .pieces import first_leaf, map_leaves
from .record import silent
from .state import detach, leaves, tree_map

Points = Mapping[str, Tensor]
"""What can be differentiated by: parameters by their names, and "x"."""
LONG, SHORT = 70, 12
"""Units: more than a chunk of a recurrence, and fewer. A memory with a grid reads two periods and three units."""
TOLERANCE = 1e-9
STEP, COARSE = 1e-5, 1e-5
"""Of differences of gradients, and how near they come."""
NARROW = 5e-2
"""Of the size of outputs, how far bfloat16 may depart from float32."""


class Reading(nn.Module):
    """A memory as a function of its input and a state, which stands at a phase that is known beforehand."""

    def __init__(self, memory: Memory, phase: int) -> None:
        super().__init__()
        self.memory, self.phase = memory, phase

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        return self.memory(x) if state is None else self.memory(x, state, phase=self.phase)


class Examination:
    """A memory with an input and a carried state, in the middle of a period where there is one.

    Args:
        memory: copied.
        units: of the input, without a grid.
        seed: of parameters and input.
        dtype: of both.
        inside: a few units, which stay inside the period.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        units: int = SHORT,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        inside: bool = False,
    ) -> None:
        subject = Subject(memory, dtype, seed)
        self.memory, period = subject.memory, subject.memory.period
        before = 3 if period is None else max(1, period // 2)
        if inside:
            units = 4 if period is None else max(1, min(4, period - before - 1))
        elif period is not None:
            units = 2 * period + 3
        self.x = subject.draw(2, units)
        with torch.no_grad():
            _, state = self.memory(subject.draw(2, before))
        self.state = detach(state)
        self.phase = before % period if period else 0
        self.reading = Reading(self.memory, self.phase)
        self.buffers = dict(self.reading.named_buffers())
        self.points: dict[str, Tensor] = {name: part.detach() for name, part in self.reading.named_parameters()}
        if isinstance(self.x, Tensor) and self.x.is_floating_point():
            self.points["x"] = self.x

    def outputs(self, points: Points, state: Any, buffers: dict[str, Tensor] | None = None) -> tuple[Any, Any]:
        """y and the state after x."""
        weights = {name: part for name, part in points.items() if name != "x"}
        own = self.buffers if buffers is None else buffers
        return functional_call(self.reading, (weights, own), (points.get("x", self.x), state))

    def loss(self, points: Points, state: Any, buffers: dict[str, Tensor] | None = None) -> Tensor:
        """A projection of both."""
        return _projection(*self.outputs(points, state, buffers))

    def directions(self) -> Points:
        """A random one at each of the points."""
        generator = torch.Generator().manual_seed(2)
        return {
            name: torch.randn(part.shape, generator=generator, dtype=part.dtype) for name, part in self.points.items()
        }


def compiled(memory: Memory) -> None:
    """``torch.compile`` of a scan and of steps, whole: the law ``compiles``."""
    gap = compiles(Subject(memory, torch.float64))
    assert gap == 0, f"torch.compile: a gap of {gap:g}"


def exported(memory: Memory) -> None:
    """``torch.export`` of the outputs, and of one unit that is read from a carried state at a fixed phase."""
    found = Examination(memory)
    with torch.no_grad():
        _agree("exported outputs", found.reading(found.x)[0], _exported(_Outputs(found.reading), found.x))
        unit = map_leaves(found.x, lambda leaf: leaf[:, :1].clone())
        y, state = _exported(found.reading, unit, found.state)
        expected = found.reading(unit, found.state)
        _agree("an exported unit", expected[0], y)
        _agree("the state after it", expected[1], state)


def functional_gradients(memory: Memory) -> None:
    """``torch.func.grad`` by parameters and inputs, and ``jacrev`` of outputs, are the usual gradients."""
    found = Examination(memory, units=LONG)
    for state in (None, found.state):
        function = partial(found.loss, state=state)
        _agree("torch.func.grad", _gradient(function, found.points), _values(grad(function)(found.points)))

    def ends(points: Points) -> Tensor:
        return leaves(found.outputs(points, found.state)[0])[0][:, -1].flatten()[:3]

    rows = _values(jacrev(ends)(found.points))
    for index in range(len(rows[0])):
        expected = _gradient(lambda points, i=index: ends(points)[i], found.points)
        _agree("jacrev", expected, [part[index] for part in rows])


def vectorised(memory: Memory) -> None:
    """``vmap`` of gradients, over stacked weights with their states and over rows of a batch, are those of each."""
    one, other = Examination(memory), Examination(memory, seed=1)
    other.x, other.points = one.x, {**other.points, **({"x": one.x} if "x" in one.points else {})}
    weights, buffers = stack_module_state([one.reading, other.reading])
    points = one.points | {name: part.detach() for name, part in weights.items()}
    axes = {name: 0 if name in weights else None for name in points}
    states = tree_map(lambda *parts: torch.stack(parts), one.state, other.state)
    for state in (None, states):
        axis = None if state is None else 0
        both = vmap(grad(one.loss), in_dims=(axes, axis, 0))(points, state, buffers)
        for index, found in enumerate((one, other)):
            function = partial(found.loss, state=None if state is None else found.state)
            _agree("vmap over weights", _gradient(function, found.points), [part[index] for part in _values(both)])
    if "x" in one.points:
        rows = {"x": one.points["x"][:, None]}
        state = tree_map(lambda leaf: leaf[:, None], one.state)
        fixed = {name: part for name, part in one.points.items() if name != "x"}
        function = lambda points, row, state: one.loss({**points, **row}, state)  # noqa: E731
        each = vmap(grad(function), in_dims=(None, 0, 0))(fixed, rows, state)
        for row in range(2):
            alone = partial(function, row={"x": rows["x"][row]}, state=tree_map(lambda leaf, i=row: leaf[i], state))
            _agree("vmap over rows", _gradient(alone, fixed), [part[row] for part in _values(each)])


def forward_mode(memory: Memory) -> None:
    """``torch.func.jvp`` along a direction is the usual gradient times it."""
    found = Examination(memory)
    directions = found.directions()
    for state in (None, found.state):
        function = partial(found.loss, state=state)
        along = jvp(function, (found.points,), (directions,))[1]
        _agree("torch.func.jvp", _product(_gradient(function, found.points), directions), along)


def second_derivatives(memory: Memory) -> None:
    """Hessian-vector products, by two backward passes and by forward over backward, are differences of gradients.

    With attention in its math form, as its kernels have first derivatives alone; and inside one period, where a
    mechanism stops gradients at its grid. Of outputs alone: states may hold numbers without a gradient of their own,
    such as a running maximum and what is relative to it.
    """
    found = Examination(memory, inside=True)
    directions = found.directions()

    def loss(points: Points) -> Tensor:
        return _projection(found.outputs(points, found.state)[0])

    with sdpa_kernel(SDPBackend.MATH):
        points = _learning(found.points)
        slope = _product(_gradient_at(loss(points), points, create_graph=True), directions)
        twice = _gradient_at(slope, points)
    ahead, behind = (
        _gradient(loss, {name: part + step * directions[name] for name, part in found.points.items()})
        for step in (STEP, -STEP)
    )
    differences = [(a - b) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]
    _agree("two backward passes", differences, twice, COARSE)
    along = jvp(grad(loss), (found.points,), (directions,))[1]
    _agree("forward over backward", twice, _values(along))


def without_storage(memory: Memory) -> None:
    """The meta device: shapes of outputs, gradients, steps and carried states; and the right numbers once filled."""
    found = Examination(memory, inside=True)
    unit = map_leaves(found.x, lambda leaf: leaf[:, 0])

    def readings(memory: Memory, leaf: Callable[[Tensor], Tensor]) -> list[tuple[Any, Any]]:
        x, state = map_leaves(found.x, leaf), tree_map(leaf, found.state)
        return [memory(x), Reading(memory, found.phase)(x, state), memory.step(map_leaves(unit, leaf), state)]

    expected = readings(found.memory, lambda leaf: leaf)
    empty = copy.deepcopy(found.memory).to("meta")
    for full, shape in zip(expected, readings(empty, lambda leaf: leaf.to("meta")), strict=True):
        for a, b in zip(leaves(full), leaves(shape), strict=True):
            assert b.is_meta, "what is computed on the meta device does not stand there"
            assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{b.shape}, {b.dtype} on meta for {a.shape}, {a.dtype}"
        _gradient_at(_projection(*shape), dict(empty.named_parameters()))
    for assign in (False, True):
        with torch.device("meta"):
            built = type(found.memory)(**copy.deepcopy(found.memory.config))
        if not assign:
            built = built.to_empty(device="cpu").to(torch.float64)
        assert list(built.state_dict()) == list(found.memory.state_dict()), "built on meta, it has other keys"
        built.load_state_dict(copy.deepcopy(found.memory.state_dict()), assign=assign)
        for full, again in zip(expected, readings(built, lambda leaf: leaf), strict=True):
            _same("built on the meta device and filled", full, again)


def mixed_precision(memory: Memory) -> None:
    """``torch.autocast`` to bfloat16 on a CPU, with states in and out and gradients: near what float32 gives."""
    found = Examination(memory, dtype=torch.float32)
    plain = found.reading(found.x, found.state)
    with torch.autocast("cpu", torch.bfloat16):
        narrow, fresh = found.reading(found.x, found.state), found.reading(found.x)
    for full, rounded in zip(leaves(plain[0]), leaves(narrow[0]), strict=True):
        apart = float(((full - rounded).norm() / full.norm()).detach())
        assert apart <= NARROW, f"outputs under autocast depart by {apart:.1%} of their size"
    dtypes = [[leaf.dtype for leaf in leaves(state)] for state in (found.state, narrow[1])]
    assert dtypes[0] == dtypes[1], "autocast changes the dtypes of a state that is handed in"
    parameters = dict(found.memory.named_parameters())
    numbers = [*leaves(fresh[1]), *_gradient_at(_projection(*narrow), parameters)]
    assert all(part.isfinite().all() for part in numbers), "states or gradients under autocast are not finite"


def copied(memory: Memory) -> None:
    """``pickle``, ``torch.save`` of the whole module and ``copy.deepcopy`` give a memory with the same outputs."""
    found, file = Examination(memory), io.BytesIO()
    torch.save(found.memory, file)
    file.seek(0)
    others = (
        pickle.loads(pickle.dumps(found.memory)),
        torch.load(file, weights_only=False),
        copy.deepcopy(found.memory),
    )
    with torch.no_grad():
        for other in others:
            expected, again = found.reading(found.x, found.state), Reading(other, found.phase)(found.x, found.state)
            _same("a copy", expected, again)


def strided(memory: Memory) -> None:
    """Inputs and states with any strides give the same outputs and states, read at once or unit by unit."""
    found = Examination(memory)
    unit = map_leaves(found.x, lambda leaf: leaf[:, 0])
    expected = found.reading(found.x, found.state), found.memory.step(unit, found.state)
    for layout in (_spread, _turned):
        x, state = map_leaves(found.x, layout), tree_map(layout, found.state)
        again = found.reading(x, state), found.memory.step(map_leaves(unit, layout), state)
        _agree("other strides", expected, again)


OF_TRANSFORMS: dict[str, Callable[[Memory], None]] = {
    "compile": compiled,
    "export": exported,
    "func.grad": functional_gradients,
    "vmap": vectorised,
    "jvp": forward_mode,
    "double backward": second_derivatives,
    "meta": without_storage,
    "autocast": mixed_precision,
    "pickle": copied,
    "strides": strided,
}
"""What is done to a memory as a whole, by the names that users know; each check returns nothing, or raises."""

CAPABILITIES: dict[str, Callable[[Memory], None]] = {
    **OF_TRANSFORMS,
    **OF_MODULES,
}
"""All: those and what hangs on the modules inside."""


def check(memory: Memory, capability: str) -> None:
    """Examine one capability of a memory, which is copied and never changed.

    Raises:
        ValueError: no such capability.
        Exception: what is missing or wrong, in torch's words or those of the check.
    """
    if capability not in CAPABILITIES:
        raise ValueError(f"no capability is called {capability!r}; choose one of {', '.join(CAPABILITIES)}")
    with silent():
        CAPABILITIES[capability](memory)


def shortcoming(memory: Memory, capability: str) -> str:
    """Why a memory lacks a capability, in one line; "" where it has it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, that something could be faster, or is new
            check(memory, capability)
    except Exception as error:
        said = str(error).strip().splitlines()
        return f"{type(error).__name__}: {said[0] if said else 'without a word'}"
    return ""


class _Outputs(nn.Module):
    """The outputs alone."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self.reading = reading

    def forward(self, x: Any) -> Any:
        return self.reading(x)[0]


def _exported(module: nn.Module, *arguments: Any) -> Any:
    return torch.export.export(module, arguments).module()(*arguments)


def _projection(*results: Any) -> Tensor:
    """One number that depends on every floating number of outputs and states, on each in a way of its own."""
    total = torch.zeros((), dtype=torch.float64, device=first_leaf(results[0]).device)
    for leaf in leaves(results):
        if leaf.is_floating_point():
            weight = torch.arange(leaf.numel(), dtype=torch.float64, device=leaf.device).cos().reshape(leaf.shape)
            total = total + (leaf.double() * weight).sum()
    return total


def _learning(points: Points) -> Points:
    return {name: part.detach().clone().requires_grad_() for name, part in points.items()}


def _gradient(function: Callable[[Points], Tensor], points: Points) -> list[Tensor]:
    """By torch.autograd."""
    points = _learning(points)
    return _gradient_at(function(points), points)


def _gradient_at(value: Tensor, points: Points, *, create_graph: bool = False) -> list[Tensor]:
    """Zeros where a point has no part in the value."""
    wanted = list(points.values())
    if not value.requires_grad or not wanted:
        return [torch.zeros_like(part) for part in wanted]
    found = torch.autograd.grad(value, wanted, allow_unused=True, create_graph=create_graph)
    return [torch.zeros_like(part) if own is None else own for part, own in zip(wanted, found, strict=True)]


def _product(gradient: list[Tensor], directions: Points) -> Tensor:
    return torch.stack([(own * way).sum() for own, way in zip(gradient, directions.values(), strict=True)]).sum()


def _values(points: Any) -> list[Tensor]:
    return list(points.values())


def _agree(what: str, expected: Any, found: Any, tolerance: float = TOLERANCE) -> None:
    gap = difference(expected, found)
    assert gap <= tolerance, f"{what}: a gap of {gap:.1e} where {tolerance:g} is allowed"


def _same(what: str, expected: Any, found: Any) -> None:
    pairs = zip(leaves(expected), leaves(found), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), f"{what}: other numbers"


def _spread(leaf: Tensor) -> Tensor:
    """With a gap behind every number, and begun at an odd place."""
    room = leaf.new_zeros(2 * leaf.numel() + 1)[1:]
    return room.view(*leaf.shape, 2)[..., 0].copy_(leaf)


def _turned(leaf: Tensor) -> Tensor:
    """With its axes the other way round in storage."""
    axes = list(reversed(range(leaf.ndim)))
    return leaf.permute(axes).contiguous().permute(axes)
