"""States inside checkpoints of torch, accelerate and Lightning: saved, loaded in a fresh process, resumed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from accelerate import Accelerator

import mnesis
from mnesis.core import state_classes
from mnesis.core.catalog import list_memories
from mnesis.core.state import detach, leaves, structure

from .own_memory import OWN


def fresh_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def checkpoint(tmp_path):
    """One file with the states of four memories, of which two are whole stacks."""
    states = {}
    for name in ("gru", "xlstm", "armt", "gla"):
        memory = mnesis.create_memory(name, **next(card.example for card in list_memories() if card.name == name))
        states[name] = detach(memory(torch.randn(2, 3, memory.dim or 1))[1])
    torch.save({"step": 5, "states": states}, tmp_path / "c.pt")
    return tmp_path / "c.pt", states


@pytest.mark.parametrize("imports", ["import torch, mnesis", "import mnesis, torch"])
def test_a_fresh_process_loads_states_that_others_saved(checkpoint, imports) -> None:
    path, states = checkpoint
    told = fresh_process(f"""
{imports}
import json, sys
assert not [name for name in sys.modules if name.startswith(("mnesis.memories.", "mnesis.nets."))]
loaded = torch.load({str(path)!r}, weights_only=True)
from mnesis.core.state import leaves, structure
print(json.dumps({{name: [structure(state), [leaf.tolist() for leaf in leaves(state)]]
                  for name, state in loaded["states"].items()}}))
""")
    expected = {name: [structure(state), [leaf.tolist() for leaf in leaves(state)]] for name, state in states.items()}
    assert json.loads(told) == json.loads(json.dumps(expected))


def test_torch_learns_of_the_classes_when_it_is_imported_later() -> None:
    assert (
        fresh_process(f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("state_classes", {state_classes.__file__!r})
module = sys.modules["state_classes"] = module_from_spec(spec)
spec.loader.exec_module(module)
module.tell_torch()
module.tell_torch()
assert "torch" not in sys.modules
import torch
known = {{f"{{cls.__module__}}:{{cls.__qualname__}}" for cls in torch.serialization.get_safe_globals()}}
assert module._OURS <= known, module._OURS - known
assert not [finder for finder in sys.meta_path if type(finder).__name__ == "_AfterTorch"]
print("well")
""")
        == "well\n"
    )


def test_the_states_of_every_memory_come_back_from_torch(tmp_path) -> None:
    for card in list_memories():
        memory = mnesis.create_memory(card.name, **card.example)
        state = detach(memory.initial_state(2, device=torch.device("cpu"), dtype=torch.float32))
        torch.save(state, tmp_path / "s.pt")
        again = torch.load(tmp_path / "s.pt", weights_only=True)
        assert structure(again) == structure(state), card.name
        assert all(torch.equal(a, b) for a, b in zip(leaves(again), leaves(state), strict=True)), card.name


def test_a_class_of_ones_own_is_known_to_torch_too(tmp_path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    enter = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch, own; "
    path = str(tmp_path / "c.pt")
    fresh_process(f"{enter} torch.save({{'state': own.Mine()(torch.ones(1, 2, 3))[1]}}, {path!r})")
    assert fresh_process(f"{enter} print(torch.load({path!r})['state'].sum.tolist())") == "[[3.0, 3.0, 3.0]]\n"


class Carried:
    """What a training carries, as accelerate and Lightning take it."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.memory = mnesis.create_memory("rmt", dim=8, segment=4, heads=2, memory_tokens=2)
        self.state = None

    def read(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y, self.state = self.memory(x, self.state)
        return y

    def state_dict(self) -> dict:
        return {"weights": self.memory.state_dict(), "state": self.state}

    def load_state_dict(self, held: dict) -> None:
        self.memory.load_state_dict(held["weights"])
        self.state = held["state"]


def test_accelerate_saves_and_resumes_with_a_state(tmp_path) -> None:
    x, more = torch.randn(2, 6, 8), torch.randn(2, 5, 8)
    accelerator, carried = Accelerator(cpu=True), Carried()
    accelerator.register_for_checkpointing(carried)
    carried.read(x)
    accelerator.save_state(str(tmp_path / "checkpoint"))
    expected = carried.read(more)
    accelerator.load_state(str(tmp_path / "checkpoint"))
    assert torch.equal(carried.read(more), expected)


def test_a_checkpoint_with_hooks_of_lightnings_kind_resumes(tmp_path) -> None:
    x, more = torch.randn(2, 6, 8), torch.randn(2, 5, 8)
    carried = Carried()
    carried.read(x)
    held = {"epoch": 1, "global_step": 7, "callbacks": {}, "loops": {"fit": {"state": {}}}}
    held |= carried.state_dict()  # on_save_checkpoint
    torch.save(held, tmp_path / "last.ckpt")
    expected = carried.read(more)
    resumed = Carried()
    resumed.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True))  # on_load_checkpoint
    assert torch.equal(resumed.read(more), expected)
