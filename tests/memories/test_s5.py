"""S5 as a memory: the layer written out with all conjugates, how it starts, its state and its options."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from mnesis.core.state import nbytes
from mnesis.memories.linear.s5 import S5, hippo_frequencies


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: S5, x: Tensor) -> Tensor:
    """One row, from an empty past: both states of every pair, the input held over each unit."""
    eigenvalue = torch.complex(memory.real.clamp(max=-1e-4), memory.imaginary)
    write = torch.complex(memory.input.weight[0::2], memory.input.weight[1::2])
    read = torch.complex(memory.output.weight[:, 0::2], -memory.output.weight[:, 1::2]) / 2
    eigenvalue, write, read = (torch.cat([part, part.conj()]) for part in (eigenvalue, write, read.T))
    step = memory.log_step.exp().repeat(2)
    turned = eigenvalue * step
    # The integral of exp(Lambda s) from 0 to d.
    integral = step * sum(turned**k / math.factorial(k + 1) for k in range(20))
    h, outputs = torch.zeros_like(eigenvalue), []
    for now in x:
        h = turned.exp() * h + integral * (write @ now.to(h.dtype))
        y = h @ read
        assert y.imag.abs().max() < 1e-12
        y = y.real + memory.skip * now
        if memory.gate is not None:
            y = F.gelu(y) * (memory.gate.weight @ F.gelu(y) + memory.gate.bias).sigmoid()
        outputs.append(y)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", S5.forms)
@pytest.mark.parametrize("bare", [False, True])
def test_the_layer(form, bare) -> None:
    torch.manual_seed(0)
    memory, x = S5(12, states=16, blocks=2, bare=bare, form=form, chunk=7).double(), draw(2, 30, 12)
    nn.init.normal_(memory.real)  # about half of them clipped
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


def test_frequencies_are_those_of_hippo() -> None:
    matrix = load_file(Path(__file__).resolve().parents[1] / "golden" / "hippo.safetensors")["output/legs/A"]
    root = (torch.arange(6) + 0.5).double().sqrt()
    expected = torch.linalg.eigvals(matrix.double() + torch.outer(root, root))
    assert torch.allclose(expected.real, torch.tensor(-0.5).double())
    assert torch.allclose(hippo_frequencies(6), expected.imag.sort().values[3:])


def test_how_it_starts() -> None:
    torch.manual_seed(0)
    memory = S5(64, states=1024, blocks=4, shortest=1e-2, longest=1e-1)
    assert bool((memory.real == -0.5).all())
    assert torch.equal(memory.imaginary.view(4, 128), hippo_frequencies(256).float().expand(4, -1))
    even = math.log(1e-2) + math.log(10) * (torch.arange(512) + 0.5) / 512
    assert (memory.log_step.sort().values - even).abs().max() < 0.2
    assert memory.input.weight.std().item() == pytest.approx(128**-0.5, rel=0.01)
    assert memory.output.weight.std().item() == pytest.approx(2 * 1024**-0.5, rel=0.01)


@pytest.mark.parametrize("form", S5.forms)
def test_it_does_not_run_away(form) -> None:
    """Eigenvalues to the right of the axis are pushed back."""
    memory = S5(8, blocks=1, form=form)
    with torch.no_grad():
        memory.real.fill_(1.0)
        memory.log_step.fill_(0.0)
        y, state = memory(draw(1, 2000, 8).float())
    assert y.isfinite().all()
    assert state.hidden.abs().max() < 1e3


def test_the_state_is_as_large_as_promised() -> None:
    memory = S5(12, states=40, blocks=2).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.hidden.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 4}, "states=12 do not split into blocks=4 of conjugate pairs; make them a multiple of twice"),
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"blocks": 0}, "blocks=0 is not a whole number of at least 1"),
        ({"shortest": 0.0}, "shortest=0.0, longest=0.1: time steps need 0 < shortest <= longest"),
        ({"shortest": 1.0}, "shortest=1.0, longest=0.1: time steps need"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        S5(12, **{"blocks": 2, **options})
