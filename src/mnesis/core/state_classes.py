"""The classes that a state in a file may be made of: a closed list, so that no file can have anything imported or run.

They are those that memories of this package return, in the table below; those that a memory of the running program
has returned, declares, ``class Mine(Memory[MyState])``, or returns when it is asked; and those given to
:func:`register`. ``torch.load`` gets to know them too. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar, get_args
from weakref import WeakSet

C = TypeVar("C", bound=type)

STATES: dict[str, tuple[str, ...]] = {
    "mnesis.core.adapt": ("AdaptedState",),
    "mnesis.generative.generation": ("Taught",),
    "mnesis.generative.sequence": ("BankState",),
    "mnesis.layers.segment_attention": ("SegmentCache",),
    "mnesis.measure.bench.baselines": ("AttentionState", "LSTMState"),
    "mnesis.memories.bank.window": ("WindowState",),
    "mnesis.memories.convolution.fsmn": ("FSMNState",),
    "mnesis.memories.convolution.multires": ("MultiresState",),
    "mnesis.memories.convolution.tcn": ("TCNState",),
    "mnesis.memories.linear.aaren": ("AarenState",),
    "mnesis.memories.linear.agalite": ("AGaLiTeState", "GaLiTeState"),
    "mnesis.memories.linear.bilinear": ("BilinearState",),
    "mnesis.memories.linear.complex_diagonal": ("ComplexDiagonalState",),
    "mnesis.memories.linear.ffm": ("FFMState",),
    "mnesis.memories.linear.gated_rnn": ("GatedRNNState",),
    "mnesis.memories.linear.gateloop": ("GateLoopState", "SimpleGateLoopState"),
    "mnesis.memories.linear.gla": ("GLAState",),
    "mnesis.memories.linear.linear_attention": ("LinearAttentionState",),
    "mnesis.memories.linear.lssl": ("LSSLState",),
    "mnesis.memories.linear.mamba": ("MambaState",),
    "mnesis.memories.linear.mamba2": ("Mamba2State",),
    "mnesis.memories.linear.memmamba": ("MemMambaState",),
    "mnesis.memories.linear.min_gru": ("MinGRUState",),
    "mnesis.memories.linear.min_lstm": ("MinLSTMState",),
    "mnesis.memories.linear.mlstm": ("MLSTMState",),
    "mnesis.memories.linear.mlstm_block": ("MLSTMBlockState",),
    "mnesis.memories.linear.parallel_lmu": ("ParallelLMUState",),
    "mnesis.memories.linear.retention": ("RetentionState",),
    "mnesis.memories.linear.rg_lru": ("RGLRUState",),
    "mnesis.memories.linear.s4d": ("S4DState",),
    "mnesis.memories.linear.stable_ssm": ("StableSSMState",),
    "mnesis.memories.linear.taylor": ("TaylorState",),
    "mnesis.memories.plastic.delta_product": ("DeltaProductState",),
    "mnesis.memories.plastic.delta_rule": ("DeltaRuleState",),
    "mnesis.memories.plastic.gated_delta_rule": ("GatedDeltaRuleState",),
    "mnesis.memories.plastic.lattice": ("LatticeState",),
    "mnesis.memories.plastic.mom": ("MoMState",),
    "mnesis.memories.recurrent.elman": ("ElmanState",),
    "mnesis.memories.recurrent.gru": ("GRUState",),
    "mnesis.memories.recurrent.hippo": ("HiPPOState",),
    "mnesis.memories.recurrent.lmu": ("LMUState",),
    "mnesis.memories.recurrent.lstm": ("LSTMState",),
    "mnesis.memories.recurrent.slstm": ("SLSTMState",),
    "mnesis.memories.reservoir.echo_state": ("EchoStateState",),
    "mnesis.memories.segment.armt": ("Associations",),
    "mnesis.memories.segment.block_recurrent": ("Block", "BlockRecurrentCarried", "Slots"),
    "mnesis.memories.segment.rmt": ("RMTCarried",),
    "mnesis.memories.segment.segments": ("SegmentState",),
    "mnesis.memories.segment.transformer_xl": ("TransformerXLState",),
    "mnesis.nets.lmuformer": ("LayerState",),
    "mnesis.nets.stack": ("BlockState", "StackState"),
    "mnesis.nets.state_collapse": ("RemediedState",),
}
"""State classes of this package, by the module that defines them."""

MOVED: dict[str, str] = {
    f"mnesis.measure.baselines:{name}": f"mnesis.measure.bench.baselines:{name}"
    for name in ("AttentionState", "LSTMState")
} | {"mnesis.layers.transformer:SegmentCache": "mnesis.layers.segment_attention:SegmentCache"}
"""Names, ``module:Class``, that files of earlier versions hold, and the present names of the same classes."""

_OURS = {f"{module}:{name}" for module, names in STATES.items() for name in names}
_NOTED: dict[type, None] = {}
"""Classes that are not in the table, in the order in which they were seen."""
_LIVING: WeakSet[Any] = WeakSet()
"""Memories of the program."""


def register(cls: C) -> C:
    """Let files hold states of a class: a NamedTuple of tensors, NamedTuples and tuples.

    Needed only where a program loads such a state without the memory that returns it. Also a
    decorator: ``@mnesis.core.state.register``.

    Raises:
        ValueError: no NamedTuple class.
    """
    if not _is_state_class(cls):
        raise ValueError(f"{cls!r} is no NamedTuple class, and states are made of these; give such a class")
    _note_class(cls)
    return cls


def note(state: Any) -> None:
    """Take in the classes of a state that a memory has returned."""
    if isinstance(state, tuple):
        if type(state) not in _NOTED and hasattr(state, "_fields"):
            _note_class(type(state))
        for child in state:
            note(child)


def note_declared(cls: type) -> None:
    """Take in the classes that a memory class names in its bases, ``Memory[MyState]``."""
    for found in declared_by(cls):
        _note_class(found)


def declared_by(cls: type) -> list[type]:
    """State classes that a memory class names in its bases."""
    waiting, declared = list(cls.__dict__.get("__orig_bases__", ())), []
    while waiting:
        found = waiting.pop()
        waiting.extend(get_args(found))
        declared += [found] if _is_state_class(found) else []
    return declared


def live(memory: Any) -> None:
    """Take in a memory, which is asked for a state of its own once a file names a class that is not known."""
    _LIVING.add(memory)


def _ask_the_living() -> None:
    import torch

    for memory in list(_LIVING):
        if not type(memory).__module__.startswith("mnesis."):
            with contextlib.suppress(Exception), torch.no_grad():  # of one that is half built, say
                like = next(memory.parameters(), torch.empty(0))
                note(memory.initial_state(1, device=like.device, dtype=like.dtype))


def name_of(cls: type) -> str:
    """What a class is called in files: ``module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def find(name: str) -> type | None:
    """The state class of that name; of a module that is not in memory only if the table has it. None = unknown."""
    name = MOVED.get(name, name)
    if name in _OURS:
        module, _, qualified = name.partition(":")
        return getattr(import_module(module), qualified)
    if (found := _noted(name)) is None:
        _ask_the_living()
        found = _noted(name)
    return found


