"""S4D as a memory: filter and layer written out, the authors' numbers, how it starts, its state and its options."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.s4d import S4D

every_form = pytest.mark.parametrize("form", S4D.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def filtered(memory: S4D, x: Tensor) -> Tensor:
    """One row, from an empty past: the equation of the state, with both of each conjugate pair."""
    a = torch.complex(-memory.log_rate.exp(), memory.frequency)
    c = torch.view_as_complex(memory.read_out)
    a, c = torch.cat([a, a.conj()], 1), torch.cat([c, c.conj()], 1)
    decay = (memory.log_pace.exp()[:, None] * a).exp()
    h, outputs = torch.zeros_like(decay), []
    for now in x:
        h = decay * h + (decay - 1) / a * now[:, None]
        outputs.append((c * h).sum(1).real + memory.skip * now)
    return torch.stack(outputs)


@every_form
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("start", ["linear", "inverse", "real"])
def test_the_layer(form, bare, start) -> None:
    torch.manual_seed(0)
    memory = S4D(5, states=8, start=start, bare=bare, form=form, chunk=7).double()
    x = draw(2, 30, 5)
    y, _ = memory(x)
    for row in range(2):
        expected = filtered(memory, x[row])
        if not bare:
            values, gate = memory.output(F.gelu(expected)).chunk(2, -1)
            expected = values * gate.sigmoid()
        assert (y[row] - expected).abs().max() < 1e-12


@every_form
@pytest.mark.parametrize("bare", [False, True])
def test_golden(form, bare) -> None:
    golden = load_file(Path(__file__).parents[1] / "golden" / "s4d.safetensors")
    memory = S4D(3, states=6, bare=bare, form=form, chunk=7).double()
    names = {"read_out": "C", "log_pace": "log_dt", "log_rate": "log_A_real", "frequency": "A_imag", "skip": "skip"}
    names |= {} if bare else {"output.weight": "output.weight", "output.bias": "output.bias"}
    memory.load_state_dict({ours: golden[f"weight/{theirs}"] for ours, theirs in names.items()})
    y, _ = memory(golden["input/x"])
    assert (y - golden[f"output/{'convolution' if bare else 'layer'}/y"]).abs().max() < 1e-9
    gradients = torch.autograd.grad(y.square().sum(), list(memory.parameters()))
    for (ours, _), gradient in zip(memory.named_parameters(), gradients, strict=True):
        expected = golden[f"gradient/{'convolution' if bare else 'layer'}/{names[ours]}"]
        assert (gradient - expected).abs().max() < 1e-9


def test_starts() -> None:
    memory = S4D(64, states=8)
    assert torch.equal(memory.log_rate.exp(), torch.full((64, 4), 0.5))
    assert torch.equal(memory.frequency[0], math.pi * torch.arange(4))
    assert memory.log_pace.exp().min() >= 0.001 * 0.999
    assert memory.log_pace.exp().max() <= 0.1 * 1.001
    # S4D-Inv: N / pi (N / (2 n + 1) - 1), equation 8.
    expected = torch.tensor([8 / math.pi * (8 / (2 * n + 1) - 1) for n in range(4)])
    assert (S4D(1, states=8, start="inverse").frequency[0] - expected).abs().max() < 1e-5
    assert torch.equal(S4D(1, states=8, start="real").log_rate.exp()[0].round(), torch.arange(1.0, 5.0))


def test_the_state_is_as_large_as_promised_and_never_narrow() -> None:
    memory = S4D(12, states=6).bfloat16()
    y, state = memory(torch.randn(2, 9, 12).bfloat16())
    assert y.dtype == torch.bfloat16
    assert state.hidden.dtype == torch.float32
    assert nbytes(state) == 2 * 4 * 12 * 6


def test_its_pace_can_be_watched() -> None:
    with recording() as observed:
        S4D(6)(torch.randn(1, 3, 6))
    assert observed["s4d/pace"][0].shape == (6,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 7}, "states=7: half of them are conjugates"),
        ({"start": "legs"}, "S4D has no start 'legs'"),
        ({"least_pace": 0.2}, "least_pace=0.2, most_pace=0.1: paces need"),
        ({"form": "fft"}, "S4D has no form 'fft'"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        S4D(6, **options)
