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

from .golden import Weights, compare, gap, load, under


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
            y = F.gelu(y, approximate=memory.approximate)
            y = y * (memory.gate.weight @ y + memory.gate.bias).sigmoid()
        outputs.append(y)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", S5.forms)
@pytest.mark.parametrize("options", [{}, {"bare": True}, {"approximate": "none"}], ids=str)
def test_the_layer(form, options) -> None:
    torch.manual_seed(0)
    memory, x = S5(12, states=16, blocks=2, form=form, chunk=7, **options).double(), draw(2, 30, 12)
    nn.init.normal_(memory.real)  # about half of them clipped
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


def as_ours(theirs: Weights) -> Weights:
    ours = {
        "real": theirs["Lambda_re"],
        "imaginary": theirs["Lambda_im"],
        "log_step": theirs["log_step"][:, 0],
        "input.weight": theirs["B"].mT.flatten(0, 1),
        "output.weight": (theirs["C"] * torch.tensor([2.0, -2.0])).flatten(1),
        "skip": theirs["D"],
    }
    gate = {"gate.weight": theirs["out2.kernel"].T, "gate.bias": theirs["out2.bias"]} if "out2.bias" in theirs else {}
    return ours | gate


@pytest.mark.parametrize("form", S5.forms)
@pytest.mark.parametrize("case", ["bare", "layer"])
def test_golden(form, case) -> None:
    golden = load("s5")
    memory = S5(6, states=8, blocks=2, bare=case == "bare", form=form, chunk=7).double()
    weights, gradients = under(golden, "weight/"), under(golden, f"gradient/{case}/")
    weights = {name: array for name, array in weights.items() if name in gradients}
    assert len(weights) == (6 if case == "bare" else 8)
    state = compare(memory, as_ours, weights, golden["input/x"], golden[f"output/{case}/y"], gradients)
    assert gap(state.hidden, golden["state/hidden"]) < 1e-12


def test_it_starts_at_the_eigenvalues_of_the_authors_code() -> None:
    """Theirs keeps the other one of each conjugate pair."""
    memory, eigenvalues = S5(6, states=8, blocks=2), load("s5")["output/start/eigenvalue"].float()
    assert torch.allclose(memory.real, eigenvalues[:, 0])
    assert torch.allclose(memory.imaginary.view(2, 2), -eigenvalues[:, 1].view(2, 2).flip(1))


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
    memory = S5(64, states=1024, fan="states")
    assert memory.input.weight.std().item() == pytest.approx(2048**-0.5, rel=0.01)


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
        ({"fan": "outputs"}, "fan='outputs' is not one of 'inputs', 'states'"),
        ({"approximate": "erf"}, "approximate='erf' is not one of 'tanh', 'none'"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        S5(12, **{"blocks": 2, **options})
