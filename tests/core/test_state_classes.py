"""Which classes a state file may name: a closed list, and those that memories of the program have."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet

import pytest
import torch
from torch import Tensor

import mnesis
from mnesis.core import state_classes
from mnesis.core.catalog import list_memories
from mnesis.core.laws import check
from mnesis.core.memory import Memory
from mnesis.core.state import load_state, register, save_state, structure
from mnesis.core.state_classes import declared_by, name_of

from .own_memory import OWN
from .state_written import Own, Total, written


class Inner(NamedTuple):
    hidden: Tensor


class Outer(NamedTuple):
    inner: Inner


class Undeclared(NamedTuple):
    sum: Tensor


class Registered(NamedTuple):
    sum: Tensor


class Nested(Total):
    """Its state holds another, which nothing declares."""

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return Outer(Inner(torch.zeros(batch, 4, device=device, dtype=dtype)))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state.inner.hidden[:, None] + x.cumsum(1)
        return y, Outer(Inner(y[:, -1].clone()))


def all_memories() -> list[Memory]:
    """An instance of every memory of the package, networks and generative ones among them."""
    from mnesis.generative.sequence import BankReader
    from mnesis.measure.bench.baselines import CausalAttention, TorchLSTM
    from mnesis.memories.linear.gateloop import SimpleGateLoop
    from mnesis.nets import Block, Classifier, LanguageModel, Stack
    from mnesis.nets.state_collapse import Remedied, Scaled

    sized = {"dim": 8, "depth": 1}
    memories = [mnesis.create_memory(card.name, **card.example) for card in list_memories()]
    return [
        *memories, BankReader(8, dim=8), TorchLSTM(8), CausalAttention(64), SimpleGateLoop(8),
        Block(mnesis.create_memory("gru", dim=8)), Stack(**sized), LanguageModel(8, **sized), Classifier(3, 2, **sized),
        Remedied(mnesis.create_memory("gla", dim=8, heads=2), Scaled(0.9, 0.9)),
    ]  # fmt: skip


def listed() -> set[str]:
    return {f"{module}:{name}" for module, names in state_classes.STATES.items() for name in names}


def named(tree: Any) -> set[str]:
    """Classes of a structure."""
    if tree is None:
        return set()
    return {tree[0]} - {""} | {name for child in tree[1:] for name in named(child)}


def test_the_table_has_every_state_class_that_memories_of_the_package_return() -> None:
    found = set()
    for memory in all_memories():
        found |= named(structure(memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)))
    assert found - listed() == set()
    assert {name for name in listed() if name_of(state_classes.find(name)) != name} == set()


def test_the_table_has_every_class_that_a_memory_of_the_package_declares() -> None:
    folder, declared = Path(mnesis.__file__).parent, set()
    for path in sorted(folder.rglob("*.py")):
        if not re.search(r"^class .*Memory.*\[", path.read_text(encoding="utf-8"), re.MULTILINE):
            continue
        module = import_module("mnesis." + ".".join(path.relative_to(folder).with_suffix("").parts))
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Memory) and cls.__module__ == module.__name__:
                declared |= {name_of(found) for found in declared_by(cls)}
    assert len(declared) > 40
    assert declared - listed() == set()


def test_a_file_cannot_have_a_module_imported(tmp_path) -> None:
    for name in (
        "mnesis.cli.__main__:X",
        "mnesis.cli.bench:Bench",
        "antigravity:X",
        "torch:_inductor.X",
        "os:stat_result",
    ):
        with pytest.raises(ValueError, match="needs the state class"):
            load_state(written(tmp_path / "s", [name, None]))
    assert {"mnesis.cli.__main__", "antigravity", "torch._inductor.X"} & set(sys.modules) == set()


def test_a_file_cannot_end_the_process(tmp_path) -> None:
    written(tmp_path / "s", ["mnesis.cli.__main__:X", None])
    program = f"""
