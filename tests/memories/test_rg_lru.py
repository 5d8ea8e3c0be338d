"""RG-LRU as a memory: block and unit written out, the authors' numbers, how it starts, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.rg_lru import RGLRU, RGLRUState

every_form = pytest.mark.parametrize("form", RGLRU.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def unit(memory: RGLRU, u: Tensor) -> Tensor:
    """Equations 1 to 4 for one row, from an empty past, with dense block-diagonal matrices."""
    h, outputs = u.new_zeros(memory.width), []
    matrices = [torch.block_diag(*gate.weight.mT) for gate in (memory.recurrence_gate, memory.input_gate)]
    a = memory.decay.sigmoid()
    for t, now in enumerate(u):
        r = (matrices[0] @ now + memory.recurrence_gate.bias).sigmoid()
        i = (matrices[1] @ now + memory.input_gate.bias).sigmoid()
        kept = a ** (8 * r)
        scale = torch.ones_like(kept) if memory.released and t == 0 else (1 - kept**2).sqrt()
        h = kept * h + scale * (i * now)
        outputs.append(h)
    return torch.stack(outputs)


def block(memory: RGLRU, x: Tensor) -> Tensor:
    """One row, from an empty past."""
    projected, weight = memory.input(x), memory.convolution.weight
    padded = torch.cat([projected.new_zeros(len(weight) - 1, memory.width), projected])
    u = torch.stack([(padded[t : t + len(weight)].flip(0) * weight).sum(0) for t in range(len(x))])
    h = unit(memory, u + memory.convolution.bias)
    return memory.output(h * F.gelu(memory.gate(x), approximate="tanh"))


@every_form
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("bare", [False, True])
def test_the_layer(form, released, bare) -> None:
    torch.manual_seed(0)
    memory = RGLRU(12, blocks=2, bare=bare, released=released, form=form, chunk=7).double()
    for vector in (memory.recurrence_gate.bias, memory.input_gate.bias, memory.decay):
        nn.init.normal_(vector)
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - (unit if bare else block)(memory, x[row])).abs().max() < 1e-12


NAMES = {"recurrence_gate": "a_gate", "input_gate": "input_gate"}
LAYERS = {"input": "linear_x", "gate": "linear_y", "output": "linear_out"}


def published(part: str, **options) -> tuple[RGLRU, dict[str, Tensor], dict[str, Tensor]]:
    """The authors' weights, and what their gradients are called."""
    golden = load_file(Path(__file__).resolve().parents[1] / "golden" / "rg_lru.safetensors")
    bare, prefix = part == "cell", "" if part == "cell" else "rg_lru."
    memory = RGLRU(6 if bare else 5, width=None if bare else 8, blocks=2, bare=bare, chunk=5, **options)
    parameters = {f"{prefix}a_param": memory.decay}
    for ours, theirs in NAMES.items():
        for name, short in (("weight", "w"), ("bias", "b")):
            parameters[f"{prefix}{theirs}.{short}"] = memory.get_parameter(f"{ours}.{name}")
    if not bare:
        for ours, theirs in LAYERS.items():
            for name in ("weight", "bias"):
                parameters[f"{theirs}.{name}"] = memory.get_parameter(f"{ours}.{name}")
        parameters |= {"conv_1d.w": memory.convolution.weight, "conv_1d.b": memory.convolution.bias}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(theirs_as_ours(name, golden[f"weight/{part}/{name}"]).reshape(parameter.shape))
    return memory, golden, parameters


def theirs_as_ours(name: str, array: Tensor) -> Tensor:
    """Lambda is minus their parameter; the newest unit comes last in their convolution."""
    return -array if name.endswith("a_param") else array.flip(0) if name == "conv_1d.w" else array


def close(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).detach().abs().max()) < 1e-5 * max(1.0, float(expected.abs().max()))


@every_form
@pytest.mark.parametrize("case", ["plain", "block"])
def test_golden_with_gradients(form, case) -> None:
    memory, golden, parameters = published("cell" if case == "plain" else "block", released=True, form=form)
    x = golden[f"input/{case}/x"].requires_grad_()
    y, state = memory(x, reset=golden[f"input/{case}/position"] == 0)
    assert close(y, golden[f"output/{case}/y"])
    assert close(state.hidden, golden[f"state/{case}/hidden"])
    loss = y.square().sum()
    if case == "plain":
        loss = loss + state.hidden.square().sum()
    else:
        assert close(state.tail, golden["state/block/window"])
    for name, found in zip(["x", *parameters], torch.autograd.grad(loss, [x, *parameters.values()]), strict=True):
        expected = theirs_as_ours(name, golden[f"gradient/{case}/{name}"])
        assert close(found, expected.reshape(found.shape))


@every_form
@pytest.mark.parametrize(
    ("case", "released"), [("resets", True), ("carried", True), ("carried", False), ("carried_block", False)]
)
def test_golden_from_a_carried_state(form, case, released) -> None:
    memory, golden, _ = published("block" if case == "carried_block" else "cell", released=released, form=form)
    hidden = golden[f"input/{case}/hidden"]
    tail = golden.get(f"input/{case}/window", torch.zeros(2, 0, 6))
    state = RGLRUState(hidden, tail, torch.ones(2, int(released)))
    y, state = memory(golden[f"input/{case}/x"], state, reset=golden[f"input/{case}/position"] == 0)
    assert close(y, golden[f"output/{case}/y"])
    assert close(state.hidden, golden[f"state/{case}/hidden"])


@pytest.mark.parametrize("released", [False, True])
def test_what_is_kept_at_the_start(released) -> None:
    torch.manual_seed(0)
    root = RGLRU(1024, bare=True, released=released).decay.double().sigmoid()
    kept = root if released else root**8
    assert 0.8999 < kept.min().item() < 0.902
    assert 0.997 < kept.max().item() < 0.9991
    expected = (0.9**2 + 0.999**2) / 2 if released else (0.9 + 0.999) / 2
    assert abs((kept**2 if released else kept).mean().item() - expected) < 5e-3


@every_form
def test_a_closed_gate_keeps_all_and_has_gradients(form) -> None:
    memory = RGLRU(16, bare=True, form=form)
    nn.init.constant_(memory.recurrence_gate.bias, -200.0)
    with recording() as observed:
        y, _ = memory(draw(2, 30, 16).float().requires_grad_())
    assert bool((observed["rg_lru/kept"][0] == 1).all())
    gradients = torch.autograd.grad(y.sum(), list(memory.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("released", [False, True])
def test_the_state_is_as_large_as_promised(released) -> None:
    memory = RGLRU(12, blocks=2, released=released).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.hidden.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 16 + 2 * 16 * 3 + 4 * released)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 15, "blocks": 2}, "width=15 does not split into 2 blocks; make it a multiple of blocks"),
        ({"width": 24, "bare": True}, "the bare RG-LRU is as wide as its input, dim=12; leave width out"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        RGLRU(12, **options)