def _noted(name: str) -> type | None:
    return next((cls for cls in reversed(_NOTED) if name_of(cls) == name), None)  # the latest, where one was redefined


def is_ours(cls: type) -> bool:
    """Whether this package defines a class."""
    return name_of(cls) in _OURS


def tell_torch() -> None:
    """Let ``torch.load`` (``weights_only=True``, its default) know all these classes, now or once torch is imported."""
    if serialization := sys.modules.get("torch.serialization"):
        _tell(serialization)
    elif not any(isinstance(finder, _AfterTorch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterTorch())


class _AfterTorch:
    """A finder of modules that finds none: it is there to be asked for torch's, and vanishes."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "torch.serialization":
            return None
        sys.meta_path.remove(self)
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_tell(module: ModuleType) -> None:
                execute(module)
                _tell(module)

            with contextlib.suppress(AttributeError):  # a loader that cannot be changed: torch's import goes first
                spec.loader.exec_module = execute_and_tell
        return spec


def _tell(serialization: ModuleType) -> None:
    serialization.add_safe_globals([*map(_stand_in, sorted(_OURS | set(MOVED))), *_NOTED])


def _stand_in(name: str) -> type:
    """What torch takes for a class of ours, and only calls: the class itself is imported when a file holds one."""
    module, _, qualified = name.partition(":")

    def construct(cls: type, *parts: Any) -> Any:
        return _present(name)(*parts)

    return type(qualified, (), {"__module__": module, "__qualname__": qualified, "__new__": construct})


def _present(name: str) -> Callable[..., Any]:
    found = find(name)
    assert found is not None, name
    return found


def _note_class(cls: type) -> None:
    _NOTED.pop(cls, None)
    _NOTED[cls] = None
    if name_of(cls) not in _OURS and (serialization := sys.modules.get("torch.serialization")):
        serialization.add_safe_globals([cls])


def _is_state_class(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
