"""Mamba as a memory: the authors' scan and layer, memory over long sequences, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.linear.mamba import Mamba, MambaState
from mnesis.ops.recurrence import FORMS
from mnesis.ops.selective_scan import selective_scan

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mamba.safetensors"
every_form = pytest.mark.parametrize("form", FORMS)


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).detach().abs().max() < 1e-5 * expected.abs().max().clamp_min(1))


def official(golden: dict[str, Tensor], form: str) -> Mamba:
    memory = Mamba(6, states=3, rank=2, form=form, chunk=5)
    weights = {
        "input.weight": golden["weight/in_proj.weight"],
        "convolution.weight": golden["weight/conv1d.weight"].T.flip(0),  # ours counts lags
        "convolution.bias": golden["weight/conv1d.bias"],
        "select.weight": golden["weight/x_proj.weight"],
        "time_step.weight": golden["weight/dt_proj.weight"],
        "time_step.bias": golden["weight/dt_proj.bias"],
        "log_rate": golden["weight/A_log"],
        "skip": golden["weight/D"],
        "output.weight": golden["weight/out_proj.weight"],
    }
    memory.load_state_dict(weights)
    return memory


@every_form
@pytest.mark.parametrize("case", ["bare", "plain"])
def test_golden_scan(form, case) -> None:
    golden = load_file(GOLDEN)
    parts = {k.split("/")[-1]: v.requires_grad_() for k, v in golden.items() if k.startswith(f"input/{case}/")}
    step = parts["step"] if case == "bare" else F.softplus(parts["step"] + parts["step_bias"])
    scan = selective_scan(parts["rate"])
    y, h = scan(form, parts["x"], step, parts["key"], parts["query"], torch.zeros(2, 4, 3), chunk=5)
    if case == "plain":
        y = (y + parts["skip"] * parts["x"]) * F.silu(parts["gate"])
        gradients = torch.autograd.grad(y.square().sum() + h.square().sum(), list(parts.values()))
        for name, gradient in zip(parts, gradients, strict=True):
            assert close(gradient, golden[f"gradient/plain/{name}"])
    assert close(y, golden[f"output/{case}/y"])
    assert close(h, golden[f"state/{case}/matrix"])


@every_form
def test_golden_layer(form) -> None:
    golden = load_file(GOLDEN)
    memory, x = official(golden, form), golden["input/layer/x"].requires_grad_()
    y, state = memory(x)
    assert close(y, golden["output/layer/y"])
    assert close(state.h, golden["state/layer/matrix"])
    gradients = torch.autograd.grad(y.square().sum(), [x, memory.log_rate, memory.convolution.weight, memory.skip])
    names = ("x", "A_log", "conv1d.weight", "D")
    for name, gradient in zip(names, gradients, strict=True):
        expected = golden[f"gradient/layer/{name}"]
        assert close(gradient, expected.T.flip(0) if name == "conv1d.weight" else expected)


@every_form
def test_golden_from_a_carried_state(form) -> None:
    golden = load_file(GOLDEN)
    window = golden["input/carried/window"][..., 1:].mT.contiguous()  # theirs holds one input more, never read
    y, state = official(golden, form)(golden["input/carried/x"], MambaState(golden["input/carried/matrix"], window))
    assert close(y, golden["output/carried/y"])
    assert close(state.h, golden["state/carried/matrix"])


@every_form
@pytest.mark.parametrize("time", [1, 2, 63, 100])
def test_the_scan_is_its_equations(form, time) -> None:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    rate, x, pace = -draw(4, 3).exp(), draw(2, time, 4), draw(2, time, 4).exp()
    write, read, h = draw(2, time, 3), draw(2, time, 3), draw(2, 4, 3)
    y, after = selective_scan(rate)(form, x, pace, write, read, h, chunk=16)
    for t in range(time):
        h = torch.exp(pace[:, t, :, None] * rate) * h + torch.einsum("bd,bn->bdn", pace[:, t] * x[:, t], write[:, t])
        assert (y[:, t] - torch.einsum("bdn,bn->bd", h, read[:, t])).abs().max() < 1e-12
    assert (after - h).abs().max() < 1e-12


def test_it_starts_as_in_the_paper() -> None:
    memory = Mamba(32, states=5)
    assert memory.rank == 2
    assert torch.allclose(memory.log_rate.exp(), torch.arange(1.0, 6).expand(64, 5))
    step = F.softplus(memory.time_step.bias).detach()
    assert 9e-4 < float(step.min()) < float(step.max()) < 0.11


def test_the_state_is_as_large_as_promised() -> None:
    memory = Mamba(12, states=5, convolution=3).bfloat16()
    y, state = memory(torch.randn(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.h.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 24 * 5 + 2 * 24 * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Mamba(12, **options)