import mnesis, sys
sys.argv = ["service", "fetch", "--help"]
try:
    mnesis.load_state({str(tmp_path / "s")!r})
except ValueError:
    print("still here")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout == "still here\n"


def test_a_named_tuple_of_the_program_that_no_memory_returned_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="needs the state class inspect:FullArgSpec"):
        load_state(written(tmp_path / "s", ["inspect:FullArgSpec", *[None] * 7]))
    with pytest.raises(ValueError, match=r"Undeclared, which no memory of this program returns; .*state.register"):
        load_state(written(tmp_path / "s", [name_of(Undeclared), None]))


def test_a_class_that_a_memory_declares_needs_no_registration(tmp_path) -> None:
    assert load_state(written(tmp_path / "s", [name_of(Own), None]))[0].tolist() == [[1] * 4] * 2


def test_classes_inside_a_state_are_known_once_a_memory_has_returned_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(state_classes, "_NOTED", {})  # whatever other tests have made known
    monkeypatch.setattr(state_classes, "_LIVING", WeakSet())
    tree = [name_of(Outer), [name_of(Inner), None]]
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(written(tmp_path / "s", tree))
    _, state = Nested()(torch.randn(2, 3, 4))
    save_state(state, tmp_path / "kept")
    assert type(load_state(tmp_path / "kept").inner) is Inner
    assert type(load_state(written(tmp_path / "s", tree)).inner) is Inner


class Silent(NamedTuple):
    sum: Tensor


class Plain(Memory):
    """Says nowhere what its state is."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return Silent(torch.zeros(batch, 4, device=device, dtype=dtype))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state.sum[:, None] + x.cumsum(1)
        return y, Silent(y[:, -1].clone())


def test_a_memory_that_lives_is_asked_for_its_classes(tmp_path) -> None:
    path = written(tmp_path / "s", [name_of(Silent), None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    memory = Plain()  # which has read nothing yet, as where a program resumes
    state = load_state(path)
    assert type(state) is Silent
    assert memory(torch.ones(2, 3, 4), state)[0][:, -1].tolist() == [[4] * 4] * 2


def test_a_registered_class_is_known(tmp_path) -> None:
    path = written(tmp_path / "s", [name_of(Registered), None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    assert register(Registered) is Registered
    assert type(load_state(path)) is Registered
    with pytest.raises(ValueError, match="is no NamedTuple class"):
        register(dict)


def test_a_class_that_has_moved_opens_under_its_old_name(tmp_path, monkeypatch) -> None:
    path = written(tmp_path / "s", ["mnesis.memories.old:Hidden", None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    monkeypatch.setitem(state_classes.MOVED, "mnesis.memories.old:Hidden", "mnesis.memories.recurrent.gru:GRUState")
    assert type(load_state(path)).__name__ == "GRUState"


def test_a_class_out_of_a_file_has_one_name_in_every_process(tmp_path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    name, path = f"{tmp_path / 'own.py'}:Mine", tmp_path / "s"
    program = f"""
import mnesis, torch
_, state = mnesis.create_memory({name!r})(torch.ones(1, 2, 3))
mnesis.save_state(state, {str(path)!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    mnesis.create_memory(name)
    assert load_state(path).sum.tolist() == [[3, 3, 3]]


class Turning(NamedTuple):
    phase: Tensor


class Turner(Memory):
    """A complex state, of a class that is told nowhere."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        wide = torch.complex128 if dtype == torch.float64 else torch.complex64
        return Turning(torch.ones(batch, 4, device=device, dtype=wide))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        turned = state.phase[:, None] * torch.polar(torch.ones_like(x), x).cumprod(1)
        return turned.real, Turning(turned[:, -1].clone())


@pytest.mark.parametrize("memory", [Turner, Nested])
def test_a_strangers_memory_passes_the_law_of_saving_without_registration(memory) -> None:
    gaps = list(check(memory(), laws=["saved"], dtypes=[torch.float64]))
    assert len(gaps) == 1
    assert [gap for gap in gaps if not gap.holds] == []
