"""Mamba-2 as a memory: the authors' core and layer, the block written out, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.mamba2 import Mamba2, Mamba2State
from mnesis.ops.gated_linear_attention import gated_linear_attention
from mnesis.ops.recurrence import FORMS

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mamba2.safetensors"
every_form = pytest.mark.parametrize("form", FORMS)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((found - expected).detach().abs().max() < tolerance * expected.abs().max().clamp_min(1))


@every_form
@pytest.mark.parametrize("case", ["plain", "strong", "carried"])
def test_golden_core(form, case) -> None:
    golden = load_file(GOLDEN)
    names = ("query", "key", "x", "log_decay")
    parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in names]
    start = golden[f"input/{case}/matrix"].mT if case == "carried" else torch.zeros(2, 2, 3, 4).double()
    y, matrix = gated_linear_attention(form, *parts, start, chunk=5)
    assert close(y, golden[f"output/{case}/y"], 1e-9)
    assert close(matrix.mT, golden[f"state/{case}/matrix"], 1e-9)
    if case == "plain":
        found = torch.autograd.grad(y.square().sum() + matrix.square().sum(), parts)
        for name, gradient in zip(names, found, strict=True):
            assert close(gradient, golden[f"gradient/plain/{name}"], 1e-9)


@every_form
@pytest.mark.parametrize("case", ["layer", "carried_layer"])
def test_golden_layer(form, case) -> None:
    golden = load_file(GOLDEN)
    memory = Mamba2(6, states=3, width=4, form=form, chunk=5)
    memory.load_state_dict({
        "input.weight": golden["weight/in_proj.weight"],
        "convolution.weight": golden["weight/conv1d.weight"].T.flip(0),  # ours counts lags
        "convolution.bias": golden["weight/conv1d.bias"],
        "time_step": golden["weight/dt_bias"],
        "log_rate": golden["weight/A_log"],
        "skip": golden["weight/D"],
        "norm": golden["weight/norm.weight"],
        "output.weight": golden["weight/out_proj.weight"],
    })  # fmt: skip
    state = None
    if case == "carried_layer":
        window = golden["input/carried_layer/window"][..., 1:].mT.contiguous()  # one input more there, never read
        state = Mamba2State(golden["input/carried_layer/matrix"].mT.contiguous(), window)
    y, state = memory(golden[f"input/{case}/x"], state)
    assert close(y, golden[f"output/{case}/y"])
    assert close(state.matrix.mT, golden[f"state/{case}/matrix"])
    assert close(state.tail.mT, golden[f"state/{case}/window"][..., 1:])


@every_form
@pytest.mark.parametrize("groups", [1, 3])
def test_the_block(form, groups) -> None:
    """One row, unit by unit, head by head."""
    torch.manual_seed(0)
    memory = Mamba2(6, states=5, width=2, groups=groups, convolution=3, form=form, chunk=7).double()
    x = torch.randn(20, 6, dtype=torch.float64)
    z, u, step = memory.input(x).split([12, 12 + 10 * groups, 6], -1)
    past = F.pad(u, (0, 0, 2, 0))
    u = memory.convolution.bias + sum(memory.convolution.weight[lag] * past[2 - lag : 22 - lag] for lag in range(3))
    u, write, read = F.silu(u).split([12, 5 * groups, 5 * groups], -1)
    step = F.softplus(step + memory.time_step)
    outputs = torch.zeros(20, 12, dtype=torch.float64)
    for head in range(6):
        own, shared = slice(2 * head, 2 * head + 2), slice(5 * (head * groups // 6), 5 * (head * groups // 6) + 5)
        held = torch.zeros(2, 5, dtype=torch.float64)
        for t in range(20):
            held = torch.exp(-memory.log_rate[head].exp() * step[t, head]) * held
            held = held + step[t, head] * torch.outer(u[t, own], write[t, shared])
            outputs[t, own] = held @ read[t, shared] + memory.skip[head] * u[t, own]
    y = outputs * F.silu(z)
    y = memory.output(y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * memory.norm)
    assert (memory(x[None])[0][0] - y).detach().abs().max() < 1e-11


def test_it_starts_as_published() -> None:
    memory = Mamba2(64)
    assert memory.heads == 2
    step, rate = F.softplus(memory.time_step).detach(), memory.log_rate.detach().exp()
    assert 9e-4 < float(step.min()) < float(step.max()) < 0.11
    assert 1 <= float(rate.min()) <= float(rate.max()) <= 16
    with recording() as observed:
        memory(torch.zeros(1, 5, 64))
    assert observed["mamba2/kept"][0].shape == observed["mamba2/time_step"][0].shape == (1, 5, 2)


def test_the_state_is_as_large_as_promised() -> None:
    memory = Mamba2(12, states=5, width=4, groups=2, convolution=3).bfloat16()
    y, state = memory(torch.randn(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 24 * 5 + 2 * (24 + 2 * 2 * 5) * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"width": 7}, "24 channels do not split into heads of width=7"),
        ({"width": 8, "groups": 2}, "3 heads do not split into 2 groups"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Mamba2(12, **{"width": 4, **options})
