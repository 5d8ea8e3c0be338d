"""HiPPO-RNN and both LMUs as memories: the authors' numbers, what they keep, their states and their options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.parallel_lmu import ParallelLMU, ParallelLMUState
from mnesis.memories.recurrent.hippo import HiPPO, HiPPOState
from mnesis.memories.recurrent.lmu import LMU, LMUState

FOLDER = Path(__file__).parents[1] / "golden"


def hippo_memory(cell: str, golden: dict[str, torch.Tensor]) -> HiPPO:
    memory = HiPPO(3, hidden=5, signals=2, order=4, measure=cell, window=20.0)
    memory.output = torch.nn.Identity()
    weights = {
        f"{layer}.{part}": golden[f"weight/{cell}_cell/{layer}.{part}"]
        for layer in ("memory_input", "candidate", "gate")
        for part in ("weight", "bias")
    }
    memory.load_state_dict(weights)
    return memory.double()


@pytest.mark.parametrize("cell", ["legs", "legt"])
def test_golden_hippo(cell) -> None:
    golden = {name: part.double() for name, part in load_file(FOLDER / "hippo.safetensors").items()}
    memory = hippo_memory(cell, golden)
    x = golden[f"input/{cell}_cell/x"].requires_grad_()
    y, state = memory(x)
    assert (y - golden[f"output/{cell}_cell/y"]).abs().max() < 1e-6
    assert (state.hidden - golden[f"state/{cell}_cell/hidden"]).abs().max() < 1e-6
    assert (state.memory - golden[f"state/{cell}_cell/memory"]).abs().max() < 1e-6
    for units in (1, 2, 6):
        _, early = memory(x[:, :units])
        assert (early.memory - golden[f"state/{cell}_cell/memory.{units - 1}"]).abs().max() < 1e-6
    names = ["x", *(name for name, _ in memory.named_parameters())]
    found = torch.autograd.grad(y.square().sum(), [x, *memory.parameters()])
    for name, gradient in zip(names, found, strict=True):
        expected = golden[f"gradient/{cell}_cell/{name}"]
        assert (gradient - expected).abs().max() < 1e-5 * expected.abs().max().clamp_min(1)


@pytest.mark.parametrize("cell", ["legs", "legt"])
def test_golden_hippo_goes_on(cell) -> None:
    golden = {name: part.double() for name, part in load_file(FOLDER / "hippo.safetensors").items()}
    memory, case = hippo_memory(cell, golden), f"{cell}_carried"
    count = golden[f"input/{case}/count"].expand(2).clone()
    state = HiPPOState(golden[f"input/{case}/hidden"], golden[f"input/{case}/memory"], count)
    y, state = memory(golden[f"input/{case}/x"], state)
    assert (y - golden[f"output/{case}/y"]).abs().max() < 1e-6
    assert (state.memory - golden[f"state/{case}/memory"]).abs().max() < 1e-6
    assert torch.equal(state.units, count + 6)


@pytest.mark.parametrize("case", ["plain", "carried"])
def test_golden_lmu(case) -> None:
    golden = load_file(FOLDER / "lmu.safetensors")
    memory = LMU(3, hidden=5, order=6, window=8.0).double()
    memory.output = torch.nn.Identity()
    names = {
        "input_encoder": "e_x",
        "hidden_encoder": "e_h",
        "memory_encoder": "e_m",
        "input_kernel": "W_x",
        "hidden_kernel": "W_h",
        "memory_kernel": "W_m",
    }
    memory.load_state_dict({ours: golden[f"weight/{theirs}"] for ours, theirs in names.items()})
    assert (memory.fixed.made.transition - golden["weight/A"]).abs().max() < 1e-13
    x = golden[f"input/{case}/x"].requires_grad_()
    state = memory.initial_state(2, device=x.device, dtype=x.dtype)
    if case == "carried":
        state = LMUState(golden["input/carried/hidden"], golden["input/carried/memory"][:, None])
    y, state = memory(x, state)
    assert (y - golden[f"output/{case}/y"]).abs().max() < 1e-12
    assert (state.memory[:, 0] - golden[f"state/{case}/memory"]).abs().max() < 1e-12
    if case == "plain":
        loss = y.square().sum() + state.memory.square().sum()
        found = torch.autograd.grad(loss, [x, *(memory.get_parameter(name) for name in names)])
        for name, gradient in zip(["x", *names.values()], found, strict=True):
            assert (gradient - golden[f"gradient/plain/{name}"]).abs().max() < 1e-11


@pytest.mark.parametrize("form", ParallelLMU.forms)
def test_golden_parallel_lmu(form) -> None:
    golden = {name: part.double() for name, part in load_file(FOLDER / "lmu.safetensors").items()}
    memory = ParallelLMU(3, order=6, window=8.0, form=form, chunk=5).double()
    memory.output = torch.nn.Linear(9, 5).double()
    names = {"input": "W_u", "output": "W_h"}
    memory.load_state_dict(
        {
            f"{ours}.{part}": golden[f"weight/parallel/{theirs}.{part}"]
            for ours, theirs in names.items()
            for part in ("weight", "bias")
        }
    )
    y, _ = memory(golden["input/parallel/x"])
    assert (y - golden["output/parallel/y"]).abs().max() < 1e-6


@pytest.mark.parametrize("form", ParallelLMU.forms)
def test_parallel_lmu_with_several_signals(form) -> None:
    """Each signal is kept by itself."""
    torch.manual_seed(0)
    memory = ParallelLMU(5, signals=3, order=4, window=10.0, form=form, chunk=7).double()
    x = torch.randn(2, 30, 5, dtype=torch.float64)
    y, state = memory(x)
    u, m = torch.relu(memory.input(x)), torch.zeros(2, 3, 4, dtype=torch.float64)
    a, b = memory.fixed.made
    for t in range(30):
        m = m @ a.mT + b * u[:, t, :, None]
        expected = torch.relu(memory.output(torch.cat([m.flatten(1), x[:, t]], -1)))
        assert (y[:, t] - expected).abs().max() < 1e-12
    assert (state.memory - m).abs().max() < 1e-12


def test_states_are_as_large_as_promised_and_never_narrow() -> None:
    x = torch.randn(2, 9, 12).bfloat16()
    for memory, numbers in (
        (HiPPO(12, hidden=7, signals=2, order=5), 7 + 10 + 1),
        (LMU(12, hidden=7, signals=2, order=5), 7 + 10),
        (ParallelLMU(12, signals=2, order=5), 10),
    ):
        y, state = memory.bfloat16()(x)
        assert y.dtype == torch.bfloat16
        assert {leaf.dtype for leaf in state} == {torch.float32}
        assert nbytes(state) == 2 * 4 * numbers


def test_rows_divide_by_their_own_count() -> None:
    """A row that starts anew is as young as a fresh one, whatever its neighbour has read."""
    torch.manual_seed(0)
    memory, x = HiPPO(4, order=6).double(), torch.randn(2, 20, 4, dtype=torch.float64)
    reset = torch.zeros(2, 20, dtype=torch.bool)
    reset[1, 8] = True
    y, state = memory(x, reset=reset)
    fresh, _ = memory(x[1:, 8:])
    assert (y[1:, 8:] - fresh).abs().max() < 1e-12
    assert state.units.tolist() == [20, 12]


def test_the_gate_can_be_watched() -> None:
    with recording() as observed:
        HiPPO(6, hidden=8, order=4)(torch.randn(1, 3, 6))
    assert observed["hippo/gate"][0].shape == (1, 3, 8)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (HiPPO, {"measure": "fourier"}, "HiPPO has no measure 'fourier'; choose one of legs, legt, lagt"),
        (HiPPO, {"signals": 0}, "HiPPO: signals=0 is not a whole number of at least 1"),
        (HiPPO, {"order": 0}, "HiPPO: order=0 is not a whole number of at least 1"),
        (HiPPO, {"measure": "legt", "window": 0.0}, "window=0.0 is not a finite number above 0"),
        (LMU, {"signals": 0}, "LMU: signals=0 is not a whole number of at least 1"),
        (LMU, {"window": -1.0}, "window=-1.0 is not a finite number above 0"),
        (ParallelLMU, {"order": 0}, "ParallelLMU: order=0 is not a whole number of at least 1"),
        (ParallelLMU, {"form": "fft"}, "ParallelLMU has no form 'fft'"),
    ],
)
def test_bad_options(kind, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        kind(6, **options)


def test_a_state_can_be_handed_in() -> None:
    memory = ParallelLMU(4, order=3)
    _, state = memory(torch.randn(2, 5, 4), ParallelLMUState(torch.ones(2, 1, 3)))
    assert state.memory.shape == (2, 1, 3)
