"""What hangs on the modules of a memory: each use as a check that raises where a module is passed by.

Libraries hook into a module's call, or put another module in its place: whatever reads a module's weights past its call
misses them. As in :mod:`~mnesis.core.capabilities` a memory is copied, its parameters are drawn anew, and numbers are
compared with those of plain calls in float64.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import prune

from .laws import check
from .laws.subject import Subject, difference
from .memory import Memory
from .pieces import first_leaf, map_leaves
from .record import recording
from .state import detach, leaves

TOLERANCE = 1e-9
UNITS = 21
"""Of an input; a memory with a grid reads two periods and a unit, so that segments open and close."""
RANK = 2
"""Of the adapters."""
LAWS_OF_ADAPTED = ("cuts", "forms", "resets")


class Adapter(nn.Module):
    """In the place of a linear map: it, and a product of low rank beside it (LoRA, Hu et al. 2021, arXiv 2106.09685).

    With random B, which training starts at 0, so that an adapter that is passed by shows at once.
    """

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        like = {"dtype": base_layer.weight.dtype, "device": base_layer.weight.device}
        self.base_layer = base_layer
        self.A = nn.Parameter(torch.randn(RANK, base_layer.in_features, **like) * base_layer.in_features**-0.5)
        self.B = nn.Parameter(torch.randn(base_layer.out_features, RANK, **like) * RANK**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.base_layer(x)
        return y + (x.to(self.A.dtype) @ self.A.mT @ self.B.mT).to(y.dtype)


def adapted(memory: Memory) -> Memory:
    """A copy with an adapter in the place of every linear map."""
    other = copy.deepcopy(memory)
    for name, layer in list(other.named_modules()):
        if isinstance(layer, nn.Linear):
            other.set_submodule(name, Adapter(layer))
    return other


class Trial:
    """A memory with inputs: a sequence, one that follows, and single units.

    Args:
        memory: copied.
    """

    def __init__(self, memory: Memory) -> None:
        subject = Subject(memory, torch.float64)
        self.memory, period = subject.memory, subject.memory.period
        self.x, self.later = subject.draw(2, UNITS if period is None else 2 * period + 1), subject.draw(2, 5)
        self.units = [self._unit(subject.draw(2, 1)) for _ in range(3 if period is None else period + 1)]

    def _unit(self, x: Any) -> Any:
        return map_leaves(x, lambda leaf: leaf[:, 0])

    def scans(self, module: nn.Module) -> tuple[Any, ...]:
        """Outputs of a sequence and of one that follows, and the state then."""
        y, state = module(self.x)
        later, state = module(self.later, state)
        return y, later, state

    def steps(self, module: nn.Module) -> tuple[Any, ...]:
        """Outputs of units from the start on, and the state then."""
        outputs, state = [], None
        for unit in self.units:
            y, state = module(unit, state, step=True)
            outputs.append(y)
        return *outputs, state

    def both(self, module: nn.Module) -> tuple[Any, ...]:
        """Scans and steps."""
        return *self.scans(module), *self.steps(module)

    def loss(self, module: nn.Module) -> Tensor:
        """Of all that the scans return and record for it."""
        with recording() as recorded:
            results = self.scans(module)
        told = [value for name, values in recorded.items() if name.startswith("loss/") for value in values]
        return _loss(*results, *told)


def hooked(memory: Memory) -> None:
    """Forward hooks of every module run when a sequence is read and when units are; memories show [B T ...]."""
    trial = Trial(memory)
    wanted = {name: part for name, part in trial.memory.named_modules() if _is_called(part)}
    called: dict[str, list[Any]] = {}
    for name, part in wanted.items():
        part.register_forward_hook(lambda _, __, found, name=name: called.setdefault(name, []).append(found))
    time = first_leaf(trial.x).shape[1]
    for read, shape in ((trial.scans, (2, time)), (trial.steps, (2,))):
        called.clear()
        with torch.no_grad():
            read(trial.memory)
        missed = [name for name in wanted if name not in called]
        assert not missed, f"hooks of {', '.join(missed)} do not run in {read.__name__}"
        for name, part in wanted.items():
            y = first_leaf(called[name][0][0]) if isinstance(part, Memory) else None
            assert y is None or tuple(y.shape[: len(shape)]) == shape, f"{name} shows outputs of {list(y.shape)}"


def low_rank(memory: Memory) -> None:
    """Every adapter on every linear map gets a gradient, and adapted memories obey cuts, forms and resets."""
    trial = Trial(adapted(memory))
    adapters = {name: part for name, part in trial.memory.named_parameters() if name.endswith((".A", ".B"))}
    if adapters:
        found = torch.autograd.grad(trial.loss(trial.memory), list(adapters.values()), allow_unused=True)
        missed = [name for name, part in zip(adapters, found, strict=True) if part is None or not part.any()]
        assert not missed, f"no gradient reaches {', '.join(missed)}"
    gaps = check(adapted(memory), laws=LAWS_OF_ADAPTED, dtypes=[torch.float64], forms=_own_form(memory))
    broken = [f"{gap.law} ({gap.form}): {gap.gap:.1e}" for gap in gaps if not gap.holds]
    assert not broken, f"with adapters these laws are broken: {', '.join(broken)}"


def offloaded(memory: Memory) -> None:
    """``accelerate.cpu_offload``: weights come when a module is called and go again, and no number changes."""
    from accelerate import cpu_offload

    trial = Trial(memory)
    with torch.no_grad():
        expected = trial.both(trial.memory)
        cpu_offload(trial.memory, execution_device=torch.device("cpu"))
        _agree("offloaded", expected, trial.both(trial.memory))


def pruned(memory: Memory) -> None:
    """``prune.l1_unstructured`` of every linear map, then two updates: what is pruned stays 0 and counts as 0."""
    trial = Trial(memory)
    layers = [part for part in trial.memory.modules() if isinstance(part, nn.Linear)]
    for layer in layers:
        prune.l1_unstructured(layer, "weight", amount=0.3)
    if not layers:
        return
    optimiser = torch.optim.SGD(trial.memory.parameters(), lr=1e-6)
    for _ in range(2):
        optimiser.zero_grad()
        trial.loss(trial.memory).backward()
        optimiser.step()
    with torch.no_grad():
        found = trial.both(trial.memory)
        for layer in layers:
            prune.remove(layer, "weight")
            assert layer.weight.eq(0).sum() == round(0.3 * layer.weight.numel()), "what was pruned is back"
        _agree("pruned", trial.both(trial.memory), found)


def sharded(memory: Memory) -> None:
    """FSDP2's ``fully_shard`` of every memory and layer inside, then of the whole, on one process."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    trial = Trial(memory)
    expected, gradients = _graded(trial, trial.memory)
    with torch.no_grad():
        stepped = trial.steps(trial.memory)
    with _processes():
        mesh = init_device_mesh("cpu", (1,))
        for part in _blocks(trial.memory):
            fully_shard(part, mesh=mesh)
        fully_shard(trial.memory, mesh=mesh)
        found, own = _graded(trial, trial.memory)
        _agree("sharded", expected, found)
        _agree("gradients of the sharded", gradients, [_whole(part) for part in own])
        with torch.no_grad():
            _agree("steps of the sharded", stepped, trial.steps(trial.memory))


