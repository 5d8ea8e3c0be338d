"""The gated RNN as a memory: its equations, what it can be set to, its state and its options."""

from __future__ import annotations

import pytest
import torch

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.gated_rnn import GatedRNN

every_form = pytest.mark.parametrize("form", GatedRNN.forms)


@every_form
@pytest.mark.parametrize("output_gate", [True, False])
def test_equations(form, output_gate) -> None:
    torch.manual_seed(0)
    memory = GatedRNN(5, neurons=7, output_gate=output_gate, form=form, chunk=6).double()
    x = torch.randn(2, 20, 5, dtype=torch.float64, requires_grad=True)
    y, state = memory(x)
    h, outputs = torch.zeros(2, 7, dtype=torch.float64), []
    for t in range(20):
        h = (-memory.nu.exp()).exp() * h + memory.input(x[:, t]) * memory.input_gate(x[:, t])
        o = memory.read_out(h)
        if memory.output_gate is not None:
            o = o * memory.output_gate(h)
        outputs.append(memory.output(o))
    expected = torch.stack(outputs, 1)
    assert (y - expected).abs().max() < 1e-12
    assert (state.hidden - h).abs().max() < 1e-12
    wanted = (x, *memory.parameters())
    gradients = (torch.autograd.grad(output.square().sum(), wanted) for output in (y, expected))
    for found, other in zip(*gradients, strict=True):
        assert (found - other).abs().max() < 1e-11 * other.abs().max().clamp_min(1.0)


@every_form
def test_it_can_be_linear_attention(form) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 4, 4, generator=generator, dtype=torch.float64)
    memory = GatedRNN.of_linear_attention(query, key, value)
    memory.form = form
    x = torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)
    expected = torch.zeros(2, 30, 4, dtype=torch.float64)
    for t in range(30):
        for s in range(t + 1):
            expected[:, t] += (x[:, s] @ value.mT) * ((x[:, s] @ key.mT) * (x[:, t] @ query.mT)).sum(1, keepdim=True)
    assert memory.nu.numel() == 4 * 4 + 4
    assert (memory(x)[0] - expected).abs().max() < 1e-12 * expected.abs().max()


def test_rates_start_between_nothing_and_all() -> None:
    kept = GatedRNN(4, neurons=2000).kept(torch.float32)
    assert 0 < kept.min() < 0.01
    assert 0.99 < kept.max() < 1
    assert abs(kept.mean() - 0.5) < 0.03


def test_its_state_and_what_can_be_watched() -> None:
    memory = GatedRNN(6).bfloat16()
    with recording() as observed:
        y, state = memory(torch.randn(2, 9, 6).bfloat16())
    assert y.dtype == torch.bfloat16
    assert state.hidden.dtype == torch.float32
    assert nbytes(state) == 2 * 4 * 12
    assert observed["gated_rnn/kept"][0].shape == (12,)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="neurons=0 is not a whole number of at least 1"):
        GatedRNN(6, neurons=0)
    with pytest.raises(ValueError, match="GatedRNN has no form 'fft'"):
        GatedRNN(6, form="fft")
