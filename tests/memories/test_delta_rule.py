"""The delta rule as a memory: the layer written out, its state, its observable and its options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.plastic.delta_rule import DeltaRule

from .fla_layers import agrees


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: DeltaRule, x: Tensor, strongest: float) -> Tensor:
    """The layer, one row, from an empty past, unit by unit and head by head."""
    projected = x @ memory.query_key_value.projection.weight.T
    if memory.query_key_value.convolution is not None:
        width = memory.query_key_value.convolution.width
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        weight = memory.query_key_value.convolution.weight
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    q, k, v = (projected * projected.sigmoid()).split(memory.dim, -1)
    beta = strongest * (x @ memory.strength.weight.T).sigmoid()
    size = memory.dim // memory.query_key_value.heads
    matrices, outputs = x.new_zeros(memory.query_key_value.heads, size, size), []
    for t in range(len(x)):
        heads, after = [], []
        for h in range(memory.query_key_value.heads):
            own = slice(h * size, (h + 1) * size)
            query, key = (part / (part.square().sum() + 1e-6).sqrt() for part in (q[t, own], k[t, own]))
            error = v[t, own] - matrices[h].T @ key
            after.append(matrices[h] + beta[t, h] * torch.outer(key, error))
            read = after[h].T @ query / size**0.5
            heads.append(read / (read.square().mean() + memory.norm.eps).sqrt() * memory.norm.weight)
        matrices = torch.stack(after)
        outputs.append(torch.cat(heads) @ memory.output.weight.T)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", DeltaRule.forms)
@pytest.mark.parametrize("convolution", [None, 4])
@pytest.mark.parametrize("negative_eigenvalues", [False, True])
def test_the_layer(form, convolution, negative_eigenvalues) -> None:
    torch.manual_seed(0)
    options = {"convolution": convolution, "negative_eigenvalues": negative_eigenvalues, "form": form}
    memory = DeltaRule(12, heads=3, chunk=7, **options).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row], 2.0 if negative_eigenvalues else 1.0)
        assert (y[row] - expected).abs().max() < 1e-12


@pytest.mark.parametrize("form", DeltaRule.forms)
@pytest.mark.parametrize(
    ("case", "options"),
    [("plain", {"convolution": 3}), ("doubled", {"convolution": None, "negative_eigenvalues": True})],
)
def test_golden_layer(form, case, options) -> None:
    memory = DeltaRule(6, heads=2, **options, form=form, chunk=4)
    agrees(memory, "delta_rule_layer", case, "query_key_value.")


@pytest.mark.parametrize("convolution", [None, 4])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = DeltaRule(12, heads=3, convolution=convolution)
    _, state = memory(torch.randn(2, 30, 12))
    numbers = 12 * 12 // 3 + 3 * 12 * ((convolution or 1) - 1)
    assert nbytes(state) == 2 * 4 * numbers


def test_the_state_is_float32_under_narrower_inputs() -> None:
    memory = DeltaRule(12, heads=3).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32


@pytest.mark.parametrize(("negative_eigenvalues", "strongest"), [(False, 1.0), (True, 2.0)])
def test_the_write_strength_can_be_watched(negative_eigenvalues, strongest) -> None:
    memory = DeltaRule(12, heads=3, negative_eigenvalues=negative_eigenvalues).double()
    x = 100 * draw(2, 30, 12)
    with recording() as observed:
        memory(x, length=torch.tensor([30, 11]))
    (strength,) = observed["delta_rule/write_strength"]
    assert strength.shape == (2, 30, 3)
    expected = strongest * (x @ memory.strength.weight.T).sigmoid()
    assert (strength[0] - expected[0]).abs().max() < 1e-12
    assert (strength[1, :11] - expected[1, :11]).abs().max() < 1e-12
    assert strength.max() > 0.99 * strongest


def test_zero_inputs_have_finite_gradients() -> None:
    memory, x = DeltaRule(12, heads=3), torch.zeros(2, 40, 12, requires_grad=True)
    y, _ = memory(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert y.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        DeltaRule(12, **options)
