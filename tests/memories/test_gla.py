"""GLA as a memory: the layer written out, paces at the start, its state and its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.gla import GLA

from .fla_layers import agrees


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: GLA, x: Tensor) -> Tensor:
    """One row, from an empty past, unit by unit and head by head."""
    layer = memory.query_key_value
    projected = x @ layer.projection.weight.T
    if layer.convolution is not None:
        width, weight = layer.convolution.width, layer.convolution.weight
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        projected = F.silu(projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width)))
    q, k, v = projected.split(layer.sizes, -1)
    low, high = memory.decay
    kept = (x @ low.weight.T @ high.weight.T + high.bias).sigmoid() ** (1 / memory.temperature)
    gate = F.silu(x @ memory.gate.weight.T + memory.gate.bias)
    size, wide = q.shape[1] // memory.heads, v.shape[1] // memory.heads
    matrices, outputs = x.new_zeros(memory.heads, size, wide), []
    for t in range(len(x)):
        heads, after = [], []
        for h in range(memory.heads):
            own, values = slice(h * size, (h + 1) * size), slice(h * wide, (h + 1) * wide)
            after.append(torch.diag(kept[t, own]) @ matrices[h] + torch.outer(k[t, own], v[t, values]))
            read = after[h].T @ q[t, own]
            if memory.norm == "layer":
                read = read - read.mean()
            heads.append(read / (read.square().mean() + memory.epsilon).sqrt() * memory.scale)
        matrices = torch.stack(after)
        outputs.append((gate[t] * torch.cat(heads)) @ memory.output.weight.T)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", GLA.forms)
@pytest.mark.parametrize("convolution", [None, 4])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_the_layer(form, convolution, norm) -> None:
    torch.manual_seed(0)
    options = {"convolution": convolution, "norm": norm, "temperature": 2.0, "form": form}
    memory = GLA(12, heads=3, value_expansion=1.25, rank=2, chunk=7, **options).double()
    torch.nn.init.normal_(memory.scale)
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


@pytest.mark.parametrize("form", GLA.forms)
@pytest.mark.parametrize(("case", "options"), [("plain", {}), ("convolved", {"convolution": 3, "temperature": 2.0})])
def test_golden_layer(form, case, options) -> None:
    """Theirs scales queries by 2^-1/2, which a doubled epsilon makes up for, and has no bias in the output gate."""
    memory = GLA(8, heads=2, rank=3, epsilon=2e-6, **options, form=form, chunk=4)
    agrees(memory, "gla_layer", case, "query_key_value.", **{"gate.bias": torch.zeros(8).double()})
    assert GLA(8).epsilon == 1e-6


@pytest.mark.parametrize("form", GLA.forms)
def test_a_decay_that_float32_cannot_divide_by(form) -> None:
    """Products of decays of e^-100 a unit and more, beside channels that keep nearly all."""
    torch.manual_seed(0)
    memory, x = GLA(16, heads=2, rank=4, temperature=1.0, form=form).double(), draw(1, 200, 16)
    with torch.no_grad():
        memory.decay[1].bias.copy_(torch.tensor([-100.0, 8.0]).repeat(4))
    exact, _ = memory(x)
    y, state = memory.float()(x.float())
    assert y.isfinite().all()
    assert state.matrix.isfinite().all()
    assert (y - exact).abs().max() < 1e-4


@pytest.mark.parametrize("convolution", [None, 4])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = GLA(16, heads=2, convolution=convolution).bfloat16()
    y, state = memory(draw(2, 30, 16).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 16 * 16 // 4 + 2 * 2 * 16 * ((convolution or 1) - 1))


def test_it_keeps_nearly_all_at_the_start_and_decays_can_be_watched() -> None:
    torch.manual_seed(0)
    memory = GLA(16, heads=4).double()
    assert [tuple(layer.weight.shape) for layer in memory.decay] == [(16, 16), (8, 16)]
    with recording() as observed:
        memory(draw(2, 30, 16))
    kept = observed["gla/kept"][0].detach()
    assert kept.shape == (2, 30, 4, 2)
    assert 0.9 < float(kept.min()) < float(kept.max()) < 1
    assert abs(float(kept.mean()) - 0.5 ** (1 / 16)) < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, r"6 key and 12 value channels \(dim=12\) do not split into 5 heads"),
        ({"key_expansion": 0.0}, "key_expansion=0.0 is not a finite number above 0"),
        ({"rank": 0}, "rank=0 is not a whole number of at least 1"),
        ({"temperature": 0.0}, "temperature=0.0 is not a finite number above 0"),
        ({"epsilon": 0.0}, "epsilon=0.0 is not a finite number between 1e-30 and 1"),
        ({"norm": "group"}, "no norm 'group'; choose one of rms, layer"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        GLA(12, **{"heads": 3, **options})
