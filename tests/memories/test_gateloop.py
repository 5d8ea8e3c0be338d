"""GateLoop as a memory: both layers written out, the published code's numbers, their states and options."""

from __future__ import annotations

import cmath
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.gateloop import GateLoop, SimpleGateLoop, SimpleGateLoopState

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "gateloop.safetensors"
every_form = pytest.mark.parametrize("form", GateLoop.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: GateLoop, x: Tensor) -> Tensor:
    """One row, from an empty past, as the paper's attention: every pair by itself, without a state."""
    size, time = memory.dim // memory.heads, len(x)
    first, second = memory.transition(x).chunk(2, -1)
    outputs = []
    for h in range(memory.heads):
        own = slice(h * size, (h + 1) * size)
        q, k, v = (x @ layer.weight[own].T for layer in (memory.query, memory.key, memory.value))
        read = [x.new_zeros(size) for _ in range(time)]
        for c in range(size):
            steps = []
            for real, imaginary in zip(first[:, own][:, c].tolist(), second[:, own][:, c].tolist(), strict=True):
                z = complex(real, imaginary)
                magnitude, phase = (abs(z), cmath.phase(z)) if memory.polar else (real, imaginary)
                steps.append(cmath.rect(1 / (1 + cmath.exp(-magnitude).real), phase))
            for t in range(time):
                product = 1 + 0j
                for s in range(t, -1, -1):
                    read[t] = read[t] + (q[t, c] * k[s, c] * product.real) * v[s]
                    product *= steps[s]
        outputs.append(torch.stack(read))
    return memory.output(torch.cat(outputs, -1) * F.silu(memory.gate(x)))


@every_form
@pytest.mark.parametrize("transition", ["separate", "polar"])
@pytest.mark.parametrize("heads", [None, 2])
def test_the_layer(form, transition, heads) -> None:
    torch.manual_seed(0)
    memory = GateLoop(6, heads=heads, transition=transition, form=form, chunk=7).double()
    torch.nn.init.normal_(memory.transition.weight)
    x = draw(2, 20, 6)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


def close(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).detach().abs().max()) < 1e-9 * max(1.0, float(expected.abs().max()))


@every_form
@pytest.mark.parametrize("case", ["layer", "layer_real"])
def test_golden_layer(form, case) -> None:
    """The published layer, whose heads have one transition each and hold back a tenth of its gradient."""
    golden = load_file(GOLDEN)
    memory = GateLoop(6, heads=3, transition="polar", form=form, chunk=5).double()
    with torch.no_grad():
        for name in ("query", "key", "value", "gate", "output"):
            memory.get_parameter(f"{name}.weight").copy_(golden[f"weight/layer/{name}.weight"])
        for name in ("weight", "bias"):
            parts = golden[f"weight/layer/transition.{name}"].unflatten(0, (3, 2)).transpose(0, 1).clone()
            if case == "layer_real":
                parts[1] = 0
            memory.get_parameter(f"transition.{name}").copy_(parts.repeat_interleave(2, 1).flatten(0, 1))
    y, _ = memory(golden["input/layer/x"])
    assert close(y, golden[f"output/{case}/y"])
    if case == "layer":
        names = [f"{name}.weight" for name in ("query", "key", "value", "gate", "output")]
        weights = [*(memory.get_parameter(name) for name in names), *memory.transition.parameters()]
        *found, weight, bias = torch.autograd.grad(y.square().sum(), weights)
        for name, gradient in zip(names, found, strict=True):
            assert close(gradient, golden[f"gradient/layer/{name}"])
        for name, gradient in (("weight", weight), ("bias", bias)):
            gradient = gradient.unflatten(0, (2, 3, 2)).sum(2).transpose(0, 1).flatten(0, 1)
            assert close(0.9 * gradient, golden[f"gradient/layer/transition.{name}"])


@every_form
def test_golden_operator(form) -> None:
    """One head of the published operator, by weights that pass on what stands in the input."""
    golden = load_file(GOLDEN)
    q, k, v, decay, phase = (
        golden[f"input/operator/{name}"].requires_grad_() for name in ("query", "key", "value", "decay", "phase")
    )
    memory, silent = GateLoop(20, heads=5, form=form, chunk=7).double(), torch.zeros(2, 16, 1).double()
    open_gate = torch.full((2, 16, 1), 40.0).double()
    x = torch.cat([q, k, v, decay.logit(), phase, open_gate, silent.expand(-1, -1, 3)], -1)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.zero_()
        for at, start, layer in ((3, 0, memory.query), (3, 3, memory.key), (4, 6, memory.value)):
            layer.weight[range(at), range(start, start + at)] = 1
        memory.transition.weight[range(3), range(10, 13)] = 1
        memory.transition.weight[range(20, 23), range(13, 16)] = 1
        memory.gate.weight[:, 16] = 1
        memory.output.weight.copy_(torch.eye(20))
    y, state = memory(x)
    assert close(y[..., :4] / 40, golden["output/operator/y"])
    assert close(state.matrix[:, 0, :3], golden["state/operator/matrix"])
    wanted = {"query": q, "key": k, "value": v, "decay": decay, "phase": phase}
    for name, found in zip(wanted, torch.autograd.grad((y / 40).square().sum(), list(wanted.values())), strict=True):
        assert close(found, golden[f"gradient/operator/{name}"])


@every_form
@pytest.mark.parametrize("case", ["simple", "carried"])
def test_golden_simple(form, case) -> None:
    """Behind the published layer's own norm."""
    golden = load_file(GOLDEN)
    memory = SimpleGateLoop(6, form=form, chunk=5).double()
    with torch.no_grad():
        for name, parameter in memory.named_parameters():
            parameter.copy_(golden[f"weight/simple/{name}"])
    x = golden[f"input/{case}/x"].requires_grad_()
    state = SimpleGateLoopState(golden["input/carried/hidden"]) if case == "carried" else None
    y, state = memory(F.normalize(x, dim=-1) * 6**0.5 * golden["weight/simple/norm.weight"], state)
    assert close(y, golden[f"output/{case}/y"])
    assert close(state.hidden, golden[f"state/{case}/hidden"])
    if case == "simple":
        names = [name for name, _ in memory.named_parameters()]
        for name, found in zip(
            ["x", *names], torch.autograd.grad(y.square().sum(), [x, *memory.parameters()]), strict=True
        ):
            assert close(found, golden[f"gradient/simple/{name}"])


def test_the_states_are_as_large_as_promised() -> None:
    for memory, numbers in ((GateLoop(12), 24), (GateLoop(12, heads=3), 96), (SimpleGateLoop(12), 12)):
        y, state = memory.bfloat16()(draw(2, 30, 12).bfloat16())
        assert y.dtype is torch.bfloat16
        assert state[0].dtype is torch.float32
        assert nbytes(state) == 2 * 4 * numbers


def test_magnitudes_start_high_and_can_be_watched() -> None:
    with recording() as observed:
        GateLoop(12, heads=3)(torch.zeros(2, 30, 12))
    kept = observed["gateloop/kept"][0]
    assert kept.shape == observed["gateloop/phase"][0].shape == (2, 30, 3, 4)
    assert torch.allclose(kept[0, 0].flatten(), torch.linspace(0.9, 0.99, 12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads; make dim a multiple of heads"),
        ({"transition": "real"}, "no transition 'real'; choose one of separate, polar"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        GateLoop(12, **options)
