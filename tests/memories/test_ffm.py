"""FFM as a memory: the cell written out by distances, the authors' numbers, its start, its state and its options."""

from __future__ import annotations

import cmath
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.ffm import FFM, FFMState

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ffm.safetensors"
LAYERS = ("input", "input_gate", "through", "output_gate", "mix")
every_form = pytest.mark.parametrize("form", FFM.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: FFM, x: Tensor) -> Tensor:
    """One row, from an empty past: every input by its distance, without a state."""
    rates, frequencies, outputs = memory.rate.abs().tolist(), memory.frequency.tolist(), []
    written = memory.input(x) * memory.input_gate(x).sigmoid()
    for t in range(len(x)):
        parts = []
        for j, rate in enumerate(rates):
            for frequency in frequencies:
                gamma = [cmath.exp(complex(-rate, frequency) * (t - s)) for s in range(t + 1)]
                for part in ([g.real for g in gamma], [g.imag for g in gamma]):
                    parts.append(torch.tensor(part, dtype=torch.float64) @ written[: t + 1, j])
        mixed = memory.mix.weight @ torch.stack(parts) + memory.mix.bias
        normed = (mixed - mixed.mean()) / (mixed.var(correction=0) + 1e-5).sqrt()
        gate = memory.output_gate(x[t]).sigmoid()
        outputs.append(normed * gate + memory.through(x[t]) * (1 - gate))
    return torch.stack(outputs)


@every_form
def test_the_layer(form) -> None:
    torch.manual_seed(0)
    memory, x = FFM(5, memory=4, context=3, form=form, chunk=7).double(), draw(2, 20, 5)
    nn.init.normal_(memory.rate)  # of either sign
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    return float((found - expected).detach().abs().max()) < tolerance * max(1.0, float(expected.abs().max()))


def cell(golden: dict[str, Tensor], form: str) -> FFM:
    """The authors' cell, whose five inputs are six here with a last one that is 0."""
    memory = FFM(6, memory=4, context=3, form=form, chunk=5)
    with torch.no_grad():
        for name in LAYERS:
            layer, weight = memory.get_submodule(name), golden[f"weight/cell/{name}.weight"]
            layer.weight.copy_(weight if name == "mix" else F.pad(weight, (0, 1)))
            layer.bias.copy_(golden[f"weight/cell/{name}.bias"])
        memory.rate.copy_(-golden["weight/cell/a"])
        memory.frequency.copy_(golden["weight/cell/b"])
    return memory


@every_form
@pytest.mark.parametrize("case", ["cell", "carried_cell"])
def test_golden_cell(form, case) -> None:
    golden = load_file(GOLDEN)
    memory, x = cell(golden, form), golden[f"input/{case}/x"].requires_grad_()
    state = FFMState(golden["input/carried_cell/trace"]) if case == "carried_cell" else None
    y, state = memory(F.pad(x, (0, 1)), state)
    assert close(y, golden[f"output/{case}/y"])
    assert close(state.trace, golden[f"state/{case}/trace"])
    if case == "cell":
        names = [f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
        wanted = [x, *(memory.get_parameter(name) for name in names), memory.rate, memory.frequency]
        *found, rate, frequency = torch.autograd.grad(y.square().sum(), wanted)
        for name, gradient in zip(["x", *names], found, strict=True):
            expected = golden[f"gradient/cell/{name}"]
            assert close(gradient[..., : expected.shape[-1]], expected)
        # The official ones cancel to these digits.
        assert close(-rate, golden["gradient/cell/a"], 1e-4)
        assert close(frequency, golden["gradient/cell/b"], 1e-4)


@every_form
@pytest.mark.parametrize("case", ["plain", "carried"])
def test_golden_aggregator(form, case) -> None:
    """The trace alone, by a gate that is half open on an input that is doubled."""
    golden = load_file(GOLDEN)
    memory = FFM(4, memory=4, context=3, form=form, chunk=5)
    with torch.no_grad():
        memory.input.weight.copy_(2 * torch.eye(4))
        for parameter in (memory.input.bias, *memory.input_gate.parameters()):
            parameter.zero_()
        memory.rate.copy_(-golden["weight/aggregator/a"])
        memory.frequency.copy_(golden["weight/aggregator/b"])
    x, state, traces = golden[f"input/{case}/x"].requires_grad_(), None, []
    if case == "carried":
        state = FFMState(golden["input/carried/trace"])
    for stop in range(1, x.shape[1] + 1):
        traces.append(memory(x[:, :stop], state)[1].trace)
    expected = golden[f"state/{case}/trace"]
    assert close(torch.stack(traces, 1), expected)
    if case == "plain":
        wanted = [x, memory.rate, memory.frequency]
        for name, gradient in zip("xab", torch.autograd.grad(torch.stack(traces).square().sum(), wanted), strict=True):
            expected, sign = golden[f"gradient/plain/{name}"], -1 if name == "a" else 1
            assert close(sign * gradient, expected, 1e-4 if name == "a" else 1e-5)


def test_it_starts_as_the_authors_have_it() -> None:
    golden, memory = load_file(GOLDEN), FFM(6, memory=4, context=3)
    assert torch.allclose(memory.rate, -golden["weight/initial/a"])
    assert torch.allclose(memory.frequency, golden["weight/initial/b"])
    memory = FFM(6, memory=4, context=3, shortest_period=4.0, longest_period=100.0)
    assert memory.rate[-1].item() == pytest.approx(math.log(100) / 100)
    assert torch.allclose(2 * math.pi / memory.frequency, torch.tensor([4.0, 52.0, 100.0]))


def test_the_state_is_as_large_as_promised_and_gates_can_be_watched() -> None:
    memory = FFM(12).bfloat16()
    with recording() as observed:
        y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.trace.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 2 * 32 * 4
    assert observed["ffm/input_gate"][0].shape == (2, 30, 32)
    assert observed["ffm/output_gate"][0].shape == (2, 30, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": 0}, "memory=0 is not a whole number of at least 1"),
        ({"context": 0}, "context=0 is not a whole number of at least 1"),
        ({"shortest_period": 0.0}, "shortest_period=0.0, .*: periods need 0 < shortest <= longest"),
        ({"longest_period": 0.5}, "longest_period=0.5: periods need"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        FFM(12, **options)