def parallelised(memory: Memory) -> None:
    """DistributedDataParallel on one process, twice; ``find_unused_parameters`` where :func:`unused` names some."""
    from torch.nn.parallel import DistributedDataParallel

    trial = Trial(memory)
    if not any(True for _ in trial.memory.parameters()):
        return
    expected, gradients = _graded(trial, trial.memory)
    with _processes():
        parallel = DistributedDataParallel(trial.memory, find_unused_parameters=bool(unused(trial.memory)))
        for _ in range(2):
            trial.memory.zero_grad()
            y, state = parallel(trial.x)
            _loss(y, state).backward()
            y, state = parallel(trial.later, detach(state))
            _loss(y, state).backward()
        found, own = _graded(trial, trial.memory)
    _agree("in parallel", expected, found)
    _agree("gradients in parallel", gradients, own)


def unused(memory: Memory) -> list[str]:
    """Parameters that some calls leave without a gradient: what waits for a segment's end, and learned starts of rows
    that go on from a state. ``DistributedDataParallel`` is told ``find_unused_parameters=True`` where there are any."""
    trial, without = Trial(memory), set()
    with torch.no_grad():
        _, state = trial.memory(trial.x)
    for x, start in ((trial.x, None), (trial.later, None), (trial.later, detach(state))):
        parameters = dict(trial.memory.named_parameters())
        loss = _loss(*trial.memory(x, start))
        found = [] if not parameters else torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        without |= {name for name, part in zip(parameters, found, strict=True) if part is None}
    return sorted(without)


OF_MODULES: dict[str, Callable[[Memory], None]] = {
    "hooks": hooked,
    "LoRA": low_rank,
    "offload": offloaded,
    "prune": pruned,
    "FSDP2": sharded,
    "DDP": parallelised,
}
"""By the names that users know; each check returns nothing, or raises."""


def _is_called(part: nn.Module) -> bool:
    """Whether a module can be called and has something to hang on: containers such as lists have no forward."""
    has_forward = type(part).forward is not nn.Module.forward
    return has_forward and (isinstance(part, Memory) or any(True for _ in part.parameters()))


def _blocks(memory: Memory) -> list[nn.Module]:
    """What FSDP wraps one by one, inner ones first: memories inside and entries of lists, where they hold weights."""
    listed = {id(part) for parts in memory.modules() if isinstance(parts, nn.ModuleList) for part in parts}
    return [
        part
        for part in reversed(list(memory.modules())[1:])
        if (isinstance(part, Memory) or id(part) in listed)
        and _is_called(part)
        and any(True for _ in part.parameters())
    ]


def _own_form(memory: Memory) -> list[str] | None:
    """The form that a memory has; the law compares it with the naive one."""
    return [memory.config["form"]] if "form" in memory.config else None


def _loss(*results: Any) -> Tensor:
    """One number that depends on each floating number of outputs and states in a way of its own."""
    parts = [leaf for leaf in leaves(results) if leaf.is_floating_point() and leaf.requires_grad]
    if not parts:
        return torch.zeros(())
    return torch.stack(
        [
            (part.double() * torch.arange(1.0, part.numel() + 1, dtype=torch.float64).cos().reshape(part.shape)).sum()
            for part in parts
        ]
    ).sum()


def _graded(trial: Trial, module: nn.Module) -> tuple[Any, list[Tensor]]:
    """Outputs and states, and the gradients that a backward pass leaves."""
    module.zero_grad()
    results = trial.scans(module)
    if any(leaf.requires_grad for leaf in leaves(results)):
        _loss(*results).backward()
    return detach(results), [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]


def _whole(part: Tensor) -> Tensor:
    return part.full_tensor() if isinstance(part, DTensor) else part


def _agree(what: str, expected: Any, found: Any) -> None:
    gap = difference(expected, found)
    assert gap <= TOLERANCE, f"{what}: a gap of {gap:.1e} where {TOLERANCE:g} is allowed"


@contextmanager
def _processes() -> Iterator[None]:
    """A group of this process alone, unless there is one."""
    if dist.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()
