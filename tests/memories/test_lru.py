"""LRU as a memory: the unit written out with complex matrices, how it starts, its state and its options."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.state import nbytes
from mnesis.memories.linear.lru import LRU

from .golden import Weights, compare, gap, load, under


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: LRU, x: Tensor) -> tuple[Tensor, Tensor]:
    """One row, from an empty past: outputs and the last h."""
    eigenvalue = torch.complex(-memory.log_rate.exp(), memory.log_phase.exp()).exp()
    write = torch.complex(memory.input.weight[0::2], memory.input.weight[1::2])
    read = torch.complex(memory.output.weight[:, 0::2], -memory.output.weight[:, 1::2])
    h, outputs = torch.zeros_like(eigenvalue), []
    for now in x:
        h = eigenvalue * h + memory.log_scale.exp() * (write @ now.to(h.dtype))
        outputs.append((read @ h).real + memory.skip * now)
    return torch.stack(outputs), h


@pytest.mark.parametrize("form", LRU.forms)
@pytest.mark.parametrize("states", [None, 5])
def test_the_layer(form, states) -> None:
    torch.manual_seed(0)
    memory, x = LRU(12, states=states, form=form, chunk=7).double(), draw(2, 30, 12)
    nn.init.normal_(memory.log_scale)
    y, state = memory(x)
    for row in range(2):
        expected, h = written_out(memory, x[row])
        assert (y[row] - expected).abs().max() < 1e-12
        assert (torch.view_as_complex(state.hidden)[row] - h).abs().max() < 1e-12


def as_ours(theirs: Weights) -> Weights:
    return {
        "log_rate": theirs["nu_log"],
        "log_phase": theirs["theta_log"],
        "log_scale": theirs["gamma_log"],
        "input.weight": torch.stack([theirs["B_re"], theirs["B_im"]], 1).flatten(0, 1),
        "output.weight": torch.stack([theirs["C_re"], -theirs["C_im"]], -1).flatten(1),
        "skip": theirs["D"],
    }


@pytest.mark.parametrize("form", LRU.forms)
def test_golden(form) -> None:
    golden = load("lru")
    memory = LRU(6, states=5, form=form, chunk=7).double()
    weights, gradients = under(golden, "weight/"), under(golden, "gradient/")
    state = compare(memory, as_ours, weights, golden["input/x"], golden["output/y"], gradients)
    assert gap(state.hidden, golden["state/hidden"]) < 1e-12


def test_it_starts_evenly_on_a_ring() -> None:
    """The squares of radii are even, and so are phases; what each channel holds of white noise has variance 1."""
    torch.manual_seed(0)
    memory = LRU(8, states=4096, inner=0.5, outer=0.9, largest_phase=math.pi / 2)
    eigenvalue, scale = memory.transition(torch.float64)
    square, phase = eigenvalue.abs().square(), eigenvalue.angle()
    for part, least, most in ((square, 0.25, 0.81), (phase, 0.0, math.pi / 2)):
        even = least + (most - least) * (torch.arange(4096) + 0.5) / 4096
        assert (part.sort().values - even).abs().max() < 0.03 * (most - least)
    assert torch.allclose(scale.square(), 1 - square, rtol=1e-5, atol=0.0)
    assert memory.input.weight.std().item() == pytest.approx(1 / 4, rel=0.01)
    assert memory.output.weight.std().item() == pytest.approx(1 / 64, rel=0.01)


def test_the_largest_ring_stays_inside_the_unit_circle() -> None:
    memory = LRU(4, states=4096)
    assert all(parameter.isfinite().all() for parameter in memory.parameters())
    assert memory.transition(torch.float64)[0].abs().max() < 1


def test_the_state_is_as_large_as_promised() -> None:
    memory = LRU(12, states=20).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.hidden.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 2 * 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"inner": 0.9, "outer": 0.9}, "inner=0.9, outer=0.9, .*: a ring needs 0 <= inner < outer <= 1"),
        ({"outer": 1.1}, "outer=1.1, .*: a ring needs 0 <= inner < outer <= 1"),
        ({"largest_phase": 0.0}, "largest_phase=0.0: a ring needs .* and a phase above 0"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        LRU(12, **options)
