"""Retention as a memory: the layer written out with absolute positions, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from mnesis.core.state import nbytes
from mnesis.memories.linear.retention import Retention


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: Retention, x: Tensor) -> Tensor:
    """One row, from an empty past, by equation 5 with complex phases of absolute positions."""
    size = memory.dim // memory.heads
    rate = 10_000.0 ** -torch.linspace(0, 1, size // 2, dtype=torch.float64)
    phase = torch.polar(torch.ones(len(x), size // 2).double(), torch.arange(len(x))[:, None] * rate)
    outputs = []
    for h in range(memory.heads):
        own, wide = slice(h * size, (h + 1) * size), slice(2 * h * size, 2 * (h + 1) * size)
        q, k = (x @ layer.weight[own].T for layer in (memory.query, memory.key))
        q, k = (torch.complex(*part.split(size // 2, -1)) * phase for part in (q, k))
        fade = (1 - 2.0 ** (-5 - h)) ** (torch.arange(len(x))[:, None] - torch.arange(len(x))).double()
        scores = (q @ k.conj().T).real * size**-0.5 * fade.tril()
        read = scores @ (x @ memory.value.weight[wide].T)
        if memory.norm == "group":
            read = read - read.mean(-1, keepdim=True)
        read = read / (read.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        outputs.append(F.silu(x @ memory.gate.weight[wide].T) * read)
    return torch.cat(outputs, -1) @ memory.output.weight.T


@pytest.mark.parametrize("form", Retention.forms)
@pytest.mark.parametrize("norm", ["group", "rms"])
def test_the_layer(form, norm) -> None:
    torch.manual_seed(0)
    memory = Retention(12, heads=3, norm=norm, form=form, chunk=7).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


@pytest.mark.parametrize("form", Retention.forms)
def test_golden(form) -> None:
    """torchscale's layer, whose scalings vanish in its norm; its pairs of channels stand side by side."""
    golden = load_file(Path(__file__).resolve().parents[1] / "golden" / "retention.safetensors")
    memory = Retention(12, heads=2, norm="rms", form=form, chunk=5)
    memory.value, memory.gate, memory.output = nn.Linear(12, 16), nn.Linear(12, 16), nn.Linear(16, 12)
    memory.value_width = 8
    apart = torch.tensor([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
    with torch.no_grad():
        for name, layer in memory.named_children():
            weight = golden[f"weight/{name}.weight"]
            layer.weight.copy_(weight[apart] if name in {"query", "key"} else weight)
            layer.bias = None
    x = golden["input/layer/x"].requires_grad_()
    y, state = memory(x)
    assert (y - golden["output/layer/recurrent"]).abs().max() < 1e-5
    assert (y - golden["output/layer/parallel"]).abs().max() < 2e-5  # the official forms differ by as much
    matrix = golden["state/layer/matrix.11"] * golden["state/layer/scale.11"].sqrt()[:, None, None]
    # The official state counts phases from the first token, ours from the last.
    angle = -11 * 10_000.0 ** -torch.linspace(0, 1, 3, dtype=torch.float64)
    turned = torch.view_as_complex(matrix.double().unflatten(2, (3, 2)).movedim(3, -1).contiguous())
    turned = torch.view_as_real(turned * torch.polar(torch.ones(3).double(), angle)[:, None])
    expected = torch.cat([turned[..., 0], turned[..., 1]], 2)
    assert (state.matrix - expected).abs().max() < 1e-5 * expected.abs().max()
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert (gradient - golden["gradient/layer/x"]).abs().max() < 1e-5 * gradient.abs().max()


@pytest.mark.slow
def test_phases_do_not_wear_out_over_a_long_stream() -> None:
    """They are carried by turning the state, thousands of times here."""
    torch.manual_seed(0)
    memory = Retention(4, heads=1).double()
    x = draw(1, 6000, 4)
    whole, _ = memory(x)
    state, outputs = None, []
    for piece in x.split(3, 1):
        y, state = memory(piece, state)
        outputs.append(y)
    assert (torch.cat(outputs, 1) - whole).abs().max() < 1e-9


def test_the_state_is_as_large_as_promised() -> None:
    memory = Retention(12, heads=3).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 2 * 12 * 12 // 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 4}, "dim=12 does not split into 4 heads of even width; make it a multiple of 8"),
        ({"norm": "layer"}, "no norm 'layer'; choose one of group, rms"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Retention(12, **{"heads": 3, **options})
